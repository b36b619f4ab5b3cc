"""`dspy.BetterTogether` with fixes."""

from __future__ import annotations

from functools import update_wrapper
from typing import Any

import dspy

from tunestack.dspy.bedrock_provider import BedrockProvider
from tunestack.dspy.bootstrap_finetune import BootstrapFinetune
from tunestack.dspy.student import require_lms
from tunestack.errors import ConfigError, JobError, TunestackError


class BetterTogether(dspy.BetterTogether):
    """`dspy.BetterTogether` that always stops the endpoints it has launched, and fine-tunes with `BootstrapFinetune` of here.

    Differences from dspy 3.4.1 (2026-11-22):

    - After Ctrl-C, or an error in the first evaluation, the endpoints that it has launched are stopped.
    - An error in a step can be raised, instead of a flag on the result.

    In every case, the endpoints of the returned program are stopped: `lm.launch()` starts them again.
    """

    def __init__(
        self, metric: Any, *, raises: bool = False, run: str | None = None, **optimizers: Any
    ) -> None:
        """Set the metric and the optimizers; see `dspy.BetterTogether`.

        Args:
            metric: scores programs.
            raises: raise a `JobError` if a step fails, instead of returning the best program before it.
            run: the `run` of the default `BootstrapFinetune`. With optimizers of your own, pass it to them.
            optimizers: the optimizers, by their keys in the strategy, such as `p` and `w`.
        """
        if run is not None and optimizers:
            raise ConfigError("pass run to BootstrapFinetune: w=BootstrapFinetune(metric, run=...)")
        super().__init__(metric, **optimizers)
        self._raises = raises
        if not optimizers:
            self.optimizers["w"] = BootstrapFinetune(metric=metric, run=run)

    def compile(self, student: Any, **kwargs: Any) -> Any:
        """Optimize a program; see `dspy.BetterTogether.compile`.

        Raises:
            ConfigError: a predictor has no LM, or its LM can't be fine-tuned with these settings. No program was called.
            JobError: a step has failed, and `raises` is set.
        """
        require_lms(student)
        for optimizer in self.optimizers.values():
            if isinstance(optimizer, BootstrapFinetune):
                optimizer.check(student)
        providers = {
            id(lm.provider): lm.provider
            for lm in (predictor.lm for predictor in student.predictors())
            if isinstance(getattr(lm, "provider", None), BedrockProvider)
        }
        launched_before = {key: provider.launched for key, provider in providers.items()}
        try:
            best = super().compile(student, **kwargs)
        except BaseException as error:
            for key, provider in providers.items():
                try:
                    provider.stop_launched(but=launched_before[key])
                except TunestackError as stop_error:
                    error.add_note(f"a launched endpoint could not be stopped: {stop_error}")
            raise
        if self._raises and best.flag_compilation_error_occurred:
            raise JobError("a step of BetterTogether failed: see the log of DSPy", job_id="")
        return best


# DSPy's BetterTogether inspects the signature of each of its steps. A decorator would hide it from type checkers.
update_wrapper(BetterTogether.compile, dspy.BetterTogether.compile, assigned=())
