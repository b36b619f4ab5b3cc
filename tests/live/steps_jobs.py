"""Steps about jobs: idempotency, names, tags, and two small jobs."""

from contextlib import contextmanager, suppress

from botocore.exceptions import ClientError

from tests.live.live_run import find, step
from tunestack.deployment import EXPIRES_AT_TAG, STAGE_TAG
from tunestack.errors import TunestackError

_ACCESS = ("AccessDeniedException",)
_CONFLICT = ("ConflictException",)
_INVALID = ("ValidationException",)
_TAG_SECONDS = 15


def tag(run_id, **others):
    """Build the tags of a request."""
    tags = {STAGE_TAG: run_id, **others}
    return [{"key": key, "value": value} for key, value in tags.items()]


def build_job(run, name, **others):
    """Build a request for a job with one epoch."""
    return {
        "jobName": name,
        "customModelName": name,
        "clientRequestToken": name,
        "roleArn": run.deployment.job_role_arn,
        "baseModelIdentifier": run.model.customization_id,
        "trainingDataConfig": {"s3Uri": run.upload_records()},
        "outputDataConfig": {
            "s3Uri": f"s3://{run.deployment.data_bucket}/{run.deployment.outputs_prefix}"
        },
        "hyperParameters": {"epochCount": "1"},
        "jobTags": tag(run.run_id),
        "customModelTags": tag(run.run_id),
        **others,
    }


def create_job(run, request):
    """Create a job as soon as the job role can be assumed, and return its ARN."""

    def create():
        try:
            return run.bedrock.create_model_customization_job(**request)["jobArn"]
        except ClientError as error:
            # Observed for up to five minutes after a role was created.
            is_temporary = error.response["Error"]["Code"] in _INVALID and "assume" in str(error)
            if not is_temporary:
                raise
            return None

    return run.wait_for("the job role", create, minutes=10)


def wait_until_ended(run, arn):
    """Wait until a job has ended, and return its last description."""

    def get():
        job = find(lambda: run.bedrock.get_model_customization_job(jobIdentifier=arn))
        return job if job and job["status"] not in ("InProgress", "Stopping") else None

    return run.wait_for("the end of the job", get, minutes=60)


def new_name(run, what):
    """Return a name that was not used in an earlier attempt, because a continued run can't use the same jobs again."""
    rows = run.bedrock.list_model_customization_jobs(nameContains=f"{run.run_id}-{what}")
    return f"{run.run_id}-{what}-{len(rows['modelCustomizationJobSummaries']) + 1}"


@step(
    settles=(
        "request-tags", "role-usable", "job-token-repeat", "job-token-other-body", "job-name-taken", "model-name-taken",
        "job-visible", "resource-tags", "job-stop", "job-stop-ended", "job-token-after-end",
    ),
    usd=lambda run: run.training_usd(6),
    duration="15 minutes",
)  # fmt: skip
def repeat_jobs(run):
    """Create a job, send equal and similar requests, and stop it. Six jobs are paid if every assumption is wrong."""
    bedrock, create = run.bedrock, run.bedrock.create_model_customization_job
    name = new_name(run, "repeat")
    request = build_job(run, name)
    created = []
    try:
        try:
            arn = create_job(run, request)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ACCESS:
                raise
            run.check("request-tags", False, error)
            return
        run.check("role-usable", arn, "the job was created" if arn else "not within 10 minutes")
        if not arn:
            return
        created.append(arn)
        repeated = run.check_call("job-token-repeat", lambda: create(**request)) or {}
        run.check("job-token-repeat", repeated.get("jobArn") == arn, f"{sorted(repeated)}")
        other = {"hyperParameters": {"epochCount": "2"}}
        new_token = {"clientRequestToken": f"{name}-b"}
        new_model, new_job = {"customModelName": f"{name}-b"}, {"jobName": f"{name}-b"}
        foreign = dict.fromkeys(("jobTags", "customModelTags"), tag(run.other_stage))
        # One rule alone can refuse each request.
        for assumption, codes, change in (
            ("job-token-other-body", _INVALID, other),
            ("job-name-taken", _CONFLICT, new_token | new_model),
            ("model-name-taken", _CONFLICT, new_token | new_job),
            ("request-tags", _ACCESS, new_token | new_job | new_model | foreign),
        ):
            result = run.check_error(
                assumption, codes, lambda change=change: create(**request | change)
            )
            created.append((result or {}).get("jobArn"))
        rows = run.wait_for(
            "the list",
            lambda: bedrock.list_model_customization_jobs(nameContains=name)[
                "modelCustomizationJobSummaries"
            ],
            minutes=1 / 3,
            interval=5,
        )
        run.check("job-visible", rows, f"{len(rows or ())} rows")
        with owned_by_other_stage(run, arn):
            run.check_error(
                "resource-tags",
                _ACCESS,
                lambda: bedrock.stop_model_customization_job(jobIdentifier=arn),
            )
        run.check_call("job-stop", lambda: bedrock.stop_model_customization_job(jobIdentifier=arn))
        job = wait_until_ended(run, arn) or {"status": "not ended after an hour"}
        is_stopped = job["status"] == "Stopped" and "outputModelArn" not in job
        run.check("job-stop", is_stopped, f"{job['status']}, {sorted(job)}")
        if job["status"] == "Stopped":
            run.check_error(
                "job-stop-ended",
                _CONFLICT,
                lambda: bedrock.stop_model_customization_job(jobIdentifier=arn),
            )
            again = run.check_call("job-token-after-end", lambda: create(**request)) or {}
            run.check("job-token-after-end", again.get("jobArn") == arn, f"{sorted(again)}")
            created.append(again.get("jobArn"))
    finally:
        for job in {*created} - {None}:
            with suppress(ClientError):  # it has ended
                run.admin.client("bedrock").stop_model_customization_job(jobIdentifier=job)


@contextmanager
def owned_by_other_stage(run, arn):
    """Tag a resource as that of another stage. Authorization may see new tags some seconds later."""
    bedrock = run.admin.client("bedrock")
    bedrock.tag_resource(resourceARN=arn, tags=tag(run.other_stage))
    try:
        run.clock.sleep(_TAG_SECONDS)
        yield
    finally:
        bedrock.tag_resource(resourceARN=arn, tags=tag(run.run_id))
        run.clock.sleep(_TAG_SECONDS)


@step(
    settles=("ended-model", "model-key"),
    usd=lambda run: run.training_usd(2),
    duration="5 minutes",
)
def refuse_jobs(run):
    """Request a job for an ended base model, and a job with the model key, which is stopped."""
    name = new_name(run, "key")
    ended = {"baseModelIdentifier": "amazon.titan-text-express-v1:0:8k"}
    if run.region != "us-east-1":
        ended = {"baseModelIdentifier": "anthropic.claude-3-haiku-20240307-v1:0:200k"}
    admin = run.admin.client("bedrock")
    request = build_job(run, f"{name}-ended", **ended)
    result = run.check_error(
        "ended-model",
        ("ResourceNotFoundException",),
        lambda: admin.create_model_customization_job(**request),
    )
    request = build_job(run, name, customModelKmsKeyId=run.deployment.model_key_arn)
    arn = run.check_call("model-key", lambda: create_job(run, request))
    for job in {(result or {}).get("jobArn"), arn} - {None}:
        admin.stop_model_customization_job(jobIdentifier=job)


@step(settles=("expiry-required", "expiry-accepted", "deployment-request-tags"))
def deny(run):
    """Request endpoints of a model that does not exist: permissions are evaluated first, so nothing can be created."""
    model = (
        f"arn:aws:bedrock:{run.region}:{run.account}:custom-model/{run.model.customization_id}"
        "/000000000000"
    )
    request = {"provisionedModelName": f"{run.run_id}-deny", "modelId": model, "modelUnits": 1}
    create = run.bedrock.create_provisioned_model_throughput
    run.check_error("expiry-required", _ACCESS, lambda: create(**request, tags=tag(run.run_id)))
    expiry = {EXPIRES_AT_TAG: f"{run.clock.now():%Y-%m-%dT%H:%M:%SZ}"}
    unknown = ("ResourceNotFoundException", "ValidationException")
    run.check_error(
        "expiry-accepted", unknown, lambda: create(**request, tags=tag(run.run_id, **expiry))
    )
    create = run.bedrock.create_custom_model_deployment
    request = {"modelDeploymentName": f"{run.run_id}-deny", "modelArn": model}
    for stage, codes in ((run.other_stage, _ACCESS), (run.run_id, unknown)):
        run.check_error(
            "deployment-request-tags", codes, lambda stage=stage: create(**request, tags=tag(stage))
        )


@step(
    settles=("job-completes", "job-phases", "job-metrics", "model-tags"),
    usd=lambda run: run.training_usd(2),
    duration="1 to 4 hours, sometimes days in the queue of Nova",
)
def train(run):
    """Train two models with 100 short records and one epoch, and wait until both jobs have ended."""
    try:
        jobs = run.jobs
    except TunestackError as error:
        run.check("job-completes", False, error)
        return
    for job in jobs:
        run.check("job-completes", job.model, f"{job.name}: {job.state.value}")
        details = run.bedrock.get_model_customization_job(jobIdentifier=job.id)
        phases = sorted(details.get("statusDetails", {}))
        known = {"validationDetails", "dataProcessingDetails", "trainingDetails"}
        run.check("job-phases", known <= {*phases}, f"{details['status']}, {phases}")
        losses = job.metrics()
        run.check("job-metrics", losses, f"{len(losses)} rows")
        tags = run.bedrock.list_tags_for_resource(resourceARN=job.model)["tags"]
        run.check("model-tags", tag(run.run_id)[0] in tags, f"{len(tags)} tags")
