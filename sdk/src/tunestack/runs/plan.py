"""What the start of a run would do: shown before anything is uploaded, created or billed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunestack.errors import CostError
from tunestack.spec.cost import usd_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tunestack.backends.base import JobInfo
    from tunestack.runs.evaluation import PreparedEvaluation
    from tunestack.spec.cost import Cost
    from tunestack.spec.job_spec import JobSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedJob:
    """A job of a run."""

    spec: JobSpec
    content: str
    """The digest of model, data and hyperparameters."""
    records: int
    cost: Cost
    existing: JobInfo | None
    """The job with the same content, if there is one: nothing is billed then."""

    @property
    def max_usd(self) -> float | None:
        """The highest estimated cost, also of a job that exists; `None` if a price is unknown."""
        estimated = self.cost.training_usd_range
        return None if estimated is None else estimated[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPlan:
    """What the start of a run would do."""

    name: str
    jobs: Sequence[PlannedJob]
    """The jobs within the budget."""
    skipped: Sequence[PlannedJob]
    """The jobs that would exceed the budget; they are not submitted."""
    max_parallel: int
    budget: float | None
    evaluation: PreparedEvaluation | None = None
    """How the models are evaluated in the account."""

    @property
    def max_usd(self) -> float | None:
        """The highest estimated cost of the jobs that do not exist, in US dollars; `None` if a price is unknown."""
        costs = [job.max_usd for job in self.jobs if job.existing is None]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    @property
    def existing(self) -> int:
        """The number of jobs that exist already."""
        return sum(job.existing is not None for job in self.jobs)

    def lines(self) -> Iterator[str]:
        """Yield the plan as lines of text."""
        yield f"run: {self.name}, {len(self.jobs)} jobs, at most {self.max_parallel} at once"
        if self.existing:
            yield f"existing: {self.existing} jobs have the same content and are not billed again"
        yield f"cost: at most {usd_text(self.max_usd)}"
        if self.skipped:
            yield f"budget: ${self.budget:g} is not enough for {len(self.skipped)} more jobs, which are not submitted"
        if self.evaluation is not None:
            yield from self.evaluation.lines()

    def to_dict(self) -> dict[str, Any]:
        """Return the plan, with the numbers of jobs."""
        return {
            "name": self.name,
            "jobs": len(self.jobs),
            "existing": self.existing,
            "skipped": len(self.skipped),
            "max_parallel": self.max_parallel,
            "max_usd": self.max_usd,
            "budget": self.budget,
            "evaluation": None if self.evaluation is None else self.evaluation.describe(),
            "promote": None if self.evaluation is None else self.evaluation.promote,
        }


def split_by_budget(
    jobs: Sequence[PlannedJob], budget: float | None
) -> tuple[list[PlannedJob], list[PlannedJob]]:
    """Return the jobs within the budget, in their order, and the others.

    The estimate of a job is an upper bound that is known before the start, so the budget needs no bookkeeping in the account.
    Jobs that exist count as well: otherwise, a start that is repeated would have other jobs, and be another run.

    Raises:
        CostError: a price is unknown.
    """
    if budget is None:
        return list(jobs), []
    kept: list[PlannedJob] = []
    skipped: list[PlannedJob] = []
    spent = 0.0
    for job in jobs:
        if job.max_usd is None:
            raise CostError(
                f"the cost of a job of {job.cost.model} is unknown, so the budget of ${budget:g} can't be kept: remove the budget"
            )
        # After the first job that does not fit, cheaper ones are not submitted either: a run has the first jobs of its list.
        if skipped or spent + job.max_usd > budget:
            skipped.append(job)
        else:
            spent += job.max_usd
            kept.append(job)
    return kept, skipped
