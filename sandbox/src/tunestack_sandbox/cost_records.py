"""The records of a bill: what Bedrock has metered, with the prices of the price list, and the filters of Cost Explorer."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tunestack.catalog import CATALOG
from tunestack_sandbox.bedrock.metering import list_usage
from tunestack_sandbox.messages import ServiceError
from tunestack_sandbox.price_list import find_price

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date

    from tunestack_sandbox.bedrock.state import Region


@dataclass(frozen=True, kw_only=True, slots=True)
class CostRecord:
    """The cost of a usage type in one day."""

    day: date
    usage_type: str
    region: str
    account: str
    tags: Mapping[str, str]
    """The tags of the resource: all of them are active cost allocation tags."""
    quantity: float
    unit: str
    usd: float


_DIMENSIONS: Mapping[str, Callable[[CostRecord], str]] = MappingProxyType(
    {
        "LINKED_ACCOUNT": lambda record: record.account,
        "RECORD_TYPE": lambda _: "Usage",
        "REGION": lambda record: record.region,
        "SERVICE": lambda _: "Amazon Bedrock",
        "USAGE_TYPE": lambda record: record.usage_type,
    }
)
_DEFAULT_OPTIONS = {"EQUALS", "CASE_SENSITIVE"}
_ONE_ROOT = (
    "Expression has more than one roots. Only one root operator is allowed for each expression: "
    "And, Or, Not, Dimensions, Tags, CostCategories"
)


def list_records(region: Region) -> Iterator[CostRecord]:
    """Yield what is billed in a region. Usage without a price in the price list is not billed."""
    for usage in list_usage(region):
        price = find_price(region.name, CATALOG[usage.base].usage_type or "", usage.kind)
        if price is not None:
            usage_type, unit, usd = price
            yield CostRecord(
                day=usage.day,
                usage_type=usage_type,
                region=region.name,
                account=region.account,
                tags=usage.tags,
                quantity=usage.quantity,
                unit=unit,
                usd=usage.quantity * usd,
            )


def get_dimension(name: str) -> Callable[[CostRecord], str]:
    """Return the function that reads a dimension of a record.

    Raises:
        ServiceError: The sandbox does not have the dimension.
    """
    if name not in _DIMENSIONS:
        raise build_validation_error(f"The sandbox does not implement the dimension {name}.")
    return _DIMENSIONS[name]


def build_group_key(groups: list[dict[str, str]]) -> Callable[[CostRecord], tuple[str, ...]]:
    """Return the function that builds the key of a record's group; the value of a tag follows its key and `$`.

    Raises:
        ServiceError: A group is invalid.
    """
    readers = [_build_group_reader(group) for group in groups]
    return lambda record: tuple(read(record) for read in readers)


def _build_group_reader(group: dict[str, str]) -> Callable[[CostRecord], str]:
    kind, key = group.get("Type", "DIMENSION"), group.get("Key", "")
    if kind == "DIMENSION":
        return get_dimension(key)
    if kind == "TAG":
        return lambda record: f"{key}${record.tags.get(key, '')}"
    raise build_validation_error(f"The sandbox does not implement groups of type {kind}.")


def build_filter(expression: dict[str, Any]) -> Callable[[CostRecord], bool]:
    """Return the function that tests whether a record matches an expression.

    Raises:
        ServiceError: The expression is invalid.
    """
    if len(expression) > 1:
        raise build_validation_error(_ONE_ROOT)
    for root, value in expression.items():
        if root == "Not":
            inverted = build_filter(value)
            return lambda record: not inverted(record)
        if root in ("And", "Or"):
            filters = [build_filter(row) for row in value]
            combine = all if root == "And" else any
            return lambda record: combine(matches(record) for matches in filters)
        return _build_value_filter(root, value)
    return lambda _: True


def _build_value_filter(root: str, value: dict[str, Any]) -> Callable[[CostRecord], bool]:
    key, values = value.get("Key", ""), value.get("Values", [])
    if not values or set(value.get("MatchOptions", ())) - _DEFAULT_OPTIONS:
        raise build_validation_error(
            "The sandbox implements filters with values and the match options EQUALS and CASE_SENSITIVE."
        )
    if root == "Dimensions":
        read = get_dimension(key)
        return lambda record: read(record) in values
    if root == "Tags":
        return lambda record: record.tags.get(key, "") in values
    raise build_validation_error(f"The sandbox does not implement filters by {root}.")


def build_validation_error(message: str) -> ServiceError:
    """Build the error of an invalid request. The service model does not list it."""
    return ServiceError("ValidationException", message)
