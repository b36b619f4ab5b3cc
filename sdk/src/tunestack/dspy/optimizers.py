"""DSPy's optimizers of weights, with what would train on wrong data or lose paid work mended.

Each class says what it mends, as found in dspy 3.4.1 (2026-11-22); what it does otherwise is DSPy's own.
"""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from contextlib import contextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

import dspy
from dspy.teleprompt import bootstrap_finetune as upstream
from dspy.teleprompt.bootstrap_trace import FailedPrediction
from dspy.utils.exceptions import AdapterParseError

from tunestack import catalog
from tunestack.dspy.base import TunestackProvider
from tunestack.dspy.kept import Kept
from tunestack.dspy.providers import BedrockProvider
from tunestack.errors import ConfigError, DataError, JobError, TunestackError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

logger = logging.getLogger(__name__)


class BootstrapFinetune(dspy.BootstrapFinetune):
    """`dspy.BootstrapFinetune`, which trains each LM on what its own predictors said, and on nothing that failed.

    Mended: one answer that can't be parsed, or can be in part, and one question that the vendor refuses, do not end the
    whole (and are not trained on); with `multitask=False` a predictor gets its own records also when another one is called
    several times; with several LMs each gets those of its own predictors only; what is said for an LM holds for copies of
    it, and for what was tuned from it; a program without LMs, an adapter that writes no training data, and a metric that
    lets nothing through, are refused before anything is submitted, the first two before anything is asked; there may be
    more jobs than `num_threads`; of several jobs all are waited for, although one fails, and the error says how the others
    ended: submitting again finds those that succeeded.
    """

    def __init__(
        self,
        metric: Any = None,
        multitask: bool = True,  # noqa: FBT001, FBT002 - as DSPy has it
        train_kwargs: Any = None,
        adapter: Any = None,
        exclude_demos: bool = False,  # noqa: FBT001, FBT002 - the same
        num_threads: int | None = None,
        *,
        max_failed: float = 0.1,
    ) -> None:
        """Take what `dspy.BootstrapFinetune` takes, and how much may fail.

        Args:
            metric: scores a run; what it lets through is trained on.
            multitask: whether the predictors of an LM are tuned together.
            train_kwargs: for all LMs, or for each.
            adapter: the same.
            exclude_demos: whether demos are left out, of the data and of the program.
            num_threads: how many questions are asked at once.
            max_failed: the share of runs that may end in an error, beside those whose answer can't be parsed: they are not
                trained on. Of more than that, none is.
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

    def compile(self, student: Any, trainset: Any, teacher: Any = None) -> Any:
        """Fine-tune the LMs of the student; see `dspy.BootstrapFinetune.compile`.

        Raises:
            ConfigError: a predictor has no LM, an LM can't be fine-tuned so, or an adapter writes no training data; no program
                was called.
            QuotaError: the account may run no jobs; no program was called.
            DataError: nothing is left to train on, or too many runs have failed.
        """
        self.check(student)
        asked = teacher if isinstance(teacher, list) else [teacher]
        teachers = [upstream.prepare_teacher(student, one) for one in asked]
        self._student = student
        self._known = [
            (place, predictor)
            for program in (student, *teachers)
            for place, predictor in enumerate(program.predictors())
        ]
        runs = self._runs(teachers, trainset)
        wanted: dict[Any, dict[str, Any]] = {}
        for key in self._keys(student):
            if key in wanted:
                continue
            lm, place = key
            data, data_format = self._prepare_finetune_data(trace_data=runs, lm=lm, pred_ind=place)
            wanted[key] = {
                "lm": lm,
                "train_data": data,
                "train_data_format": data_format,
                "train_kwargs": self.train_kwargs[lm],
            }
        tuned = self.finetune_lms(wanted)
        for key, predictor in zip(self._keys(student), student.predictors(), strict=True):
            predictor.lm = tuned[key]
            if self.exclude_demos:
                predictor.demos = []
        student._compiled = True  # noqa: SLF001 - DSPy's own mark
        return student

    def check(self, student: Any) -> None:
        """Check what can be known before a program is called: LMs, models, regions, `train_kwargs`, deployments, quotas.

        `compile` does it first. What depends on the records, such as `max_cost`, is checked when they exist.

        Raises:
            ConfigError: a predictor has no LM, an LM can't be fine-tuned so, or an adapter writes no training data.
            QuotaError: the account may run no jobs.
        """
        _require_lms(student)
        _require_tunable(student)
        lms = {id(predictor.lm): predictor.lm for predictor in student.predictors()}
        for lm in lms.values():
            _data_format(self._adapter(lm))
            if isinstance(getattr(lm, "provider", None), TunestackProvider):
                lm.provider.check(lm, self.train_kwargs[lm])

    def _runs(self, teachers: list[Any], trainset: list[Any]) -> list[dict[str, Any]]:
        """Let programs answer the questions, and keep those of their runs that have not ended in an error."""
        runs: list[dict[str, Any]] = []
        for program in teachers:
            with _read_or_not(program):
                runs += upstream.bootstrap_trace_data(
                    program=program,
                    dataset=trainset,
                    metric=self.metric,
                    num_threads=self.num_threads or dspy.settings.num_threads,
                    raise_on_error=False,
                )
        count = len(teachers) * len(trainset)
        failed = count - len(runs)
        if failed > self._max_failed * count:
            raise DataError(
                f"{failed} of {count} runs have failed, and nothing is submitted: the log of DSPy says why; when it is "
                "mended, what was answered comes from DSPy's cache; or allow more with max_failed="
            )
        if failed:
            logger.warning("%d of %d runs have failed, and are not trained on", failed, count)
        strange = sum(not self._places_of(step[0]) for run in runs for step in run["trace"])
        if strange:
            logger.warning(
                "%d answers are not of the program's own predictors, and are not trained on",
                strange,
            )
        return runs

    def _keys(self, student: Any) -> list[tuple[dspy.LM, int | None]]:
        """Tell for each predictor which job it is tuned by: that of its LM, or its own."""
        return [
            (predictor.lm, None if self.multitask else place)
            for place, predictor in enumerate(student.predictors())
        ]

    @staticmethod
    def convert_to_lm_dict(arg: Any) -> Any:
        """Read what is said for all LMs, or for each."""
        by_lm = isinstance(arg, dict) and arg and all(isinstance(key, dspy.LM) for key in arg)
        return _ByLM(arg) if by_lm else defaultdict(lambda: arg)

    def _adapter(self, lm: dspy.LM) -> Any:
        return self.adapter[lm] or dspy.settings.adapter or dspy.ChatAdapter()

    def _prepare_finetune_data(
        self, trace_data: list[dict[str, Any]], lm: dspy.LM, pred_ind: int | None = None
    ) -> tuple[list[dict[str, Any]], str]:
        """Write the records of one predictor, or of all that an LM has."""
        adapter = self._adapter(lm)
        data_format = _data_format(adapter)
        wanted = {
            place
            for place, predictor in enumerate(self._student.predictors())
            if (predictor.lm is lm if pred_ind is None else place == pred_ind)
        }
        data = [
            upstream.build_call_data_from_trace(
                trace=item["trace"],
                pred_ind=number,
                adapter=adapter,
                exclude_demos=self.exclude_demos,
            )
            for item in trace_data
            if not self.metric or item["score"]
            for number in self._said_by(wanted, item)
        ]
        if not data:
            raise DataError(
                f"nothing is left to tune {lm.model} with: of {len(trace_data)} runs none has passed the metric and could "
                "be parsed: use a teacher that answers better, or another metric"
            )
        random.Random(0).shuffle(data)  # noqa: S311 - as DSPy does, to be repeatable
        return data, data_format

    def _said_by(self, wanted: set[int], item: Mapping[str, Any]) -> Iterator[int]:
        """Tell where in a trace one of the wanted predictors has answered, if all of the run could be parsed."""
        steps = list(enumerate(item["trace"]))
        if any(isinstance(outputs, FailedPrediction) for _, (_, _, outputs) in steps):
            return
        for number, (predictor, _, _) in steps:
            places = self._places_of(predictor)
            if places and places <= wanted:
                yield number

    def _places_of(self, predictor: Any) -> set[int]:
        """Tell which of the student's predictors this one is, or may be: some are copied while a program runs.

        There are none for what a program asks beside them, as `dspy.Refine` does, and what is compiled already.
        """
        same = {place for place, known in self._known if known is predictor}
        return same or {
            place for place, known in self._known if known.signature.equals(predictor.signature)
        }

    @staticmethod
    def finetune_lms(finetune_dict: dict[Any, dict[str, Any]]) -> dict[Any, Any]:
        """Submit all jobs, and wait for all, although one fails.

        Raises:
            ConfigError: an LM is of a kind that can't be tuned; nothing was submitted.
            Exception: of the first job that failed; its notes tell how the others ended.
        """
        lms = {key: how.pop("lm") for key, how in finetune_dict.items()}
        for lm in lms.values():
            if not hasattr(lm, "finetune"):
                raise ConfigError(f"{lm.model} is a {type(lm).__name__}: only a dspy.LM is tuned")
        for lm in lms.values():
            lm.kill()
        # Each waits for a free job slot where the account runs fewer at a time, see `Tuner.submit(queue=...)`.
        jobs = {key: lm.finetune(**finetune_dict[key]) for key, lm in lms.items()}
        tuned, failures, notes = {}, [], []
        for key, job in jobs.items():
            result = job.exception() or job.result()
            job.thread.join()
            if isinstance(result, Exception):
                failures.append(result)
                notes.append(f"failed: {result}")
            else:
                tuned[key] = result
                notes.append(
                    f"succeeded, and is found when the same is submitted again: {result.model}"
                )
        if failures:
            for note in notes if len(jobs) > 1 else ():
                failures[0].add_note(note)
            raise failures[0]
        return tuned


class _ByLM(dict[Any, Any]):
    """What is said for each of several LMs, and so for copies of it, and for what was tuned from it."""

    def __missing__(self, lm: dspy.LM) -> Any:
        """Find the LM that this one is a copy of, or comes from; of others, nothing is said."""
        asked = (lm.model, lm.finetuning_model)
        alike = [key for key in self if (key.model, key.finetuning_model) == asked]
        kept = Kept.of(lm)
        if not alike and kept is not None:
            bases = {key: catalog.find(key.model) for key in self}
            alike = [key for key, base in bases.items() if base and base.key == kept.base]
        if len(alike) == 1:
            return self[alike[0]]
        logger.warning("nothing is said for %s: it is tuned by what it has itself", lm.model)
        return None


@contextmanager
def _read_or_not(program: Any) -> Iterator[None]:
    """Take an answer that can be parsed in part for one that can't be: DSPy fails on the difference (3.4.1)."""
    forward = program.forward

    def read(*what: Any, **more: Any) -> Any:
        try:
            return forward(*what, **more)
        except AdapterParseError as error:
            error.parsed_result = None
            raise

    program.forward = read
    try:
        yield
    finally:
        program.forward = forward


def _data_format(adapter: Any) -> Any:
    """Tell the format that an adapter writes training data in.

    Raises:
        ConfigError: it writes none.
    """
    written = getattr(type(adapter), "format_finetune_data", None)
    with suppress(ValueError):
        if written not in (None, dspy.JSONAdapter.format_finetune_data):
            return upstream.infer_data_format(adapter)
    raise ConfigError(
        f"{type(adapter).__name__} writes no training data: use dspy.ChatAdapter or dspy.XMLAdapter"
    )


class BetterTogether(dspy.BetterTogether):
    """`dspy.BetterTogether`, which leaves no endpoint behind, however it ends, and optimizes weights with the mended class.

    Mended: after Ctrl-C, or an error in the first evaluation, what it has launched is stopped; an error of a step can be had
    as an exception instead of a flag on the result.
    What a program that it returns was served by is stopped in any case: `lm.launch()` starts it again.
    """

    def __init__(self, metric: Any, *, raises: bool = False, **optimizers: Any) -> None:
        """Take the metric and the optimizers; see `dspy.BetterTogether`.

        Args:
            metric: scores programs.
            raises: raise a `JobError` when a step has failed, instead of returning the best program before it.
            optimizers: by the letters of the strategy.
        """
        super().__init__(metric, **optimizers)
        self._raises = raises
        if not optimizers:
            self.optimizers["w"] = BootstrapFinetune(metric=metric)

    # DSPy's BetterTogether looks at the signature of what is a step of it.
    @wraps(dspy.BetterTogether.compile, assigned=())
    def compile(self, student: Any, **how: Any) -> Any:
        """Optimize; see `dspy.BetterTogether.compile`.

        Raises:
            ConfigError: a predictor has no LM, or its LM can't be fine-tuned so; no program was called.
            JobError: a step has failed, if that was asked for.
        """
        _require_lms(student)
        for optimizer in self.optimizers.values():
            if isinstance(optimizer, BootstrapFinetune):
                optimizer.check(student)
        providers = {
            id(lm.provider): lm.provider
            for lm in (predictor.lm for predictor in student.predictors())
            if isinstance(getattr(lm, "provider", None), BedrockProvider)
        }
        before = {name: provider.launched for name, provider in providers.items()}
        try:
            best = super().compile(student, **how)
        except BaseException as error:
            for name, provider in providers.items():
                try:
                    provider.stop_launched(but=before[name])
                except TunestackError as left:
                    error.add_note(f"what it had launched could not be stopped: {left}")
            raise
        if self._raises and best.flag_compilation_error_occurred:
            raise JobError("a step of BetterTogether failed: the log of DSPy says how", job_id="")
        return best


def _require_lms(program: Any) -> None:
    missing = [name for name, predictor in program.named_predictors() if predictor.lm is None]
    if missing:
        raise ConfigError(
            f"predictor {', '.join(map(repr, missing))} does not have an LM assigned: call program.set_lm(lm) first"
        )


def _require_tunable(program: Any) -> None:
    for name, predictor in program.named_predictors():
        provider = getattr(predictor.lm, "provider", None)
        if provider is not None and not provider.finetunable:
            raise ConfigError(
                f"the LM of predictor {name!r}, {predictor.lm.model}, has no provider that tunes: "
                "make it with provider=BedrockProvider() or OpenAIProvider()"
            )
