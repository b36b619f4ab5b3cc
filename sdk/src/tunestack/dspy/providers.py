"""DSPy's ways to Bedrock and to OpenAI."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import dspy

from tunestack.backends.base import EndpointState
from tunestack.backends.bedrock.arn import Arn
from tunestack.backends.openai.client import create_client
from tunestack.catalog import Serving
from tunestack.dspy.base import TunestackProvider
from tunestack.dspy.credentials import at_openai, on_aws, settings_of
from tunestack.dspy.kept import KEY, Kept, asked, routed
from tunestack.endpoints.start import try_all
from tunestack.errors import (
    ConfigError,
    ModelError,
    NotFoundError,
    shortened,
)
from tunestack.polling import to_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.dspy.job import TuningJob
    from tunestack.endpoints.endpoint import Endpoint
    from tunestack.tuner import Tuner

logger = logging.getLogger(__name__)

_HOURLY = Serving.PROVISIONED
_LAUNCH_OPTIONS = ("serving", "ttl", "model_units", "unguarded")


class BedrockProvider(TunestackProvider):
    """DSPy's way to Bedrock: `dspy.LM("bedrock/...", provider=BedrockProvider())`.

    `train_kwargs` holds hyperparameters (`epochCount`, `batchSize`, `learningRate`, and each model's own); from
    `Tuner.submit`, `s3_path`, `validation_data`, `record_format`, `on_loss`, `ignore`, `name`, `tags`, `max_cost`, `rerun` and
    `queue` (on if not given: wait for a free job slot, at most 24 hours); and `timeout`, the seconds to wait for the job.
    Credentials that the LM has of its own (`aws_profile_name`, `aws_access_key_id` ...) are used for fine-tuning too, unless a
    `session` was passed here.
    A fine-tuned model that can be served on demand is deployed at the end of the job, which costs nothing while idle;
    one that needs provisioned throughput answers after `job.start_endpoint()`, or `lm.launch()`, until `lm.kill()`.
    """

    def __init__(
        self, tuner: Tuner | None = None, *, keep_capabilities: bool = False, **settings: Any
    ) -> None:
        """Say where to work, as far as the environment does not.

        Args:
            tuner: does the work; made of `settings` if not given.
            keep_capabilities: let litellm take a tuned model that is served on demand for its base model, so that
                structured output and native tools stay on, and call it by `model_id`. Then `lm.model` does not tell it
                from the base model, which DSPy's `BetterTogether` goes by to tell whether anything was tuned.
            settings: `stage`, `region`, `deployment`, `session`, `poll`: see `Tuner`.
        """
        super().__init__(tuner, **settings)
        self._keep_capabilities = keep_capabilities
        self._launched: dict[str, Tuner | None] = {}
        self._lock = threading.Lock()

    @staticmethod
    def is_provider_model(model: str) -> bool:
        """Tell whether DSPy's name of a model is one of Bedrock's."""
        return model.startswith("bedrock/")

    def finetune(self, job: TuningJob, *what: Any, **more: Any) -> str:
        """Fine-tune, and return what DSPy is to call the fine-tuned model; called by `dspy.LM` in its thread."""
        job.keep_capabilities = self._keep_capabilities
        return super().finetune(job, *what, **more)

    def lm(self, model: str, **settings: Any) -> dspy.LM:
        """Make an LM that calls with the profile of the session by which it is fine-tuned.

        Args:
            model: as DSPy calls it, `bedrock/...`.
            settings: whatever else `dspy.LM` takes.
        """
        return dspy.LM(model, provider=self, **{**self._lm_settings, **settings})

    @property
    def _lm_settings(self) -> dict[str, str]:
        return settings_of(self._tuner)

    def _tuner_of(self, lm: dspy.LM | None) -> Tuner:
        return on_aws(self._tuner, lm)

    def _serving_tuner(self, lm: dspy.LM) -> Tuner:
        """Return the tuner that starts and stops the endpoints of an LM."""
        return on_aws(self._tuner, lm, only_known=True)

    def launch(self, lm: dspy.LM, launch_kwargs: Mapping[str, Any] | None = None) -> None:
        """Start the endpoint of a tuned LM, wait until it answers, and let the LM ask it; a base model needs none.

        What the LM asks already, whoever started it, is kept.

        Provisioned throughput is billed by the hour until `lm.kill()`, or until the stage's guard ends it.

        Args:
            lm: by the tuned model, or by an endpoint of it, which may be gone.
            launch_kwargs: `ttl`, `serving`, `model_units`, `unguarded`, as of `Job.start_endpoint`; else those that the LM was
                made with. DSPy saves these with the LM as JSON: there `ttl` may be in seconds.

        Raises:
            ConfigError: there is no such option.
            ModelError: the LM asks an endpoint that is gone, and nobody kept what it served.
        """
        model = self._model_of(lm)
        if model is None:
            return
        options = _options(lm, launch_kwargs)
        tuner = self._serving_tuner(lm)
        with self._lock:  # before it exists: whatever interrupts the wait, it can be stopped
            self._launched[model] = None if tuner is self._tuner else tuner
        other = options.keys() & {"serving", "model_units"}
        there = None if other else self._asked(lm)
        if there is not None:
            there.wait()
            return
        endpoint = tuner.start_endpoint(model, **options)
        self._point(lm, model, routed(endpoint.id))

    def kill(self, lm: dspy.LM, launch_kwargs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - DSPy's
        """Stop what serves a tuned LM and is billed by the hour, also one that is still starting; the LM is by its model again.

        What is served on demand costs nothing while idle, and stays; a base model is left alone, and so is what Tunestack has
        not started: a warning tells that it is billed on.
        """
        self._end(lm, _HOURLY)

    def stop(self, lm: dspy.LM) -> None:
        """Stop every endpoint of a tuned LM, on demand too; `launch` starts it again."""
        self._end(lm, None)

    def _end(self, lm: dspy.LM, serving: str | None) -> None:
        try:
            model = self._model_of(lm)
        except ModelError:  # its endpoint is gone
            return
        if model is None:
            return
        self._stop(model, self._serving_tuner(lm), serving)
        left = self._asked(lm)
        if left is None:
            self._point(lm, model, routed(model))
        elif left.serving is _HOURLY:
            logger.warning(
                "%s was not started by Tunestack, and is not stopped: it is billed by the hour until "
                "tuner.endpoint(%r).stop()",
                left.name,
                left.id,
            )

    @property
    def launched(self) -> frozenset[str]:
        """The tuned models that `launch` started an endpoint for, from here, and nobody has stopped since."""
        with self._lock:
            return frozenset(self._launched)

    def stop_launched(self, *, but: frozenset[str] = frozenset()) -> None:
        """Stop what `launch` started from here, but for some; one that can't be stopped keeps no other running.

        Raises:
            TunestackError: the first thing that went wrong, once all were tried.
        """
        with self._lock:
            launched = dict(self._launched)
        try_all(
            partial(self._stop, model, tuner or self._tuner, _HOURLY)
            for model, tuner in launched.items()
            if model not in but
        )

    def _stop(self, model: str, tuner: Tuner, serving: str | None) -> None:
        tuner.stop_endpoint(model, serving)
        with self._lock:
            self._launched.pop(model, None)

    def _point(self, lm: dspy.LM, model: str, route: str) -> None:
        """Let an LM ask by a route, and keep what it serves."""
        found = Kept.of(lm) or Kept(model=model, routes=(routed(model), asked(lm)))
        found.put(lm, route, as_base=self._keep_capabilities)

    def _asked(self, lm: dspy.LM) -> Endpoint | None:
        """Find the endpoint that an LM asks; `None` if it asks none, or one that is gone or will never answer."""
        arn = Arn.parse(asked(lm))
        if arn is None or not arn.is_endpoint:
            return None
        try:
            endpoint = self._serving_tuner(lm).endpoint(str(arn))
        except NotFoundError:
            return None
        return None if endpoint.state is EndpointState.FAILED else endpoint

    def _model_of(self, lm: dspy.LM) -> str | None:
        """Tell the tuned model of an LM; `None` for a base model."""
        found = Kept.of(lm)
        if found is not None:
            return found.model
        arn = Arn.parse(asked(lm))
        if arn is None:
            return None
        if not arn.is_endpoint:
            return str(arn) if arn.resource_type == "custom-model" else None
        try:
            return self._serving_tuner(lm).endpoint(str(arn)).model
        except NotFoundError as error:
            raise ModelError(
                f"endpoint {shortened(str(arn))} is gone, and with it what it served: make the LM by its tuned model (job.model)"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is of this process."""
        return {"tuner": self._tuner, "keep_capabilities": self._keep_capabilities}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin anew."""
        BedrockProvider.__init__(self, **state)


class OpenAIProvider(TunestackProvider):
    """DSPy's way to OpenAI, and to every server that speaks its fine-tuning API.

    `dspy.LM("openai/gpt-4o-mini-2024-07-18", provider=OpenAIProvider())`, or `OpenAIProvider(api_key=...).lm("openai/...")`
    where the key is not that of the environment. A key or server that the LM has of its own (`api_key`, `api_base`) is used for
    fine-tuning too, unless a client, key or server was passed here.
    `train_kwargs` holds hyperparameters (`n_epochs`, `batch_size`, `learning_rate_multiplier`; `epochCount` and `batchSize`
    are taken too), and from `Tuner.submit`, `validation_data`, `method`, `seed`, `suffix`, `record_format`, `on_loss`,
    `ignore`, `name`, `tags`, `max_cost`, `rerun` and `queue` (on if not given); and `timeout`, the seconds to wait for the job.
    A tuned model answers by its name: nothing is launched, and nothing is billed while it is idle.
    """

    def __init__(
        self,
        tuner: Tuner | None = None,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        **settings: Any,
    ) -> None:
        """Say who calls, as far as the environment (`OPENAI_API_KEY`, `OPENAI_BASE_URL`, ...) does not.

        Args:
            tuner: does the work; made of what else is given if not.
            api_key: the key.
            base_url: the server.
            organization: who is billed.
            project: of the organization.
            settings: `openai`, a client, or `poll`: see `Tuner`.
        """
        if tuner is not None and (api_key or base_url or organization or project):
            raise ConfigError(
                "give a tuner, or a key, a server, an organization or a project, not both"
            )
        said = {
            "api_key": api_key,
            "base_url": base_url,
            "organization": organization,
            "project": project,
        }
        given = {name: value for name, value in said.items() if value is not None}
        if given and "openai" in settings:
            raise ConfigError(f"give a client, or {', '.join(given)}, not both")
        if given:
            settings["openai"] = create_client(given)
        super().__init__(tuner, **settings)

    @staticmethod
    def is_provider_model(model: str) -> bool:
        """Tell whether DSPy's name of a model is one of OpenAI's."""
        return model.startswith(("openai/", "ft:"))

    def lm(self, model: str, **settings: Any) -> dspy.LM:
        """Make an LM that asks by the same key and server that it is tuned by.

        Args:
            model: as DSPy calls it, `openai/...`.
            settings: whatever else `dspy.LM` takes.
        """
        return dspy.LM(model, provider=self, **{**self.asked_by, **settings})

    def _tuner_of(self, lm: dspy.LM | None) -> Tuner:
        return at_openai(self._tuner, lm)

    @property
    def asked_by(self) -> dict[str, str]:
        """What tells an LM to ask by the key and at the server that it is tuned by; nothing where the environment tells it."""
        client = self._tuner.openai
        if client is None:
            return {}
        # A key that is made anew for each request is not to be had here.
        key = {"api_key": client.api_key} if client.api_key else {}
        return {**key, "api_base": str(client.base_url)}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the key, which is found anew where it is loaded; the server stays the same."""
        return {"tuner": self._tuner}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find the key anew."""
        OpenAIProvider.__init__(self, **state)


def _options(lm: dspy.LM, given: Mapping[str, Any] | None) -> dict[str, Any]:
    options = {
        name: value
        for name, value in {**(lm.launch_kwargs or {}), **(given or {})}.items()
        if name != KEY
    }
    unknown = sorted(options.keys() - set(_LAUNCH_OPTIONS))
    if unknown:
        raise ConfigError(f"launch_kwargs has {unknown[0]!r}: use {', '.join(_LAUNCH_OPTIONS)}")
    if options.get("ttl") is not None and not isinstance(options["ttl"], timedelta):
        options["ttl"] = to_seconds(options["ttl"], "ttl")
    return options
