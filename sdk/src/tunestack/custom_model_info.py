"""What every provider must be able to do with custom models, and how it describes one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomModelInfo:
    """One observation of a custom model, which a fine-tuning job created."""

    id: str
    """What `tuner.custom_model(id)` attaches to: on Bedrock the model's ARN, at OpenAI `ft:...`."""
    name: str
    base_model: str
    """The provider's id of the model that was fine-tuned."""
    state: str | None = None
    """The provider's own word (on Bedrock `Active`, `Creating` or `Failed`); `None` where it has none."""
    created: datetime | None = None
    job: str | None = None
    """The id of the job that created it; `None` in lists, and at OpenAI."""


class CustomModelProvider(Protocol):
    """A provider of custom models; part of `tunestack.provider.Provider`."""

    def custom_model(self, model_id: str) -> CustomModelInfo:
        """Get one custom model, by its id or name.

        Raises:
            NotFoundError: the provider says that it has no such model; every other answer is another error.
        """
        ...

    def custom_models(self, *, name_contains: str | None = None) -> Iterator[CustomModelInfo]:
        """List the custom models, the newest first."""
        ...

    def delete_custom_model(self, model_id: str) -> None:
        """Delete a custom model for good; `NotFoundError` if it does not exist."""
        ...
