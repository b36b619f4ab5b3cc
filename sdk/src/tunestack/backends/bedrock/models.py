"""Custom models on Amazon Bedrock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack.backends.bedrock import wire
from tunestack.backends.bedrock.errors import translate_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_bedrock import BedrockClient

    from tunestack.backends.base import CustomModelInfo

_PAGE = 1000


class BedrockModels:
    """The part of `tunestack.backends.protocols.Backend` for custom models on Amazon Bedrock, in one region of one account."""

    @property
    def _control(self) -> BedrockClient:
        raise NotImplementedError

    def custom_model(self, model_id: str) -> CustomModelInfo:
        """Get a custom model, by its ARN or name."""
        with translate_errors(f"getting custom model {model_id!r}"):
            return wire.custom_model_info(self._control.get_custom_model(modelIdentifier=model_id))

    def custom_models(self, *, name_contains: str | None = None) -> Iterator[CustomModelInfo]:
        """List the custom models that the account owns in the region, the newest first; shared models are left out."""
        pages = self._control.get_paginator("list_custom_models").paginate(
            **wire.list_custom_models(name_contains), PaginationConfig={"PageSize": _PAGE}
        )
        with translate_errors("listing custom models"):
            for page in pages:
                for row in page.get("modelSummaries", ()):
                    yield wire.custom_model_info(row)

    def delete_custom_model(self, model_id: str) -> None:
        """Delete a custom model, by its ARN or name."""
        with translate_errors(f"deleting custom model {model_id!r}"):
            self._control.delete_custom_model(modelIdentifier=model_id)
