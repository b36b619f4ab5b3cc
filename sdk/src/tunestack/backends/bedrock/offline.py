"""Find a model of Bedrock in the catalog only, for cost estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from tunestack import catalog
from tunestack._utils import clock
from tunestack.backends.bedrock.arn import Arn
from tunestack.backends.bedrock.s3 import Location, open_object
from tunestack.backends.protocols import DataStore, Target
from tunestack.errors import ModelError, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.backends.bedrock.clients import Clients
    from tunestack.backends.bedrock.prices import PriceReader
    from tunestack.catalog import BaseModel, Price
    from tunestack.catalog.model import PriceKind


@dataclass(frozen=True, slots=True)
class OfflineStore:
    """A `DataStore` on Bedrock. `open` reads the object that the caller named, and `prices` AWS's price list."""

    clients: Clients
    price_reader: PriceReader
    region: str

    def check_location(self, location: str) -> None:
        """Raise `ConfigError` if this is not an S3 location that Bedrock accepts."""
        Location.parse(location)

    def check_tags(self, tags: Mapping[str, str]) -> None:
        """Accept all tags: they were checked by AWS's rules before."""

    def open(self, uri: str) -> BinaryIO:
        """Open an object in S3."""
        return open_object(self.clients.get("s3", self.region), uri)

    def prices(self, model: BaseModel) -> Mapping[PriceKind, Price]:
        """Return the prices of AWS's price list, if the caller may read it, and those of the catalog."""
        return self.price_reader.read(model, self.region)


def resolve_offline(
    model: str,
    *,
    is_custom: bool,
    region: str | None,
    clients: Clients,
    price_reader: PriceReader,
) -> Target[DataStore]:
    """Find a base model, or the base model of a custom model, in the catalog.

    Args:
        model: a name of a base model, or an ARN.
        is_custom: `model` is the ARN of a custom model or of its endpoint.
        region: where the model is to be fine-tuned; not checked if not given.
        clients: read data that is given as an `s3://` URI.
        price_reader: reads AWS's price list.

    Raises:
        ModelError: the model is unknown, can't be fine-tuned, or the ARN does not name its base model.
    """
    if is_custom:
        arn = Arn.parse(model)
        if arn is None or arn.resource_type != "custom-model":
            raise ModelError(
                f"{shortened(model)} does not name its base model, and a cost estimate calls no service: "
                "pass the custom model (job.model) or the base model"
            )
        base, region = catalog.of_custom_model(model), arn.region
    else:
        base = catalog.require(model, on=clock.today(), provider="bedrock", region=region)
    catalog.require(base.key, on=clock.today(), provider="bedrock", region=region)
    catalog.require_living(base, on=clock.today(), service_state=None)
    return Target(
        base=base,
        identifier=model if is_custom else base.customization_id,
        backend=OfflineStore(clients, price_reader, region or base.regions[0]),
    )
