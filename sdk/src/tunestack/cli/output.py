"""Print results, as text, JSON or YAML, and messages."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TextIO

import click

from tunestack.errors import (
    ConfigError,
    DataError,
    EndpointError,
    GateError,
    JobError,
    MissingExtraError,
    TunestackError,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


NO, USAGE, PROVIDER, INTERRUPTED = 1, 2, 3, 130
"""Exit codes: a check, job, endpoint or evaluation failed, or the data is invalid; invalid usage or settings; the provider refused
or failed; Ctrl-C.
"""

FORMATS = ("table", "json", "yaml")
FORMAT = "tunestack.format"
"""The key in click's context that is set by `--format` and `--json`."""
QUERY = "tunestack.query"
"""The key in click's context that is set by `--query`: a compiled JMESPath expression."""
ID_ONLY = "tunestack.id-only"
"""The key in click's context that is set by `--id-only`."""

MESSAGES_AS_JSON: ContextVar[bool] = ContextVar("messages_as_json", default=False)
"""Whether messages on standard error are JSON objects, one per line."""

_BROKEN_PIPE = 128 + 13
"""The exit code that a shell reports for a program that SIGPIPE ended."""


def as_json(value: object) -> str:
    """Write a value as one line of JSON."""
    return json.dumps(value, default=_plain)


def as_yaml(value: object) -> str:
    """Write a value as a YAML document that starts with `---`."""
    import yaml  # noqa: PLC0415 - for --format yaml only

    # JSON has converted all types that YAML would tag.
    text: str = yaml.safe_dump(json.loads(as_json(value)), sort_keys=False, allow_unicode=True)
    return f"---\n{text}".rstrip("\n")


def is_text() -> bool:
    """Return whether the command prints text for people, not JSON or YAML."""
    return _format() == "table"


def is_interactive() -> bool:
    """Return whether a question can be asked: standard input and standard error are a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def write(value: object) -> None:
    """Print one object as JSON or YAML, as `--format` says, or what `--query` selects of it; text without quotes."""
    query = _context_value(QUERY)
    if query is not None:
        value = query.search(json.loads(as_json(value)))
        if isinstance(value, str):
            out(value)
            return
    out(as_yaml(value) if _format() == "yaml" else as_json(value))


def out(text: str) -> None:
    """Print a line of the result to standard output; exits if the reader has ended, such as `head`.

    Raises:
        ConfigError: standard output can't be written.
    """
    try:
        click.echo(text)
        sys.stdout.flush()
    except OSError as error:
        _discard(sys.stdout, error)
        raise ConfigError(f"standard output can't be written: {error}") from error


def _discard(stream: TextIO, error: OSError) -> None:
    """Discard the output to a stream that can't be written; exits if its reader has ended."""
    # Or Python would report the same error again when it exits.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if isinstance(error, BrokenPipeError):
        raise SystemExit(_BROKEN_PIPE) from None


def show(value: Any) -> None:
    """Print one item: a line for each field, or one object."""
    fields = _fields(value)
    if _has_id_only():
        out(str(fields["id"]))
    elif is_text():
        width = max(map(len, fields), default=0)
        for name, content in fields.items():
            if content not in (None, {}, [], ()):
                out(f"{name:<{width}}  {cell_text(content)}")
    else:
        write(fields)


def show_each(values: Iterable[Any]) -> None:
    """Print items as `show` does; in text, an empty line separates them."""
    for number, value in enumerate(values):
        if number and is_text() and not _has_id_only():
            out("")
        show(value)


def table(rows: Iterable[Any], columns: Sequence[str], *, of: str) -> None:
    """Print a list: a table that fits the terminal, or one object per item with all fields.

    If standard output is no terminal, the table has tabs between the columns, no header, and nothing is shortened, as that of
    `gh`.
    """
    items = [_fields(row) for row in rows]
    if _has_id_only():
        for item in items:
            out(str(item["id"]))
    elif not is_text():
        for item in items:
            write(item)
    elif not items:
        note(f"no {of}")
    elif sys.stdout.isatty():
        from tunestack.cli.drawing import draw_table  # noqa: PLC0415 - loads rich

        draw_table(items, columns)
    else:
        for item in items:
            out("\t".join(cell_text(item.get(column)) for column in columns))


def note(text: str, *, level: str = "info", **fields: object) -> None:
    """Print a message to standard error, or with `--json` an object with its level; exits if the reader has ended.

    Args:
        text: the message.
        level: `info`, `warning` or `error`; text starts with the last two.
        fields: additional fields of the object.
    """
    if MESSAGES_AS_JSON.get():
        text = as_json({"level": level, "message": text, **fields})
    elif level != "info":
        text = f"{level}: {text}"
    try:
        click.echo(text, err=True)
    except OSError as error:
        _discard(sys.stderr, error)


def note_error(error: TunestackError) -> None:
    """Print an error to standard error, with its exit code if messages are JSON."""
    note(str(error), level="error", type=type(error).__name__, exit_code=exit_code(error))


def exit_code(error: TunestackError) -> int:
    """Return the exit code of the command after an error."""
    if isinstance(error, DataError | JobError | EndpointError | GateError):
        return NO
    if isinstance(error, ConfigError | MissingExtraError):
        return USAGE
    return PROVIDER


def cell_text(content: object) -> str:
    """Format a value for people."""
    if content is None:
        return "-"
    if isinstance(content, datetime):
        return f"{content.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(content, dict):
        return ", ".join(f"{name}={value}" for name, value in content.items())
    if isinstance(content, list | tuple):
        return ", ".join(map(str, content))
    return str(content)


def _context_value(key: str) -> Any:
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(key)


def _has_id_only() -> bool:
    return bool(_context_value(ID_ONLY))


def _format() -> str:
    return _context_value(FORMAT) or "table"


def _fields(value: Any) -> Mapping[str, Any]:
    names = _field_names(value)
    if names:
        return {name: getattr(value, name) for name in names}
    fields: Mapping[str, Any] = value
    return fields


def _field_names(value: object) -> Collection[str]:
    """Return the names of the fields of a dataclass or a struct of msgspec; most commands import neither module."""
    names: Collection[str] = getattr(value, "__struct_fields__", ())
    return names or getattr(value, "__dataclass_fields__", ())


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if _field_names(value):
        return _fields(value)
    return dict(value) if isinstance(value, Mapping) else str(value)
