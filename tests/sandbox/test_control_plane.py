"""Bedrock operations that the operations table does not cover: changes over time, and filters of lists."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.sandbox.samples import A_DEPLOYMENT, A_JOB, A_THROUGHPUT, NOVA

PHASES = ("validationDetails", "dataProcessingDetails", "trainingDetails")
DAY = 86_400


def ask(endpoint):
    runtime = boto3.client("bedrock-runtime")
    answer = runtime.converse(
        modelId=endpoint, messages=[{"role": "user", "content": [{"text": "number 3?"}]}]
    )
    return answer["output"]["message"]["content"][0]["text"]


def test_id_of_a_resource_has_a_letter(create, monkeypatch):
    """Twelve digits are redacted as an account ID."""
    monkeypatch.setattr("secrets.choice", max)
    arn = create()
    monkeypatch.setattr("secrets.choice", min)
    assert [arn.rpartition("/")[2], create("other").rpartition("/")[2]] == [
        "z" * 12,
        "a" + "0" * 11,
    ]


@pytest.mark.parametrize(("seconds", "phase"), [(0, 0), (121, 1), (421, 2)])
def test_a_job_can_be_stopped_in_every_phase(sandbox, bedrock, create, seconds, phase):
    arn = create()
    sandbox.clock.advance(seconds)
    bedrock.stop_model_customization_job(jobIdentifier=arn)
    describe = lambda: bedrock.get_model_customization_job(jobIdentifier=arn)  # noqa: E731
    job = describe()
    assert (
        job["status"],
        job["statusDetails"][PHASES[phase]]["status"],
    ) == ("Stopping", "Stopping")
    sandbox.clock.advance(A_JOB)
    job = describe()
    assert job["status"] == "Stopped"
    done, now, later = PHASES[:phase], PHASES[phase], PHASES[phase + 1 :]
    assert {*(("Completed",) if done else ()), "Stopped", *(("NotStarted",) if later else ())} == {
        details["status"] for details in job["statusDetails"].values()
    }
    assert job["statusDetails"][now]["status"] == "Stopped"
    assert {"outputModelArn", "failureMessage"}.isdisjoint(job)


@pytest.fixture
def two(sandbox, bedrock, create):
    """Return the ARNs of two custom models of the same base model."""
    for name in ("first", "second"):
        create(name)
    sandbox.clock.advance(A_JOB)
    return [
        bedrock.get_custom_model(modelIdentifier=name)["modelArn"] for name in ("first", "second")
    ]


def test_a_deployment_serves_the_old_model_until_the_update_ends(sandbox, bedrock, two):
    old, new = two
    arn = bedrock.create_custom_model_deployment(
        modelDeploymentName="d", modelArn=old, description="for tests"
    )["customModelDeploymentArn"]
    sandbox.clock.advance(A_DEPLOYMENT)
    bedrock.update_custom_model_deployment(customModelDeploymentIdentifier="d", modelArn=new)

    def described():
        return bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn)

    before = described()
    assert ("Active", old, "Updating", "for tests") == (
        before["status"],
        before["modelArn"],
        before["updateDetails"]["updateStatus"],
        before["description"],
    )
    assert ask(arn) == "3"
    for call in ("delete_custom_model_deployment", "update_custom_model_deployment"):
        more = {"modelArn": old} if call.startswith("update") else {}
        with pytest.raises(ClientError, match="mutating state"):
            getattr(bedrock, call)(customModelDeploymentIdentifier="d", **more)
    with pytest.raises(ClientError, match="in use by an endpoint"):
        bedrock.delete_custom_model(modelIdentifier=new)
    sandbox.clock.advance(A_DEPLOYMENT)
    after = described()
    assert ("Active", new, "UpdateCompleted") == (
        after["status"],
        after["modelArn"],
        after["updateDetails"]["updateStatus"],
    )
    assert before["customModelDeploymentArn"] == after["customModelDeploymentArn"]
    bedrock.delete_custom_model(modelIdentifier=old)


def test_throughput_is_renamed_immediately_and_updated_later(sandbox, bedrock, two):
    old, new = two
    arn = bedrock.create_provisioned_model_throughput(
        provisionedModelName="p", modelId=old, modelUnits=1
    )["provisionedModelArn"]
    sandbox.clock.advance(A_THROUGHPUT)
    bedrock.update_provisioned_model_throughput(
        provisionedModelId="p", desiredProvisionedModelName="q", desiredModelId=new
    )

    def described():
        return bedrock.get_provisioned_model_throughput(provisionedModelId="q")

    row = described()
    assert (arn, "Updating", old, new) == (
        row["provisionedModelArn"],
        row["status"],
        row["modelArn"],
        row["desiredModelArn"],
    )
    assert ask(arn) == "3"
    sandbox.clock.advance(A_THROUGHPUT)
    row = described()
    assert ("InService", new, new) == (row["status"], row["modelArn"], row["desiredModelArn"])


def test_a_commitment_ends_with_its_term(sandbox, bedrock, model):
    bedrock.create_provisioned_model_throughput(
        provisionedModelName="c", modelId=model, modelUnits=1, commitmentDuration="OneMonth"
    )
    row = bedrock.get_provisioned_model_throughput(provisionedModelId="c")
    term = row["commitmentExpirationTime"] - row["creationTime"]
    assert (row["commitmentDuration"], term.days) == ("OneMonth", 30)
    sandbox.clock.advance(29 * DAY)
    with pytest.raises(ClientError, match="before its commitment ends"):
        bedrock.delete_provisioned_model_throughput(provisionedModelId="c")
    sandbox.clock.advance(2 * DAY)
    bedrock.delete_provisioned_model_throughput(provisionedModelId="c")


def names(rows, member):
    return [row[member] for row in rows]


def test_every_list_is_filtered_by_name_state_model_and_time(sandbox, bedrock, two):
    first, second = two
    for name, model in (("a1", first), ("a2", second), ("b1", first)):
        bedrock.create_provisioned_model_throughput(
            provisionedModelName=name, modelId=model, modelUnits=1
        )
        sandbox.clock.advance(A_THROUGHPUT)
    for name, model in (("a1", first), ("b1", second)):
        bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=model)
        sandbox.clock.advance(100)

    def throughputs(**filters):
        answer = bedrock.list_provisioned_model_throughputs(**filters)
        return names(answer["provisionedModelSummaries"], "provisionedModelName")

    def deployments(**filters):
        answer = bedrock.list_custom_model_deployments(**filters)
        return names(answer["modelDeploymentSummaries"], "customModelDeploymentName")

    def models(**filters):
        return names(bedrock.list_custom_models(**filters)["modelSummaries"], "modelName")

    assert throughputs() == ["b1", "a2", "a1"]
    assert throughputs(sortOrder="Ascending", sortBy="CreationTime") == ["a1", "a2", "b1"]
    assert throughputs(nameContains="a") == ["a2", "a1"]
    assert throughputs(modelArnEquals=first) == ["b1", "a1"]
    assert throughputs(statusEquals="Creating") == []
    created = bedrock.get_provisioned_model_throughput(provisionedModelId="a2")["creationTime"]
    assert throughputs(creationTimeAfter=created) == ["b1", "a2"]
    assert throughputs(creationTimeBefore=created) == ["a2", "a1"]
    assert deployments(modelArnEquals=second) == ["b1"]
    assert deployments(statusEquals="Creating") == ["b1", "a1"]
    sandbox.clock.advance(A_DEPLOYMENT - 150)
    assert deployments(statusEquals="Active") == ["a1"]
    foundation = f"arn:aws:bedrock:us-east-1::foundation-model/{NOVA}"
    assert models(nameContains="sec") == ["second"]
    assert {"first", "second"} == set(models(foundationModelArnEquals=foundation))
    assert {"first", "second"} == set(models(baseModelArnEquals=foundation, isOwned=True))
    assert models(isOwned=False) == []
    assert models(modelStatus="Failed") == []


def test_a_resource_created_between_two_pages_does_not_shift_the_pages(sandbox, bedrock, create):
    for number in range(5):
        create(f"job-{number}")
        sandbox.clock.advance(1)
    first = bedrock.list_model_customization_jobs(maxResults=2)
    create("new")
    second = bedrock.list_model_customization_jobs(maxResults=3, nextToken=first["nextToken"])
    rows = [*first["modelCustomizationJobSummaries"], *second["modelCustomizationJobSummaries"]]
    assert [f"job-{number}" for number in (4, 3, 2, 1, 0)] == names(rows, "jobName")
    assert "nextToken" not in second


def test_a_further_fine_tuned_model_has_its_source_model(sandbox, bedrock, create, model):
    arn = create("further", baseModelIdentifier=model)
    sandbox.clock.advance(A_JOB)
    job = bedrock.get_model_customization_job(jobIdentifier=arn)
    # botocore's model allows only a foundation model in the first field, and any model in the second.
    assert job["baseModelArn"].endswith(f"foundation-model/{NOVA}")
    assert model == bedrock.get_custom_model(modelIdentifier="further")["baseModelArn"]
    found = bedrock.list_custom_models(baseModelArnEquals=model)["modelSummaries"]
    assert names(found, "modelName") == ["further"]


def test_a_model_of_ones_own_key_needs_the_key_and_the_right_to_it(sandbox, bedrock, create):
    nobody = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    with pytest.raises(ClientError, match="does not exist"):
        create(customModelKmsKeyId=nobody)
    key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    arn = create(customModelKmsKeyId=key)
    sandbox.clock.advance(A_JOB)
    job = bedrock.get_model_customization_job(jobIdentifier=arn)
    assert key == job["outputModelKmsKeyArn"]
    model = bedrock.get_custom_model(modelIdentifier=job["outputModelArn"])
    assert key == model["modelKmsKeyArn"]


def test_two_jobs_cannot_create_the_same_model(create):
    create("one", customModelName="model")
    with pytest.raises(ClientError, match="custom model name is currently in use"):
        create("two", customModelName="model")


def test_a_use_case_is_kept_and_lets_anthropics_models_in(sandbox, bedrock):
    form = b'{"companyName": "x", "intendedUsers": "0"}'
    bedrock.put_use_case_for_model_access(formData=form)
    assert form == bedrock.get_use_case_for_model_access()["formData"]
    found = bedrock.get_foundation_model_availability(modelId=NOVA)
    assert (
        found["authorizationStatus"],
        found["regionAvailability"],
    ) == ("AUTHORIZED", "AVAILABLE")


def test_a_base_model_is_available_by_each_of_its_ids(bedrock):
    def ids(**filters):
        return set(names(bedrock.list_foundation_models(**filters)["modelSummaries"], "modelId"))

    assert NOVA in ids(byCustomizationType="FINE_TUNING")
    assert "amazon.nova-micro-v1:0" in ids(byInferenceType="ON_DEMAND")
    assert NOVA not in ids(byInferenceType="ON_DEMAND")
    assert "us.amazon.nova-micro-v1:0" not in ids()
    assert {"amazon.titan-image-generator-v2:0"} <= ids(byOutputModality="IMAGE")
    for name in (NOVA, "amazon.nova-micro-v1:0"):
        details = bedrock.get_foundation_model(modelIdentifier=name)["modelDetails"]
        assert (name, True) == (details["modelId"], details["modelArn"].endswith(f"/{name}"))


def test_responses_are_truncated_at_the_requested_limits(sandbox, bedrock, create, upload):
    rows = [
        {
            "schemaVersion": "bedrock-conversation-2024",
            "messages": [
                {"role": "user", "content": [{"text": f"number {number}?"}]},
                {"role": "assistant", "content": [{"text": f"{number} is the number, END. More"}]},
            ],
        }
        for number in range(8)
    ]
    create(trainingDataConfig={"s3Uri": upload(rows, "long.jsonl")})
    sandbox.clock.advance(A_JOB)
    arn = bedrock.create_custom_model_deployment(
        modelDeploymentName="d",
        modelArn=bedrock.get_custom_model(modelIdentifier="job")["modelArn"],
    )["customModelDeploymentArn"]
    sandbox.clock.advance(A_DEPLOYMENT)
    runtime = boto3.client("bedrock-runtime")

    def converse(**settings):
        config: Any = settings
        answer = runtime.converse(
            modelId=arn,
            messages=[{"role": "user", "content": [{"text": "number 3?"}]}],
            inferenceConfig=config,
        )
        text = answer["output"]["message"]["content"][0]["text"]
        return text, answer["stopReason"], answer["usage"]["outputTokens"]

    assert converse() == ("3 is the number, END. More", "end_turn", 7)
    assert converse(stopSequences=["END"]) == ("3 is the number, ", "stop_sequence", 5)
    assert converse(maxTokens=3) == ("3 is the nu", "max_tokens", 3)
