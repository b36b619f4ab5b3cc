"""What the two kinds of accounts have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.accounts.catalog_target import CatalogTarget
    from tunestack.catalog import BaseModel
    from tunestack.provider import Check, Provider


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A model that is to be tuned, and where."""

    base: BaseModel
    identifier: str
    """What a job is created with: the base model's id, or that of an earlier tuned model."""
    provider: Provider
    output: str = ""
    """Where what a job leaves behind is to go, for vendors that ask."""
    owner: str | None = None
    """The account that the data belongs to."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What everything carries that is made there."""


class Account(Protocol):
    """Knows the models that can be tuned somewhere, and who tunes them."""

    def owns(self, identifier: str) -> bool:
        """Tell whether a job, an endpoint or a tuned model is one of this kind of account's, by how it is called."""
        ...

    def bare(self, identifier: str) -> str:
        """Take off what DSPy and litellm put before the name of a model or endpoint."""
        ...

    def checked_id(self, kind: str, identifier: str) -> str:
        """Return an id without what DSPy and litellm put before it, if it can be one of a kind.

        Raises:
            ConfigError: it can't; says what it is, and what is expected.
        """
        ...

    def target(self, model: str) -> Target:
        """Find a model that is to be tuned.

        Raises:
            ModelError: it can't be tuned; says why, and what can.
            ContractError: nothing is deployed where it is tuned.
        """
        ...

    def connect(self, model: str) -> None:
        """Create now what a job of a model needs: its deployment and its clients; errors are left to the job."""
        ...

    def catalog_target(self, model: str) -> CatalogTarget:
        """Find a model in the catalog alone: no service is called.

        Raises:
            ModelError: the model is unknown, or can't be fine-tuned.
        """
        ...

    def provider(self, identifier: str | None = None) -> Provider:
        """Return who has a job or an endpoint, by its id; without one, whoever is asked for all of them."""
        ...

    def tags(self, job_id: str) -> Mapping[str, str]:
        """Tell what an endpoint carries that is made for a job."""
        ...

    def preflight(self, model: BaseModel | None, name: str | None = None) -> list[Check]:
        """Check what can be known before money is spent.

        Args:
            model: the base model; `None` checks what every model needs.
            name: the name by which the caller specified it, which may contain a region.
        """
        ...
