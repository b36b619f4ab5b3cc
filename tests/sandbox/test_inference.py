"""Invocation of base models by model ID or inference profile, per region, as on AWS."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tunestack.catalog import CATALOG, Confidence, find_inference

QUESTION: Any = [{"role": "user", "content": [{"text": "hello"}]}]
INVALID = "The provided model identifier is invalid."
PROFILE_ONLY = (
    "Invocation of model ID {} with on-demand throughput isn’t supported. Retry your request "  # noqa: RUF001
    "with the ID or ARN of an inference profile that contains this model."
)
MICRO, LITE_2 = "amazon.nova-micro-v1:0", "amazon.nova-2-lite-v1:0"
LLAMA_31, LLAMA_32 = "meta.llama3-1-8b-instruct-v1:0", "meta.llama3-2-3b-instruct-v1:0"
LLAMA_33 = "meta.llama3-3-70b-instruct-v1:0"


@pytest.fixture
def invoke(sandbox):
    def call(model, region):
        runtime = boto3.client("bedrock-runtime", region)
        answer = runtime.converse(modelId=model, messages=QUESTION)
        return answer["output"]["message"]["content"][0]["text"]

    return call


@pytest.mark.parametrize(
    ("model", "region"),
    [
        (MICRO, "us-east-1"),
        (f"us.{MICRO}", "us-west-2"),
        (f"eu.{MICRO}", "eu-central-1"),
        (f"apac.{MICRO}", "ap-southeast-1"),
        ("us.amazon.nova-pro-v1:0", "us-west-1"),
        (f"us.{LITE_2}", "us-east-1"),
        (f"global.{LITE_2}", "ap-south-1"),
        (f"arn:aws:bedrock:us-west-2:123456789012:inference-profile/global.{LITE_2}", "us-west-2"),
        (LLAMA_31, "us-west-2"),
        (f"us.{LLAMA_31}", "us-east-1"),
        (LLAMA_33, "us-east-2"),
        (f"us.{LLAMA_33}", "us-west-2"),
    ],
)
def test_a_model_is_invoked_where_aws_serves_it(invoke, model, region):
    assert "untrained" in invoke(model, region)


@pytest.mark.parametrize(
    ("model", "region"),
    [
        (MICRO, "us-west-2"),
        ("amazon.nova-pro-v1:0", "us-east-2"),
        (LITE_2, "us-east-1"),
        (LLAMA_31, "us-east-1"),
        (LLAMA_32, "us-west-2"),
        (LLAMA_33, "us-west-2"),
    ],
)
def test_a_model_id_is_rejected_where_a_profile_is_required(invoke, model, region):
    with pytest.raises(ClientError) as refused:
        invoke(model, region)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert PROFILE_ONLY.format(model) == refused.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("model", "region"),
    [
        (LLAMA_31, "eu-west-1"),  # neither the model nor a profile
        (f"us.{MICRO}", "eu-west-1"),  # a profile of another geography
        (f"global.{MICRO}", "us-east-1"),  # no profile of this kind
        (f"eu.{LLAMA_33}", "eu-west-1"),
        (f"moon.{MICRO}", "us-east-1"),
    ],
)
def test_a_model_or_profile_that_the_region_lacks_is_invalid(invoke, model, region):
    with pytest.raises(ClientError, match=INVALID):
        invoke(model, region)


def test_on_demand_models_are_listed_in_their_regions(sandbox):
    def on_demand(region):
        rows = boto3.client("bedrock", region).list_foundation_models(byInferenceType="ON_DEMAND")
        return {row["modelId"] for row in rows["modelSummaries"]}

    assert MICRO in on_demand("us-east-1")
    assert LITE_2 not in on_demand("us-east-1")
    assert LLAMA_31 in on_demand("us-west-2")
    assert LLAMA_33 not in on_demand("us-west-2")


def test_the_catalog_has_regions_and_sources_of_each_available_model():
    for model in CATALOG:
        known = find_inference(model.key)
        if known is None:
            continue
        assert known.source, model.key
        assert known.confidence in Confidence
        # The profile that the catalog prefers can be invoked in every region where the model is fine-tuned.
        geography = model.inference_ids[0].partition(".")[0]
        assert all(known.has_profile(geography, region) for region in model.regions), model.key
    assert find_inference("claude-3-haiku") is None
