"""Prices of AWS's price list in cost estimates, with the catalog's as the fallback."""

import json
from dataclasses import replace

import boto3
import pytest

from tests.sdk.desks import GPT
from tunestack import Tuner
from tunestack.catalog import CATALOG
from tunestack.cli.commands import run
from tunestack.errors import CostError
from tunestack_sandbox.messages import Response


def count_requests(requests):
    return requests.sdk_counts["pricing", "GetProducts"]


def test_estimate_has_the_prices_of_the_price_list(tuner, chat):
    cost = tuner.cost("nova-micro", chat, hyperparameters={"epochCount": 2})
    assert cost.training_usd == pytest.approx(cost.tokens * 2 * 1.05 / 1_000_000)
    assert cost.storage_usd_a_month == 1.96
    assert cost.prices["training"] == "$1.05 (price list of 2026-10-30)"
    assert cost.prices["output"] == "$0.14 (price list of 2026-10-30)"
    assert "at $1.05 per million tokens (price list of 2026-10-30)" in "\n".join(cost.lines())


def test_hourly_price_is_that_of_the_price_list(west, completions):
    assert west.cost("llama-3-1-8b", completions).hosting_usd_an_hour == 21.3
    assert CATALOG["llama-3-1-8b"].prices.get("provisioned") is None


def test_price_that_the_list_lacks_is_that_of_the_catalog(west, completions):
    """The sandbox's list has no prices of Llama 3.2."""
    cost = west.cost("llama-3-2-1b", completions)
    assert cost.prices["storage"] == "$1.95 (catalog, undated, medium confidence)"
    assert cost.training_usd is None


def test_limit_is_compared_with_the_price_of_the_list(tuner, chat):
    """The catalog has no price of training Nova Pro."""
    with pytest.raises(
        CostError, match=r"at \$8\.10 per million tokens \(price list of 2026-10-30\)"
    ):
        tuner.submit("nova-pro", chat, max_cost=0.00001)
    assert tuner.submit("nova-pro", chat, max_cost=1)


def test_prices_are_read_once_a_day_and_only_for_estimates(tuner, chat, requests, monkeypatch):
    before = count_requests(requests)
    tuner.submit("nova-micro", chat).wait()
    assert count_requests(requests) == before
    tuner.cost("nova-micro", chat)
    once = count_requests(requests) - before
    assert once == 4, "training, storage, input and output"
    tuner.cost("nova-micro", chat)
    assert count_requests(requests) - before == once
    tuner.cost("nova-pro", chat)
    assert count_requests(requests) - before == 2 * once
    day = CATALOG["nova-micro"].seen
    monkeypatch.setattr("tunestack._utils.clock.today", lambda: day)
    tuner.cost("nova-micro", chat)
    assert count_requests(requests) - before == 3 * once


def test_estimate_for_openai_reads_no_price_list(tuner, chat, requests):
    before = count_requests(requests)
    assert "catalog" in tuner.cost(GPT, chat).prices["training"]
    assert count_requests(requests) == before


def assert_catalog_prices(cost):
    assert cost.prices["training"] == "$1.00 (catalog, undated, medium confidence)"
    assert cost.training_usd == pytest.approx(cost.tokens * cost.epochs / 1_000_000)


@pytest.mark.as_root
def test_caller_without_permission_gets_the_prices_of_the_catalog(poll, chat, requests):
    boto3.client("iam").create_user(UserName="no-prices")
    key = boto3.client("iam").create_access_key(UserName="no-prices")["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"])
    before = count_requests(requests)
    tuner = Tuner(session=session, poll=poll)
    for _ in range(2):
        assert_catalog_prices(tuner.cost("nova-micro", chat))
    assert count_requests(requests) - before == 1


def test_unreachable_price_list_has_the_prices_of_the_catalog(poll, chat, monkeypatch):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", "http://127.0.0.1:9")
    assert_catalog_prices(Tuner(poll=poll).cost("nova-micro", chat))


@pytest.fixture
def change_products(sandbox, intercept):
    """Return a function that changes the products in the responses of the price list."""

    def change(alter):
        client = boto3.client("pricing", "us-east-1")

        def handle(request):
            headers = {name.lower(): value for name, value in request.headers.items()}
            is_of_sdk = "tunestack" in headers.get("user-agent", "")
            if not (headers.get("x-amz-target", "").endswith(".GetProducts") and is_of_sdk):
                return None
            products = client.get_products(**json.loads(request.body))["PriceList"]
            body = {"FormatVersion": "aws_v1", "PriceList": [alter(row) for row in products]}
            return Response(status=200, body=json.dumps(body).encode())

        intercept(handle)

    return change


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>Sign in</html>"), (200, b"{}"), (200, b"[]"), (503, b"busy"), (302, b"")],
)
def test_answer_of_an_unknown_form_has_the_prices_of_the_catalog(
    tuner, chat, intercept, monkeypatch, status, body
):
    """A proxy may answer, instead of AWS."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)

    def handle(request):
        names = {name.lower(): value for name, value in request.headers.items()}
        is_prices = names.get("x-amz-target", "").endswith(".GetProducts")
        return Response(status=status, body=body) if is_prices else None

    intercept(handle)
    assert_catalog_prices(tuner.cost("nova-micro", chat))


def remove(*path):
    def alter(text):
        product = json.loads(text)
        target = product
        for name in path[:-1]:
            target = target[name]
        del target[path[-1]]
        return json.dumps(product)

    return alter


@pytest.mark.parametrize(
    "alter",
    [
        lambda _: "no JSON",
        lambda _: "[]",
        lambda text: text.replace("1K tokens", "hour"),
        lambda text: text.replace('"USD"', '"CNY"'),
        lambda text: text.replace('"USD": "0', '"USD": "-1'),
        lambda text: text.replace('"USD": "0', '"USD": "nan'),
        remove("terms", "OnDemand"),
        remove("publicationDate"),
    ],
)
def test_product_of_an_unknown_form_has_the_price_of_the_catalog(
    tuner, chat, change_products, alter
):
    change_products(alter)
    assert_catalog_prices(tuner.cost("nova-micro", chat))


def test_prices_per_million_tokens_are_read(tuner, chat, change_products):
    change_products(lambda text: text.replace("1K tokens", "1M tokens").replace("0.00105", "1.05"))
    assert tuner.cost("nova-micro", chat).prices["training"].startswith("$1.05 (price list")


def test_command_shows_the_source_of_each_price(sandbox, tmp_path, chat, capsys):
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in chat))
    assert run(["cost", str(file), "-m", "nova-micro"]) == 0
    assert "at $1.05 per million tokens (price list of 2026-10-30)" in capsys.readouterr().out
    assert run(["cost", str(file), "-m", "nova-micro", "--json"]) == 0
    prices = json.loads(capsys.readouterr().out)["prices"]
    assert prices["storage"] == "$1.96 (price list of 2026-10-30)"


def test_estimate_after_a_copy_of_the_tuner_works(tuner, chat):
    tuner.cost("nova-micro", chat)
    bound = tuner.bind("nova-micro")
    assert bound.cost("nova-micro", chat) == replace(tuner.cost("nova-micro", chat))
