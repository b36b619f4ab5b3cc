"""The AWS Price List API: `GetProducts` for the prices of Bedrock's custom models.

The structure of a product is that of the example of `GetProducts` in the AWS CLI reference; usage types and units are those that
users read from the API (public repositories, 2026-11-29). The prices are invented: near AWS's, and equal to none in the catalog.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bedrock.metering import INPUT, OUTPUT, PROVISIONED, STORAGE, TRAINING
from tunestack_sandbox.messages import OperationCall, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack_sandbox.authentication import Caller

_SERVICE = "AmazonBedrock"
_PUBLISHED = "2026-10-30T17:04:22Z"
_REGIONS = {
    "USE1": ("us-east-1", "US East (N. Virginia)"),
    "USW2": ("us-west-2", "US West (Oregon)"),
}
_UNITS = {STORAGE: "Model", PROVISIONED: "hour"}
_TOKENS = "1K tokens"
_FEATURES = {PROVISIONED: "Provisioned Throughput Inference - no commit"}
_FAMILIES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "USE1-NovaMicro": (
        "Nova Micro",
        {TRAINING: "0.00105", STORAGE: "1.96", INPUT: "0.000036", OUTPUT: "0.000145"},
    ),
    "USE1-NovaLite": (
        "Nova Lite",
        {TRAINING: "0.0021", STORAGE: "1.96", INPUT: "0.000062", OUTPUT: "0.000245"}
        | {PROVISIONED: "108.2"},
    ),
    "USE1-NovaPro": (
        "Nova Pro",
        {TRAINING: "0.0081", STORAGE: "1.96", INPUT: "0.00082", OUTPUT: "0.00325"},
    ),
    "USE1-Nova2.0Lite": (
        "Nova 2.0 Lite",
        {TRAINING: "0.0038", STORAGE: "1.96", INPUT: "0.00031", OUTPUT: "0.00255"}
        | {PROVISIONED: "60.6"},
    ),
    "USW2-Llama3-1-8B": (
        "Llama 3.1 8B Instruct",
        {TRAINING: "0.0015", STORAGE: "1.96", PROVISIONED: "21.3"},
    ),
    "USW2-Llama3-1-70B": (
        "Llama 3.1 70B Instruct",
        {TRAINING: "0.008", STORAGE: "1.96", PROVISIONED: "24.1"},
    ),
    "USW2-Llama3-3-70B": (
        "Llama 3.3 70B Instruct",
        {TRAINING: "0.0034", STORAGE: "1.96", INPUT: "0.00073", OUTPUT: "0.00073"},
    ),
}
_PAGE = 100


class PriceList:
    """The service, a `JsonService`."""

    name = "pricing"
    invalid_code = "InvalidParameterException"

    @property
    def operations(self) -> Mapping[str, Callable[[OperationCall, Caller], Mapping[str, Any]]]:
        """The operations that the sandbox implements."""
        return {"GetProducts": _get_products}


def find_price(region: str, family: str, kind: str) -> tuple[str, str, float] | None:
    """Return the usage type, the unit and the price in US dollars, or `None` if the list has no such price.

    Args:
        region: The region.
        family: The name of the base model in usage types.
        kind: The end of the usage type.
    """
    for code, (name, _) in _REGIONS.items():
        usd = _FAMILIES.get(f"{code}-{family}", ("", {}))[1].get(kind)
        if name == region and usd is not None:
            return f"{code}-{family}-{kind}", _UNITS.get(kind, _TOKENS), float(usd)
    return None


def _get_products(call: OperationCall, _: Caller) -> Mapping[str, Any]:
    params = call.params
    filters = params.get("Filters", [])
    for row in filters:
        if row["Type"] not in ("TERM_MATCH", "EQUALS"):
            message = f"The sandbox does not implement filters of type {row['Type']}."
            raise ServiceError("InvalidParameterException", message)
    found = [
        product
        for product in _list_products()
        if params["ServiceCode"] == _SERVICE
        and all(_get_field(product, row["Field"]) == row["Value"] for row in filters)
    ]
    start = int(params.get("NextToken") or 0)
    end = start + params.get("MaxResults", _PAGE)
    answer: dict[str, Any] = {
        "FormatVersion": "aws_v1",
        "PriceList": [json.dumps(product) for product in found[start:end]],
    }
    return answer | ({"NextToken": str(end)} if end < len(found) else {})


def _get_field(product: Mapping[str, Any], field: str) -> str | None:
    if field == "ServiceCode":
        return _SERVICE
    value: str | None = product["product"]["attributes"].get(field)
    return value


def _list_products() -> list[dict[str, Any]]:
    return [
        _build_product(family, model, kind, usd)
        for family, (model, prices) in _FAMILIES.items()
        for kind, usd in prices.items()
    ]


def _build_product(family: str, model: str, kind: str, usd: str) -> dict[str, Any]:
    usage_type = f"{family}-{kind}"
    region, location = _REGIONS[family[:4]]
    sku = hashlib.sha256(usage_type.encode()).hexdigest()[:16].upper()
    unit = _UNITS.get(kind, _TOKENS)
    term = f"{sku}.JRTCKXETXF"
    dimension = {
        "unit": unit,
        "endRange": "Inf",
        "description": f"${usd} per {unit} for {usage_type}",
        "appliesTo": [],
        "rateCode": f"{term}.6YS6EN2CT7",
        "beginRange": "0",
        "pricePerUnit": {"USD": f"{float(usd):.10f}"},
    }
    return {
        "product": {
            "productFamily": "Amazon Bedrock",
            "attributes": {
                "model": model,
                "feature": _FEATURES.get(kind, "Model Customization"),
                "regionCode": region,
                "servicecode": _SERVICE,
                "servicename": "Amazon Bedrock",
                "location": location,
                "locationType": "AWS Region",
                "usagetype": usage_type,
                "operation": "",
            },
            "sku": sku,
        },
        "serviceCode": _SERVICE,
        "terms": {
            "OnDemand": {
                term: {
                    "priceDimensions": {dimension["rateCode"]: dimension},
                    "sku": sku,
                    "effectiveDate": "2026-10-01T00:00:00Z",
                    "offerTermCode": "JRTCKXETXF",
                    "termAttributes": {},
                }
            }
        },
        "version": "20261030170422",
        "publicationDate": _PUBLISHED,
    }
