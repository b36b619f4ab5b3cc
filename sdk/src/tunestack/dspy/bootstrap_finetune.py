"""`dspy.BootstrapFinetune` with fixes: it trains on the correct records, and loses no paid work."""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dspy
from dspy.teleprompt import bootstrap_finetune as upstream
from dspy.teleprompt.bootstrap_trace import FailedPrediction
from dspy.utils.exceptions import AdapterParseError

from tunestack import catalog
from tunestack.dspy.base import TunestackProvider
from tunestack.dspy.compile_run import (
    CompileRun,
    describe_examples,
    describe_program,
    source_of,
)
from tunestack.dspy.lm_state import LMState, is_on_demand
from tunestack.dspy.student import data_format_of, require_finetunable_lms, require_lms
from tunestack.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

logger = logging.getLogger(__name__)

# A field report of 2026-08 has a quota of 4 requests a minute, for Llama 3.3 70B.
_ON_DEMAND_THREADS = 2


class BootstrapFinetune(dspy.BootstrapFinetune):
    """`dspy.BootstrapFinetune` that trains each LM on the answers of its own predictors, and on no failed run.

    Differences from dspy 3.4.1 (2026-11-22):

    - A run that raises an error, or whose answer can't be parsed (or only in part), does not abort `compile`. It is left out.
    - With `multitask=False`, a predictor is trained on its own records, even if another one is called several times.
    - With several LMs, each is trained on the records of its own predictors only.
    - Settings of an LM in `train_kwargs` and `adapter` also apply to its copies, and to LMs that were fine-tuned from it.
    - A program without LMs, and an adapter that does not support training data, are rejected before the program is called.
    - A metric that accepts no run raises an error before a job is submitted.
    - There can be more jobs than `num_threads`.
    - If one of several jobs fails, the others are still waited for, and the error has a note about each. Submitting again finds
      those that succeeded.
    """

    def __init__(
        self,
        metric: Any = None,
        multitask: bool = True,  # noqa: FBT001, FBT002 - DSPy's signature
        train_kwargs: Any = None,
        adapter: Any = None,
        exclude_demos: bool = False,  # noqa: FBT001, FBT002 - DSPy's signature
        num_threads: int | None = None,
        *,
        max_failed: float = 0.1,
        run: str | None = None,
    ) -> None:
        """Set the arguments of `dspy.BootstrapFinetune`, the limit of failed runs, and the run of the jobs.

        Args:
            metric: scores a run. Runs that it accepts are used for training.
            multitask: fine-tune the predictors of an LM together.
            train_kwargs: for all LMs, or a dict by LM.
            adapter: for all LMs, or a dict by LM.
            exclude_demos: leave demos out of the data and the program.
            num_threads: the number of concurrent calls of the program; by default DSPy's, but at most 2 if it calls an
                on-demand custom model, because its quota of requests may be small.
            max_failed: the share of runs that may raise an error, not counting answers that can't be parsed. If more fail,
                `compile` raises an error and nothing is submitted.
            run: submit the jobs as a run of this name, see `Tuner.start_run`: no client is needed while they wait for slots of
                the account, and `compile` with the same arguments continues after the process was killed. Bedrock only.
        """
        super().__init__(
            metric=metric,
            multitask=multitask,
            train_kwargs=train_kwargs,
            adapter=adapter,
            exclude_demos=exclude_demos,
            num_threads=num_threads,
        )
        self._max_failed = max_failed
        self._run = run

    def compile(self, student: Any, trainset: Any, teacher: Any = None) -> Any:
        """Fine-tune the LMs of a program; see `dspy.BootstrapFinetune.compile`.

        Raises:
            ConfigError: a predictor has no LM, an LM can't be fine-tuned with these settings, or an adapter does not support
                training data. No program was called.
            QuotaError: the account's quota allows no jobs. No program was called.
            DataError: no record is left to train on, or too many runs have failed.
        """
        self.check(student)
        teachers = [
            upstream.prepare_teacher(student, program)
            for program in (teacher if isinstance(teacher, list) else [teacher])
        ]
        self._student = student
        self._known_predictors = [
            (index, predictor)
            for program in (student, *teachers)
            for index, predictor in enumerate(program.predictors())
        ]
        keys = list(dict.fromkeys(self._job_keys(student)))

        def collect() -> list[list[dict[str, Any]]]:
            runs = self._collect_runs(teachers, trainset)
            return [self._prepare_finetune_data(runs, *key)[0] for key in keys]

        run = self._create_run(student)
        if run is None:
            records = collect()
        else:
            records = run.load_or_collect(self._describe(teachers, trainset, keys), collect)
        jobs = {
            key: {
                "lm": key[0],
                "train_data": data,
                "train_data_format": data_format_of(self._adapter_for(key[0])),
                "train_kwargs": self.train_kwargs[key[0]],
            }
            for key, data in zip(keys, records, strict=True)
        }
        if run is not None:
            for lm, _ in keys:
                lm.kill()  # the run may take days
            run.submit_and_wait(jobs.values())
        fine_tuned = self.finetune_lms(jobs)  # finds the jobs of the run
        for key, predictor in zip(self._job_keys(student), student.predictors(), strict=True):
            predictor.lm = fine_tuned[key]
            if self.exclude_demos:
                predictor.demos = []
        student._compiled = True  # noqa: SLF001 - DSPy's flag of compiled programs
        return student

    def check(self, student: Any) -> None:
        """Check everything that can be known before a program is called: LMs, models, regions, `train_kwargs`, stage, quotas.

        `compile` calls this first. Checks that depend on the records, such as `max_cost`, run when the records exist.

        Raises:
            ConfigError: a predictor has no LM, an LM can't be fine-tuned with these settings, or an adapter does not support
                training data.
            QuotaError: the account's quota allows no jobs.
        """
        require_lms(student)
        require_finetunable_lms(student)
        lms = {id(predictor.lm): predictor.lm for predictor in student.predictors()}
        for lm in lms.values():
            data_format_of(self._adapter_for(lm))
            if isinstance(getattr(lm, "provider", None), TunestackProvider):
                lm.provider.check(lm, self.train_kwargs[lm])
        self._create_run(student)

    def _create_run(self, student: Any) -> CompileRun | None:
        if self._run is None:
            return None
        lms = dict.fromkeys(predictor.lm for predictor in student.predictors())
        return CompileRun.create(self._run, [(lm, self.train_kwargs[lm]) for lm in lms])

    def _describe(
        self, programs: list[Any], trainset: list[Any], keys: list[tuple[dspy.LM, int | None]]
    ) -> dict[str, object]:
        """Return what the records are collected from. `train_kwargs` are not: the records are the same."""
        predictors = self._student.predictors()
        return {
            "programs": [describe_program(program) for program in (self._student, *programs)],
            "examples": describe_examples(trainset),
            "metric": source_of(self.metric),
            "jobs": [
                [
                    source_of(type(self._adapter_for(lm))),
                    index,
                    [number for number, known in enumerate(predictors) if known.lm is lm],
                ]
                for lm, index in keys
            ],
            "exclude_demos": self.exclude_demos,
        }

    def _collect_runs(self, teachers: list[Any], trainset: list[Any]) -> list[dict[str, Any]]:
        """Run the programs on the examples, and return the runs that have not raised an error."""
        runs: list[dict[str, Any]] = []
        for program in teachers:
            with _discard_partial_answers(program):
                runs += upstream.bootstrap_trace_data(
                    program=program,
                    dataset=trainset,
                    metric=self.metric,
                    num_threads=self.num_threads or _default_threads(program),
                    raise_on_error=False,
                )
        count = len(teachers) * len(trainset)
        failed = count - len(runs)
        if failed > self._max_failed * count:
            raise DataError(
                f"{failed} of {count} runs have failed, and nothing is submitted: see the log of DSPy for the errors. The other "
                "answers are in DSPy's cache when you run this again. To allow more failed runs, set max_failed"
            )
        if failed:
            logger.warning("%d of %d runs have failed, and are not trained on", failed, count)
        unknown = sum(not self._indexes_of(step[0]) for run in runs for step in run["trace"])
        if unknown:
            logger.warning(
                "%d answers are not from the program's own predictors, and are not trained on",
                unknown,
            )
        return runs

    def _job_keys(self, student: Any) -> list[tuple[dspy.LM, int | None]]:
        """Return the key of the job of each predictor: its LM, and its index if each predictor has its own job."""
        return [
            (predictor.lm, None if self.multitask else index)
            for index, predictor in enumerate(student.predictors())
        ]

    @staticmethod
    def convert_to_lm_dict(arg: Any) -> Any:
        """Return a dict by LM of settings that are for all LMs, or for each."""
        is_by_lm = isinstance(arg, dict) and arg and all(isinstance(key, dspy.LM) for key in arg)
        return _SettingsByLM(arg) if is_by_lm else defaultdict(lambda: arg)

    def _adapter_for(self, lm: dspy.LM) -> Any:
        return self.adapter[lm] or dspy.settings.adapter or dspy.ChatAdapter()

    def _prepare_finetune_data(
        self, trace_data: list[dict[str, Any]], lm: dspy.LM, pred_ind: int | None = None
    ) -> tuple[list[dict[str, Any]], str]:
        """Return the records of one predictor, or of all predictors of an LM."""
        adapter = self._adapter_for(lm)
        data_format = data_format_of(adapter)
        indexes = {
            index
            for index, predictor in enumerate(self._student.predictors())
            if (predictor.lm is lm if pred_ind is None else index == pred_ind)
        }
        data = [
            upstream.build_call_data_from_trace(
                trace=run["trace"],
                pred_ind=step,
                adapter=adapter,
                exclude_demos=self.exclude_demos,
            )
            for run in trace_data
            if not self.metric or run["score"]
            for step in self._steps_of(indexes, run)
        ]
        if not data:
            raise DataError(
                f"no records to fine-tune {lm.model}: of {len(trace_data)} runs, none was accepted by the metric and could be "
                "parsed: use a better teacher or another metric"
            )
        random.Random(0).shuffle(data)  # noqa: S311 - reproducible, as in DSPy
        return data, data_format

    def _steps_of(self, indexes: set[int], run: Mapping[str, Any]) -> Iterator[int]:
        """Yield the steps of a run that are calls of these predictors. A run with an answer that can't be parsed has none."""
        steps = list(enumerate(run["trace"]))
        if any(isinstance(outputs, FailedPrediction) for _, (_, _, outputs) in steps):
            return
        for step, (predictor, _, _) in steps:
            candidates = self._indexes_of(predictor)
            if candidates and candidates <= indexes:
                yield step

    def _indexes_of(self, predictor: Any) -> set[int]:
        """Return the indexes of the student's predictors that this one is or may be: programs may copy predictors while they run.

        The result is empty for a predictor that does not belong to the program, as in `dspy.Refine`, and for one that is
        compiled already.
        """
        same = {index for index, known in self._known_predictors if known is predictor}
        return same or {
            index
            for index, known in self._known_predictors
            if known.signature.equals(predictor.signature)
        }

    @staticmethod
    def finetune_lms(finetune_dict: dict[Any, dict[str, Any]]) -> dict[Any, Any]:
        """Submit all jobs, and wait for all of them even if one fails.

        Raises:
            ConfigError: an LM does not support fine-tuning. Nothing was submitted.
            Exception: the error of the first job that failed, with a note about each job.
        """
        lms = {key: arguments.pop("lm") for key, arguments in finetune_dict.items()}
        for lm in lms.values():
            if not hasattr(lm, "finetune"):
                raise ConfigError(
                    f"{lm.model} is a {type(lm).__name__}, which can't be fine-tuned: use a dspy.LM"
                )
        for lm in lms.values():
            lm.kill()
        # Jobs wait for a free slot if the account allows fewer at a time, see `Tuner.submit(queue=...)`.
        jobs = {key: lm.finetune(**finetune_dict[key]) for key, lm in lms.items()}
        fine_tuned, failures, notes = {}, [], []
        for key, job in jobs.items():
            result = job.exception() or job.result()
            job.thread.join()
            if isinstance(result, Exception):
                failures.append(result)
                notes.append(f"failed: {result}")
            else:
                fine_tuned[key] = result
                notes.append(f"succeeded, submitting the same data again finds it: {result.model}")
        if failures:
            for note in notes if len(jobs) > 1 else ():
                failures[0].add_note(note)
            raise failures[0]
        return fine_tuned


def _default_threads(program: Any) -> int:
    """Return DSPy's number of threads, or fewer if the program calls an on-demand custom model."""
    threads: int = dspy.settings.num_threads
    lms = [predictor.lm or dspy.settings.lm for predictor in program.predictors()]
    has_on_demand = any(isinstance(lm, dspy.LM) and is_on_demand(lm) for lm in lms)
    if not has_on_demand or threads <= _ON_DEMAND_THREADS:
        return threads
    logger.info(
        "%d threads, because the quota of requests to an on-demand custom model may be small: set num_threads for others",
        _ON_DEMAND_THREADS,
    )
    return _ON_DEMAND_THREADS


class _SettingsByLM(dict[Any, Any]):
    """Settings of LMs, which also apply to copies of an LM, and to LMs that were fine-tuned from it."""

    def __missing__(self, lm: dspy.LM) -> Any:
        """Return the settings of the LM that this one is a copy of or was fine-tuned from, or `None`."""
        models = (lm.model, lm.finetuning_model)
        matches = [key for key in self if (key.model, key.finetuning_model) == models]
        state = LMState.of(lm)
        if not matches and state is not None:
            bases = {key: catalog.find(key.model) for key in self}
            matches = [key for key, base in bases.items() if base and base.key == state.base]
        if len(matches) == 1:
            return self[matches[0]]
        logger.warning(
            "train_kwargs has no entry for %s: the train_kwargs of the LM are used", lm.model
        )
        return None


@contextmanager
def _discard_partial_answers(program: Any) -> Iterator[None]:
    """Treat an answer that can be parsed in part as one that can't be parsed at all: DSPy 3.4.1 fails on the first kind."""
    forward = program.forward

    def forward_without_partial_answers(*args: Any, **kwargs: Any) -> Any:
        try:
            return forward(*args, **kwargs)
        except AdapterParseError as error:
            error.parsed_result = None
            raise

    program.forward = forward_without_partial_answers
    try:
        yield
    finally:
        program.forward = forward
