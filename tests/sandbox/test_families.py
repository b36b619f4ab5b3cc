"""Every model of the catalog, from training file to response, on a date when it can be fine-tuned and on another date."""

import dataclasses
import json
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.day import AS_OF, SPRING
from tests.parameters import every
from tests.sandbox.samples import (
    A_JOB,
    A_THROUGHPUT,
    claude_row,
    completion_row,
    converse_row,
    titan_row,
)
from tunestack import Poll, Tuner
from tunestack.catalog import CATALOG, LifecycleState, RecordFormat, Serving
from tunestack_sandbox import Sandbox

ROWS = {
    RecordFormat.CONVERSE: converse_row,
    RecordFormat.INPUT_OUTPUT_TEXT: titan_row,
    RecordFormat.MESSAGES: claude_row,
    RecordFormat.COMPLETION: completion_row,
}
TUNED = [model for model in CATALOG if model.provider == "bedrock" and model.record_format in ROWS]
LIVING = [model for model in TUNED if model.lifecycle.state(AS_OF.date()) is LifecycleState.ACTIVE]
RETIRED = [model for model in TUNED if model not in LIVING]
GONE = "This model version has reached the end of its life."
NATIVE: dict[str, Any] = {
    "amazon": {"messages": [{"role": "user", "content": [{"text": "number 3?"}]}]},
    "anthropic": {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "number 3?"}]}],
    },
    "cohere": {"prompt": "number 3?"},
    "meta": {"prompt": "number 3?"},
    "titan": {"inputText": "number 3?"},
}


def text_of(publisher, body):
    """Return the text of a response body of a model family."""
    return {
        "amazon": lambda: body["output"]["message"]["content"][0]["text"],
        "anthropic": lambda: body["content"][0]["text"],
        "cohere": lambda: body["generations"][0]["text"],
        "meta": lambda: body["generation"],
        "titan": lambda: body["results"][0]["outputText"],
    }[publisher]()


def piece_of(publisher, chunk):
    """Return the text that a chunk of a stream adds."""
    return {
        "amazon": lambda: chunk.get("contentBlockDelta", {}).get("delta", {}).get("text", ""),
        "anthropic": lambda: chunk.get("delta", {}).get("text", ""),
        "cohere": lambda: chunk.get("text", ""),
        "meta": lambda: chunk["generation"],
        "titan": lambda: chunk["outputText"],
    }[publisher]()


@pytest.fixture(scope="module")
def spring(count_traffic):
    with Sandbox(speed=1, as_of=SPRING) as sandbox:
        yield sandbox
    count_traffic(sandbox.traffic)
    assert sandbox.traffic.violations == []


@pytest.fixture
def on(tunestack_sandbox, spring, monkeypatch):
    """Return a function that sets the environment of the sandbox of a date (`today` or `spring`) and returns it."""

    def play(day):
        sandbox = spring if day == "spring" else tunestack_sandbox
        sandbox.reset()
        for name, value in sandbox.variables().items():
            monkeypatch.setenv(name, value)
        return sandbox

    return play


def request(sandbox, model, region, rows):
    deployment = sandbox.deployment(region)
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    key = f"{deployment.datasets_prefix}{model.key}.jsonl"
    s3 = boto3.Session().client("s3", region)
    s3.put_object(Bucket=deployment.data_bucket, Key=key, Body=body)
    return {
        "jobName": model.key,
        "customModelName": model.key,
        "roleArn": deployment.job_role_arn,
        "baseModelIdentifier": model.customization_id,
        "trainingDataConfig": {"s3Uri": f"s3://{deployment.data_bucket}/{key}"},
        "outputDataConfig": {"s3Uri": f"s3://{deployment.data_bucket}/tunestack/outputs/"},
        # The hyperparameters of Llama 2 are not documented any more.
        "hyperParameters": {"epochCount": "1"} if model.hyperparameters else {},
    }


@pytest.mark.parametrize(
    ("day", "model"),
    every(3, [("today", model) for model in LIVING] + [("spring", model) for model in RETIRED]),
    ids=lambda value: value if isinstance(value, str) else value.key,
)
def test_a_model_is_fine_tuned_deployed_and_invoked_in_its_own_format(on, day, model):
    sandbox = on(day)
    region = model.regions[0]
    session = boto3.Session(region_name=region)
    once = Config(retries={"total_max_attempts": 1})
    bedrock = session.client("bedrock", config=once)
    runtime = session.client("bedrock-runtime", config=once)
    rows = [ROWS[model.record_format](number) for number in range(model.limits.min_records or 32)]
    arn = bedrock.create_model_customization_job(**request(sandbox, model, region, rows))["jobArn"]
    sandbox.clock.advance(A_JOB)
    job = bedrock.get_model_customization_job(jobIdentifier=arn)
    assert job["status"] == "Completed", job.get("failureMessage")
    if model.serving[0] is Serving.ON_DEMAND:
        endpoint = bedrock.create_custom_model_deployment(
            modelDeploymentName=model.key, modelArn=job["outputModelArn"]
        )["customModelDeploymentArn"]
    else:
        endpoint = bedrock.create_provisioned_model_throughput(
            provisionedModelName=model.key, modelId=job["outputModelArn"], modelUnits=1
        )["provisionedModelArn"]
    sandbox.clock.advance(A_THROUGHPUT)
    params = {"modelId": endpoint, "messages": NATIVE["amazon"]["messages"]}
    assert text_of("amazon", runtime.converse(**params)) == "3"
    stream = runtime.converse_stream(**params)["stream"]
    assert "".join(piece_of("amazon", event) for event in stream) == "3"
    publisher = "titan" if model.family.startswith("titan") else model.publisher
    body = json.dumps(NATIVE[publisher])
    answer = runtime.invoke_model(modelId=endpoint, body=body)
    assert text_of(publisher, json.loads(answer["body"].read())) == "3"
    chunks = runtime.invoke_model_with_response_stream(modelId=endpoint, body=body)["body"]
    assert "".join(piece_of(publisher, json.loads(row["chunk"]["bytes"])) for row in chunks) == "3"


@pytest.mark.parametrize("model", RETIRED, ids=lambda model: model.key)
def test_a_model_after_its_end_of_life_is_rejected(on, refused, model):
    sandbox = on("today")
    region = model.regions[0]
    bedrock = boto3.Session().client("bedrock", region)
    with pytest.raises(bedrock.exceptions.ResourceNotFoundException, match=GONE):
        bedrock.create_model_customization_job(**request(sandbox, model, region, [{}]))
    assert model.customization_id not in str(bedrock.list_foundation_models()["modelSummaries"])
    runtime = boto3.Session().client("bedrock-runtime", region)
    for name in model.inference_ids:
        with pytest.raises(runtime.exceptions.ResourceNotFoundException, match=GONE):
            runtime.converse(modelId=name, messages=NATIVE["amazon"]["messages"])


def test_a_legacy_model_begins_nothing_new_and_what_serves_it_ends_with_it(spring, on):
    """Claude 3 Haiku: legacy from 10 March 2026, end of life on 10 September."""
    sandbox = on("spring")
    (model,) = [model for model in TUNED if model.key == "claude-3-haiku"]
    bedrock = boto3.Session().client("bedrock", "us-west-2")
    rows = [claude_row(number) for number in range(32)]
    params = request(sandbox, model, "us-west-2", rows)
    bedrock.create_model_customization_job(**params)
    sandbox.clock.advance(A_JOB)
    tuned = bedrock.get_custom_model(modelIdentifier=model.key)["modelArn"]
    arn = bedrock.create_provisioned_model_throughput(
        modelId=tuned, modelUnits=1, provisionedModelName="in-time"
    )
    sandbox.clock.advance(30 * 86_400)
    (row,) = [
        row
        for row in bedrock.list_foundation_models()["modelSummaries"]
        if row["modelId"] == model.customization_id
    ]
    assert row["modelLifecycle"]["status"] == "LEGACY"
    with pytest.raises(
        bedrock.exceptions.ResourceNotFoundException, match="marked by provider as Legacy"
    ):
        bedrock.create_model_customization_job(
            **params | {"jobName": "late", "customModelName": "l"}
        )
    with pytest.raises(
        bedrock.exceptions.ResourceNotFoundException, match="marked by provider as Legacy"
    ):
        bedrock.create_provisioned_model_throughput(
            modelId=tuned, modelUnits=1, provisionedModelName="late"
        )
    runtime = boto3.Session().client("bedrock-runtime", "us-west-2")
    called = {"modelId": arn["provisionedModelArn"], "messages": NATIVE["amazon"]["messages"]}
    assert text_of("amazon", runtime.converse(**called)) == "3"
    sandbox.clock.advance(200 * 86_400)
    with pytest.raises(runtime.exceptions.ResourceNotFoundException, match=GONE):
        runtime.converse(**called)


def test_the_sdk_uses_the_date_of_the_sandbox(on, completions):
    """Test Cohere Command today and in spring. The stage of the sandbox does not list it, but a deployment without a list allows it."""
    for day in ("spring", "today"):
        sandbox = on(day)
        deployment = dataclasses.replace(sandbox.deployment(), base_models=())
        poll = Poll(sleep=sandbox.clock.advance, clock=sandbox.clock.monotonic)
        tuner = Tuner(deployment=deployment, session=boto3.Session(), poll=poll)
        if day == "spring":
            assert tuner.submit("cohere-command", completions).wait().model
        else:
            with pytest.raises(Exception, match="can't be fine-tuned any more"):
                tuner.submit("cohere-command", completions)
