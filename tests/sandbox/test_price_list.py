"""The Price List API of the sandbox, called with boto3."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from tunestack.catalog import CATALOG


@pytest.fixture
def read(tunestack_sandbox):
    """Return a function that reads the products with some attributes."""
    client = boto3.client("pricing", "us-east-1")

    def call(kind="TERM_MATCH", service="AmazonBedrock", **attributes):
        filters = [
            {"Type": kind, "Field": name, "Value": value} for name, value in attributes.items()
        ]
        return client.get_products(ServiceCode=service, Filters=filters)["PriceList"]

    return call


def test_product_has_the_structure_of_the_price_list(read):
    (text,) = read(usagetype="USE1-NovaPro-Customization-Training")
    product = json.loads(text)
    attributes = product["product"]["attributes"]
    assert attributes["servicecode"] == "AmazonBedrock"
    assert attributes["regionCode"] == "us-east-1"
    assert attributes["feature"] == "Model Customization"
    (term,) = product["terms"]["OnDemand"].values()
    (dimension,) = term["priceDimensions"].values()
    assert dimension["unit"] == "1K tokens"
    assert float(dimension["pricePerUnit"]["USD"]) == 0.0081
    assert product["publicationDate"].startswith("2026-10-30")


def test_products_are_filtered_by_all_filters(read):
    assert len(read()) > 20
    in_the_west = read(regionCode="us-west-2")
    assert 0 < len(in_the_west) < len(read())
    assert len(read(regionCode="us-west-2", feature="Model Customization")) < len(in_the_west)
    assert read(usagetype="USE1-NovaPro-Something") == []
    assert read(service="AmazonEC2") == []


def test_products_are_returned_in_pages(tunestack_sandbox):
    client = boto3.client("pricing", "us-east-1")
    pages = client.get_paginator("get_products").paginate(
        ServiceCode="AmazonBedrock", PaginationConfig={"PageSize": 10}
    )
    sizes = [len(page["PriceList"]) for page in pages]
    assert max(sizes) == 10
    assert sum(sizes) == len(client.get_products(ServiceCode="AmazonBedrock")["PriceList"])


def test_no_price_is_that_of_the_catalog(read):
    """Tests can tell where a price comes from."""
    prices = {price.usd for model in CATALOG for price in model.prices.values()}
    for text in read():
        (term,) = json.loads(text)["terms"]["OnDemand"].values()
        (dimension,) = term["priceDimensions"].values()
        usd = float(dimension["pricePerUnit"]["USD"])
        assert round(usd * (1000 if "tokens" in dimension["unit"] else 1), 6) not in prices


@pytest.mark.breaks_the_model
def test_invalid_and_unknown_requests_are_refused(tunestack_sandbox, read):
    with pytest.raises(ClientError, match="InvalidParameterException"):
        read(kind="SOMETHING", usagetype="x")
    with pytest.raises(ClientError, match="does not implement filters of type ANY_OF"):
        read(kind="ANY_OF", usagetype="x")
    with pytest.raises(ClientError, match="does not implement ListPriceLists"):
        boto3.client("pricing", "us-east-1").list_price_lists(
            ServiceCode="AmazonBedrock", EffectiveDate="2026-01-01", CurrencyCode="USD"
        )
