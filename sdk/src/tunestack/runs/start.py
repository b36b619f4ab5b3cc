"""Start a run exactly once: its file and its name are derived from its content."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson

from tunestack.backends.runs import RunState
from tunestack.errors import ConfigError, ConflictError, TunestackError, shortened
from tunestack.jobs.submit import (
    check_spec,
    cost_of,
    prepare_job,
    upload_and_build_request,
)
from tunestack.runs.evaluation import prepare_evaluation
from tunestack.runs.find import require_host
from tunestack.runs.plan import PlannedJob, RunPlan, split_by_budget
from tunestack.runs.run import Run
from tunestack.spec.arguments import check_type
from tunestack.spec.job_spec import JobSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tunestack.backends.accounts import Accounts
    from tunestack.backends.base import JobRequest
    from tunestack.backends.protocols import Backend, Target
    from tunestack.backends.runs import RunHost, RunInfo
    from tunestack.polling import Poll
    from tunestack.runs.evaluation import RunEvaluation

logger = logging.getLogger(__name__)

MAX_JOBS = 10_000
"""The number of jobs in a run: the result of the map over them is limited to 256 KiB."""
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,39}")
_MAX_ATTEMPTS = 100
_CUSTOM_MODELS = 100
"""The default quota of custom models in an account (Bedrock user guide, quotas of model customization)."""
_MAX_PARALLEL = 1000
_MAX_BUDGET = 10**9


def start(
    accounts: Accounts,
    specs: Iterable[JobSpec],
    *,
    name: str,
    max_parallel: int | None,
    budget: float | None,
    evaluate: RunEvaluation | None,
    promote: str | None,
    confirm: Callable[[RunPlan], object] | None,
    poll: Poll,
) -> Run:
    """Start a run; see `Tuner.start_run`."""
    if not isinstance(specs, Iterable):
        raise ConfigError(f"invalid specs {shortened(specs)}: use a list of JobSpec")
    rows = _resolve(accounts, _check(list(specs), name, max_parallel, budget))
    backend = rows[0][0].backend
    host = require_host(backend)
    evaluation = None
    if evaluate is not None:
        host.require_run_evaluation()
        bases = [target.base for target, _ in rows]
        evaluation = prepare_evaluation(accounts, backend, evaluate, promote=promote, bases=bases)
    elif promote is not None:
        raise ConfigError(
            "promote needs evaluate: a run promotes the best of the models that it evaluates"
        )
    planned = _plan_jobs(rows, poll=poll)
    jobs, skipped = split_by_budget([job for _, job in planned], budget)
    if not jobs:
        raise ConfigError(f"the budget of ${budget:g} is not enough for one job")
    plan = RunPlan(
        name=name,
        jobs=jobs,
        skipped=skipped,
        max_parallel=max_parallel or _read_slots(backend),
        budget=budget,
        evaluation=evaluation,
    )
    if confirm is not None:
        confirm(plan)
    if len(jobs) - plan.existing > _CUSTOM_MODELS:
        logger.warning(
            "the run creates %d custom models, and Bedrock's default quota is %d: more jobs wait until it is increased, or models are deleted",
            *(len(jobs) - plan.existing, _CUSTOM_MODELS),
        )
    requests = [_upload(target, job, poll=poll) for target, job in planned[: len(jobs)]]
    content = b"".join(map(host.run_row, requests))
    # First the description, then the jobs, then the run: a run always has both files.
    description = _describe(plan, requests)
    parts = [content, str(plan.max_parallel).encode()]
    if evaluation is not None:
        host.put_run_file(evaluation.file, evaluation.content)
        parts.append(orjson.dumps([description["evaluation"], promote]))
    file = hashlib.sha256(b"".join(parts)).hexdigest()[:32]
    host.put_run_file(f"{file}.json", orjson.dumps(description))
    host.put_run_file(f"{file}.jsonl", content)
    info = _create(host, name, file, plan)
    logger.info("run %s has %d jobs", info.name, len(jobs))
    return Run(backend, host, info, poll=poll)


def check_name(name: str) -> None:
    """Raise an error if this can't be the prefix of a run's name."""
    if not _NAME.fullmatch(check_type("name", name, str)):
        raise ConfigError(
            f"invalid name {shortened(name)}: use 1 to 40 letters, digits, hyphens and underscores"
        )


def check_job_count(count: int) -> None:
    """Raise `ConfigError` unless a run can have this number of jobs."""
    if not 1 <= count <= MAX_JOBS:
        raise ConfigError(f"a run has 1 to {MAX_JOBS:,} jobs, not {count:,}")


def _check(
    specs: list[JobSpec], name: str, max_parallel: int | None, budget: float | None
) -> list[JobSpec]:
    check_name(name)
    check_job_count(len(specs))
    if max_parallel is not None and (
        isinstance(max_parallel, bool)
        or not 1 <= check_type("max_parallel", max_parallel, int) <= _MAX_PARALLEL
    ):
        raise ConfigError(
            f"invalid max_parallel {shortened(max_parallel)}: use 1 to {_MAX_PARALLEL}"
        )
    if budget is not None and (
        isinstance(budget, bool)
        or not isinstance(budget, int | float)
        or not 0 < budget < _MAX_BUDGET
    ):
        raise ConfigError(f"invalid budget {shortened(budget)}: use an amount of US dollars")
    for spec in specs:
        check_type("job", spec, JobSpec)
        if spec.rerun or spec.queue:
            argument = "rerun" if spec.rerun else "queue"
            raise ConfigError(f"{argument} is not an argument of the jobs of a run: remove it")
    return specs


def _resolve(accounts: Accounts, specs: Sequence[JobSpec]) -> list[tuple[Target[Backend], JobSpec]]:
    """Return each specification with its model, after all arguments were checked."""
    rows = []
    for spec in specs:
        target = accounts.of_model(spec.model).resolve(spec.model)
        check_spec(target, spec)
        rows.append((target, spec))
    scopes = sorted({target.backend.scope for target, _ in rows})
    if len(scopes) > 1:
        raise ConfigError(
            f"the models of a run must be in one region, and these are in {', '.join(scopes)}: start a run in each"
        )
    return rows


def _plan_jobs(
    rows: Sequence[tuple[Target[Backend], JobSpec]], *, poll: Poll
) -> list[tuple[Target[Backend], PlannedJob]]:
    """Check the data and estimate the cost of each job; equal jobs are one."""
    planned: dict[str, tuple[Target[Backend], PlannedJob]] = {}
    for target, spec in rows:
        with prepare_job(target, spec, poll=poll) as job:
            planned.setdefault(
                job.content,
                (
                    target,
                    PlannedJob(
                        spec=spec,
                        content=job.content,
                        records=job.training.records,
                        cost=cost_of(target, spec, job.training),
                        existing=job.existing,
                    ),
                ),
            )
    if len(planned) < len(rows):
        logger.warning(
            "%d jobs have the same content as others, and are left out", len(rows) - len(planned)
        )
    return list(planned.values())


def _read_slots(backend: Backend) -> int:
    """Return the quota of jobs at once: more would only wait for slots."""
    try:
        slots = backend.job_slots()
    except TunestackError as error:
        logger.warning("the quota of jobs can't be read (%s): at most one at once", error)
        slots = None
    return 1 if slots is None else max(1, slots.limit)


def _upload(target: Target[Backend], planned: PlannedJob, *, poll: Poll) -> JobRequest:
    """Upload the data, and return the request that `submit` would send."""
    with prepare_job(target, planned.spec, poll=poll) as job:
        if job.content != planned.content:
            raise ConfigError(
                f"the data {shortened(planned.spec.data)} has changed since it was checked: start the run again"
            )
        return upload_and_build_request(target, planned.spec, job)


def _describe(plan: RunPlan, requests: Sequence[JobRequest]) -> dict[str, Any]:
    def row(job: PlannedJob, name: str | None) -> dict[str, Any]:
        data = job.spec.data
        return {
            "name": name or f"{job.spec.name}-{job.content}",
            "base_model": job.cost.model,
            "hyperparameters": {
                key: str(value) for key, value in (job.spec.hyperparameters or {}).items()
            },
            "data": data if isinstance(data, str) else "",
            "records": job.records,
            "max_usd": job.max_usd,
        }

    return {
        "version": 1,
        "max_parallel": plan.max_parallel,
        "budget": plan.budget,
        "jobs": [row(job, request.name) for job, request in zip(plan.jobs, requests, strict=True)],
        "skipped": [row(job, None) for job in plan.skipped],
        "evaluation": None if plan.evaluation is None else plan.evaluation.describe(),
        "promote": None if plan.evaluation is None else plan.evaluation.promote,
    }


def _create(host: RunHost, name: str, file: str, plan: RunPlan) -> RunInfo:
    """Create the run, or return the one with the same content, unless it has ended and left jobs undone."""
    is_done = all(job.existing is not None for job in plan.jobs)
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        run_name = f"{name}-{file[:16]}-{attempt}"
        info = host.create_run(
            run_name, file, plan.max_parallel, evaluate=plan.evaluation is not None
        )
        if info is not None:
            return info
        info = host.run(run_name)
        if not info.state.is_terminal or (info.state is RunState.SUCCEEDED and is_done):
            logger.info("run %s exists already", run_name)
            return info
    raise ConflictError(
        f"run {name!r} was cancelled or failed {_MAX_ATTEMPTS} times: use another name"
    )
