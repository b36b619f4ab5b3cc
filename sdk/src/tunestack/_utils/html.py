"""Write HTML and SVG; all text is escaped."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from tunestack._utils.formatting import utc_text

if TYPE_CHECKING:
    from collections.abc import Iterable

_VOID = frozenset(("img", "meta", "wbr"))
_CELL = "text-align:left;vertical-align:top"
_SHORT = 20
"""Characters of a text that is not wrapped."""


class Markup(str):
    """HTML or SVG that is not escaped again."""

    __slots__ = ()


def _escape(text: str) -> str:
    from html import escape  # noqa: PLC0415 - loads the names of all entities

    return escape(text)


def tag(name: str, /, *children: str, **attributes: object) -> Markup:
    """Write an element.

    Args:
        name: of the element.
        children: text, which is escaped, or `Markup`.
        attributes: `class_` is `class`, and an underscore in a name is a hyphen; `None` leaves an attribute out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Markup:
    """Join text, which is escaped, and `Markup`."""
    return Markup(
        "".join(child if isinstance(child, Markup) else _escape(child) for child in children)
    )


def display_text(value: object) -> str:
    """Format a value of an observation."""
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={display_text(content)}" for name, content in value.items())
    return str(value)


def fields_table(title: str, value: Any, *, hidden: Sequence[str] = ()) -> Markup:
    """Write a dataclass as a table, for notebooks: a row for each field that has a value.

    Args:
        title: the caption.
        value: an instance of a dataclass.
        hidden: fields to leave out.
    """
    rows = [
        (field.name.replace("_", " "), display_text(getattr(value, field.name)))
        for field in dataclasses.fields(value)
        if field.name not in hidden and getattr(value, field.name) not in (None, {}, (), "")
    ]
    return rows_table(title, (), rows)


def rows_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Write a table for notebooks, which have light and dark themes and may remove style sheets.

    The first cell of each row is its header.
    """

    def cell(name: str, text: str, scope: str | None = None) -> Markup:
        is_short = len(text) <= _SHORT
        style = f"{_CELL};{'white-space:nowrap' if is_short else 'overflow-wrap:anywhere'}"
        return tag(name, text, scope=scope, style=style)

    head = tag("tr", *(cell("th", name, "col") for name in columns))
    body = (
        tag("tr", cell("th", first, "row"), *(cell("td", text) for text in others))
        for first, *others in rows
    )
    caption = tag(
        "caption", tag("b", title), style="text-align:left;caption-side:top;color:inherit"
    )
    return tag("table", caption, tag("thead", head) if columns else "", tag("tbody", *body))
