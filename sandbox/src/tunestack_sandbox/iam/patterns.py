"""The wildcards and variables in the texts of policies."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Context = "Mapping[str, Sequence[str]]"
"""The condition keys of a request, in lower case, each with its values."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_SPECIAL = {"*": "*", "?": "?", "$": "$"}


def compile_pattern(
    text: str,
    context: Mapping[str, Sequence[str]] | None,
    *,
    has_wildcards: bool = True,
    ignores_case: bool = False,
) -> re.Pattern[str] | None:
    """Compile a text of a policy to a pattern; `None` if the request has no value for a variable.

    Args:
        text: The text of the policy.
        context: The values of variables; `None` if the policy's version has no variables.
        has_wildcards: Whether `*` and `?` are wildcards. The value of a variable never has wildcards.
        ignores_case: Whether the pattern ignores case.
    """
    parts = [text] if context is None else _VARIABLE.split(text)
    pattern = ""
    for number, part in enumerate(parts):
        if number % 2 == 0:
            pattern += _escape(part, has_wildcards=has_wildcards)
            continue
        value = _find_value(part, context or {})
        if value is None:
            return None
        pattern += re.escape(value)
    return _compile(pattern, ignores_case=ignores_case)


def _find_value(variable: str, context: Mapping[str, Sequence[str]]) -> str | None:
    """Return the value of a variable: `${key}`, `${key, 'default'}`, or one of the three special characters."""
    if variable in _SPECIAL:
        return variable
    key, comma, default = variable.partition(",")
    values = context.get(key.strip().lower(), ())
    if len(values) == 1:
        return values[0]
    return default.strip().strip("'") if comma else None


def _escape(text: str, *, has_wildcards: bool) -> str:
    if not has_wildcards:
        return re.escape(text)
    return re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")


@lru_cache(maxsize=4096)
def _compile(pattern: str, *, ignores_case: bool) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL | re.IGNORECASE if ignores_case else re.DOTALL)
