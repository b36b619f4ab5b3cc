"""Fine-tuned models of OpenAI or an OpenAI-compatible server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack.backends.openai import wire
from tunestack.backends.openai.errors import translate_errors
from tunestack.errors import ModelError, NotFoundError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import openai
    from openai.types import Model

    from tunestack.backends.base import CustomModelInfo, StoredData

OPENAI_OWNERS = ("openai", "openai-dev", "openai-internal", "system")
"""The `owned_by` of OpenAI's own models."""

_NEWEST = 10
"""Events that are read for the loss."""
# OpenAI's error code for a model that does not exist. Another 404 may come from a proxy, or a server without this route.
_MODEL_NOT_FOUND = "model_not_found"


class OpenAIModels:
    """The part of `tunestack.backends.protocols.Backend` for custom models of one project."""

    _client: openai.OpenAI

    def job_slots(self) -> None:
        """Return `None`: OpenAI has no API for the limits of fine-tuning jobs."""

    def latest_loss(self, job_id: str) -> float | None:
        """Get the training loss of the last step, from the newest events of a job."""
        with translate_errors(f"listing the events of job {job_id!r}"):
            events = self._client.fine_tuning.jobs.list_events(job_id, limit=_NEWEST).data
        losses = (wire.job_message(event).data.get("train_loss") for event in events)
        return next((loss for loss in losses if isinstance(loss, float)), None)

    def stored_data(self) -> Iterator[StoredData]:
        """Return none: OpenAI does not bill files for fine-tuning."""
        return iter(())

    def custom_model(self, model_id: str) -> CustomModelInfo:
        """Get a fine-tuned model, by its id."""
        try:
            with translate_errors(f"getting model {model_id!r}"):
                return wire.custom_model_info(self._get_fine_tuned(model_id))
        except NotFoundError as error:
            if error.code == _MODEL_NOT_FOUND:
                raise
            raise ProviderError(
                f"{error} (the response does not confirm that the model was deleted)"
            ) from error

    def custom_models(self, *, name_contains: str | None = None) -> Iterator[CustomModelInfo]:
        """List the fine-tuned models of the project, the newest first."""
        with translate_errors("listing models"):
            models = [model for model in self._client.models.list() if model.id.startswith("ft:")]
            for model in sorted(models, key=lambda model: (-(model.created or 0), model.id)):
                if (name_contains or "") in model.id:
                    yield wire.custom_model_info(model)

    def delete_custom_model(self, model_id: str) -> None:
        """Delete a fine-tuned model; OpenAI requires the role of an owner of the organization."""
        with translate_errors(f"deleting model {model_id!r}"):
            self._get_fine_tuned(model_id)
            self._client.models.delete(model_id)

    def _get_fine_tuned(self, model_id: str) -> Model:
        """Get a fine-tuned model.

        Raises:
            ModelError: it is a base model of OpenAI.
        """
        model = self._client.models.retrieve(model_id)
        if model.owned_by in OPENAI_OWNERS and not model_id.startswith("ft:"):
            raise ModelError(
                f"{model_id!r} is a base model: pass a fine-tuned model (job.model), see "
                "`tunestack custom-models list --provider openai`"
            )
        return model
