"""Fine-tuned models at OpenAI, or at any server that has its API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack.backends.openai import wire
from tunestack.backends.openai.errors import translated
from tunestack.errors import ModelError, NotFoundError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import openai
    from openai.types import Model

    from tunestack.backends.base import CustomModelInfo

OWN = ("openai", "openai-dev", "openai-internal", "system")
"""The `owned_by` of OpenAI's own models."""

# OpenAI's code of a model that does not exist. Any other 404 may be a server without this route, or a proxy.
_NO_MODEL = "model_not_found"


class OpenAIModels:
    """The part of `tunestack.backends.base.Backend` for custom models of one project."""

    _client: openai.OpenAI

    def custom_model(self, model_id: str) -> CustomModelInfo:
        """Get one fine-tuned model, by its id."""
        try:
            with translated(f"getting model {model_id!r}"):
                return wire.custom_model_info(self._fine_tuned(model_id))
        except NotFoundError as error:
            if error.code == _NO_MODEL:
                raise
            raise ProviderError(
                f"{error} (the server does not say that the model does not exist)"
            ) from error

    def custom_models(self, *, name_contains: str | None = None) -> Iterator[CustomModelInfo]:
        """List the fine-tuned models of the project, the newest first."""
        with translated("listing models"):
            found = [model for model in self._client.models.list() if model.id.startswith("ft:")]
            for model in sorted(found, key=lambda model: (-(model.created or 0), model.id)):
                if (name_contains or "") in model.id:
                    yield wire.custom_model_info(model)

    def delete_custom_model(self, model_id: str) -> None:
        """Delete a fine-tuned model; OpenAI lets owners of the organization do that."""
        with translated(f"deleting model {model_id!r}"):
            self._fine_tuned(model_id)
            self._client.models.delete(model_id)

    def _fine_tuned(self, model_id: str) -> Model:
        """Get a model.

        Raises:
            ModelError: it is OpenAI's own.
        """
        found = self._client.models.retrieve(model_id)
        if found.owned_by in OWN and not model_id.startswith("ft:"):
            raise ModelError(
                f"{model_id!r} is a base model: pass a fine-tuned model (job.model), see "
                "`tunestack custom-models list --provider openai`"
            )
        return found
