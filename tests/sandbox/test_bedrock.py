"""Bedrock in the sandbox, called with boto3."""

import json

import boto3
import pytest

from tests.sandbox.samples import LLAMA, NOVA, converse_row
from tunestack_sandbox import Sandbox

PHASES = ("validationDetails", "dataProcessingDetails", "trainingDetails")


def test_a_job_runs_all_phases_and_creates_a_model_and_metrics(sandbox, bedrock, create):
    arn = create()
    seen = []
    for seconds in (0, 121, 301, 5401):
        sandbox.clock.advance(seconds)
        job = bedrock.get_model_customization_job(jobIdentifier=arn)
        details = [job["statusDetails"][phase]["status"] for phase in PHASES]
        seen.append((job["status"], *details))
    assert seen == [
        ("InProgress", "InProgress", "NotStarted", "NotStarted"),
        ("InProgress", "Completed", "InProgress", "NotStarted"),
        ("InProgress", "Completed", "Completed", "InProgress"),
        ("Completed", "Completed", "Completed", "Completed"),
    ]
    assert round((job["endTime"] - job["creationTime"]).total_seconds()) == 5820
    model = bedrock.get_custom_model(modelIdentifier=job["outputModelArn"])
    assert ("job", arn, "Active") == (model["modelName"], model["jobArn"], model["modelStatus"])
    deployment = sandbox.deployment()
    keys = [
        row["Key"]
        for row in boto3.client("s3").list_objects_v2(
            Bucket=deployment.data_bucket,
            Prefix=f"tunestack/outputs/model-customization-job-{arn[-12:]}/",
        )["Contents"]
    ]
    assert any(key.endswith("training_artifacts/step_wise_training_metrics.csv") for key in keys)


def test_a_repeated_token_is_the_same_job_and_a_repeated_name_is_refused(bedrock, create, refused):
    first = create(clientRequestToken="t1")
    assert first == create(clientRequestToken="t1")
    assert refused(create, clientRequestToken="t2") == ("ConflictException", 400)
    assert refused(create, name="other", clientRequestToken="t1") == ("ValidationException", 400)
    assert len(bedrock.list_model_customization_jobs()["modelCustomizationJobSummaries"]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"baseModelIdentifier": "amazon.nova-micro-v1:0"},
        {"baseModelIdentifier": LLAMA},
        {"roleArn": "arn:aws:iam::123456789012:role/nobody"},
        {"hyperParameters": {"epochCount": "99"}},
        {"hyperParameters": {"epochs": "2"}},
        {"customizationType": "DISTILLATION"},
    ],
)
def test_invalid_job_requests_are_rejected(create, refused, changes):
    assert refused(create, **changes) == ("ValidationException", 400)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (b"no json\n", "Data files must conform to JSONL format."),
        ([converse_row(n) for n in range(7)], "the minimum is 8"),
        ([converse_row(n) for n in range(7)] + [{"prompt": "a", "completion": "b"}], "must follow"),
        (
            [converse_row(n) for n in range(7)]
            + [json.loads(json.dumps(converse_row(8)).replace("number", "Bot: number"))],
            "Reserved keyword Bot:",
        ),
    ],
)
def test_a_job_with_invalid_data_fails_with_the_message_of_aws(
    sandbox, bedrock, create, upload, rows, words
):
    arn = create(trainingDataConfig={"s3Uri": upload(rows, "bad.jsonl")})
    sandbox.clock.advance(121)
    job = bedrock.get_model_customization_job(jobIdentifier=arn)
    assert job["status"] == "Failed"
    assert words in job["failureMessage"]
    assert "outputModelArn" not in job


def test_a_job_with_a_missing_data_file_fails(sandbox, bedrock, create):
    arn = create(trainingDataConfig={"s3Uri": "s3://nobodys-bucket/x.jsonl"})
    sandbox.clock.advance(121)
    message = bedrock.get_model_customization_job(jobIdentifier=arn)["failureMessage"]
    assert message.startswith("Could not validate GetObject permissions to access Amazon S3")


def test_a_stopped_job_creates_no_model(sandbox, bedrock, create, refused):
    arn = create()
    bedrock.stop_model_customization_job(jobIdentifier=arn)
    assert bedrock.get_model_customization_job(jobIdentifier=arn)["status"] == "Stopping"
    assert refused(bedrock.stop_model_customization_job, jobIdentifier=arn) == (
        "ConflictException",
        400,
    )
    sandbox.clock.advance(10_000)
    assert bedrock.get_model_customization_job(jobIdentifier=arn)["status"] == "Stopped"
    assert bedrock.list_custom_models()["modelSummaries"] == []


def test_lists_are_filtered_sorted_and_paged(sandbox, bedrock, create):
    for number in range(5):
        create(name=f"job-{number}")
        sandbox.clock.advance(1)
    pages = bedrock.get_paginator("list_model_customization_jobs").paginate(
        sortBy="CreationTime", sortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    names = [[row["jobName"] for row in page["modelCustomizationJobSummaries"]] for page in pages]
    assert names == [["job-0", "job-1"], ["job-2", "job-3"], ["job-4"]]
    (row,) = bedrock.list_model_customization_jobs(nameContains="3")[
        "modelCustomizationJobSummaries"
    ]
    assert row["jobName"] == "job-3"
    assert (
        bedrock.list_model_customization_jobs(statusEquals="Failed")[
            "modelCustomizationJobSummaries"
        ]
        == []
    )


def test_regions_and_accounts_are_independent(bedrock, create):
    arn = create()
    for client in (
        boto3.client("bedrock", "us-west-2"),
        boto3.client("bedrock", aws_access_key_id="111111111111", aws_secret_access_key="x"),
    ):
        assert client.list_model_customization_jobs()["modelCustomizationJobSummaries"] == []
    assert ":us-east-1:123456789012:" in arn


def ask(endpoint, text="number 3?"):
    answer = boto3.client("bedrock-runtime").converse(
        modelId=endpoint, messages=[{"role": "user", "content": [{"text": text}]}]
    )
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return answer["output"]["message"]["content"][0]["text"], headers["x-tunestack-sandbox"]


def test_a_deployment_answers_once_it_is_active_and_is_gone_once_deleted(
    sandbox, bedrock, model, refused, monkeypatch
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    arn = bedrock.create_custom_model_deployment(modelDeploymentName="d", modelArn=model)[
        "customModelDeploymentArn"
    ]
    assert refused(ask, arn) == ("ModelNotReadyException", 429)
    assert refused(bedrock.delete_custom_model_deployment, customModelDeploymentIdentifier="d") == (
        "ValidationException",
        400,
    )
    sandbox.clock.advance(481)
    assert ask(arn) == ("3", "nearest training answer; nearness=1.00")
    assert refused(bedrock.delete_custom_model, modelIdentifier=model) == ("ConflictException", 400)
    bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier="d")
    assert refused(bedrock.get_custom_model_deployment, customModelDeploymentIdentifier=arn) == (
        "ResourceNotFoundException",
        404,
    )
    assert refused(ask, arn) == ("ResourceNotFoundException", 404)
    bedrock.delete_custom_model(modelIdentifier=model)
    assert bedrock.list_custom_models()["modelSummaries"] == []


def test_throughput_answers_once_it_is_in_service_and_a_commitment_holds_it(
    sandbox, bedrock, model, refused
):
    def buy(name, **more):
        return bedrock.create_provisioned_model_throughput(
            provisionedModelName=name, modelId=model, modelUnits=1, **more
        )["provisionedModelArn"]

    arn = buy("p", clientRequestToken="t")
    assert arn == buy("p", clientRequestToken="t")
    assert refused(buy, "p") == ("ValidationException", 400)
    assert refused(bedrock.delete_provisioned_model_throughput, provisionedModelId="p") == (
        "ConflictException",
        400,
    )
    sandbox.clock.advance(1501)
    assert ask(arn)[0] == "3"
    committed = buy("c", commitmentDuration="OneMonth")
    sandbox.clock.advance(1501)
    assert refused(bedrock.delete_provisioned_model_throughput, provisionedModelId=committed) == (
        "ConflictException",
        400,
    )
    bedrock.delete_provisioned_model_throughput(provisionedModelId="p")
    (left,) = bedrock.list_provisioned_model_throughputs()["provisionedModelSummaries"]
    assert left["provisionedModelName"] == "c"
    sandbox.reset()


def test_a_model_is_served_only_the_way_it_can_be(sandbox, west, completions, refused):
    job = west.submit("llama-3-1-8b", completions).wait()
    bedrock = boto3.client("bedrock", "us-west-2")
    assert refused(
        bedrock.create_custom_model_deployment, modelDeploymentName="d", modelArn=job.model
    ) == ("ValidationException", 400)


def test_base_models_return_that_they_are_not_trained(sandbox, refused):
    text, label = ask("us.amazon.nova-micro-v1:0")
    assert text.startswith("[sandbox: ")
    assert label == "untrained base model"
    assert refused(ask, NOVA) == ("ResourceNotFoundException", 404)


@pytest.mark.breaks_the_model
def test_a_custom_model_without_a_deployment_cannot_be_invoked(model, refused):
    assert refused(ask, model) == ("ValidationException", 400)


def test_tags_are_kept_changed_and_removed(bedrock, create, refused):
    arn = create(jobTags=[{"key": "a", "value": "1"}])
    bedrock.tag_resource(resourceARN=arn, tags=[{"key": "b", "value": "2"}])
    bedrock.untag_resource(resourceARN=arn, tagKeys=["a"])
    assert bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "b", "value": "2"}]
    nobody = f"{arn[:-12]}{'0' * 12}"
    assert refused(bedrock.list_tags_for_resource, resourceARN=nobody) == (
        "ResourceNotFoundException",
        404,
    )


def test_available_models_depend_on_the_region(bedrock, refused):
    def offered(client):
        rows = client.list_foundation_models(byCustomizationType="FINE_TUNING")["modelSummaries"]
        return {row["modelId"] for row in rows}

    assert NOVA in offered(bedrock)
    assert LLAMA in offered(boto3.client("bedrock", "us-west-2"))
    assert LLAMA not in offered(bedrock)
    assert refused(bedrock.get_foundation_model, modelIdentifier=LLAMA) == (
        "ResourceNotFoundException",
        404,
    )


@pytest.mark.parametrize(
    ("day", "state"), [("2026-03-09", "ACTIVE"), ("2026-03-10", "LEGACY"), ("2026-09-10", None)]
)
def test_available_models_depend_on_the_date(day, state, monkeypatch):
    from datetime import UTC, datetime

    haiku = "anthropic.claude-3-haiku-20240307-v1:0:200k"
    with Sandbox(empty=True, as_of=datetime.fromisoformat(day).replace(tzinfo=UTC)) as sandbox:
        for name, value in sandbox.variables().items():
            monkeypatch.setenv(name, value)
        rows = boto3.client("bedrock", "us-west-2").list_foundation_models()["modelSummaries"]
    found = {row["modelId"]: row["modelLifecycle"]["status"] for row in rows}
    assert state == found.get(haiku)


def test_any_json_is_fine_where_the_model_says_so(sandbox):
    """Tool schemas and additional fields are JSON documents, which the service model does not describe."""
    boto3.client("bedrock-runtime").converse(
        modelId="us.amazon.nova-micro-v1:0",
        messages=[{"role": "user", "content": [{"text": "hello"}]}],
        additionalModelRequestFields={"inferenceConfig": {"topK": 20}},
        toolConfig={
            "tools": [
                {
                    "toolSpec": {
                        "name": "t",
                        "inputSchema": {"json": {"type": "object", "properties": {"a": {}}}},
                    }
                }
            ]
        },
    )


def test_a_reset_cancels_scheduled_state_changes(sandbox, bedrock, create):
    create()
    sandbox.reset()
    sandbox.clock.advance(10_000)
    assert bedrock.list_custom_models()["modelSummaries"] == []
