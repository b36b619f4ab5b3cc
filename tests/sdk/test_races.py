"""Another process acts between a read and a write of the SDK: there is still one job, endpoint and file."""

import boto3
import pytest

from tunestack import EndpointCostWarning, EndpointState, JobState, Tuner
from tunestack.errors import ConflictError, NotFoundError, ProviderError


@pytest.fixture
def deploy(job):
    """Return a function that deploys the job's model with the name of Tunestack, like another process."""
    return lambda: boto3.client("bedrock").create_custom_model_deployment(
        modelDeploymentName=f"tunestack-{job.model[-12:]}-on-demand", modelArn=job.model
    )


def test_identical_concurrent_submissions_create_one_job(create_racing_tuner, tuner, chat):
    other_jobs = []
    slow_tuner = create_racing_tuner(
        "CreateModelCustomizationJob", lambda: other_jobs.append(tuner.submit("nova-micro", chat))
    )
    assert slow_tuner.submit("nova-micro", chat).id == other_jobs[0].id
    assert len(list(tuner.jobs())) == 1


def test_job_with_the_same_name_and_another_token_is_returned(create_racing_tuner, tuner, chat):
    """Another version of the SDK can send another token for the same job."""
    ids = []

    def submit_rerun():
        client = boto3.client("bedrock")
        name = tuner.submit("nova-micro", chat, rerun=True).name
        ids.append(client.get_model_customization_job(jobIdentifier=name)["jobArn"])

    slow_tuner = create_racing_tuner("CreateModelCustomizationJob", submit_rerun)
    assert slow_tuner.submit("nova-micro", chat, tags={"team": "a"}).id == ids[0]
    assert len(list(tuner.jobs())) == 1


def test_identical_concurrent_uploads_are_accepted(create_racing_tuner, tuner, chat):
    chat = chat[:11]
    slow_tuner = create_racing_tuner(
        "PutObject", lambda: tuner.submit("nova-micro", chat, name="a"), "s3"
    )
    assert slow_tuner.submit("nova-micro", chat, name="b").refresh().training_data


def test_concurrently_uploaded_other_data_is_not_overwritten(create_racing_tuner, sandbox, chat):
    deployment = sandbox.deployment()
    key = f"{deployment.datasets_prefix}used.jsonl"
    s3 = boto3.client("s3")
    slow_tuner = create_racing_tuner(
        "PutObject",
        lambda: s3.put_object(Bucket=deployment.data_bucket, Key=key, Body=b"other"),
        "s3",
    )
    with pytest.raises(ConflictError, match="contains other data"):
        slow_tuner.submit("nova-micro", chat, s3_path=f"s3://{deployment.data_bucket}/{key}")
    assert s3.get_object(Bucket=deployment.data_bucket, Key=key)["Body"].read() == b"other"


def test_concurrently_started_endpoint_is_used(create_racing_tuner, tuner, job, deploy):
    slow_tuner = create_racing_tuner("CreateCustomModelDeployment", deploy)
    slow_tuner.job(job.id).start_endpoint()
    (endpoint,) = tuner.endpoints()
    assert endpoint.info.state == EndpointState.READY
    job.stop_endpoint()


def test_endpoint_of_a_concurrently_deleted_model_raises_not_found_error(create_racing_tuner, job):
    remove = lambda: boto3.client("bedrock").delete_custom_model(modelIdentifier=job.model)  # noqa: E731
    slow_tuner = create_racing_tuner("CreateCustomModelDeployment", remove)
    with pytest.raises(
        NotFoundError, match="custom model .* does not exist, it was probably deleted"
    ):
        slow_tuner.job(job.id).start_endpoint()


def test_stop_succeeds_if_the_endpoint_is_deleted_concurrently(create_racing_tuner, tuner, job):
    name = job.start_endpoint().name
    delete = boto3.client("bedrock").delete_custom_model_deployment
    slow_tuner = create_racing_tuner(
        "DeleteCustomModelDeployment", lambda: delete(customModelDeploymentIdentifier=name)
    )
    slow_tuner.job(job.id).stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_stop_waits_for_an_endpoint_that_is_being_updated(create_racing_tuner, sandbox, tuner, job):
    job.start_endpoint()
    (entry,) = sandbox.bedrock_region("us-east-1").deployments.values()

    def set_status():
        entry.status = "Creating"
        sandbox.clock.after(sandbox.clock.now(), 30, lambda _: setattr(entry, "status", "Active"))

    create_racing_tuner("DeleteCustomModelDeployment", set_status).job(job.id).stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_cancel_returns_false_if_the_job_has_just_ended(create_racing_tuner, tuner, chat, sandbox):
    job = tuner.submit("nova-micro", chat)
    slow_tuner = create_racing_tuner(
        "StopModelCustomizationJob", lambda: sandbox.clock.advance(10_000)
    )
    assert slow_tuner.job(job.id).cancel() is False
    assert job.status() == JobState.SUCCEEDED


def test_cancel_returns_true_if_the_job_is_stopped_concurrently(create_racing_tuner, tuner, chat):
    job = tuner.submit("nova-micro", chat)
    assert create_racing_tuner("StopModelCustomizationJob", job.cancel).job(job.id).cancel() is True


def test_rejected_stop_of_a_running_job_raises(create_racing_tuner, tuner, chat, sandbox):
    job = tuner.submit("nova-micro", chat)
    region = sandbox.bedrock_region("us-east-1")
    entry = region.jobs[job.id]

    def set_unknown_status():
        entry.status = "Strange"

    slow_tuner = create_racing_tuner("StopModelCustomizationJob", set_unknown_status).job(job.id)
    # Restore the status before the read that follows the rejection.
    slow_tuner.backend._control.meta.events.register(
        "after-call.bedrock.StopModelCustomizationJob",
        lambda **_: setattr(entry, "status", "InProgress"),
    )
    with pytest.raises(ProviderError, match="stopping job"):
        slow_tuner.cancel()


def test_concurrent_submissions_with_different_names_create_one_job(
    create_racing_tuner, tuner, chat
):
    other_jobs = []
    slow_tuner = create_racing_tuner(
        "CreateModelCustomizationJob",
        lambda: other_jobs.append(tuner.submit("nova-micro", chat, name="faster", tags={"a": "b"})),
    )
    assert slow_tuner.submit("nova-micro", chat).id == other_jobs[0].id
    assert len(list(tuner.jobs())) == 1


def test_concurrently_started_endpoint_with_other_units_is_a_conflict(
    create_racing_tuner, tuner, job
):
    other = tuner.job(job.id)

    def start():
        with pytest.warns(EndpointCostWarning):
            other.start_endpoint("provisioned", model_units=5)

    slow_tuner = create_racing_tuner("CreateProvisionedModelThroughput", start).job(job.id)
    with pytest.warns(EndpointCostWarning), pytest.raises(ConflictError, match="5 model units"):
        slow_tuner.start_endpoint("provisioned")
    job.stop_endpoint()
    assert list(tuner.endpoints()) == []


def test_stopped_job_in_a_stale_list_is_not_returned(tuner, poll, chat):
    first = tuner.submit("nova-micro", chat)
    first.cancel()
    session = boto3.Session()

    def return_stale_status(parsed, **_):
        for row in parsed.get("modelCustomizationJobSummaries", ()):
            row["status"] = "InProgress"

    session.events.register("after-call.bedrock.ListModelCustomizationJobs", return_stale_status)
    second = Tuner(session=session, poll=poll).submit("nova-micro", chat)
    assert second.id != first.id
    assert second.wait().model


def test_submit_waits_for_a_conflicting_job_that_is_not_visible_yet(
    tuner, chat, inject_error, poll
):
    """The list and the job are not visible yet, and another token makes the creation a conflict."""
    first = tuner.submit("nova-micro", chat)
    session = boto3.Session()

    def return_empty_list(parsed, **_):
        parsed["modelCustomizationJobSummaries"] = []

    def change_token(params, **_):
        params["body"] = params["body"].replace(
            b'"clientRequestToken": "', b'"clientRequestToken": "x'
        )

    session.events.register("after-call.bedrock.ListModelCustomizationJobs", return_empty_list)
    session.events.register("before-call.bedrock.CreateModelCustomizationJob", change_token)
    inject_error("GetModelCustomizationJob", "ResourceNotFoundException", times=3)
    tuner = Tuner(session=session, poll=poll)
    assert first.id == tuner.submit("nova-micro", chat).id
