"""The methods of `Tuner` for bills."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

from tunestack._utils import clock
from tunestack.backends.accounts import BEDROCK, TunerBase
from tunestack.backends.bills import BilledAccount, Granularity
from tunestack.errors import ConfigError
from tunestack.settings import region_code
from tunestack.spec.arguments import check_choice, check_time, check_type

if TYPE_CHECKING:
    from tunestack.backends.accounts import Provider
    from tunestack.backends.bills import BilledCosts

_DEFAULT = timedelta(days=30)
_MOST_DAYS = 62
"""Longer bills have months by default."""
_NO_BILLS = (
    "OpenAI's costs API needs an admin key, which Tunestack does not use: see https://platform.openai.com/usage, or a bill of "
    "AWS with provider='bedrock'"
)


class BillMethods(TunerBase):
    """Reads bills."""

    def billed_costs(
        self,
        *,
        since: date | None = None,
        until: date | None = None,
        granularity: Literal["day", "month"] | None = None,
        region: str | None = None,
        tags: dict[str, str] | None = None,
        provider: Provider = BEDROCK,
    ) -> BilledCosts:
        """Read what AWS billed the account for Amazon Bedrock, by day or month and usage type, from AWS Cost Explorer.

        AWS bills $0.01 for each request: two, and one for each further page. The bill is up to 24 hours old, and goes back 14
        months. It contains credits and refunds, as negative costs. In the management account of an organization, it is that of
        all accounts. The caller needs `ce:GetDimensionValues` and `ce:GetCostAndUsage`, which no policy of the stage grants.

        Args:
            since: the first day in UTC, or a time in it; by default 30 days ago.
            until: the day after the last one, or a time in the last one; by default tomorrow.
            granularity: `day` or `month`; by default days up to 62 days, and months beyond.
            region: only costs in this region; by default all regions, whatever the tuner's region is.
            tags: only costs of resources with all of these tags, which have to be active cost allocation tags, for example
                `{"tunestack:stage": "prod"}`.
            provider: `bedrock`; bills of OpenAI can't be read.

        Raises:
            ConfigError: an argument is invalid, or the provider is `openai`.
            AccessError: the caller may not read bills, or Cost Explorer is not enabled for the account.
        """
        account = self._accounts.of_provider(provider)
        if not isinstance(account, BilledAccount):
            raise ConfigError(_NO_BILLS)
        end = _to_end(until) or clock.today() + timedelta(days=1)
        start = _to_date("since", since) or _first_day(min(clock.today(), end))
        if start >= end:
            raise ConfigError(f"invalid period: since ({start}) must be before until ({end})")
        default = Granularity.DAY if (end - start).days <= _MOST_DAYS else Granularity.MONTH
        return account.billed_costs(
            start,
            end,
            granularity=default
            if granularity is None
            else check_choice("granularity", granularity, Granularity),
            region=None
            if region is None
            else region_code("region", check_type("region", region, str)),
            tags={} if tags is None else check_type("tags", tags, dict),
        )


def _to_date(name: str, value: date | None) -> date | None:
    """Return the day in UTC."""
    if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
        return value
    return check_time(name, value).date()


def _to_end(value: date | None) -> date | None:
    """Return the day in UTC, which is not included; the day after that of a time, unless it is midnight."""
    day = _to_date("until", value)
    if day is None or not isinstance(value, datetime) or value.astimezone(UTC).time() == time.min:
        return day
    return min(day, date.max - timedelta(days=1)) + timedelta(days=1)


def _first_day(end: date) -> date:
    return end - min(_DEFAULT, end - date.min)
