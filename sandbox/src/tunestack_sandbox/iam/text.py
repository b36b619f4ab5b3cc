"""Text in policies: wildcards and variables."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Context = "Mapping[str, Sequence[str]]"
"""The request's condition keys, in lower case, each with its values."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_SPECIAL = {"*": "*", "?": "?", "$": "$"}


def matcher(
    text: str,
    context: Mapping[str, Sequence[str]] | None,
    *,
    wild: bool = True,
    same_case: bool = True,
) -> re.Pattern[str] | None:
    """Make a pattern of a policy's text; `None` when it holds a variable that the request does not know.

    Args:
        text: as it stands in the policy.
        context: to fill in variables; `None` where the policy's version has none.
        wild: whether `*` and `?` are wildcards; what a variable stands for never is one.
        same_case: whether case matters.
    """
    parts = [text] if context is None else _VARIABLE.split(text)
    pattern = ""
    for place, part in enumerate(parts):
        if place % 2 == 0:
            pattern += _escaped(part, wild=wild)
            continue
        value = _value(part, context or {})
        if value is None:
            return None
        pattern += re.escape(value)
    return _compiled(pattern, same_case=same_case)


def _value(variable: str, context: Mapping[str, Sequence[str]]) -> str | None:
    """Tell what a variable stands for: `${key}`, `${key, 'default'}`, or one of the three special characters."""
    if variable in _SPECIAL:
        return variable
    key, comma, default = variable.partition(",")
    values = context.get(key.strip().lower(), ())
    if len(values) == 1:
        return values[0]
    return default.strip().strip("'") if comma else None


def _escaped(text: str, *, wild: bool) -> str:
    if not wild:
        return re.escape(text)
    return re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")


@lru_cache(maxsize=4096)
def _compiled(pattern: str, *, same_case: bool) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL if same_case else re.DOTALL | re.IGNORECASE)
