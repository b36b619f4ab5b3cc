"""Command groups: their lists have a full sentence for each command, and an unknown command gets a suggestion."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from tunestack.cli.interrupts import exit_at_interrupt

if TYPE_CHECKING:
    from collections.abc import Mapping

BUILT_IN_ALIASES = {"ls": ("list",), "ps": ("list",), "logs": ("events",), "rm": ("delete", "stop")}
"""Other names of commands, which `docker`, `gh` and `hf` use: an alias runs the first of these commands that the group has."""
_DOCS = "https://github.com/tunestack/tunestack/blob/main/docs/"


def examples(*commands: str, page: str) -> str:
    """Return the end of a command's help: examples, and the page of the documentation."""
    lines = "".join(f"  $ {command}\n" for command in commands)
    return f"\b\nExamples:\n{lines}\n\b\nDocumentation: {_DOCS}{page}"


class Group(click.Group):
    """A group of commands."""

    modules: Mapping[str, str] = MappingProxyType({})
    """The modules of commands that are loaded only when they are used, by the name of the command."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - of click
        """Return the names of the commands."""
        return sorted((*self.commands, *self.modules))

    def descriptions(self, ctx: click.Context) -> dict[str, str]:
        """Return the description of each command."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        return {
            name: first_sentence(command.help or "")
            for name, command in commands.items()
            if command and not command.hidden
        }

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - of click
        """Return a command, by its name or an alias."""
        name = self._resolve_alias(cmd_name)
        if name not in self.modules:
            return self.commands.get(name)
        with exit_at_interrupt():
            module = import_module(f"tunestack.cli.{self.modules[name]}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one sentence for each command, and its aliases."""
        aliases: dict[str, list[str]] = {}
        for alias in BUILT_IN_ALIASES:
            aliases.setdefault(self._resolve_alias(alias), []).append(alias)
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (
                        name,
                        f"{text} [alias: {', '.join(aliases[name])}]" if name in aliases else text,
                    )
                    for name, text in sorted(self.descriptions(ctx).items())
                ]
            )

    def _resolve_alias(self, name: str) -> str:
        names = (name, *BUILT_IN_ALIASES.get(name, ()))
        return next(
            (known for known in names if known in self.commands or known in self.modules), name
        )

    def suggestions(self, ctx: click.Context) -> list[str]:
        """Return the names that the error for an unknown command suggests."""
        return self.list_commands(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown name is an error that names similar commands."""
        name = args[0]
        if name in self.list_commands(ctx) or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        from difflib import get_close_matches  # noqa: PLC0415 - for the message only

        known = self.suggestions(ctx)
        near = get_close_matches(name, known, n=1) or [
            other for other in known if other.startswith(name)
        ]
        hint = (
            f"did you mean '{ctx.command_path} {near[0]}'?" if near else f"use {', '.join(known)}"
        )
        raise click.UsageError(f"no such command {name!r}: {hint}", ctx)


def first_sentence(text: str) -> str:
    """Return the first sentence of a help text, in one line."""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    sentence, end, _ = paragraph.partition(". ")
    return sentence + end.strip()
