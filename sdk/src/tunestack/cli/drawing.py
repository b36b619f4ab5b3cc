"""Draw tables in a terminal. This module loads rich: import it only when something is drawn."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunestack._utils.extras import missing_extra

try:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text
except ModuleNotFoundError as error:
    raise missing_extra("cli", error) from error

from tunestack.cli.identifiers import short_id
from tunestack.cli.output import cell_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_STYLES = {
    "succeeded": "green",
    "ready": "green",
    "active": "green",
    "running": "cyan",
    "starting": "cyan",
    "updating": "cyan",
    "stopping": "yellow",
    "paused": "yellow",
    "legacy": "yellow",
    "failed": "red",
    "stopped": "red",
    "retired": "red",
}
"""The colors of states."""
_WHOLE = ("id", "state")
"""Columns that are never shortened."""
_NARROW, _GAP = 12, 2


def console(*, stderr: bool = False) -> Console:
    """Return a console; it respects `NO_COLOR`, `TERM` and `COLUMNS`."""
    return Console(stderr=stderr, highlight=False, soft_wrap=False)


def draw_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Draw a table that fits the terminal: the last columns are left out, and long texts are shortened."""
    screen = console()
    cells = {column: [_cell(column, row.get(column)) for row in rows] for column in columns}
    columns = _fitting(cells, screen.width)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for column in columns:
        is_time = any(isinstance(row.get(column), datetime) for row in rows)
        table.add_column(
            column.replace("_", " ").upper() + (" (UTC)" if is_time else ""),
            # Only columns that wrap are narrowed; the texts in them are shortened instead.
            no_wrap=column in _WHOLE or is_time,
        )
    for texts in zip(*(cells[column] for column in columns), strict=True):
        table.add_row(
            *(
                Text(text, _STYLES.get(text, ""), no_wrap=True, overflow="ellipsis")
                for text in texts
            )
        )
    screen.print(table)


@contextmanager
def live_lines(lines: Callable[[], Iterable[str]]) -> Iterator[None]:
    """Show lines on standard error, and update them twice a second; they are removed at the end."""

    def draw() -> Group:
        return Group(*map(Text, lines()))

    screen = console(stderr=True)
    with Live(
        get_renderable=draw,
        console=screen,
        refresh_per_second=2,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield


def _cell(column: str, content: object) -> str:
    if column == "id":
        text = short_id(str(content))
        # The address of stored data would leave no space for the other columns.
        return (
            f"s3://.../{text.rstrip('/').rpartition('/')[2]}/" if text.startswith("s3://") else text
        )
    if isinstance(content, datetime):
        return f"{content.astimezone(UTC):%Y-%m-%d %H:%M}"
    return cell_text(content)


def _fitting(cells: Mapping[str, Sequence[str]], width: int) -> list[str]:
    """Return the columns that fit, at least two."""
    widths = {column: max(len(column), *map(len, texts)) for column, texts in cells.items()}
    least = {
        column: needed if column in _WHOLE else min(needed, _NARROW)
        for column, needed in widths.items()
    }
    columns = list(cells)
    while len(columns) > 2 and sum(least[name] + _GAP for name in columns) - _GAP > width:
        columns.pop()
    return columns
