"""Prices of AWS's price list, read with the Price List API (`pricing:GetProducts`).

The structure of a product: the example of `GetProducts` in the AWS CLI reference. The usage types: public repositories that
read them (2026-11-29), see the catalog.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tunestack._utils import clock
from tunestack.backends.bedrock.errors import translate_errors
from tunestack.catalog import Confidence, Price, Serving
from tunestack.errors import TunestackError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.backends.bedrock.clients import Clients
    from tunestack.catalog import BaseModel
    from tunestack.catalog.model import PriceKind

logger = logging.getLogger(__name__)

_PRICING_REGION = "us-east-1"
"""A region of the Price List API, which has the prices of all regions."""
_REGION_CODES = {"us-east-1": "USE1", "us-west-2": "USW2"}
_USAGE_TYPES: Mapping[PriceKind, str] = MappingProxyType(
    {
        "training": "Customization-Training",
        "storage": "Customization-Storage",
        "input": "input-tokens-custom-model",
        "output": "output-tokens-custom-model",
        "provisioned": "ProvisionedThroughput-NoCommit-ModelUnits",
    }
)
_RETRY_AFTER = 300.0
"""Seconds without a request after one has failed: without permission or network, each would fail, or take seconds."""
_TOKENS = re.compile(r"1([KM]) tokens", re.IGNORECASE)
_MILLIONS = {"K": 1000, "M": 1}
_OTHER_UNITS: Mapping[PriceKind, re.Pattern[str]] = MappingProxyType(
    {
        "storage": re.compile(r"model|month", re.IGNORECASE),
        "provisioned": re.compile(r"\bh(ou)?rs?\b", re.IGNORECASE),
    }
)


class PriceReader:
    """Reads prices from AWS's price list, once a day for each model and region."""

    def __init__(self, clients: Clients) -> None:
        """Store the clients; no call is made here."""
        self._clients = clients
        self._found: dict[tuple[str, str, date], Mapping[PriceKind, Price]] = {}
        self._failed = -math.inf

    def read(self, model: BaseModel, region: str) -> Mapping[PriceKind, Price]:
        """Return the prices of a base model: those of the price list, and for others those of the catalog.

        If the price list can't be read, for whatever reason, the prices are those of the catalog. No error is raised.
        """
        key = (model.key, region, clock.today())
        if key not in self._found:
            if time.monotonic() - self._failed < _RETRY_AFTER:
                return model.prices
            try:
                self._found[key] = self._read_list(model, region)
            # botocore raises the built-in errors for an answer of an unknown form.
            except (TunestackError, AttributeError, LookupError, TypeError) as error:
                logger.info("AWS's price list can't be read, using the catalog's prices: %s", error)
                self._failed = time.monotonic()
                return model.prices
        return {**model.prices, **self._found[key]}

    def _read_list(self, model: BaseModel, region: str) -> Mapping[PriceKind, Price]:
        """Read the prices that a model of its serving is billed by."""
        if model.usage_type is None or region not in _REGION_CODES:
            return {}
        is_on_demand = Serving.ON_DEMAND in model.serving
        found = {}
        for kind, ending in _USAGE_TYPES.items():
            if kind in (("provisioned",) if is_on_demand else ("input", "output")):
                continue
            usage_type = f"{_REGION_CODES[region]}-{model.usage_type}-{ending}"
            price = self._read_price(kind, usage_type)
            if price is not None:
                found[kind] = price
        return found

    def _read_price(self, kind: PriceKind, usage_type: str) -> Price | None:
        with translate_errors(f"reading the price of {usage_type}"):
            answer = self._clients.get("pricing", _PRICING_REGION).get_products(
                ServiceCode="AmazonBedrock",
                Filters=[{"Type": "TERM_MATCH", "Field": "usagetype", "Value": usage_type}],
            )
        prices = {_parse_price(kind, product) for product in answer.get("PriceList", ())}
        price = prices.pop() if len(prices) == 1 else None
        if price is None:
            logger.debug("AWS's price list has no single price of %s in a known form", usage_type)
        return price


def _parse_price(kind: PriceKind, text: str) -> Price | None:
    """Return the price of a product of the price list; `None` if the product has an unknown form."""
    try:
        product: Any = json.loads(text)
        (term,) = product["terms"]["OnDemand"].values()
        (dimension,) = term["priceDimensions"].values()
        usd, unit = float(dimension["pricePerUnit"]["USD"]), str(dimension["unit"])
        seen = date.fromisoformat(product["publicationDate"][:10])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    if kind in _OTHER_UNITS:
        is_known = _OTHER_UNITS[kind].search(unit) is not None
    else:
        tokens = _TOKENS.search(unit)
        is_known = tokens is not None
        usd *= _MILLIONS[tokens[1].upper()] if tokens else 1
    if not is_known or not 0 < usd < math.inf:
        return None
    return Price(
        usd=usd, confidence=Confidence.HIGH, source="AWS Price List API", seen=seen, is_live=True
    )
