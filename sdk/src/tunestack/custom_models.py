"""The handle of a custom model, which a fine-tuning job created."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tunestack.backends.base import CustomModelInfo
from tunestack.backends.handle import Handle
from tunestack.catalog import Serving
from tunestack.endpoints.endpoint import Endpoint
from tunestack.endpoints.expiry import with_expiry
from tunestack.errors import AccessError, ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tunestack.catalog import BaseModel
    from tunestack.records.target import Rendering

logger = logging.getLogger(__name__)


class CustomModel(Handle[CustomModelInfo]):
    """A custom model; on Bedrock its storage is billed each month, at OpenAI it costs nothing while idle."""

    @property
    def base(self) -> BaseModel:
        """The base model that was fine-tuned.

        Raises:
            ModelError: it is not in the catalog; `info.base_model` has the provider's id of it.
        """
        return self._backend.base(self.id)

    @property
    def rendering(self) -> Rendering | None:
        """How the prompts of its training data were written, for a model that is trained on prompts (Llama 3.1).

        `None` for other models, and if Tunestack did not create the model or the caller can't read its tags.
        """
        return self._backend.rendering(self.id)

    @property
    def created(self) -> datetime | None:
        """When the model was created."""
        return self._info.created

    @property
    def job(self) -> str | None:
        """The id of the job that created it; `None` if the provider does not tell.

        For a model from a list, this calls Bedrock.
        """
        if self._info.job is None:
            self.refresh()
        return self._info.job

    def refresh(self) -> CustomModelInfo:
        """Get the model from the provider.

        Raises:
            NotFoundError: it was deleted.
        """
        self._info = self._backend.custom_model(self.id)
        return self._info

    def exists(self) -> bool:
        """Return whether the model still exists.

        Raises:
            ProviderError: the provider does not tell.
        """
        try:
            self.refresh()
        except NotFoundError:
            return False
        return True

    def endpoints(self) -> Iterator[Endpoint]:
        """List the endpoints that serve the model, of both kinds; at OpenAI a model needs none."""
        for info in self._backend.endpoints(model=self.id):
            if info.serving is not Serving.DIRECT:
                yield Endpoint(self._backend, with_expiry(self._backend, info), poll=self._poll)

    def delete(self) -> None:
        """Delete the model for good, unless an endpoint serves it; returns if it was deleted before.

        It cannot be restored. Submitting the same data again trains another one, in a new job that is billed.

        Raises:
            ConflictError: an endpoint serves the model, or is being updated to it; nothing was deleted.
            AccessError: the caller may not delete it. The tuner policy allows models with the tag of its stage only.
        """
        names = [endpoint.name for endpoint in self.endpoints()]
        if names:
            raise ConflictError(self._in_use(f"served by endpoint {', '.join(map(repr, names))}"))
        try:
            self._backend.delete_custom_model(self.id)
        except (AccessError, NotFoundError) as error:
            # IAM is evaluated first: a deleted model has no tags, so the tuner policy does not allow the request.
            if isinstance(error, AccessError) and self.exists():
                raise
            logger.info("custom model %s was deleted before", self.name)
            return
        except ConflictError as error:
            raise ConflictError(
                self._in_use(f"in use ({error})"), code=error.code, request_id=error.request_id
            ) from error
        logger.info("custom model %s is deleted", self.name)

    def _in_use(self, how: str) -> str:
        return (
            f"custom model {self.name!r} is not deleted, it is {how}: stop its endpoints first "
            "(`tunestack endpoints stop NAME`, or update them to another model)"
        )

    def __repr__(self) -> str:
        """Show the name and the base model."""
        return f"<CustomModel {self.name} of {self._info.base_model.rsplit('/', 1)[-1]}>"
