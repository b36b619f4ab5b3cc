"""What a provider has billed: data, and the protocol of accounts whose bills can be read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tunestack._utils.html import rows_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date


class Granularity(StrEnum):
    """The length of the periods of a bill."""

    DAY = "day"
    MONTH = "month"


class UsageKind(StrEnum):
    """What was billed, where the usage type is known."""

    TRAINING = "training"
    MODEL_STORAGE = "model storage"
    PROVISIONED = "provisioned throughput"
    CUSTOM_INPUT = "custom model input tokens"
    CUSTOM_OUTPUT = "custom model output tokens"
    INPUT = "input tokens"
    OUTPUT = "output tokens"
    CACHE_READ = "cache read tokens"
    CACHE_WRITE = "cache write tokens"


@dataclass(frozen=True, kw_only=True, slots=True)
class BilledCost:
    """What was billed for one usage type of one service in a day or month."""

    start: date
    """The first day (UTC)."""
    end: date
    """The day after the last one."""
    service: str
    """The service on the bill: `Amazon Bedrock`, or a model of another publisher, `... (Amazon Bedrock Edition)`."""
    usage_type: str
    kind: UsageKind | None
    """What the usage type means; `None` if it is unknown."""
    model: str | None
    """The base model's key in the catalog, if the usage type contains its name."""
    quantity: float
    unit: str
    """The unit of the quantity, in the provider's words; `N/A` if the provider has none."""
    usd: float
    """The cost in US dollars; negative for credits and refunds."""
    is_estimated: bool
    """Whether the bill of this period is not final."""


class BilledCosts(list[BilledCost]):
    """Billed costs, the earliest period first.

    Attributes:
        requests: the requests that were sent to read them; AWS bills $0.01 for each.
    """

    def __init__(self, costs: Iterable[BilledCost] = (), *, requests: int = 0) -> None:
        """Store the costs."""
        super().__init__(costs)
        self.requests = requests

    @property
    def usd(self) -> float:
        """The sum in US dollars."""
        return sum(cost.usd for cost in self)

    def _repr_html_(self) -> str:
        """Show the costs in a notebook."""
        rows = (
            (str(cost.start), f"${cost.usd:,.2f}", cost.kind or cost.usage_type, cost.service)
            for cost in self
        )
        title = f"Billed costs, in total ${self.usd:,.2f}"
        return rows_table(title, ("from", "cost", "usage", "service"), rows)


@runtime_checkable
class BilledAccount(Protocol):
    """An account whose bills can be read."""

    def billed_costs(
        self,
        start: date,
        end: date,
        *,
        granularity: Granularity,
        region: str | None,
        tags: Mapping[str, str],
    ) -> BilledCosts:
        """Read what was billed.

        Args:
            start: the first day (UTC).
            end: the day after the last one.
            granularity: the length of the periods.
            region: only costs in this region.
            tags: only costs of resources with all of these tags.

        Raises:
            ProviderError: the caller may not read bills, or the provider failed.
        """
        ...
