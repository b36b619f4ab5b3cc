"""`tunestack alias`: names of the user's own for commands, and their expansion."""

from __future__ import annotations

import json
import os
import re
import shlex
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from tunestack.cli.groups import BUILT_IN_ALIASES, Group, examples
from tunestack.cli.options import format_option
from tunestack.cli.output import note, show, show_each, table
from tunestack.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

_PAGE = "cli.md"
_NAME = re.compile(r"\w[\w-]*")
_PLACEHOLDER = re.compile(r"\$([1-9]\d*)")


def read_aliases() -> dict[str, str]:
    """Return the command of each alias.

    Raises:
        ConfigError: the file of the aliases can't be read.
    """
    try:
        aliases = json.loads(_path().read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise _invalid_file(error) from error
    if not isinstance(aliases, dict) or not all(isinstance(text, str) for text in aliases.values()):
        raise _invalid_file("expected a JSON object of aliases and their commands")
    return aliases


def expand(arguments: list[str], *, to_complete: bool = False) -> list[str] | None:
    """Return a command line with the command of the alias that it starts with; None if it starts with no alias.

    Args:
        arguments: the command line, without `tunestack`.
        to_complete: whether a shell completes the next argument; then invalid aliases and missing arguments are no errors.

    Raises:
        ConfigError: the file of the aliases, or the command of the alias, is invalid.
        click.UsageError: a placeholder has no argument.
    """
    with suppress(ConfigError) if to_complete else nullcontext():
        name, *values = arguments
        aliases = read_aliases()
        if name in aliases:
            return _fill(name, aliases[name], values, ignore_missing=to_complete)
    return None


def complete_alias(incomplete: str) -> list[CompletionItem]:
    """Return the aliases that start with a text, for the completion in a shell."""
    try:
        aliases = read_aliases()
    except ConfigError:
        return []
    return [
        CompletionItem(name, help=f"Alias of {command}")
        for name, command in sorted(aliases.items())
        if name.startswith(incomplete)
    ]


@click.group(
    cls=Group,
    epilog=examples(
        "tunestack alias set failed 'jobs list --state failed'",
        "tunestack alias list",
        page=_PAGE,
    ),
)
def alias() -> None:
    """Set, list and delete aliases: your own names for commands."""


@alias.command(
    "set",
    epilog=examples(
        "tunestack alias set failed 'jobs list --state failed'",
        "tunestack alias set in-state 'jobs list --state $1' --clobber",
        page=_PAGE,
    ),
)
@click.argument("name")
@click.argument("command", metavar="COMMAND", nargs=-1, required=True)
@click.option("--clobber", is_flag=True, help="Replace an alias that has the same name.")
@format_option
@click.pass_context
def set_alias(ctx: click.Context, name: str, command: tuple[str, ...], *, clobber: bool) -> None:
    """Set the alias NAME for COMMAND, a command of tunestack with arguments.

    Put COMMAND in quotes, or write -- before it if it has options.

    Arguments after the alias replace $1, $2 and so on in COMMAND, or are appended to it. COMMAND is not run by a shell.
    """
    root = ctx.find_root()
    text = command[0] if len(command) == 1 else shlex.join(command)
    if not _NAME.fullmatch(name):
        raise click.UsageError(f"invalid alias {name!r}: use letters, digits, '-' and '_'")
    if name in BUILT_IN_ALIASES or _has_command(root, name):
        raise click.UsageError(f"{name!r} is a command of tunestack: use another name")
    words, aliases = _split(text), read_aliases()
    if words[0] in aliases and not _has_command(root, words[0]):
        raise click.UsageError(
            f"an alias can't run the alias {words[0]!r}: use its command, {aliases[words[0]]!r}"
        )
    _require_command(root, words)
    if aliases.get(name, text) != text and not clobber:
        raise click.UsageError(
            f"the alias {name!r} exists, for {aliases[name]!r}: use --clobber to replace it"
        )
    _write(aliases | {name: text})
    show({"name": name, "command": text})


@alias.command(
    "list", epilog=examples("tunestack alias list", "tunestack alias list --json", page=_PAGE)
)
@format_option
def list_aliases() -> None:
    """List the aliases and their commands."""
    table(_rows(read_aliases().items()), ("name", "command"), of="aliases")


@alias.command(
    epilog=examples(
        "tunestack alias delete failed", "tunestack alias delete failed in-state", page=_PAGE
    )
)
@click.argument(
    "names",
    metavar="NAME...",
    nargs=-1,
    required=True,
    shell_complete=lambda _ctx, _parameter, incomplete: complete_alias(incomplete),
)
@format_option
def delete(names: tuple[str, ...]) -> None:
    """Delete aliases."""
    from difflib import get_close_matches  # noqa: PLC0415 - for the message only

    aliases = read_aliases()
    for name in names:
        if name not in aliases:
            near = get_close_matches(name, aliases, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see `tunestack alias list`"
            raise click.UsageError(f"unknown alias {name!r}: {hint}")
    deleted = {name: aliases.pop(name) for name in dict.fromkeys(names)}
    _write(aliases)
    for name in deleted:
        note(f"alias {name!r} is deleted")
    show_each(_rows(deleted.items()))


def _rows(aliases: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "command": command} for name, command in sorted(aliases)]


def _path() -> Path:
    return Path(click.get_app_dir("tunestack"), "aliases.json")


def _invalid_file(problem: object) -> ConfigError:
    return ConfigError(
        f"the aliases can't be read: {problem}: correct or delete the file {str(_path())!r}"
    )


def _write(aliases: dict[str, str]) -> None:
    path = _path().resolve()  # the target of a symbolic link
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(json.dumps(aliases, indent=1) + "\n", "utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{str(path)!r} can't be written: {error.strerror}") from error


def _split(command: str) -> list[str]:
    """Return the words of a command, at least one.

    Raises:
        click.UsageError: the command is invalid.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise click.UsageError(f"invalid command {command!r}: {error}") from error
    if not words or not command.isprintable():
        raise click.UsageError(f"invalid command {command!r}: it must be one line of text")
    return words


def _fill(name: str, command: str, values: list[str], *, ignore_missing: bool) -> list[str]:
    """Return the words of an alias's command with the arguments in place of their placeholders, or appended."""
    try:
        words = _split(command)
    except click.UsageError as error:
        raise _invalid_file(f"the alias {name!r}: {error.message}") from error
    by_number = {str(number): value for number, value in enumerate(values, 1)}
    used = set(_PLACEHOLDER.findall(command))
    missing = used - by_number.keys()
    if missing and not ignore_missing:
        raise click.UsageError(
            f"the alias {name!r} runs {command!r}: specify an argument for ${min(missing, key=int)}"
        )
    rest = [value for number, value in by_number.items() if number not in used]
    return [
        *(
            _PLACEHOLDER.sub(lambda match: by_number.get(match[1], match[0]), word)
            for word in words
        ),
        *rest,
    ]


def _has_command(root: click.Context, name: str) -> bool:
    return (
        isinstance(root.command, click.Group) and root.command.get_command(root, name) is not None
    )


def _require_command(root: click.Context, words: list[str]) -> None:
    """Raise an error that suggests a similar name unless the words start with a command, and with a subcommand if it is a group."""
    ctx, rest = root, words
    while isinstance(ctx.command, click.Group) and rest and not rest[0].startswith(("-", "$")):
        name, command, rest = ctx.command.resolve_command(ctx, rest)
        assert command is not None  # noqa: S101 - only without `resilient_parsing`
        ctx = click.Context(command, info_name=name, parent=ctx)
    if ctx is root:
        raise click.UsageError(
            f"the command of an alias must start with a command of tunestack, not {words[0]!r}"
        )
