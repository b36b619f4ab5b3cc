"""Base models and custom models on Amazon Bedrock."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tunestack.backends.bedrock import wire
from tunestack.backends.bedrock.errors import translate_errors
from tunestack.backends.bedrock.region import BedrockRegion
from tunestack.catalog import LifecycleState
from tunestack.errors import AccessError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.backends.base import CustomModelInfo
    from tunestack.catalog import BaseModel, Price
    from tunestack.catalog.model import PriceKind

logger = logging.getLogger(__name__)

_PAGE = 1000


class BedrockModels(BedrockRegion):
    """The part of `tunestack.backends.protocols.Backend` for models on Amazon Bedrock, in one region of one account."""

    def latest_loss(self, job_id: str) -> None:
        """Return `None`: Bedrock writes the losses when the job has succeeded."""

    def lifecycle(self, model: BaseModel) -> LifecycleState | None:
        """Get the lifecycle state of a base model; `None` if the caller has no permission, or Bedrock does not list the model.

        Whether the list of a new account has all models is unknown, so a missing one is logged, and the catalog decides.
        """
        try:
            with translate_errors("listing models that can be fine-tuned"):
                response = self._control.list_foundation_models(byCustomizationType="FINE_TUNING")
        except (AccessError, TransientError):
            return None
        states = {
            row["modelId"]: row.get("modelLifecycle", {}).get("status")
            for row in response.get("modelSummaries", ())
        }
        known: Mapping[str | None, LifecycleState] = {
            "ACTIVE": LifecycleState.ACTIVE,
            "LEGACY": LifecycleState.LEGACY,
        }
        for identifier in (model.customization_id, *model.inference_ids):
            if identifier in states:
                return known.get(states[identifier])
        if states and model.lifecycle.state(self.now().date()) is LifecycleState.ACTIVE:
            logger.warning(
                "Bedrock does not list %s among the models that can be fine-tuned in %s: it may refuse the job",
                *(model.name, self._region),
            )
        return None

    def prices(self, model: BaseModel) -> Mapping[PriceKind, Price]:
        """Return the prices of AWS's price list, if the caller may read it, and those of the catalog."""
        return self._price_reader.read(model, self._region)

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
