"""Find a model in the catalog alone, for cost estimates: no service is called."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, BinaryIO, Protocol

from tunestack import catalog
from tunestack.arguments import region_of
from tunestack.errors import ModelError, shortened
from tunestack.providers import openai_requests
from tunestack.providers.s3 import Location, open_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.catalog import BaseModel
    from tunestack.providers.clients import Clients


class DataChecks(Protocol):
    """Checks the arguments of a job that depend on where its data is stored."""

    def check_location(self, location: str) -> None:
        """Raise `ConfigError` if the data can't be stored at this location."""
        ...

    def check_tags(self, tags: Mapping[str, str]) -> None:
        """Raise `ConfigError` if the provider does not accept these tags."""
        ...

    def open(self, uri: str) -> BinaryIO:
        """Open training data by its `s3://` URI."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogTarget:
    """A model to estimate a job for; has the attributes of `accounts.account.Target`."""

    base: BaseModel
    identifier: str
    provider: DataChecks
    output: str = ""
    owner: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BedrockDataChecks:
    """`DataChecks` for Bedrock. Only `open` calls a service: it reads the object that the caller named."""

    clients: Clients
    region: str

    def check_location(self, location: str) -> None:
        """Raise `ConfigError` if this is not an S3 location that Bedrock accepts."""
        Location.parse(location)

    def check_tags(self, tags: Mapping[str, str]) -> None:
        """Accept all tags: they were checked by AWS's rules before."""

    def open(self, uri: str) -> BinaryIO:
        """Open an object in S3."""
        return open_object(self.clients.get("s3", self.region), uri)


class OpenAIDataChecks:
    """`DataChecks` for OpenAI."""

    def check_location(self, location: str) -> None:
        """Raise `ConfigError`: OpenAI stores the data itself."""
        raise openai_requests.location_not_accepted(location)

    def check_tags(self, tags: Mapping[str, str]) -> None:
        """Raise `ConfigError` if the tags don't fit into a job's metadata."""
        openai_requests.require_fitting(tags)

    def open(self, uri: str) -> BinaryIO:
        """Raise `ConfigError`: data for OpenAI is read from a local file."""
        raise openai_requests.not_a_local_file(uri)


def today() -> date:
    """Return the current date in UTC, by this machine's clock."""
    return datetime.now(UTC).date()


def bedrock_target(model: str, *, arn: str, region: str | None, clients: Clients) -> CatalogTarget:
    """Find a base model, or the base model of a custom model, in the catalog.

    Args:
        model: the model as the caller named it.
        arn: the ARN of a custom model or endpoint, or an empty string if `model` names a base model.
        region: where the model is to be fine-tuned; not checked if not given.
        clients: reads data that is given as an `s3://` URI.

    Raises:
        ModelError: the model is unknown, can't be fine-tuned, or `arn` does not name its base model.
    """
    if arn:
        if ":custom-model/" not in arn:
            raise ModelError(
                f"{shortened(arn)} does not name its base model, and a cost estimate calls no service: "
                "pass the custom model (job.model) or the base model"
            )
        base, region = catalog.of_custom_model(arn), region_of(arn)
    else:
        base = catalog.require(model, on=today(), provider="bedrock", region=region)
    catalog.require(base.key, on=today(), provider="bedrock", region=region)
    catalog.require_living(base, on=today(), service_state=None)
    return CatalogTarget(
        base=base,
        identifier=arn or base.customization_id,
        provider=BedrockDataChecks(clients, region or base.regions[0]),
    )


def openai_target(identifier: str, *, is_other_server: bool) -> CatalogTarget:
    """Find an OpenAI model in the catalog.

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
        base = catalog.require(identifier, on=today(), provider="openai")
        catalog.require_living(base, on=today(), service_state=None)
    return CatalogTarget(base=base, identifier=identifier, provider=OpenAIDataChecks())
