"""Every name of litellm and AWS for a model of the catalog is resolved."""

import json
import re
from importlib.resources import files
from typing import get_args

import pytest
from litellm.constants import BEDROCK_INVOKE_PROVIDERS_LITERAL
from litellm.llms.bedrock import common_utils

from tunestack import catalog
from tunestack.catalog import CATALOG

BEDROCK_PREFIX = re.compile(r"bedrock(_[a-z]+)?/")
MICRO = "amazon.nova-micro-v1:0"
ACCOUNT = "123456789012"


def get_last_part(name):
    """Return the last part of a name in litellm's price list, with litellm's functions."""
    model = common_utils.get_bedrock_base_model(name.rsplit("/", 1)[-1])
    return re.sub(r":0$", "", model)


KNOWN = {
    get_last_part(name): model
    for model in CATALOG
    if model.provider == "bedrock"
    for name in model.names()
}
# The list in the package: importing litellm replaces it with a list from the network.
PRICES = json.loads(
    files("litellm").joinpath("model_prices_and_context_window_backup.json").read_text("utf-8")
)
NAMES_WITH_PRICES = sorted(
    name
    for name, price in PRICES.items()
    if get_last_part(name) in KNOWN
    and "bedrock" in str(price.get("litellm_provider", ""))
    # Prices of image sizes are not names of models.
    and not re.match(r"\d+-x-|max-x-", name)
)


def test_price_list_of_litellm_has_many_models_and_regions():
    assert len({KNOWN[get_last_part(name)].key for name in NAMES_WITH_PRICES}) > 10
    assert len([name for name in NAMES_WITH_PRICES if BEDROCK_PREFIX.match(name)]) > 10


@pytest.mark.parametrize("name", NAMES_WITH_PRICES)
def test_name_of_the_price_list_is_resolved(name):
    assert KNOWN[get_last_part(name)] == catalog.find(name)


@pytest.mark.parametrize(
    "geography", [*common_utils.get_bedrock_cross_region_inference_regions(), "ca"]
)
def test_geography_of_cross_region_inference_is_resolved(geography):
    assert catalog.find(f"bedrock/{geography}.{MICRO}") is catalog.CATALOG["nova-micro"]


@pytest.mark.parametrize("region", common_utils.get_all_bedrock_regions())
@pytest.mark.parametrize("route", ["", "converse/", "invoke/"])
def test_region_is_read_from_the_name(route, region):
    name = catalog.parse_name(f"bedrock/{route}{region}/us.{MICRO}")
    assert (region, MICRO) == (name.region, name.identifier)


@pytest.mark.parametrize(
    "route", ["", "bedrock/", "bedrock/converse/", "bedrock/invoke/", "converse/"]
)
@pytest.mark.parametrize(
    ("arn", "region"),
    [
        (f"arn:aws:bedrock:us-east-1::foundation-model/{MICRO}", "us-east-1"),
        (f"arn:aws:bedrock:us-west-2:{ACCOUNT}:inference-profile/us.{MICRO}", "us-west-2"),
        (f"arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/{MICRO}", "us-gov-west-1"),
        (
            f"arn:aws-us-gov:bedrock:us-gov-west-1:{ACCOUNT}:inference-profile/us-gov.{MICRO}",
            "us-gov-west-1",
        ),
        (f"arn:aws-cn:bedrock:cn-north-1::foundation-model/{MICRO}:128k", "cn-north-1"),
        (f"arn:aws:bedrock:::foundation-model/{MICRO}", None),
    ],
)
def test_arn_with_any_route_is_resolved(route, arn, region):
    assert catalog.find(route + arn) is catalog.CATALOG["nova-micro"]
    assert region == catalog.parse_name(route + arn).region


@pytest.mark.parametrize("route", get_args(BEDROCK_INVOKE_PROVIDERS_LITERAL))
def test_route_that_litellm_removes_is_removed(route):
    name = f"bedrock/{route}/{MICRO}"
    stripped = common_utils.strip_bedrock_routing_prefix(name)
    if "/" not in stripped:
        assert catalog.find(name) is catalog.CATALOG["nova-micro"]


@pytest.mark.parametrize(
    "name", [f"{MICRO}:24k", f"{MICRO}:128k", f"us.{MICRO}[128k]", f" {MICRO} ", MICRO.upper()]
)
def test_context_window_spaces_and_case_are_ignored(name):
    assert catalog.find(name) is catalog.CATALOG["nova-micro"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "bedrock/",
        "bedrock/us-east-1/",
        f"nowhere/{MICRO}",
        f"xx.{MICRO}",
        f"arn:aws:s3:us-east-1::foundation-model/{MICRO}",
        f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/0123456789ab",
        f"arn:aws:bedrock:us-east-1:{ACCOUNT}:provisioned-model/{MICRO}",
    ],
)
def test_other_names_are_not_resolved(name):
    assert catalog.find(name) is None


def test_identifiers_of_models_are_unique():
    names = [{catalog.parse_name(name).identifier for name in model.names()} for model in CATALOG]
    assert sum(map(len, names)) == len(set().union(*names))


@pytest.mark.parametrize(
    "name",
    [
        "global.amazon.nova-2-lite-v1:0",
        "bedrock/converse/global.amazon.nova-2-lite-v1:0",
        f"arn:aws:bedrock:us-west-2:{ACCOUNT}:inference-profile/global.amazon.nova-2-lite-v1:0",
    ],
)
def test_global_inference_profile_is_resolved(name):
    assert catalog.find(name) is CATALOG["nova-2-lite"]
