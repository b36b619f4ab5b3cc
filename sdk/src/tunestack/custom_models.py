"""Custom models: what fine-tuning jobs leave behind, until it is deleted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tunestack.backends.accounts import BEDROCK
from tunestack.backends.identifiers import CUSTOM_MODEL
from tunestack.catalog import Serving
from tunestack.endpoints.endpoint import Endpoint, with_expiry
from tunestack.errors import ConflictError, NotFoundError
from tunestack.spec.arguments import checked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tunestack.backends.accounts import Accounts
    from tunestack.backends.base import CustomModelInfo, Provider
    from tunestack.catalog import BaseModel
    from tunestack.polling import Poll

logger = logging.getLogger(__name__)


class CustomModel:
    """One custom model: on Bedrock its storage is billed each month, at OpenAI it costs nothing while idle."""

    def __init__(self, provider: Provider, info: CustomModelInfo, *, poll: Poll) -> None:
        """Take an observation of the model; `tuner.custom_model(...)` makes one from a name or id."""
        self._provider = provider
        self._info = info
        self._poll = poll

    @property
    def id(self) -> str:
        """What `tuner.custom_model(...)` attaches to: on Bedrock the model's ARN, at OpenAI `ft:...`."""
        return self._info.id

    @property
    def name(self) -> str:
        """The model's name, on Bedrock unique in the account and region."""
        return self._info.name

    @property
    def base(self) -> BaseModel:
        """The base model that was fine-tuned.

        Raises:
            ModelError: it is not in the catalog; `info().base_model` has the provider's id of it.
        """
        return self._provider.base(self.id)

    @property
    def created(self) -> datetime | None:
        """When the model was created."""
        return self._info.created

    @property
    def job(self) -> str | None:
        """The id of the job that created it; `None` if the provider does not tell.

        Of a model from a list, Bedrock is asked for it.
        """
        if self._info.job is None:
            self.info()
        return self._info.job

    @property
    def last(self) -> CustomModelInfo:
        """The last observation, without a call."""
        return self._info

    def info(self) -> CustomModelInfo:
        """Get the model as it is now.

        Raises:
            NotFoundError: it was deleted.
        """
        self._info = self._provider.custom_model(self.id)
        return self._info

    def exists(self) -> bool:
        """Return whether the model still exists.

        Raises:
            ProviderError: the provider does not tell.
        """
        try:
            self.info()
        except NotFoundError:
            return False
        return True

    def endpoints(self) -> Iterator[Endpoint]:
        """List the endpoints that serve the model, of both kinds; at OpenAI a model needs none."""
        for info in self._provider.endpoints(model=self.id):
            if info.serving is not Serving.DIRECT:
                yield Endpoint(self._provider, with_expiry(self._provider, info), poll=self._poll)

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
            self._provider.delete_custom_model(self.id)
        except NotFoundError:
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
            "(`tunestack endpoint stop NAME`, or update them to another model)"
        )

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same custom model."""
        return isinstance(other, CustomModel) and self.id == other.id

    def __hash__(self) -> int:
        """Return the hash of the id."""
        return hash(self.id)

    def __repr__(self) -> str:
        """Show the name and the base model."""
        return f"<CustomModel {self.name} of {self._info.base_model.rsplit('/', 1)[-1]}>"


class CustomModels:
    """The part of `Tuner` that finds custom models."""

    _poll: Poll

    @property
    def _accounts(self) -> Accounts:
        raise NotImplementedError

    def custom_model(self, model_id: str) -> CustomModel:
        """Attach to a custom model by its ARN, or its name in the region; at OpenAI by `ft:...`.

        Raises:
            NotFoundError: it does not exist, or was deleted.
            ModelError: it is an endpoint, or cannot be a custom model by its name.
        """
        account, model_id = self._accounts.of_id(CUSTOM_MODEL, model_id)
        provider = account.provider(model_id)
        return CustomModel(provider, provider.custom_model(model_id), poll=self._poll)

    def custom_models(
        self, *, name_contains: str = "", provider: str = BEDROCK
    ) -> Iterator[CustomModel]:
        """List the custom models of the account in the region, or of the project at OpenAI, the newest first.

        Args:
            name_contains: only those whose name contains this.
            provider: `bedrock` or `openai`.

        Raises:
            ConfigError: an argument is invalid.
        """
        contained = checked("name_contains", name_contains, str) or None
        found = self._accounts.named(provider).provider()
        return (
            CustomModel(found, info, poll=self._poll)
            for info in found.custom_models(name_contains=contained)
        )
