"""What a submission would do: shown before anything is uploaded, created or billed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tunestack._utils.formatting import utc_text
from tunestack.errors import TunestackError
from tunestack.jobs.remaining import PastDurations, past_durations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.backends.base import JobInfo, JobSlots
    from tunestack.backends.protocols import Backend
    from tunestack.spec.cost import Cost


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a submission would do."""

    base_model: str
    """The provider's id of the model to fine-tune."""
    records: int
    validation_records: int | None = None
    cost: Cost
    """The estimated cost, with the model, tokens and epochs."""
    durations: PastDurations | None = None
    """How long the account's jobs of this model took; `None` if there are none, or they can't be read."""
    slots: JobSlots | None = None
    """The quota of jobs and its use; `None` if it can't be read."""
    existing: JobInfo | None = None
    """The job that would be returned, because it has the same content; nothing would be billed."""
    existing_tags: Mapping[str, str] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Yield the plan as lines of text."""
        validation = (
            f", {self.validation_records:,} for validation" if self.validation_records else ""
        )
        yield f"model: {self.cost.model} ({self.base_model})"
        yield f"data: {self.records:,} records{validation}"
        if self.existing is not None:
            yield self._existing_line(self.existing)
            return
        yield from self.cost.lines()
        if self.durations is None:
            yield "duration: unknown: the account has no succeeded job of this model here"
        else:
            yield f"duration: {self.durations}"
        if self.slots is not None:
            yield f"quota: {self.slots}"

    def _existing_line(self, job: JobInfo) -> str:
        created = "" if job.created is None else f", created {utc_text(job.created)}"
        tags = ", ".join(f"{name}={value}" for name, value in sorted(self.existing_tags.items()))
        return (
            f"job {job.name} has the same content: {job.description}{created}"
            + (f", tags {tags}" if tags else "")
            + ". It is returned, and nothing is billed; rerun=True (--rerun) trains again"
        )


def make_plan(
    backend: Backend,
    base_model: str,
    *,
    records: int,
    validation_records: int | None,
    cost: Cost,
    existing: JobInfo | None,
) -> Plan:
    """Create a plan; what can't be read is unknown."""
    durations = slots = None
    tags: Mapping[str, str] = {}
    with suppress(TunestackError):
        if existing is not None:
            tags = backend.job_tags(existing.id)
    with suppress(TunestackError):
        if existing is None:
            durations = past_durations(backend, base_model)
    with suppress(TunestackError):
        if existing is None:
            slots = backend.job_slots()
    return Plan(
        base_model=base_model,
        records=records,
        validation_records=validation_records,
        cost=cost,
        durations=durations,
        slots=slots,
        existing=existing,
        existing_tags=tags,
    )
