"""The jobs of one `BootstrapFinetune.compile` as a run, which continues when `compile` is called again."""

from __future__ import annotations

import hashlib
import inspect
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dspy
import orjson
import pydantic

from tunestack.backends.runs import RunState
from tunestack.dspy.arguments import to_submit_arguments
from tunestack.dspy.base import TunestackProvider, model_to_finetune
from tunestack.dspy.credentials import is_credential
from tunestack.dspy.lm_state import LMState, route_of
from tunestack.errors import (
    AccessError,
    ConfigError,
    JobError,
    JobFailedError,
    JobStoppedError,
    NotFoundError,
)
from tunestack.runs.run import TIMEOUT
from tunestack.runs.start import check_name
from tunestack.spec.job_spec import JobSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from tunestack.backends.runs import RunHost
    from tunestack.runs.run import Run
    from tunestack.tuner import Tuner

logger = logging.getLogger(__name__)

_NOT_IN_RUNS = ("rerun", "queue")
_ROUTES = ("base_model", "model_id")
"""The arguments of an LM that depend on its endpoint, which may have been started again."""

Records = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class CompileRun:
    """The run of a compile: it keeps the records in the account, and submits the jobs.

    The names of jobs are derived from their records. LMs may answer differently when they are called again, so the records are
    stored before the run starts.
    """

    name: str
    tuner: Tuner
    host: RunHost

    @classmethod
    def create(cls, name: str, lms: Iterable[tuple[dspy.LM, Any]]) -> CompileRun:
        """Check that a run can fine-tune these LMs with these `train_kwargs`; nothing is created.

        Raises:
            ConfigError: an LM is not on Bedrock, the LMs need several runs, or an argument is not for runs.
            DeploymentError: the deployment has no state machine.
        """
        check_name(name)
        runs: dict[str, CompileRun] = {}
        for lm, train_kwargs in lms:
            provider = getattr(lm, "provider", None)
            if not isinstance(provider, TunestackProvider):
                raise ConfigError(
                    f"a run can't fine-tune {lm.model}: create the LM with provider=BedrockProvider(), or remove run"
                )
            for argument in _NOT_IN_RUNS:
                if argument in (train_kwargs or lm.train_kwargs or {}):
                    raise ConfigError(
                        f"{argument} is not an argument of the jobs of a run: remove it from train_kwargs, or remove run"
                    )
            tuner = provider.tuner_for(lm)
            host = tuner.run_host(model_to_finetune(lm))
            runs.setdefault(host.state_machine(), cls(name=name, tuner=tuner, host=host))
        if len(runs) > 1:
            raise ConfigError(
                f"the LMs of a run must use one stage and region, and these use {', '.join(sorted(runs))}: remove run"
            )
        return next(iter(runs.values()))

    def load_or_collect(
        self, sources: Mapping[str, object], collect: Callable[[], list[Records]]
    ) -> list[Records]:
        """Return the records that were stored for the same sources, or collect and store them."""
        file = f"compile-{digest_of({**sources, 'run': self.name})}.json"
        try:
            content = self.host.read_run_file(file)
            logger.info("run %s uses the records of an earlier compile: no LM is called", self.name)
        except (NotFoundError, AccessError):
            # S3 returns 403 for an object that does not exist, as tuners can't list the data.
            content = orjson.dumps(collect())
            if not self.host.create_run_file(file, content):
                # Another process has collected records at the same time.
                content = self.host.read_run_file(file)
        records: list[Records] = orjson.loads(content)
        return records

    def submit_and_wait(self, jobs: Collection[Mapping[str, Any]]) -> None:
        """Start the run, or find the one with the same jobs, and wait for it.

        Args:
            jobs: the arguments of `dspy.LM.finetune` for each job, and its `lm`.

        Raises:
            JobFailedError: a job has failed. Notes list the state of each job.
            JobStoppedError: a job or the run was cancelled.
        """
        specs, timeouts = zip(*map(_to_spec, jobs), strict=True)
        run = self.tuner.start_run(specs, name=self.name)
        logger.info(
            "run %s continues without this process: `tunestack runs watch %s` shows it, `tunestack runs cancel %s` stops it",
            *(run.name, run.name, run.name),
        )
        try:
            run.wait(max(timeouts, default=TIMEOUT))
        except KeyboardInterrupt:
            logger.warning(
                "run %s continues: run the same code again to wait for it, or `tunestack runs cancel %s --jobs`",
                *(run.name, run.name),
            )
            raise
        _require_success(run)


def _to_spec(job: Mapping[str, Any]) -> tuple[JobSpec, float]:
    """Return the job that `dspy.LM.finetune` submits, and the timeout of its `train_kwargs`."""
    lm = job["lm"]
    train_kwargs = job["train_kwargs"] or lm.train_kwargs or {}
    arguments, timeout = to_submit_arguments({"timeout": TIMEOUT, **train_kwargs})
    data_format = job["train_data_format"]
    arguments["data_format"] = getattr(data_format, "value", data_format)
    arguments["queue"] = False  # the run waits for free slots
    return JobSpec(model=model_to_finetune(lm), data=job["train_data"], **arguments), timeout


def _require_success(run: Run) -> None:
    """Raise an error if a job of a run has not succeeded, with the state of each."""
    jobs = run.jobs()
    undone = [job for job in jobs if job.state != "succeeded"]
    if not undone:
        return
    failed = [job for job in undone if job.state == "failed"]
    text = f"run {run.name!r}: {len(undone)} of {len(jobs)} jobs have not succeeded"
    remedy = "compile again: jobs that have succeeded are not submitted again"
    error: JobError
    if failed or run.state is RunState.FAILED:
        first = failed[0] if failed else undone[0]
        reason = first.reason or run.info.failure or "no reason given"
        error = JobFailedError(
            f"{text}: {reason}: {remedy}", job_id=first.id or run.id, reason=reason
        )
    else:
        error = JobStoppedError(f"{text}, as they were cancelled: {remedy}", job_id=run.id)
    for job in jobs:
        reason = f": {job.reason}" if job.reason else ""
        error.add_note(f"{job.name} ({job.base_model}): {job.state}{reason}")
    raise error


def digest_of(sources: Mapping[str, object]) -> str:
    """Return the digest of what records are collected from, in 32 hex digits.

    Raises:
        ConfigError: a value of an example can't be converted to JSON.
    """
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    try:
        content = orjson.dumps(sources, default=_to_json, option=options)
    except TypeError as error:
        raise ConfigError(
            f"with run, examples need values that can be converted to JSON, to find the run again: {error.__cause__ or error}"
        ) from error
    return hashlib.sha256(content).hexdigest()[:32]


def describe_program(program: Any) -> list[object]:
    """Return what decides the answers of a program: its source code, signatures, demos and LMs."""
    return [
        source_of(type(program)),
        *(
            [
                name,
                repr(predictor.signature),
                predictor.demos,
                _describe_lm(predictor.lm or dspy.settings.lm),
            ]
            for name, predictor in program.named_predictors()
        ),
    ]


def describe_examples(examples: Iterable[Any]) -> list[str]:
    """Return the digests of examples in a fixed order: `BetterTogether` shuffles them."""
    return sorted(digest_of({"example": example}) for example in examples)


def source_of(value: Any) -> str | None:
    """Return the source code of a function or class; its name if the code can't be read."""
    if value is None:
        return None
    target = value if inspect.isroutine(value) or inspect.isclass(value) else type(value)
    try:
        return inspect.getsource(target)
    except (TypeError, OSError):
        return f"{target.__module__}.{target.__qualname__}"


def _describe_lm(lm: Any) -> object:
    if not isinstance(lm, dspy.LM):
        return source_of(lm)
    state = LMState.of(lm)
    settings = {
        name: value
        for name, value in lm.kwargs.items()
        if name not in _ROUTES and not is_credential(name)
    }
    return [route_of(lm) if state is None else state.model, settings]


def _to_json(value: object) -> object:
    if isinstance(value, dspy.Example):
        return value.toDict()
    if isinstance(value, pydantic.BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    if callable(value):
        return source_of(value)
    raise TypeError(f"{type(value).__qualname__} can't be converted to JSON")
