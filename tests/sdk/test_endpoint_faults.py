"""Endpoints when something goes wrong, on the sandbox: none is left, none is bought twice."""

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


def test_what_is_created_and_not_seen_at_once_is_not_created_again(llama, west, broken, requests):
    before = requests.seen.copy()
    # The first look finds no endpoint yet; those after the create do not find it either.
    broken("GetProvisionedModelThroughput", "ResourceNotFoundException", times=4)
    with pytest.warns(EndpointCostWarning):
        llama.start_endpoint()
    assert (requests.seen - before)["bedrock", "CreateProvisionedModelThroughput"] == 1
    assert len(list(west.endpoints())) == 1
    llama.stop_endpoint()


def test_a_quota_that_is_used_up_is_said_so(job, broken, tuner):
    broken("CreateCustomModelDeployment", "ServiceQuotaExceededException")
    with pytest.raises(QuotaError, match="Service Quotas"):
        job.start_endpoint()
    assert list(tuner.endpoints()) == []


def test_throughput_with_a_commitment_is_said_to_be_so_when_it_can_not_be_stopped(
    llama, west, sandbox
):
    boto3.client("bedrock", "us-west-2").create_provisioned_model_throughput(
        provisionedModelName="committed",
        modelId=llama.model,
        modelUnits=1,
        commitmentDuration="OneMonth",
    )
    sandbox.clock.advance(2000)
    with pytest.raises(ConflictError, match="before its commitment ends"):
        west.endpoint("committed").stop()


def test_a_stop_goes_through_a_storm_of_errors(job, tuner, broken):
    job.start_endpoint()
    broken("DeleteCustomModelDeployment", "ThrottlingException", times=12)
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_one_that_can_not_be_stopped_keeps_no_other_running(job, tuner, broken):
    job.start_endpoint()
    with pytest.warns(EndpointCostWarning):
        job.start_endpoint("provisioned")
    # It is looked for by its name, and in the list.
    broken("DeleteProvisionedModelThroughput", "AccessDeniedException", times=2)
    broken("ListCustomModelDeployments", "AccessDeniedException")
    with pytest.raises(AccessError):
        job.stop_endpoint()
    assert [endpoint.serving.value for endpoint in tuner.endpoints()] == ["provisioned"]
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_stop_endpoint_stops_what_start_endpoint_started_and_nothing_else(job, tuner):
    boto3.client("bedrock").create_custom_model_deployment(
        modelDeploymentName="somebody-elses", modelArn=job.model
    )
    job.start_endpoint()
    job.stop_endpoint()
    assert [endpoint.name for endpoint in tuner.endpoints(model=job.model)] == ["somebody-elses"]
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
def test_what_is_no_conversation_is_one_clear_error_that_quotes_nothing(job, messages):
    job.start_endpoint()
    with pytest.raises(ConfigError, match=r"messages") as error:
        job.endpoint().invoke(messages)
    assert "SECRET" not in str(error.value)


def test_metrics_survive_a_file_that_is_not_as_expected(job):
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


def test_an_endpoint_that_was_pointed_to_another_model_is_neither_used_nor_stopped(
    job, tuner, chat, sandbox, caplog
):
    other = tuner.submit("nova-micro", chat[:9]).wait()
    job.start_endpoint()
    boto3.client("bedrock").update_custom_model_deployment(
        customModelDeploymentIdentifier=job.endpoint().id, modelArn=other.model
    )
    sandbox.clock.advance(500)
    again = tuner.job(job.id)
    with pytest.raises(ConflictError, match="serves another model"):
        again.start_endpoint()
    with pytest.raises(NotFoundError, match="has no endpoint"):
        again.endpoint()
    again.stop_endpoint()
    assert len(list(tuner.endpoints())) == 1
    assert "was updated to" in caplog.text
    assert other.endpoint().id == next(iter(tuner.endpoints())).id
    other.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_what_is_no_model_is_not_taken_for_stopped(job, tuner):
    job.start_endpoint()
    endpoint = job.endpoint()
    for wrong in (endpoint.id, endpoint.name, f"bedrock/converse/{endpoint.id}", job.id):
        with pytest.raises(ModelError, match="expected the ARN of a fine-tuned model"):
            tuner.stop_endpoint(wrong)
    assert [endpoint.name] == [one.name for one in tuner.endpoints()]
    job.stop_endpoint()


@pytest.fixture
def seen_as(poll):
    """Change what Bedrock answers to an operation, some times, as where a read is behind a write."""

    def make(operation, change, *, region="us-east-1"):
        session = boto3.Session(region_name=region)
        session.events.register(
            f"after-call.bedrock.{operation}", lambda parsed, **_: change(parsed)
        )
        return Tuner(region=region, session=session, poll=poll)

    return make


def test_an_update_that_is_not_shown_at_once_has_not_failed(job, tuner, chat, seen_as):
    """And one that is on its way is neither done nor asked for again."""
    other = tuner.submit("nova-micro", chat[:9]).wait()
    job.start_endpoint()
    behind = [job.model] * 3

    def old(parsed):
        if updates and behind:
            parsed.pop("updateDetails", None)
            parsed["modelArn"] = behind.pop()

    updates = []
    behind_by = seen_as("GetCustomModelDeployment", old)
    behind_by._accounts.bedrock._session.events.register(
        "before-call.bedrock.UpdateCustomModelDeployment", lambda **_: updates.append(1)
    )
    endpoint = behind_by.endpoint(job.endpoint().id)
    assert other.model == endpoint.update(other.model).model
    assert not behind
    with pytest.raises(EndpointTimeoutError, match="update it again to wait"):
        endpoint.update(job.model, timeout=1)
    assert len(updates) == 2
    assert job.model == endpoint.update(job.model).model
    assert len(updates) == 2, "it was on its way"
    endpoint.stop()


def test_throughput_that_is_on_its_way_to_a_model_does_not_serve_it_yet(llama, west, completions):
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


def test_what_no_look_shows_is_in_hand_and_is_not_bought_twice(llama, west, requests, seen_as):
    """The answer of the create tells what it is, and its name keeps a second from being made."""
    hidden = {"Error": {"Code": "ResourceNotFoundException", "Message": "not there"}}
    made: list[int] = []
    before = requests.seen.copy()

    def nowhere(parsed):
        if made:
            parsed.clear()
            parsed.update(hidden)

    blind = seen_as("GetProvisionedModelThroughput", nowhere, region="us-west-2")
    events = blind._accounts.bedrock._session.events
    events.register(
        "after-call.bedrock.CreateProvisionedModelThroughput", lambda **_: made.append(1)
    )
    events.register(
        "after-call.bedrock.ListProvisionedModelThroughputs",
        lambda parsed, **_: parsed.update(provisionedModelSummaries=[]),
    )

    def refuse(http_response, parsed, **_):
        if made:
            http_response.status_code = 404

    events.register_first("after-call.bedrock.GetProvisionedModelThroughput", refuse)
    with pytest.warns(EndpointCostWarning), pytest.raises(NotFoundError):
        blind.start_endpoint(llama.model)
    assert len(list(west.endpoints())) == 1
    assert (requests.seen - before)["bedrock", "CreateProvisionedModelThroughput"] == 2
    llama.stop_endpoint()
    assert list(west.endpoints()) == []


def test_a_stop_goes_through_a_storm_at_the_first_look_and_past_what_may_not_be_seen(
    job, tuner, broken
):
    job.start_endpoint()
    with pytest.warns(EndpointCostWarning):
        job.start_endpoint("provisioned")
    broken("GetProvisionedModelThroughput", "ThrottlingException", times=12)
    broken("GetCustomModelDeployment", "AccessDeniedException", times=2)
    with pytest.raises(AccessError):
        job.stop_endpoint()
    assert [endpoint.serving.value for endpoint in tuner.endpoints()] == ["on-demand"]
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_what_was_created_in_a_storm_is_in_hand(job, tuner, broken):
    with pytest.warns(EndpointCostWarning):
        tuner.job(job.id).start_endpoint("provisioned")
    job.stop_endpoint()
    broken("CreateProvisionedModelThroughput", "ThrottlingException", times=2)
    with pytest.warns(EndpointCostWarning):
        job.start_endpoint("provisioned")
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_a_delete_that_takes_its_time_is_waited_for(job, tuner, sandbox):
    """AWS may accept a delete, and refuse another one, before the endpoint is gone."""
    job.start_endpoint()
    region = sandbox.bedrock_region("us-east-1")
    accepted: list[OperationCall] = []

    def slow(call, handle):
        if call.operation.name != "DeleteCustomModelDeployment":
            return handle(call)
        if accepted:
            raise ServiceError("ConflictException", "The deployment is being deleted.")
        accepted.append(call)
        sandbox.clock.after(sandbox.clock.now(), 60, lambda _: region.deployments.clear())
        return OperationResult(result={})

    with sandbox.intercept_operations(slow):
        job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_the_endpoints_of_a_model_that_is_not_there_yet_are_not_all_endpoints(tuner, chat):
    job = tuner.submit("nova-micro", chat)
    with pytest.raises(ConfigError, match="invalid model None: expected text"):
        tuner.endpoints(model=job.model)
