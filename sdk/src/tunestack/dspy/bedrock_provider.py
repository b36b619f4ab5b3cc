"""DSPy's provider for Amazon Bedrock."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import dspy

from tunestack.backends.base import EndpointState
from tunestack.backends.bedrock.arn import Arn
from tunestack.catalog import Serving
from tunestack.dspy.base import TunestackProvider
from tunestack.dspy.credentials import profile_settings, with_aws_credentials
from tunestack.dspy.lm_state import STATE_KEY, LMState, route_of, to_route
from tunestack.endpoints.start import try_all
from tunestack.errors import ConfigError, ModelError, NotFoundError, shortened
from tunestack.polling import to_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.dspy.job import TuningJob
    from tunestack.endpoints.endpoint import Endpoint
    from tunestack.tuner import Tuner

logger = logging.getLogger(__name__)

_LAUNCH_OPTIONS = ("serving", "ttl", "model_units", "unguarded")


class BedrockProvider(TunestackProvider):
    """DSPy's provider for Amazon Bedrock.

    ```python
    lm = dspy.LM("bedrock/us.amazon.nova-micro-v1:0", provider=BedrockProvider())
    ```

    `train_kwargs` takes hyperparameters (`epochCount`, `batchSize`, `learningRate`, and those of each model); the arguments of
    `Tuner.submit` `s3_path`, `validation_data`, `record_format`, `rendering`, `mapping`, `on_loss`, `ignore`, `name`, `tags`,
    `max_cost`, `rerun` and `queue` (on by default: wait at most 24 hours for a free job slot); and `timeout`, the seconds to wait for the job.
    Credentials of the LM itself (`aws_profile_name`, `aws_access_key_id` ...) are also used for fine-tuning, unless a `session`
    was passed here.
    A fine-tuned model that supports on-demand inference is deployed at the end of the job, which costs nothing while idle. A
    model that needs provisioned throughput is started by `job.start_endpoint()` or `lm.launch()`, and stopped by `lm.kill()`.
    """

    def __init__(
        self, tuner: Tuner | None = None, *, keep_capabilities: bool = False, **settings: Any
    ) -> None:
        """Set the account and region to use. Defaults to the environment.

        Args:
            tuner: the tuner to use. If not given, it is created from `settings`.
            keep_capabilities: use the base model as `lm.model` of a fine-tuned LM that is served on demand, and `model_id` to
                invoke it. litellm then still supports structured output and native tools. DSPy's `BetterTogether` compares
                `lm.model` to detect whether an LM was fine-tuned, and does not detect it then.
            settings: `stage`, `region`, `deployment`, `session`, `poll`: see `Tuner`.
        """
        super().__init__(tuner, **settings)
        self._keep_capabilities = keep_capabilities
        self._launched: dict[str, Tuner | None] = {}
        self._lock = threading.Lock()

    @staticmethod
    def is_provider_model(model: str) -> bool:
        """Return whether DSPy's name of a model is a model of Bedrock."""
        return model.startswith("bedrock/")

    def finetune(self, job: TuningJob, *args: Any, **kwargs: Any) -> str:
        """Fine-tune, and return DSPy's name of the fine-tuned model. `dspy.LM` calls this in its thread."""
        job.keep_capabilities = self._keep_capabilities
        return super().finetune(job, *args, **kwargs)

    def lm(self, model: str, **settings: Any) -> dspy.LM:
        """Create an LM that is invoked with the same profile that fine-tunes it.

        Args:
            model: DSPy's name of the model, `bedrock/...`.
            settings: other arguments of `dspy.LM`.
        """
        return dspy.LM(model, provider=self, **{**self._fine_tuned_lm_settings, **settings})

    @property
    def _fine_tuned_lm_settings(self) -> dict[str, str]:
        return profile_settings(self._tuner)

    def tuner_for(self, lm: dspy.LM | None) -> Tuner:
        """Return the tuner that fine-tunes an LM, with the LM's own credentials if it has any."""
        return with_aws_credentials(self._tuner, lm)

    def _endpoint_tuner_for(self, lm: dspy.LM) -> Tuner:
        """Return the tuner that starts and stops the endpoints of an LM."""
        return with_aws_credentials(self._tuner, lm, ignore_unusable=True)

    def launch(self, lm: dspy.LM, launch_kwargs: Mapping[str, Any] | None = None) -> None:
        """Start the endpoint of a fine-tuned LM, wait until it is ready, and set `lm.model` to it.

        If the endpoint that the LM invokes exists, it is used, even if it was not started by Tunestack. Base models need no
        endpoint. Provisioned throughput is billed by the hour until `lm.kill()`, or until the stage's guard deletes it.

        Args:
            lm: the LM of a fine-tuned model, or of an endpoint of one, which may have been deleted.
            launch_kwargs: `ttl`, `serving`, `model_units`, `unguarded`: see `Job.start_endpoint`. Defaults to those that the LM
                was created with. DSPy saves them as JSON: there, `ttl` is in seconds.

        Raises:
            ConfigError: an option is unknown or invalid.
            ModelError: the endpoint of the LM was deleted, and its model is unknown.
        """
        model = self._model_of(lm)
        if model is None:
            return
        options = _launch_options(lm, launch_kwargs)
        tuner = self._endpoint_tuner_for(lm)
        with (
            self._lock
        ):  # before the endpoint exists, so that it can be stopped if the wait is interrupted
            self._launched[model] = None if tuner is self._tuner else tuner
        is_another = bool(options.keys() & {"serving", "model_units"})
        existing = None if is_another else self._endpoint_of(lm)
        if existing is not None:
            existing.wait()
            return
        endpoint = tuner.start_endpoint(model, **options)
        self._set_route(lm, model, to_route(endpoint.id))

    def kill(self, lm: dspy.LM, launch_kwargs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - from DSPy
        """Stop the provisioned throughput of a fine-tuned LM, even if it is still starting, and set `lm.model` to the model.

        On-demand deployments are kept: they cost nothing while idle. Base models are left unchanged. An endpoint that was not
        started by Tunestack is not stopped: a warning is logged, because it is still billed.
        """
        self._stop_endpoints(lm, Serving.PROVISIONED)

    def stop(self, lm: dspy.LM) -> None:
        """Stop all endpoints of a fine-tuned LM, including on-demand deployments. `launch` starts one again."""
        self._stop_endpoints(lm, None)

    def _stop_endpoints(self, lm: dspy.LM, serving: str | None) -> None:
        try:
            model = self._model_of(lm)
        except ModelError:  # the endpoint was deleted
            return
        if model is None:
            return
        self._stop_model(model, self._endpoint_tuner_for(lm), serving)
        remaining = self._endpoint_of(lm)
        if remaining is None:
            self._set_route(lm, model, to_route(model))
        elif remaining.serving is Serving.PROVISIONED:
            logger.warning(
                "endpoint %s was not started by Tunestack, and is not stopped: it is billed by the hour until "
                "tuner.endpoint(%r).stop()",
                remaining.name,
                remaining.id,
            )

    @property
    def launched(self) -> frozenset[str]:
        """The fine-tuned models whose endpoints this provider has launched and not stopped yet."""
        with self._lock:
            return frozenset(self._launched)

    def stop_launched(self, *, but: frozenset[str] = frozenset()) -> None:
        """Stop the provisioned throughput that this provider has launched. One that can't be stopped does not prevent others.

        Args:
            but: the fine-tuned models whose endpoints are kept.

        Raises:
            TunestackError: the first error, after all were tried.
        """
        with self._lock:
            launched = dict(self._launched)
        try_all(
            partial(self._stop_model, model, tuner or self._tuner, Serving.PROVISIONED)
            for model, tuner in launched.items()
            if model not in but
        )

    def _stop_model(self, model: str, tuner: Tuner, serving: str | None) -> None:
        tuner.stop_endpoint(model, serving)
        with self._lock:
            self._launched.pop(model, None)

    def _set_route(self, lm: dspy.LM, model: str, route: str) -> None:
        """Set the route of an LM, and store its state."""
        state = LMState.of(lm)
        if state is None:
            custom_model = self._endpoint_tuner_for(lm).custom_model(model)
            state = LMState(
                model=model,
                routes=(to_route(model), route_of(lm)),
                base=custom_model.base.key,
                rendering=custom_model.rendering or "",
            )
        state.apply(lm, route, as_base=self._keep_capabilities)

    def _endpoint_of(self, lm: dspy.LM) -> Endpoint | None:
        """Return the endpoint that an LM invokes; `None` if it invokes none, or one that was deleted or has failed."""
        arn = Arn.parse(route_of(lm))
        if arn is None or not arn.is_endpoint:
            return None
        try:
            endpoint = self._endpoint_tuner_for(lm).endpoint(str(arn))
        except NotFoundError:
            return None
        return None if endpoint.state is EndpointState.FAILED else endpoint

    def _model_of(self, lm: dspy.LM) -> str | None:
        """Return the fine-tuned model of an LM; `None` for a base model."""
        state = LMState.of(lm)
        if state is not None:
            return state.model
        arn = Arn.parse(route_of(lm))
        if arn is None:
            return None
        if not arn.is_endpoint:
            return str(arn) if arn.resource_type == "custom-model" else None
        try:
            return self._endpoint_tuner_for(lm).endpoint(str(arn)).model
        except NotFoundError as error:
            raise ModelError(
                f"endpoint {shortened(str(arn))} was deleted, and its model is unknown: "
                "create the LM with the fine-tuned model (job.model)"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the parts that belong to this process."""
        return {"tuner": self._tuner, "keep_capabilities": self._keep_capabilities}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the provider, with no launched endpoints."""
        BedrockProvider.__init__(self, **state)


def _launch_options(lm: dspy.LM, launch_kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options of `launch`, those of the LM included.

    Raises:
        ConfigError: an option is unknown, or `ttl` is invalid.
    """
    options = {**(lm.launch_kwargs or {}), **(launch_kwargs or {})}
    options.pop(STATE_KEY, None)
    unknown = sorted(options.keys() - set(_LAUNCH_OPTIONS))
    if unknown:
        raise ConfigError(
            f"unknown option {unknown[0]!r} in launch_kwargs: use {', '.join(_LAUNCH_OPTIONS)}"
        )
    if options.get("ttl") is not None and not isinstance(options["ttl"], timedelta):
        options["ttl"] = to_seconds(options["ttl"], "ttl")
    return options
