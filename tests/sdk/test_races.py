"""Somebody else does something between our look and our call: still one job, one endpoint, one file."""

import boto3
import pytest

from tunestack import EndpointCostWarning, EndpointState, JobState, Tuner
from tunestack.errors import ConflictError, NotFoundError, ProviderError


@pytest.fixture
def deploy(job):
    """Deploy the job's model under the name that Tunestack gives it, as another process would."""
    return lambda: boto3.client("bedrock").create_custom_model_deployment(
        modelDeploymentName=f"tunestack-{job.model[-12:]}-on-demand", modelArn=job.model
    )


def test_the_same_job_submitted_by_somebody_faster_is_the_one_job(meanwhile, tuner, chat):
    faster = []
    slower = meanwhile(
        "CreateModelCustomizationJob", lambda: faster.append(tuner.submit("nova-micro", chat))
    )
    assert slower.submit("nova-micro", chat).id == faster[0].id
    assert len(list(tuner.jobs())) == 1


def test_a_job_of_the_same_name_with_another_token_is_found_by_its_name(meanwhile, tuner, chat):
    """Another version of the SDK may word the same request differently."""
    made = []

    def somebody():
        client = boto3.client("bedrock")
        name = tuner.submit("nova-micro", chat, rerun=True).name
        made.append(client.get_model_customization_job(jobIdentifier=name)["jobArn"])

    slower = meanwhile("CreateModelCustomizationJob", somebody)
    assert slower.submit("nova-micro", chat, tags={"mine": "yes"}).id == made[0]
    assert len(list(tuner.jobs())) == 1


def test_the_same_file_uploaded_by_somebody_faster_is_the_one_file(meanwhile, tuner, chat):
    chat = chat[:11]
    slower = meanwhile("PutObject", lambda: tuner.submit("nova-micro", chat, name="a"), "s3")
    assert slower.submit("nova-micro", chat, name="b").refresh().training_data


def test_other_data_put_there_meanwhile_is_not_overwritten(meanwhile, sandbox, chat):
    deployment = sandbox.deployment()
    key = f"{deployment.datasets_prefix}taken.jsonl"
    s3 = boto3.client("s3")
    slower = meanwhile(
        "PutObject",
        lambda: s3.put_object(Bucket=deployment.data_bucket, Key=key, Body=b"theirs"),
        "s3",
    )
    with pytest.raises(ConflictError, match="contains other data"):
        slower.submit("nova-micro", chat, s3_path=f"s3://{deployment.data_bucket}/{key}")
    assert s3.get_object(Bucket=deployment.data_bucket, Key=key)["Body"].read() == b"theirs"


def test_an_endpoint_started_by_somebody_faster_is_adopted(meanwhile, tuner, job, deploy):
    slower = meanwhile("CreateCustomModelDeployment", deploy)
    slower.job(job.id).start_endpoint()
    (endpoint,) = tuner.endpoints()
    assert endpoint.info.state == EndpointState.READY
    job.stop_endpoint()


def test_an_endpoint_that_is_refused_and_not_there_raises_the_refusal(meanwhile, job):
    remove = lambda: boto3.client("bedrock").delete_custom_model(modelIdentifier=job.model)  # noqa: E731
    slower = meanwhile("CreateCustomModelDeployment", remove)
    with pytest.raises(
        NotFoundError, match="custom model .* does not exist, it was probably deleted"
    ):
        slower.job(job.id).start_endpoint()


def test_an_endpoint_that_somebody_else_deletes_is_gone_all_the_same(meanwhile, tuner, job):
    name = job.start_endpoint().name
    delete = boto3.client("bedrock").delete_custom_model_deployment
    slower = meanwhile(
        "DeleteCustomModelDeployment", lambda: delete(customModelDeploymentIdentifier=name)
    )
    slower.job(job.id).stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_an_endpoint_that_becomes_busy_is_deleted_later(meanwhile, sandbox, tuner, job):
    job.start_endpoint()
    (entry,) = sandbox.bedrock_region("us-east-1").deployments.values()

    def busy():
        entry.status = "Creating"
        sandbox.clock.after(sandbox.clock.now(), 30, lambda _: setattr(entry, "status", "Active"))

    meanwhile("DeleteCustomModelDeployment", busy).job(job.id).stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_a_job_that_ends_before_the_stop_was_not_cancelled(meanwhile, tuner, chat, sandbox):
    job = tuner.submit("nova-micro", chat)
    slower = meanwhile("StopModelCustomizationJob", lambda: sandbox.clock.advance(10_000))
    assert slower.job(job.id).cancel() is False
    assert job.status() == JobState.SUCCEEDED


def test_a_job_that_somebody_else_stops_is_cancelled(meanwhile, tuner, chat):
    job = tuner.submit("nova-micro", chat)
    assert meanwhile("StopModelCustomizationJob", job.cancel).job(job.id).cancel() is True


def test_a_stop_that_is_refused_while_the_job_runs_raises(meanwhile, tuner, chat, sandbox):
    job = tuner.submit("nova-micro", chat)
    region = sandbox.bedrock_region("us-east-1")
    entry = region.jobs[job.id]

    def strange():
        entry.status = "Strange"

    slower = meanwhile("StopModelCustomizationJob", strange).job(job.id)
    # Put back before the look that follows the refusal.
    slower.backend._control.meta.events.register(
        "after-call.bedrock.StopModelCustomizationJob",
        lambda **_: setattr(entry, "status", "InProgress"),
    )
    with pytest.raises(ProviderError, match="stopping job"):
        slower.cancel()


def test_the_same_job_submitted_under_another_name_by_somebody_faster_is_the_one_job(
    meanwhile, tuner, chat
):
    faster = []
    slower = meanwhile(
        "CreateModelCustomizationJob",
        lambda: faster.append(tuner.submit("nova-micro", chat, name="faster", tags={"a": "b"})),
    )
    assert slower.submit("nova-micro", chat).id == faster[0].id
    assert len(list(tuner.jobs())) == 1


def test_an_endpoint_with_other_units_by_somebody_faster_is_not_taken_for_ours(
    meanwhile, tuner, job
):
    other = tuner.job(job.id)

    def start():
        with pytest.warns(EndpointCostWarning):
            other.start_endpoint("provisioned", model_units=5)

    slower = meanwhile("CreateProvisionedModelThroughput", start).job(job.id)
    with pytest.warns(EndpointCostWarning), pytest.raises(ConflictError, match="5 model units"):
        slower.start_endpoint("provisioned")
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_a_list_that_is_behind_a_stop_answers_with_no_stopped_job(tuner, poll, chat):
    first = tuner.submit("nova-micro", chat)
    first.cancel()
    session = boto3.Session()

    def behind(parsed, **_):
        for row in parsed.get("modelCustomizationJobSummaries", ()):
            row["status"] = "InProgress"

    session.events.register("after-call.bedrock.ListModelCustomizationJobs", behind)
    again = Tuner(session=session, poll=poll).submit("nova-micro", chat)
    assert again.id != first.id
    assert again.wait().model


def test_a_job_of_our_name_that_is_not_shown_yet_is_waited_for(tuner, chat, broken, poll):
    """Its list and its look are behind, and another token makes the create a conflict."""
    first = tuner.submit("nova-micro", chat)
    session = boto3.Session()

    def nothing(parsed, **_):
        parsed["modelCustomizationJobSummaries"] = []

    def another(params, **_):
        params["body"] = params["body"].replace(
            b'"clientRequestToken": "', b'"clientRequestToken": "x'
        )

    session.events.register("after-call.bedrock.ListModelCustomizationJobs", nothing)
    session.events.register("before-call.bedrock.CreateModelCustomizationJob", another)
    broken("GetModelCustomizationJob", "ResourceNotFoundException", times=3)
    tuner = Tuner(session=session, poll=poll)
    assert first.id == tuner.submit("nova-micro", chat).id
