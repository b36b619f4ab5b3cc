"""Steps about endpoints: serve, invoke, update, delete, expire."""

import json
import warnings
from contextlib import suppress
from datetime import timedelta
from typing import Any

from tests.live.live_run import LiveError, find, step
from tests.live.steps_jobs import owned_by_other_stage, tag
from tunestack.errors import EndpointTimeoutError, NotFoundError, TunestackError

_TTL = timedelta(minutes=20)
_QUESTION = "Parcel 7 of {}?"


def _build_deployment(run, **others):
    name = f"{run.run_id}-serve"
    return {
        "modelDeploymentName": name,
        "modelArn": run.jobs[0].model,
        "clientRequestToken": name,
        "tags": tag(run.run_id),
        **others,
    }


def _find_deployment(run, *statuses):
    """Return the deployment of the run if it has one of the statuses."""
    name = f"{run.run_id}-serve"
    row = find(
        lambda: run.bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=name)
    )
    return row if row and row["status"] in statuses else None


def _require_arn(run):
    row = _find_deployment(run, "Active")
    if row is None:
        raise LiveError("the deployment is not active: run the step 'serve'")
    return row["customModelDeploymentArn"]


@step(
    settles=("deployment-token-repeat", "deployment-name-taken", "delete-while-creating", "deployment-active"),
    duration="10 minutes",
)  # fmt: skip
def serve(run):
    """Create an on-demand deployment of the first model, which costs nothing while idle."""
    request = _build_deployment(run)
    create = run.bedrock.create_custom_model_deployment
    arn = create(**request)["customModelDeploymentArn"]
    again = run.check_call("deployment-token-repeat", lambda: create(**request)) or {}
    run.check(
        "deployment-token-repeat", again.get("customModelDeploymentArn") == arn, f"{sorted(again)}"
    )
    run.check_error(
        "deployment-name-taken",
        ("ValidationException",),
        lambda: create(**request | {"clientRequestToken": f"{run.run_id}-b"}),
    )
    delete_own = run.bedrock.delete_custom_model_deployment
    if not _find_deployment(run, "Active"):  # in a continued run, it may be active
        run.check_error(
            "delete-while-creating",
            ("ValidationException",),
            lambda: delete_own(customModelDeploymentIdentifier=arn),
        )
    row = run.wait_for(
        "the deployment", lambda: _find_deployment(run, "Active", "Failed"), minutes=60
    )
    status = row["status"] if row else "not active within an hour"
    run.check("deployment-active", status == "Active", status)


@step(
    settles=("converse", "invoke-model", "litellm", "endpoint-resource-tags", "endpoint-metrics"),
    usd=0.05,
    duration="20 minutes",
)
def invoke(run):
    """Query the deployment with Converse, InvokeModel and litellm, and as another stage; then read its metrics."""
    arn = _require_arn(run)
    runtime = run.tuner_session.client("bedrock-runtime")
    messages = [{"role": "user", "content": [{"text": _QUESTION.format(run.run_id)}]}]
    converse = {"modelId": arn, "messages": messages, "inferenceConfig": {"maxTokens": 30}}
    response = run.check_call("converse", lambda: runtime.converse(**converse)) or {}
    text = response.get("output", {}).get("message", {}).get("content", [{}])[0].get("text")
    run.check("converse", text, f"{sorted(response)}")
    body: dict[str, Any] = {"messages": messages, "inferenceConfig": {"maxTokens": 30}}
    if run.model.publisher == "meta":
        body = {"prompt": _QUESTION.format(run.run_id), "max_gen_len": 30}
    run.check_call("invoke-model", lambda: runtime.invoke_model(modelId=arn, body=json.dumps(body)))
    _call_litellm(run, arn)
    with owned_by_other_stage(run, arn):
        run.check_error(
            "endpoint-resource-tags",
            ("AccessDeniedException",),
            lambda: runtime.converse(**converse),
        )
    endpoint = run.tuner.endpoint(arn)
    try:
        rows = run.wait_for("the metrics", endpoint.metrics, minutes=20) or []
    except TunestackError as error:
        run.check("endpoint-metrics", False, error)
    else:
        invocations = sum(row.invocations for row in rows)
        run.check("endpoint-metrics", invocations, f"{invocations} invocations")


def _call_litellm(run, arn):
    warnings.filterwarnings("ignore", module="pydantic")  # about types of litellm
    import litellm

    keys = run.tuner_session.get_credentials().get_frozen_credentials()
    try:
        response = litellm.completion(
            model=f"bedrock/converse/{arn}",
            messages=[{"role": "user", "content": _QUESTION.format(run.run_id)}],
            max_tokens=30,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token,
            aws_region_name=run.region,
        )
    except Exception as error:  # noqa: BLE001 - of litellm and its HTTP client
        run.check("litellm", False, error)
    else:
        run.check("litellm", response.choices[0].message.content, "answered")


@step(settles=("deployment-update",), duration="10 minutes")
def update(run):
    """Update the deployment to the second model."""
    endpoint = run.tuner.endpoint(_require_arn(run))
    try:
        endpoint.update(run.jobs[1].model)
    except TunestackError as error:
        run.check("deployment-update", False, error)
    else:
        run.check("deployment-update", endpoint.model == run.jobs[1].model, endpoint.state.value)


@step(settles=("deployment-token-after-delete",))
def delete(run):
    """Delete the deployment, and repeat the request that created it."""
    arn = _require_arn(run)
    run.tuner.endpoint(arn).stop()
    again = run.check_call(
        "deployment-token-after-delete",
        lambda: run.bedrock.create_custom_model_deployment(**_build_deployment(run)),
    )
    same = (again or {}).get("customModelDeploymentArn") == arn
    run.check("deployment-token-after-delete", same, "the same ARN" if same else "another ARN")


@step(settles=("guard-sweep", "guard-schedule", "model-delete-served"), duration="an hour")
def expire(run):
    """Let two deployments expire, each deleted by one layer of the guard."""
    events, rule = run.admin.client("events"), run.find_resource("AWS::Events::Rule", "GuardSweep")
    scheduler = run.admin.client("scheduler")
    group = run.deployment.schedule_group

    first = _start(run, run.jobs[0])
    scheduler.delete_schedule(Name=first.name, GroupName=group)
    _wait_until_deleted(run, "guard-sweep", first)
    events.disable_rule(Name=rule)
    try:
        second = _start(run, run.jobs[1])
        run.check_error(
            "model-delete-served",
            ("ConflictException",),
            lambda: run.bedrock.delete_custom_model(modelIdentifier=run.jobs[1].model),
        )
        _wait_until_deleted(run, "guard-schedule", second)
    finally:
        events.enable_rule(Name=rule)


def _start(run, job):
    job.start_endpoint(ttl=_TTL)
    return job.endpoint()


def _wait_until_deleted(run, assumption, endpoint):
    """Wait until 15 minutes after the expiry. An endpoint that was deleted before its expiry is an error, too."""
    expires_at = endpoint.expires_at
    minutes = (expires_at - run.clock.now()).total_seconds() / 60 + 15

    def is_deleted():
        try:
            endpoint.refresh()
        except NotFoundError:
            return True
        return False

    is_over = run.wait_for(
        "the expiry", is_deleted, minutes=minutes, interval=60, functions_run=True
    )
    after = (run.clock.now() - expires_at).total_seconds() / 60
    run.check(
        assumption,
        is_over and after >= 0,
        f"deleted {after:.0f} minutes after the expiry" if is_over else "not deleted",
    )


@step(
    settles=("provisioned", "throughput-delete-while-creating"),
    usd=lambda run: run.provisioned_price or 0.0,
    duration="40 minutes; only with --provisioned",
)
def provision(run):
    """Buy provisioned throughput without commitment for an hour, query it, and delete it."""
    if run.provisioned_price is None:
        return
    try:
        job = run.jobs[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the caller has accepted the price
            with suppress(EndpointTimeoutError):  # it takes 20 to 30 minutes
                job.start_endpoint("provisioned", ttl=timedelta(hours=1), timeout=60)
        endpoint = job.endpoint()
        try:
            run.check_error(
                "throughput-delete-while-creating",
                ("ConflictException",),
                lambda: run.bedrock.delete_provisioned_model_throughput(
                    provisionedModelId=endpoint.id
                ),
            )
            endpoint.wait()
            answer = endpoint.invoke(_QUESTION.format(run.run_id))
        finally:
            endpoint.stop()
    except TunestackError as error:
        run.check("provisioned", False, error)
    else:
        run.check("provisioned", answer, "answered, and deleted")
