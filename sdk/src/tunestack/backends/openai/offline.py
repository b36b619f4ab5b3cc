"""Find a model of OpenAI in the catalog only, for cost estimates: no service is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tunestack import catalog
from tunestack._utils import clock
from tunestack.backends.openai import wire
from tunestack.backends.protocols import DataStore, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.catalog import BaseModel, Price
    from tunestack.catalog.model import PriceKind


class OpenAIStore:
    """The `DataStore` of OpenAI. It validates arguments without calls."""

    def check_location(self, location: str) -> None:
        """Raise `ConfigError`: OpenAI stores the data itself."""
        raise wire.unsupported_location(location)

    def check_tags(self, tags: Mapping[str, str]) -> None:
        """Raise `ConfigError` if the tags don't fit into a job's metadata."""
        wire.check_tags(tags)

    def open(self, uri: str) -> BinaryIO:
        """Raise `ConfigError`: data for OpenAI is read from a local file."""
        raise wire.unsupported_uri(uri)

    def prices(self, model: BaseModel) -> Mapping[PriceKind, Price]:
        """Return the prices of the catalog: OpenAI has no API for prices."""
        return model.prices


def resolve_offline(identifier: str, *, is_other_server: bool) -> Target[DataStore]:
    """Find a model in the catalog.

    Args:
        identifier: the model's id, without `openai/`.
        is_other_server: jobs are sent to another server with OpenAI's API, which may have models of its own.

    Raises:
        ModelError: the model is unknown, or can't be fine-tuned.
    """
    known = catalog.find(identifier)
    if is_other_server and (known is None or known.provider != "openai"):
        base = catalog.unknown(identifier)
    else:
        base = catalog.require(identifier, on=clock.today(), provider="openai")
        if not is_other_server:  # the dates are OpenAI's
            catalog.require_living(base, on=clock.today(), service_state=None)
    return Target(base=base, identifier=identifier, backend=OpenAIStore())
