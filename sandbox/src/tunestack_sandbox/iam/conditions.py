"""The conditions of a statement, with all operators of IAM's reference.

Source: IAM user guide, reference_policies_elements_condition_operators and
reference_policies_condition-single-vs-multi-valued-context-keys (read 2026-11-22).
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.iam.patterns import compile_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Context = Mapping[str, Sequence[str]]
    # Compares one value of the request with one value of the policy.
    Comparison = Callable[[str, str, "Context | None"], bool]


def evaluate_conditions(
    conditions: Mapping[str, Mapping[str, Any]], context: Context, *, supports_variables: bool
) -> bool:
    """Return whether all conditions of a statement are true.

    Args:
        conditions: The values of the policy, by operator and condition key.
        context: The condition keys of the request, in lower case.
        supports_variables: Whether the policy's version has variables.
    """
    variables = context if supports_variables else None
    return all(
        _evaluate(operator, _to_list(policy_values), context.get(key.lower(), ()), variables)
        for operator, block in conditions.items()
        for key, policy_values in block.items()
    )


def _evaluate(
    operator: str, policy_values: Sequence[str], values: Sequence[str], context: Context | None
) -> bool:
    quantifier, name, if_exists = _split_operator(operator)
    if name == "null":
        return any((text.lower() == "true") == (not values) for text in policy_values)
    compare, is_negated = _OPERATORS[name]
    if not values:
        if quantifier:
            return quantifier == "forallvalues" or if_exists
        return is_negated or if_exists

    def evaluate_value(value: str) -> bool:
        return is_negated != any(compare(value, text, context) for text in policy_values)

    if quantifier == "forallvalues" or (not quantifier and is_negated):
        return all(map(evaluate_value, values))
    return any(map(evaluate_value, values))


def check_operator(operator: str) -> None:
    """Raise ValueError if IAM does not have a condition operator."""
    quantifier, name, if_exists = _split_operator(operator)
    is_known = name in _OPERATORS or (name == "null" and not if_exists and not quantifier)
    if not is_known or quantifier not in ("", "forallvalues", "foranyvalue"):
        raise ValueError(f"unknown condition operator {operator!r}")


def _split_operator(operator: str) -> tuple[str, str, bool]:
    """Split an operator into its quantifier, its name, and whether it ends with IfExists."""
    quantifier, _, name = operator.lower().rpartition(":")
    return quantifier, name.removesuffix("ifexists"), name.endswith("ifexists")


def _is_equal(value: str, policy_value: str, context: Context | None) -> bool:
    pattern = compile_pattern(policy_value, context, has_wildcards=False)
    return pattern is not None and pattern.fullmatch(value) is not None


def _is_equal_ignoring_case(value: str, policy_value: str, context: Context | None) -> bool:
    pattern = compile_pattern(policy_value, context, has_wildcards=False, ignores_case=True)
    return pattern is not None and pattern.fullmatch(value) is not None


def _is_like(value: str, policy_value: str, context: Context | None) -> bool:
    pattern = compile_pattern(policy_value, context)
    return pattern is not None and pattern.fullmatch(value) is not None


def _is_arn_like(value: str, policy_value: str, context: Context | None) -> bool:
    """Compare ARNs part by part: only in the last part does a wildcard match colons."""
    parts, patterns = value.split(":", 5), _split_arn(policy_value)
    return len(parts) == len(patterns) == 6 and all(
        _is_like(part, pattern, context) for part, pattern in zip(parts, patterns, strict=True)
    )


def _split_arn(text: str) -> list[str]:
    """Split at colons, except those in `${...}`."""
    parts, depth = [""], 0
    for index, character in enumerate(text):
        depth += (character == "{" and text[index - 1] == "$") - (character == "}" and depth > 0)
        if character == ":" and not depth and len(parts) < 6:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _compare_numbers(compare: Callable[[float, float], bool]) -> Comparison:
    def compare_texts(value: str, policy_value: str, _: Context | None) -> bool:
        try:
            return compare(float(value), float(policy_value))
        except ValueError:
            return False

    return compare_texts


def _compare_dates(compare: Callable[[datetime, datetime], bool]) -> Comparison:
    def compare_texts(value: str, policy_value: str, _: Context | None) -> bool:
        try:
            return compare(_parse_date(value), _parse_date(policy_value))
        except (OverflowError, ValueError):
            return False

    return compare_texts


def _parse_date(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        date = datetime.fromisoformat(text)
        return date if date.tzinfo else date.replace(tzinfo=UTC)


def _is_equal_bool(value: str, policy_value: str, _: Context | None) -> bool:
    return value.lower() == policy_value.lower()


def _is_in_network(value: str, policy_value: str, _: Context | None) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(policy_value, strict=False)
    except ValueError:
        return False


# The comparison of each operator, and whether the operator negates it.
_NAMED_OPERATORS: dict[str, tuple[Comparison, bool]] = {
    "StringEquals": (_is_equal, False),
    "StringNotEquals": (_is_equal, True),
    "StringEqualsIgnoreCase": (_is_equal_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_is_equal_ignoring_case, True),
    "StringLike": (_is_like, False),
    "StringNotLike": (_is_like, True),
    "NumericEquals": (_compare_numbers(lambda a, b: a == b), False),
    "NumericNotEquals": (_compare_numbers(lambda a, b: a == b), True),
    "NumericLessThan": (_compare_numbers(lambda a, b: a < b), False),
    "NumericLessThanEquals": (_compare_numbers(lambda a, b: a <= b), False),
    "NumericGreaterThan": (_compare_numbers(lambda a, b: a > b), False),
    "NumericGreaterThanEquals": (_compare_numbers(lambda a, b: a >= b), False),
    "DateEquals": (_compare_dates(lambda a, b: a == b), False),
    "DateNotEquals": (_compare_dates(lambda a, b: a == b), True),
    "DateLessThan": (_compare_dates(lambda a, b: a < b), False),
    "DateLessThanEquals": (_compare_dates(lambda a, b: a <= b), False),
    "DateGreaterThan": (_compare_dates(lambda a, b: a > b), False),
    "DateGreaterThanEquals": (_compare_dates(lambda a, b: a >= b), False),
    "Bool": (_is_equal_bool, False),
    "BinaryEquals": (_is_equal, False),
    "IpAddress": (_is_in_network, False),
    "NotIpAddress": (_is_in_network, True),
    "ArnEquals": (_is_arn_like, False),
    "ArnLike": (_is_arn_like, False),
    "ArnNotEquals": (_is_arn_like, True),
    "ArnNotLike": (_is_arn_like, True),
}
# The names of operators are case-insensitive.
_OPERATORS = {name.lower(): operator for name, operator in _NAMED_OPERATORS.items()}


def _to_list(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in values]
