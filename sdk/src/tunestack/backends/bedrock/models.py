"""Custom models on Amazon Bedrock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunestack.backends.bedrock import wire
from tunestack.backends.bedrock.errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_bedrock import BedrockClient

    from tunestack.backends.base import CustomModelInfo

_PAGE = 1000


class BedrockModels:
    """The part of `tunestack.backends.base.Backend` for custom models on Amazon Bedrock, in one region of one account."""

    @property
    def _control(self) -> BedrockClient:
        raise NotImplementedError

    def custom_model(self, model_id: str) -> CustomModelInfo:
        """Get one custom model, by ARN or name."""
        with translated(f"getting custom model {model_id!r}"):
            return wire.custom_model_info(self._control.get_custom_model(modelIdentifier=model_id))

    def custom_models(self, *, name_contains: str | None = None) -> Iterator[CustomModelInfo]:
        """List the custom models of the account in the region, the newest first; not those that others share with it."""
        pages = self._control.get_paginator("list_custom_models").paginate(
            **wire.list_custom_models(name_contains), PaginationConfig={"PageSize": _PAGE}
        )
        with translated("listing custom models"):
            for page in pages:
                for row in page.get("modelSummaries", ()):
                    yield wire.custom_model_info(row)

    def delete_custom_model(self, model_id: str) -> None:
        """Delete a custom model, by ARN or name."""
        with translated(f"deleting custom model {model_id!r}"):
            self._control.delete_custom_model(modelIdentifier=model_id)
