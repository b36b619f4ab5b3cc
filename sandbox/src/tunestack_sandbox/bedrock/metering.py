"""What Bedrock bills: tokens, the hours of provisioned throughput, and the storage of custom models.

As documented: training is billed by the token (tokens of the file x epochs), also of a stopped job as far as it was processed;
inference of custom models on demand by the token; provisioned throughput by the hour and model unit, and a custom model by the
month, from creation to deletion (aws.amazon.com/bedrock/pricing, read 2026-11-29).
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.catalog import BaseModel
    from tunestack_sandbox.bedrock.completions import Completion
    from tunestack_sandbox.bedrock.state import Endpoint, Job, Model, Region

TRAINING, STORAGE = "Customization-Training", "Customization-Storage"
INPUT, OUTPUT = "input-tokens-custom-model", "output-tokens-custom-model"
PROVISIONED = "ProvisionedThroughput-NoCommit-ModelUnits"
"""The ends of usage types."""
_TOKENS = 1000
"""The tokens in a unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What a base model was used for in one day, in the unit of the price list."""

    day: date
    base: str
    """The key of the base model in the catalog."""
    kind: str
    """The end of the usage type."""
    quantity: float
    tags: Mapping[str, str]


def meter_training(region: Region, job: Job, now: datetime) -> None:
    """Record the tokens that a job has processed when it ends; those of a stopped job by the time that its training took."""
    if job.status == "Failed":
        return
    epochs = int(job.hyperparameters.get("epochCount", 1))
    part = 1.0
    if job.status == "Stopped":
        start, due = job.phases["trainingDetails"].get("creationTime"), job.phase_due
        part = 0.0 if start is None or due is None else min(1.0, (now - start) / (due - start))
    _meter_tokens(region, job.arn, job.base, now, {TRAINING: int(job.tokens * epochs * part)})


def meter_invocation(region: Region, model_id: str, completion: Completion) -> None:
    """Record the tokens of an invocation of a custom model on demand; the price list has no prices of base models."""
    endpoint = region.deployments.get(model_id)
    if endpoint is None:
        return
    tokens = {INPUT: completion.input_tokens, OUTPUT: completion.output_tokens}
    _meter_tokens(region, endpoint.arn, endpoint.model.job.base, region.clock.now(), tokens)


def _meter_tokens(
    region: Region, arn: str, base: BaseModel, now: datetime, tokens: Mapping[str, int]
) -> None:
    tags = tuple(sorted(region.tags.get(arn, {}).items()))
    for kind, count in tokens.items():
        region.tokens_used[now.date(), base.key, kind, tags] += count


def list_usage(region: Region) -> Iterator[Usage]:
    """Yield the usage of a region until now."""
    for (day, base, kind, tags), count in region.tokens_used.items():
        yield Usage(day=day, base=base, kind=kind, quantity=count / _TOKENS, tags=dict(tags))
    yield from region.past_usage
    for model in region.models.values():
        yield from list_storage(region, model)
    for endpoint in region.throughputs.values():
        yield from list_throughput(region, endpoint)


def list_storage(region: Region, model: Model) -> Iterator[Usage]:
    """Yield the storage of a model in each day from its creation until now, in parts of a month."""
    for day, duration in _split_days(model.created, region.clock.now()):
        days_of_month = calendar.monthrange(day.year, day.month)[1]
        yield Usage(
            day=day,
            base=model.job.base.key,
            kind=STORAGE,
            quantity=duration / timedelta(days=days_of_month),
            tags=dict(region.tags.get(model.arn, {})),
        )


def list_throughput(region: Region, endpoint: Endpoint) -> Iterator[Usage]:
    """Yield the hours of provisioned throughput in each day from its creation until now, unless it has failed or a commitment."""
    if endpoint.status == "Failed" or "commitmentDuration" in endpoint.params:
        return
    for day, duration in _split_days(endpoint.created, region.clock.now()):
        yield Usage(
            day=day,
            base=endpoint.model.job.base.key,
            kind=PROVISIONED,
            quantity=duration / timedelta(hours=1) * endpoint.params["modelUnits"],
            tags=dict(region.tags.get(endpoint.arn, {})),
        )


def _split_days(start: datetime, end: datetime) -> Iterator[tuple[date, timedelta]]:
    """Yield each day of a period (UTC), and how much of the period is in it."""
    while start < end:
        midnight = datetime.combine(start.date() + timedelta(days=1), time(), tzinfo=UTC)
        yield start.date(), min(midnight, end) - start
        start = midnight
