"""Evaluate the models of a run in the account, and promote the best one: a step at a time, without a client.

A call does what is next, and returns when the time is over or when something must be waited for. It keeps no state: it looks at
the jobs, the endpoints and what is stored, so another call continues after this one was killed. Below the results of the stage:

- `answers/`: each answer, see `evaluation.stored_journal`;
- `runs/RUN/models/JOB.json`: the result of a model;
- `runs/RUN/result.json`: the result of the run.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from tunestack.backends.base import EndpointState
from tunestack.backends.inference import ResultStore
from tunestack.backends.protocols import EndpointHost
from tunestack.errors import (
    ConfigError,
    ConflictError,
    DataError,
    EndpointFailedError,
    EndpointTimeoutError,
    InvalidRequestError,
    NotFoundError,
    QuotaError,
    TransientError,
    TunestackError,
)
from tunestack.evaluation.candidates import MODEL, CandidateResolver
from tunestack.evaluation.promotion import promote, promotions
from tunestack.evaluation.requests import PausedError
from tunestack.evaluation.run import evaluate
from tunestack.evaluation.stored_journal import StoredJournal
from tunestack.polling import Poll
from tunestack.runs.endpoints import RunEndpoints, build_failure
from tunestack.runs.evaluation import RunEvaluation
from tunestack.runs.find import require_host
from tunestack.runs.results import (
    ModelEvaluation,
    RunResult,
    choose_best,
    model_name,
    read_result,
    result_name,
)
from tunestack.runs.run import find_jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack.backends.accounts import Accounts
    from tunestack.backends.base import EndpointInfo
    from tunestack.evaluation.result import Evaluation

logger = logging.getLogger(__name__)

_ENDPOINTS = 2
"""The number of models that are evaluated at the same time; deployments have a quota."""
_LONGEST = timedelta(days=7)
_SECONDS = 60
_QUOTA_SECONDS = 600
"""Seconds until a quota of endpoints that is used up is tried again."""
_MAX_PROMOTIONS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Whether the evaluation is done, or in how many seconds it should be continued."""

    is_done: bool = False
    seconds: int = 0


class RunEvaluator:
    """Evaluates and promotes the models of one run."""

    def __init__(
        self, accounts: Accounts, run: str, file: str, *, is_over: Callable[[], bool]
    ) -> None:
        """Read the description of the run.

        Args:
            accounts: the accounts of the models.
            run: the name of the run.
            file: the name of its files.
            is_over: returns whether the time of this call is over.
        """
        self._accounts = accounts
        self._backend = accounts.bedrock.backend()
        self._run = run
        self._is_over = is_over
        self._files = require_host(self._backend)
        if not isinstance(self._backend, ResultStore) or not isinstance(
            self._backend, EndpointHost
        ):  # as types; Bedrock is both
            raise ConfigError("runs need Bedrock")
        self._store: ResultStore = self._backend
        self._document = json.loads(self._files.read_run_file(f"{file}.json"))
        # Nothing is waited for here: the state machine waits, and calls again.
        self._poll = Poll(sleep=_pause)
        self._pause = _SECONDS
        self._endpoints = RunEndpoints(self._backend, run, poll=self._poll)

    def advance(self) -> Progress:
        """Do what is next.

        Raises:
            TransientError: a service does not answer: call again.
            TunestackError: the evaluation failed; the endpoints that it started are stopped.
        """
        if read_result(self._store, self._run) is not None:
            return Progress(is_done=True)
        if (failure := self._read("failure.json")) is not None:
            if not self._stop_endpoints():
                return Progress(seconds=_SECONDS)
            raise TunestackError(failure["message"])
        try:
            models = self._list_models()
            self._check_time()
            return self._advance(models)
        except PausedError:
            return Progress(seconds=0 if self._is_over() else _SECONDS)
        except TransientError:
            raise
        except TunestackError as error:
            # Stored first: an endpoint that is starting can't be deleted yet, so the next call goes on to stop it.
            self._write("failure.json", {"message": str(error)})
            if not self._stop_endpoints():
                return Progress(seconds=_SECONDS)
            raise

    def _check_time(self) -> None:
        """Store when the evaluation started, and give up after a week, by Bedrock's clock: it has answered before."""
        started = self._read("started.json")
        if started is None:
            self._write("started.json", {"time": self._backend.now().isoformat()})
        elif self._backend.now() - datetime.fromisoformat(started["time"]) > _LONGEST:
            raise DataError(
                f"the models of run {self._run!r} could not be evaluated within {_LONGEST.days} days; the log of the "
                "function shows what it waited for"
            )

    def _advance(self, models: Mapping[str, str]) -> Progress:
        results = self._read_results(models)
        pending = {job: model for job, model in models.items() if job not in results}
        while pending:
            if self._is_over():
                return Progress()
            ready = self._provide_endpoints(pending, results)
            if not ready and not results.keys() & pending.keys():
                return Progress(seconds=self._pause)
            for job in ready:
                self._keep(self._evaluate(job, pending[job]), results)
            pending = {job: model for job, model in pending.items() if job not in results}
        return self._finish([results[job] for job in models])

    def _keep(self, result: ModelEvaluation, results: dict[str, ModelEvaluation]) -> None:
        """Store the result of a model, and stop its endpoint."""
        self._write(model_name(result.job), asdict(result))
        self._endpoints.stop(result.model)
        results[result.job] = result

    def _list_models(self) -> dict[str, str]:
        """Return the models of the jobs that have succeeded, by the name of the job, in the order of the run."""
        names = [row["name"] for row in self._document["jobs"]]
        found = find_jobs(self._backend, names)
        return {
            name: model
            for name in names
            if (info := found.get(name)) is not None and (model := info.model) is not None
        }

    def _read_results(self, models: Mapping[str, str]) -> dict[str, ModelEvaluation]:
        prefix = f"runs/{self._run}/models/"
        stored = {name.rpartition("/")[2] for name in self._store.list_results(prefix)}
        return {
            job: msgspec.convert(self._read(model_name(job)), ModelEvaluation)
            for job in models
            if f"{job}.json" in stored
        }

    def _provide_endpoints(
        self, pending: Mapping[str, str], results: dict[str, ModelEvaluation]
    ) -> list[str]:
        """Start the endpoints of the next models, and return the jobs whose models can be invoked.

        A model whose endpoint can't be started gets a result with the error.
        """
        ready, started = [], 0
        for job, model in list(pending.items())[:_ENDPOINTS]:
            try:
                info = self._start_endpoint(model)
            except QuotaError as error:
                if not started:
                    logger.warning("run %s waits for an endpoint: %s", self._run, error)
                    self._pause = _QUOTA_SECONDS
                break
            except (EndpointFailedError, InvalidRequestError) as error:
                self._keep(ModelEvaluation(job=job, model=model, error=str(error)), results)
                continue
            except PausedError:  # another deployment is being created
                break
            started += 1
            if info.state is EndpointState.READY:
                ready.append(job)
        return ready

    def _start_endpoint(self, model: str) -> EndpointInfo:
        tags = self._accounts.of_model(model).endpoint_tags(model)
        return self._endpoints.start(model, tags)

    def _stop_endpoints(self) -> bool:
        return self._endpoints.stop_all(self._list_models().values())

    def _evaluate(self, job: str, model: str) -> ModelEvaluation:
        """Evaluate a model whose endpoint is ready.

        Raises:
            PausedError: the time is over.
        """
        settings = dict(self._document["evaluation"])
        content = self._files.read_run_file(settings.pop("file"))
        del settings["records"]
        records = [orjson.loads(line) for line in content.splitlines()]
        spec = RunEvaluation(data=records, **settings).to_spec(model)
        try:
            evaluation = evaluate(
                self._accounts,
                records,
                spec,
                poll=Poll(),
                open_journal=partial(StoredJournal, self._store),
                is_over=self._is_over,
            )
        except NotFoundError as error:
            if self._endpoints.is_ready(model):
                raise
            # The guard or a person deleted it: the next call starts another one.
            raise PausedError(f"the endpoint of {model!r} was deleted") from error
        except DataError as error:  # the provider refused all requests
            return ModelEvaluation(job=job, model=model, error=str(error))
        if evaluation.uri is None:
            raise ConflictError(f"the evaluation of {model!r} could not be stored")
        return _summarize(job, evaluation)

    def _finish(self, results: list[ModelEvaluation]) -> Progress:
        """Promote the best model, stop the endpoints that are left, and store the result."""
        costs = {row["name"]: row["max_usd"] for row in self._document["jobs"]}
        best = choose_best(results, self._document["evaluation"]["metrics"][0], costs)
        name = self._document["promote"]
        promotion = None
        if best is not None and name is not None:
            promotion = self._promote(best, name)
            if promotion is None:
                return Progress(seconds=_SECONDS)
        if not self._stop_endpoints():
            return Progress(seconds=_SECONDS)
        result = RunResult(
            metrics=tuple(self._document["evaluation"]["metrics"]),
            models=tuple(results),
            best=None if best is None else best.job,
            promotion=promotion,
        )
        self._write("result.json", asdict(result))
        return Progress(is_done=True)

    def _promote(self, best: ModelEvaluation, name: str) -> dict[str, Any] | None:
        """Promote a model, and return the promotion once the endpoint serves it."""
        started = self._read("promotion.json") or {"attempts": 0}
        try:
            info = self._backend.endpoint(name)
        except NotFoundError:
            info = None
        serves = info is not None and info.model == best.model and info.target in (None, info.model)
        if info is not None and started["attempts"] and serves:
            if info.state is EndpointState.READY:
                last = next(promotions(self._backend, name), None)
                return {"name": name} if last is None else asdict(last)
            if info.state is EndpointState.FAILED:
                raise build_failure(info)
        if info is not None and info.state in {EndpointState.STARTING, EndpointState.UPDATING}:
            return None
        if started["attempts"] >= _MAX_PROMOTIONS:
            raise ConflictError(
                f"endpoint {name!r} does not serve {best.model!r} after {_MAX_PROMOTIONS} updates"
            )
        self._write("promotion.json", {"attempts": started["attempts"] + 1})
        candidate = CandidateResolver(self._accounts, prompts={}, prices={}).resolve(
            MODEL, best.model
        )
        tags = self._accounts.of_model(best.model).endpoint_tags(best.model)
        with suppress(PausedError, EndpointTimeoutError):
            promote(
                candidate,
                name,
                evaluation=best.evaluation,
                tags=tags,
                timeout=0,
                poll=self._poll,
            )
        return None

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            document: dict[str, Any] = orjson.loads(
                self._store.read_result(result_name(self._run, name))
            )
        except NotFoundError:
            return None
        return document

    def _write(self, name: str, document: Mapping[str, Any]) -> None:
        self._store.put_result(result_name(self._run, name), orjson.dumps(document))


def _pause(_: float) -> None:
    raise PausedError("the state machine waits")


def _summarize(job: str, evaluation: Evaluation) -> ModelEvaluation:
    first, *others = evaluation.models
    return ModelEvaluation(
        job=job,
        model=first.model,
        values=dict(first.values),
        others={other.name: dict(other.values) for other in others},
        gates=tuple(asdict(gate) for gate in evaluation.gates),
        passed=evaluation.passed,
        evaluation=evaluation.id,
        uri=evaluation.uri,
    )
