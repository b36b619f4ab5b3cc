"""Print results, as text or as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from tunestack.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


NO, USAGE, PROVIDER, INTERRUPTED = 1, 2, 3, 130
"""Exit codes: the check or the job failed, invalid usage or settings, the provider refused or failed, Ctrl-C."""

ID_ONLY = "tunestack.id-only"
"""The key in click's context that is set by `--id-only`."""

_BROKEN_PIPE = 128 + 13
"""The exit code that a shell reports for a program that SIGPIPE ended."""


def as_json(value: object) -> str:
    """Write a value as one line of JSON."""
    return json.dumps(value, default=_plain)


def out(text: str) -> None:
    """Print a line of the result to standard output; exits if the reader has ended, such as `head`.

    Raises:
        ConfigError: standard output can't be written.
    """
    try:
        click.echo(text)
        sys.stdout.flush()
    except OSError as error:
        # Or Python would report the same error again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise SystemExit(_BROKEN_PIPE) from None
        raise ConfigError(f"standard output can't be written: {error}") from error


def show(value: Any, *, json_wanted: bool) -> None:
    """Print one item: a line for each field, or one JSON object."""
    fields = _fields(value)
    if _has_id_only():
        out(str(fields["id"]))
        return
    if json_wanted:
        out(as_json(fields))
        return
    width = max(map(len, fields), default=0)
    for name, content in fields.items():
        if content not in (None, {}, [], ()):
            out(f"{name:<{width}}  {_text(content)}")


def table(rows: Iterable[Any], columns: Sequence[str], *, of: str, json_wanted: bool) -> None:
    """Print a list: aligned columns, or one JSON object a line with all fields."""
    things = [_fields(row) for row in rows]
    if _has_id_only():
        for thing in things:
            out(str(thing["id"]))
        return
    if json_wanted:
        for thing in things:
            out(as_json(thing))
        return
    if not things:
        note(f"no {of}")
        return
    lines = [[_text(thing[column]) for column in columns] for thing in things]
    widths = [max(map(len, cells)) for cells in zip(columns, *lines, strict=True)]
    for cells in ([column.upper() for column in columns], *lines):
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        out("  ".join(padded).rstrip())


def note(text: str) -> None:
    """Print a message to standard error."""
    click.echo(text, err=True)


def _has_id_only() -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(ID_ONLY))


def _fields(value: Any) -> Mapping[str, Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    fields: Mapping[str, Any] = value
    return fields


def _text(content: object) -> str:
    if content is None:
        return "-"
    if isinstance(content, datetime):
        return f"{content.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(content, dict):
        return ", ".join(f"{name}={value}" for name, value in content.items())
    if isinstance(content, list | tuple):
        return ", ".join(map(str, content))
    return str(content)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if dataclasses.is_dataclass(value):
        return _fields(value)
    # The types of the catalog are msgspec's, which most commands do not import.
    if names := getattr(value, "__struct_fields__", ()):
        return {name: getattr(value, name) for name in names}
    return dict(value) if isinstance(value, Mapping) else str(value)
