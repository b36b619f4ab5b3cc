"""DSPy's provider for OpenAI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dspy

from tunestack.backends.openai.client import create_client
from tunestack.dspy.base import TunestackProvider
from tunestack.dspy.credentials import with_openai_credentials
from tunestack.errors import ConfigError

if TYPE_CHECKING:
    from tunestack.tuner import Tuner


class OpenAIProvider(TunestackProvider):
    """DSPy's provider for OpenAI and OpenAI-compatible servers.

    ```python
    lm = dspy.LM("openai/gpt-4o-mini-2024-07-18", provider=OpenAIProvider())
    lm = OpenAIProvider(api_key=...).lm("openai/gpt-4o-mini-2024-07-18")  # another key than the environment's
    ```

    An API key or server of the LM itself (`api_key`, `api_base`) is also used for fine-tuning, unless a client, key or server
    was passed here.
    `train_kwargs` takes hyperparameters (`n_epochs`, `batch_size`, `learning_rate_multiplier`; `epochCount` and `batchSize`
    are accepted too); the arguments of `Tuner.submit` `validation_data`, `method`, `seed`, `suffix`, `record_format`,
    `on_loss`, `ignore`, `name`, `tags`, `max_cost`, `rerun` and `queue` (on by default); and `timeout`, the seconds to wait for
    the job.
    A fine-tuned model is invoked by its name: there is nothing to launch, and it costs nothing while idle.
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
        """Set the account to use. Defaults to the environment (`OPENAI_API_KEY`, `OPENAI_BASE_URL`, ...).

        Args:
            tuner: the tuner to use. If not given, it is created from the other arguments.
            api_key: the API key.
            base_url: the URL of the server.
            organization: the organization that is billed.
            project: the project of the organization.
            settings: `openai`, a client, or `poll`: see `Tuner`.
        """
        if tuner is not None and (api_key or base_url or organization or project):
            raise ConfigError(
                "give a tuner, or a key, a server, an organization or a project, not both"
            )
        arguments = {
            "api_key": api_key,
            "base_url": base_url,
            "organization": organization,
            "project": project,
        }
        client_settings = {name: value for name, value in arguments.items() if value is not None}
        if client_settings and "openai" in settings:
            raise ConfigError(f"give a client, or {', '.join(client_settings)}, not both")
        if client_settings:
            settings["openai"] = create_client(client_settings)
        super().__init__(tuner, **settings)

    @staticmethod
    def is_provider_model(model: str) -> bool:
        """Return whether DSPy's name of a model is a model of OpenAI."""
        return model.startswith(("openai/", "ft:"))

    def lm(self, model: str, **settings: Any) -> dspy.LM:
        """Create an LM that is invoked with the same API key and server that fine-tune it.

        Args:
            model: DSPy's name of the model, `openai/...`.
            settings: other arguments of `dspy.LM`.
        """
        return dspy.LM(model, provider=self, **{**self.lm_settings, **settings})

    def tuner_for(self, lm: dspy.LM | None) -> Tuner:
        """Return the tuner that fine-tunes an LM, with the LM's own credentials if it has any."""
        return with_openai_credentials(self._tuner, lm)

    @property
    def lm_settings(self) -> dict[str, str]:
        """The settings of an LM that uses the provider's API key and server; empty if both come from the environment."""
        client = self._tuner.openai
        if client is None:
            return {}
        # A client that requests a new key for each call has no `api_key`.
        key = {"api_key": client.api_key} if client.api_key else {}
        return {**key, "api_base": str(client.base_url)}

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the API key, which is read from the environment after loading. The server is kept."""
        return {"tuner": self._tuner}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the provider with the API key of the environment."""
        OpenAIProvider.__init__(self, **state)
