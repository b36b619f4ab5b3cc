"""`tunestack man`: write man pages of all commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tunestack import __version__
from tunestack.cli.groups import Group, examples, first_sentence
from tunestack.cli.output import note
from tunestack.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXIT_STATUS = {
    0: "Success.",
    1: "A check, job, endpoint or evaluation failed, or the data is invalid.",
    2: "Invalid usage or settings.",
    3: "The provider refused or failed.",
    130: "Interrupted by Ctrl-C.",
}


@click.command(
    epilog=examples(
        "tunestack man ~/.local/share/man/man1", "man tunestack-jobs-submit", page="cli.md"
    )
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.pass_context
def man(ctx: click.Context, folder: Path) -> None:
    """Write the man pages of all commands to FOLDER."""
    root = ctx.find_root()
    pages = dict(_pages(click.Context(root.command, info_name="tunestack")))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, page in pages.items():
            (folder / f"{name}.1").write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the man pages can't be written to {str(folder)!r}: {error}") from error
    note(f"wrote {len(pages)} man pages to {folder}")


def _pages(ctx: click.Context) -> Iterator[tuple[str, str]]:
    """Yield the name and the page of a command and of all commands below it."""
    command = ctx.command
    yield ctx.command_path.replace(" ", "-"), "\n".join(_lines(ctx)) + "\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            if child is not None:
                yield from _pages(click.Context(child, info_name=name, parent=ctx))


def _lines(ctx: click.Context) -> Iterator[str]:
    command, name = ctx.command, ctx.command_path.replace(" ", "-")
    help_text = command.help or ""
    yield f'.TH "{name.upper()}" 1 "" "Tunestack {__version__}"'
    yield from (".SH NAME", f"{_roff(name)} \\- {_roff(first_sentence(help_text).rstrip('.'))}")
    usage = " ".join(command.collect_usage_pieces(ctx))
    yield from (".SH SYNOPSIS", f".B {_roff(ctx.command_path)}", _roff(usage))
    yield ".SH DESCRIPTION"
    for paragraph in help_text.split("\n\n"):
        yield from (".PP", _roff(" ".join(paragraph.split())))
    if isinstance(command, Group):
        yield ".SH COMMANDS"
        for child, description in command.descriptions(ctx).items():
            yield from (".TP", f".B {_roff(child)}", _roff(description))
    yield ".SH OPTIONS"
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
        if record is not None:
            yield from (".TP", f".B {_roff(record[0])}", _roff(record[1]))
    lines = [line.strip() for line in (command.epilog or "").splitlines()]
    shown = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    if shown:
        yield from (".SH EXAMPLES", ".nf", *map(_roff, shown), ".fi")
    yield ".SH EXIT STATUS"
    for code, meaning in _EXIT_STATUS.items():
        yield from (".TP", f".B {code}", meaning)
    yield ".SH SEE ALSO"
    yield from (_roff(line) for line in lines if line.startswith("Documentation: "))


def _roff(text: str) -> str:
    """Escape what roff would interpret: backslashes, hyphens, and dots and quotes at the start of a line."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
