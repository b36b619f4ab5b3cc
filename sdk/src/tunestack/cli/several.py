"""Act on several items: all are found first, what will be done is confirmed once, and an error does not stop the others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from tunestack.cli.output import note, note_error
from tunestack.errors import TunestackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tunestack.backends.accounts import Provider
    from tunestack.tuner import Tuner


class _Item(Protocol):
    @property
    def id(self) -> str: ...


Item = TypeVar("Item", bound=_Item)

CANCEL_EFFECT = "A cancelled job creates no model, and the tokens that were processed are billed."


def find_each(
    find: Callable[[Tuner, str, Provider], Item],
    tuner: Tuner,
    texts: Iterable[str],
    provider: Provider,
) -> list[Item]:
    """Return the items of several ids, each item once; an unknown id is an error before anything is done."""
    found = [find(tuner, text, provider) for text in texts]
    return list({item.id: item for item in found}.values())


def require_terminal(action: str, *, yes: bool) -> None:
    """Raise unless the action is confirmed by `--yes`, or can be confirmed in a terminal."""
    if not yes and not _has_terminal():
        raise click.UsageError(f"standard input is not a terminal: confirm {action} with --yes")


def confirm_all(lines: Sequence[str], verb: str, noun: str, *, effect: str, yes: bool) -> bool:
    """Show what will be done, a line for each item, and ask once unless `--yes` is set.

    A script that acts on one item is not asked.
    """
    if yes or (len(lines) == 1 and not _has_terminal()):
        return True
    for line in lines:
        note(line)
    items = f"this {noun}" if len(lines) == 1 else f"these {len(lines)} {noun}s"
    if click.confirm(f"{verb} {items}? {effect}", err=True):
        return True
    note("nothing was changed")
    return False


def for_each(items: Iterable[Item], act: Callable[[Item], object]) -> None:
    """Act on each item; after an error, continue with the others. The last error is raised, the others are printed."""
    last: TunestackError | None = None
    for item in items:
        try:
            act(item)
        except TunestackError as error:
            if last is not None:
                note_error(last)
            last = error
    if last is not None:
        raise last


def _has_terminal() -> bool:
    """Return whether standard input is a terminal; standard error may be a file, which then has the question."""
    return sys.stdin is not None and sys.stdin.isatty()
