"""Failures of endpoints: no endpoint stays by accident and none is created twice."""

import boto3
import pytest

from tunestack import EndpointCostWarning, Tuner
from tunestack.errors import (
    AccessError,
    ConfigError,
    ConflictError,
    EndpointTimeoutError,
    ModelError,
    NotFoundError,
    QuotaError,
)
from tunestack_sandbox.messages import OperationCall, OperationResult, ServiceError


def test_endpoint_that_is_not_visible_yet_is_not_created_again(llama, west, inject_error, requests):
    before = requests.sdk_counts.copy()
    # No endpoint exists at the first request; it is not visible yet in the requests after its creation.
    inject_error("GetProvisionedModelThroughput", "ResourceNotFoundException", times=4)
    with pytest.warns(EndpointCostWarning):
        llama.start_endpoint()
    assert (requests.sdk_counts - before)["bedrock", "CreateProvisionedModelThroughput"] == 1
    assert len(list(west.endpoints())) == 1
    llama.stop_endpoint()


def test_exceeded_quota_raises_quota_error(job, inject_error, tuner):
    inject_error("CreateCustomModelDeployment", "ServiceQuotaExceededException")
    with pytest.raises(QuotaError, match="Service Quotas"):
        job.start_endpoint()
    assert list(tuner.endpoints()) == []


def test_error_about_committed_throughput_names_the_commitment(llama, west, sandbox):
    boto3.client("bedrock", "us-west-2").create_provisioned_model_throughput(
        provisionedModelName="committed",
        modelId=llama.model,
        modelUnits=1,
        commitmentDuration="OneMonth",
    )
    sandbox.clock.advance(2000)
    with pytest.raises(ConflictError, match="before its commitment ends"):
        west.endpoint("committed").stop()


def test_stop_is_retried_while_it_is_throttled(job, tuner, inject_error):
    job.start_endpoint()
    inject_error("DeleteCustomModelDeployment", "ThrottlingException", times=12)
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_failed_stop_of_one_endpoint_does_not_keep_the_other(job, tuner, inject_error):
    job.start_endpoint()
    with pytest.warns(EndpointCostWarning):
        job.start_endpoint("provisioned")
    # The SDK reads the endpoint by its name and in the list.
    inject_error("DeleteProvisionedModelThroughput", "AccessDeniedException", times=2)
    inject_error("ListCustomModelDeployments", "AccessDeniedException")
    with pytest.raises(AccessError):
        job.stop_endpoint()
    assert [endpoint.serving.value for endpoint in tuner.endpoints()] == ["provisioned"]
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_stop_endpoint_stops_only_endpoints_of_start_endpoint(job, tuner):
    boto3.client("bedrock").create_custom_model_deployment(
        modelDeploymentName="other", modelArn=job.model
    )
    job.start_endpoint()
    job.stop_endpoint()
    assert [endpoint.name for endpoint in tuner.endpoints(model=job.model)] == ["other"]
    with pytest.raises(NotFoundError, match="has no endpoint"):
        job.endpoint()


@pytest.mark.parametrize(
    "messages",
    [
        "",
        "  ",
        [],
        None,
        5,
        b"x",
        {},
        ["SECRET"],
        [{}],
        [{"role": "user"}],
        [{"role": "SECRET", "content": "x"}],
        [{"role": "user", "content": [{"text": "SECRET"}]}],
    ],
    ids=str,
)
def test_error_about_invalid_messages_does_not_quote_them(job, messages):
    job.start_endpoint()
    with pytest.raises(ConfigError, match=r"messages") as error:
        job.endpoint().invoke(messages)
    assert "SECRET" not in str(error.value)


def test_invalid_values_in_a_metrics_file_are_skipped(job):
    bucket, _, prefix = job.refresh().output.removeprefix("s3://").partition("/")
    key = f"{prefix}model-customization-job-{job.id[-12:]}/training_artifacts/step_wise_training_metrics.csv"
    content = "\ufeffstep_number,training_loss\n1,0.5\n2,\n3,x,y\n4\n5,\udcff\n".encode(
        "utf-8", "surrogateescape"
    )
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
    assert job.metrics() == [
        {"step_number": 1, "training_loss": 0.5},
        {"step_number": 2},
        {"step_number": 3},
        {"step_number": 4},
        {"step_number": 5},
    ]


def test_endpoint_updated_to_another_model_is_neither_used_nor_stopped(
    job, tuner, chat, sandbox, caplog
):
    other = tuner.submit("nova-micro", chat[:9]).wait()
    job.start_endpoint()
    boto3.client("bedrock").update_custom_model_deployment(
        customModelDeploymentIdentifier=job.endpoint().id, modelArn=other.model
    )
    sandbox.clock.advance(500)
    attached = tuner.job(job.id)
    with pytest.raises(ConflictError, match="serves another model"):
        attached.start_endpoint()
    with pytest.raises(NotFoundError, match="has no endpoint"):
        attached.endpoint()
    attached.stop_endpoint()
    assert len(list(tuner.endpoints())) == 1
    assert "was updated to" in caplog.text
    assert other.endpoint().id == next(iter(tuner.endpoints())).id
    other.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_stop_endpoint_rejects_identifiers_of_other_resources(job, tuner):
    job.start_endpoint()
    endpoint = job.endpoint()
    for identifier in (endpoint.id, endpoint.name, f"bedrock/converse/{endpoint.id}", job.id):
        with pytest.raises(ModelError, match="expected the ARN of a fine-tuned model"):
            tuner.stop_endpoint(identifier)
    assert [endpoint.name] == [listed.name for listed in tuner.endpoints()]
    job.stop_endpoint()


@pytest.fixture
def tuner_with_responses(poll):
    """Return a function that creates a tuner for which responses to an operation are changed, like stale reads."""

    def make(operation, change, *, region="us-east-1"):
        session = boto3.Session(region_name=region)
        session.events.register(
            f"after-call.bedrock.{operation}", lambda parsed, **_: change(parsed)
        )
        return Tuner(region=region, session=session, poll=poll)

    return make


def test_update_that_is_not_visible_yet_has_not_failed(job, tuner, chat, tuner_with_responses):
    """An update in progress is not reported as complete and not requested again."""
    other = tuner.submit("nova-micro", chat[:9]).wait()
    job.start_endpoint()
    stale_models = [job.model] * 3

    def return_stale_model(parsed):
        if updates and stale_models:
            parsed.pop("updateDetails", None)
            parsed["modelArn"] = stale_models.pop()

    updates = []
    stale_tuner = tuner_with_responses("GetCustomModelDeployment", return_stale_model)
    stale_tuner._accounts.bedrock._session.events.register(
        "before-call.bedrock.UpdateCustomModelDeployment", lambda **_: updates.append(1)
    )
    endpoint = stale_tuner.endpoint(job.endpoint().id)
    assert other.model == endpoint.update(other.model).model
    assert not stale_models
    with pytest.raises(EndpointTimeoutError, match=r"call update\(\) again to wait"):
        endpoint.update(job.model, timeout=1)
    assert len(updates) == 2
    assert job.model == endpoint.update(job.model).model
    assert len(updates) == 2, "the update was in progress"
    endpoint.stop()


def test_throughput_serves_the_old_model_during_an_update(llama, west, completions):
    other = west.submit("llama-3-1-8b", [*completions, completions[0]]).wait()
    with pytest.warns(EndpointCostWarning):
        llama.start_endpoint()
    endpoint = west.endpoint(llama.endpoint().id)
    with pytest.raises(EndpointTimeoutError):
        endpoint.update(other.model, timeout=1)
    assert (llama.model, other.model) == (endpoint.info.model, endpoint.info.target)
    assert other.model == endpoint.update(other.model).model
    assert endpoint.info.target is None
    endpoint.stop()


def test_endpoint_that_is_never_visible_is_not_created_twice(
    llama, west, requests, tuner_with_responses
):
    """Bedrock rejects a second endpoint with the same name."""
    hidden = {"Error": {"Code": "ResourceNotFoundException", "Message": "not found"}}
    creations: list[int] = []
    before = requests.sdk_counts.copy()

    def hide(parsed):
        if creations:
            parsed.clear()
            parsed.update(hidden)

    blind_tuner = tuner_with_responses("GetProvisionedModelThroughput", hide, region="us-west-2")
    events = blind_tuner._accounts.bedrock._session.events
    events.register(
        "after-call.bedrock.CreateProvisionedModelThroughput", lambda **_: creations.append(1)
    )
    events.register(
        "after-call.bedrock.ListProvisionedModelThroughputs",
        lambda parsed, **_: parsed.update(provisionedModelSummaries=[]),
    )

    def set_status(http_response, parsed, **_):
        if creations:
            http_response.status_code = 404

    events.register_first("after-call.bedrock.GetProvisionedModelThroughput", set_status)
    with pytest.warns(EndpointCostWarning), pytest.raises(NotFoundError):
        blind_tuner.start_endpoint(llama.model)
    assert len(list(west.endpoints())) == 1
    assert (requests.sdk_counts - before)["bedrock", "CreateProvisionedModelThroughput"] == 2
    llama.stop_endpoint()
    assert list(west.endpoints()) == []


def test_stop_is_retried_when_reads_are_throttled_or_denied(job, tuner, inject_error):
    job.start_endpoint()
    with pytest.warns(EndpointCostWarning):
        job.start_endpoint("provisioned")
    inject_error("GetProvisionedModelThroughput", "ThrottlingException", times=12)
    inject_error("GetCustomModelDeployment", "AccessDeniedException", times=2)
    with pytest.raises(AccessError):
        job.stop_endpoint()
    assert [endpoint.serving.value for endpoint in tuner.endpoints()] == ["on-demand"]
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_endpoint_created_after_throttling_can_be_stopped(job, tuner, inject_error):
    with pytest.warns(EndpointCostWarning):
        tuner.job(job.id).start_endpoint("provisioned")
    job.stop_endpoint()
    inject_error("CreateProvisionedModelThroughput", "ThrottlingException", times=2)
    with pytest.warns(EndpointCostWarning):
        job.start_endpoint("provisioned")
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_stop_waits_for_a_slow_delete(job, tuner, sandbox):
    """AWS can accept a delete, and reject another one, before the endpoint is deleted."""
    job.start_endpoint()
    region = sandbox.bedrock_region("us-east-1")
    accepted: list[OperationCall] = []

    def delete_slowly(call, handle):
        if call.operation.name != "DeleteCustomModelDeployment":
            return handle(call)
        if accepted:
            raise ServiceError("ConflictException", "The deployment is being deleted.")
        accepted.append(call)
        sandbox.clock.after(sandbox.clock.now(), 60, lambda _: region.deployments.clear())
        return OperationResult(result={})

    with sandbox.intercept_operations(delete_slowly):
        job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_endpoints_of_an_unfinished_job_are_not_listed_without_a_filter(tuner, chat):
    job = tuner.submit("nova-micro", chat)
    with pytest.raises(ConfigError, match="invalid model None: expected text"):
        tuner.endpoints(model=job.model)
