"""Conditions of a statement: every operator of IAM's reference.

Source: IAM user guide, reference_policies_elements_condition_operators and
reference_policies_condition-single-vs-multi-valued-context-keys (read 2026-11-22).
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.iam.text import matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Context = Mapping[str, Sequence[str]]
    # Whether one value of the request fits one value of the policy.
    Fits = Callable[[str, str, "Context | None"], bool]


def hold(conditions: Mapping[str, Mapping[str, Any]], context: Context, *, variables: bool) -> bool:
    """Tell whether all conditions of a statement hold.

    Args:
        conditions: operator, key, value or values.
        context: the request's keys in lower case.
        variables: whether the policy's version knows variables.
    """
    known = context if variables else None
    return all(
        _holds(operator, _listed(wanted), context.get(key.lower(), ()), known)
        for operator, block in conditions.items()
        for key, wanted in block.items()
    )


def _holds(
    operator: str, wanted: Sequence[str], values: Sequence[str], context: Context | None
) -> bool:
    quantifier, name, if_exists = _parts(operator)
    if name == "null":
        return any((word.lower() == "true") == (not values) for word in wanted)
    fits, negated = _OPERATORS[name]
    if not values:
        if quantifier:
            return quantifier == "forallvalues" or if_exists
        return negated or if_exists

    def one(value: str) -> bool:
        return negated != any(fits(value, word, context) for word in wanted)

    if quantifier == "forallvalues" or (not quantifier and negated):
        return all(map(one, values))
    return any(map(one, values))


def require_operator(operator: str) -> None:
    """Refuse an operator that IAM does not have.

    Raises:
        ValueError: there is none of the name.
    """
    quantifier, name, if_exists = _parts(operator)
    known = name in _OPERATORS or (name == "null" and not if_exists and not quantifier)
    if not known or quantifier not in ("", "forallvalues", "foranyvalue"):
        raise ValueError(f"no condition operator {operator!r}")


def _parts(operator: str) -> tuple[str, str, bool]:
    """Split an operator into its quantifier, its name, and whether the key may be missing."""
    quantifier, _, name = operator.lower().rpartition(":")
    return quantifier, name.removesuffix("ifexists"), name.endswith("ifexists")


def _equal(value: str, wanted: str, context: Context | None) -> bool:
    pattern = matcher(wanted, context, wild=False)
    return pattern is not None and pattern.fullmatch(value) is not None


def _equal_ignoring_case(value: str, wanted: str, context: Context | None) -> bool:
    pattern = matcher(wanted, context, wild=False, same_case=False)
    return pattern is not None and pattern.fullmatch(value) is not None


def _like(value: str, wanted: str, context: Context | None) -> bool:
    pattern = matcher(wanted, context)
    return pattern is not None and pattern.fullmatch(value) is not None


def _arn_like(value: str, wanted: str, context: Context | None) -> bool:
    """Compare ARNs part by part: a wildcard does not reach over a colon, but in the last part."""
    parts, patterns = value.split(":", 5), _split_arn(wanted)
    return len(parts) == len(patterns) == 6 and all(
        _like(part, pattern, context) for part, pattern in zip(parts, patterns, strict=True)
    )


def _split_arn(text: str) -> list[str]:
    """Split at colons, but not at those inside `${...}`."""
    parts, depth = [""], 0
    for place, character in enumerate(text):
        depth += (character == "{" and text[place - 1] == "$") - (character == "}" and depth > 0)
        if character == ":" and not depth and len(parts) < 6:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _number(compare: Callable[[float, float], bool]) -> Fits:
    def fits(value: str, wanted: str, _: Context | None) -> bool:
        try:
            return compare(float(value), float(wanted))
        except ValueError:
            return False

    return fits


def _date(compare: Callable[[datetime, datetime], bool]) -> Fits:
    def fits(value: str, wanted: str, _: Context | None) -> bool:
        try:
            return compare(_moment(value), _moment(wanted))
        except (OverflowError, ValueError):
            return False

    return fits


def _moment(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


def _same_bool(value: str, wanted: str, _: Context | None) -> bool:
    return value.lower() == wanted.lower()


def _in_network(value: str, wanted: str, _: Context | None) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


# Operator: whether a value fits, and whether the operator asks for the opposite.
_NAMED: dict[str, tuple[Fits, bool]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringEqualsIgnoreCase": (_equal_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_equal_ignoring_case, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "NumericEquals": (_number(lambda a, b: a == b), False),
    "NumericNotEquals": (_number(lambda a, b: a == b), True),
    "NumericLessThan": (_number(lambda a, b: a < b), False),
    "NumericLessThanEquals": (_number(lambda a, b: a <= b), False),
    "NumericGreaterThan": (_number(lambda a, b: a > b), False),
    "NumericGreaterThanEquals": (_number(lambda a, b: a >= b), False),
    "DateEquals": (_date(lambda a, b: a == b), False),
    "DateNotEquals": (_date(lambda a, b: a == b), True),
    "DateLessThan": (_date(lambda a, b: a < b), False),
    "DateLessThanEquals": (_date(lambda a, b: a <= b), False),
    "DateGreaterThan": (_date(lambda a, b: a > b), False),
    "DateGreaterThanEquals": (_date(lambda a, b: a >= b), False),
    "Bool": (_same_bool, False),
    "BinaryEquals": (_equal, False),
    "IpAddress": (_in_network, False),
    "NotIpAddress": (_in_network, True),
    "ArnEquals": (_arn_like, False),
    "ArnLike": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnNotLike": (_arn_like, True),
}
# Their case does not matter.
_OPERATORS = {name.lower(): how for name, how in _NAMED.items()}


def _listed(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in values]
