"""Wrong sandboxes: each deviation is found by one step of the suite.

A deviation is planted for a `with` block, from outside of the product.
"""

from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from tunestack_sandbox.bedrock import authorization
from tunestack_sandbox.messages import OperationResult, ServiceError

_SERVICE = "tunestack_sandbox.bedrock.service"
_AUTHORIZATION = "tunestack_sandbox.bedrock.authorization"
DEVIATIONS: dict[str, Any] = {}


def deviation(step, assumption):
    """Register a function of the sandbox that returns a context manager."""

    def register(function):
        DEVIATIONS[function.__name__] = (step, assumption, contextmanager(function))
        return function

    return register


def intercept(step, assumption, *operations):
    """Register a function that handles operations instead of the sandbox."""

    def register(function):
        def plant(program):
            def handle(call, handler):
                if call.operation.name not in operations:
                    return handler(call)
                return function(program, call, handler)

            with program.sandbox.intercept_operations(handle):
                yield

        plant.__name__ = function.__name__
        return deviation(step, assumption)(plant)

    return register


@intercept("repeat-jobs", "job-token-repeat", "CreateModelCustomizationJob")
def token_is_ignored(_, call, handler):
    call.params.pop("clientRequestToken")
    return handler(call)


@intercept("repeat-jobs", "job-token-repeat", "CreateModelCustomizationJob")
def repeated_token_returns_nothing(program, call, handler):
    jobs = program.sandbox.bedrock_region().jobs.values()
    if any(job.params == call.params for job in jobs):
        return OperationResult(result={}, ignored=True)
    return handler(call)


@intercept("repeat-jobs", "job-token-other-body", "CreateModelCustomizationJob")
def token_returns_the_first_job_for_any_body(program, call, handler):
    token = call.params["clientRequestToken"]
    for job in program.sandbox.bedrock_region().jobs.values():
        if job.params["clientRequestToken"] == token:
            return OperationResult(result={"jobArn": job.arn})
    return handler(call)


@intercept("repeat-jobs", "job-token-after-end", "CreateModelCustomizationJob")
def token_is_forgotten_when_the_job_ends(program, call, handler):
    region = program.sandbox.bedrock_region()
    token = call.params["clientRequestToken"]
    ended = {job.params["clientRequestToken"] for job in region.jobs.values() if job.ended}
    if token in ended:
        region.tokens.pop((call.operation.name, token), None)
    return handler(call)


@intercept("repeat-jobs", "job-name-taken", "CreateModelCustomizationJob")
def taken_name_has_another_code(_, call, handler):
    try:
        return handler(call)
    except ServiceError as error:
        if error.code != "ConflictException":
            raise
        raise ServiceError("ValidationException", error.message) from error


@deviation("repeat-jobs", "request-tags")
def request_tags_are_not_passed_to_iam(_):
    with patch(f"{_AUTHORIZATION}._build_tag_context", lambda *_: {}):
        yield


@deviation("repeat-jobs", "resource-tags")
def resource_tags_are_not_passed_to_iam(_):
    with patch(f"{_AUTHORIZATION}._resource_tags", lambda *_: {}):
        yield


@intercept("repeat-jobs", "job-stop", "StopModelCustomizationJob")
def stop_is_ignored(program, call, handler):
    region = program.sandbox.bedrock_region()
    job = next(iter(region.jobs.values()))
    if region.tags[job.arn]["tunestack:stage"].endswith("-net"):
        return handler(call)
    return OperationResult(result={})


@intercept("repeat-jobs", "job-stop-ended", "StopModelCustomizationJob")
def ended_job_can_be_stopped(_, call, handler):
    try:
        return handler(call)
    except ServiceError as error:
        if error.code != "ConflictException":
            raise
        return OperationResult(result={})


@intercept("repeat-jobs", "job-visible", "ListModelCustomizationJobs")
def job_is_listed_late(program, call, handler):
    result = handler(call)
    return replace(result, result={"modelCustomizationJobSummaries": []})


def _without_authorization(*operations):
    """Let everybody call operations."""

    def allow(caller, region, operation, params):
        if operation not in operations:
            authorization.authorize(caller, region, operation, params)

    return patch(f"{_SERVICE}.authorize", allow)


@deviation("deny", "expiry-required")
def deny_statement_is_ignored(_):
    with _without_authorization("CreateProvisionedModelThroughput"):
        yield


@deviation("deny", "deployment-request-tags")
def tags_of_deployments_are_ignored(_):
    with _without_authorization("CreateCustomModelDeployment"):
        yield


@intercept("read", "models-listed", "ListFoundationModels")
def model_is_not_listed(_, call, handler):
    result = handler(call)
    rows = [row for row in result.result["modelSummaries"] if "micro" not in row["modelId"]]
    return replace(result, result={"modelSummaries": rows})


@intercept("read", "tuner-lists", "ListCustomModelDeployments")
def list_needs_another_permission(_, call, handler):
    raise ServiceError("AccessDeniedException", "You are not authorized to list deployments.")


@deviation("train", "job-completes")
def jobs_fail(program):
    program.sandbox.faults.add("internal-failure", phase="training")
    yield


@intercept("train", "model-tags", "ListTagsForResource")
def models_have_no_tags(_, call, handler):
    result = handler(call)
    is_model = ":custom-model/" in call.params["resourceARN"]
    return replace(result, result={"tags": []}) if is_model else result


@intercept("serve", "deployment-active", "GetCustomModelDeployment")
def deployment_never_becomes_active(_, call, handler):
    result = handler(call)
    return replace(result, result={**result.result, "status": "Creating"})


@intercept("serve", "delete-while-creating", "DeleteCustomModelDeployment")
def deployment_is_deleted_while_it_is_created(_, call, handler):
    return OperationResult(result={})


@intercept("serve", "deployment-name-taken", "CreateCustomModelDeployment")
def taken_deployment_name_has_another_code(_, call, handler):
    try:
        return handler(call)
    except ServiceError as error:
        if "in use" not in error.message:
            raise
        raise ServiceError("ServiceQuotaExceededException", error.message) from error


@intercept("invoke", "converse", "Converse")
def converse_is_refused(_, call, handler):
    raise ServiceError("ValidationException", "The provided model doesn't support on-demand.")


@intercept("invoke", "invoke-model", "InvokeModel")
def invoke_model_is_refused(_, call, handler):
    raise ServiceError("ValidationException", "Malformed input request.")


@intercept("update", "deployment-update", "UpdateCustomModelDeployment")
def update_is_refused(_, call, handler):
    raise ServiceError("AccessDeniedException", "You are not authorized to update deployments.")


@intercept("delete", "deployment-token-after-delete", "CreateCustomModelDeployment")
def token_of_a_deleted_deployment_is_forgotten(program, call, handler):
    region = program.sandbox.bedrock_region()
    if not region.deployments:
        region.tokens.pop((call.operation.name, call.params["clientRequestToken"]), None)
    return handler(call)


@deviation("expire", "guard-sweep")
def guard_never_sweeps(program):
    events = program.client("events")
    (rule,) = [
        row["Name"]
        for row in events.list_rules()["Rules"]
        if row.get("ScheduleExpression") == "rate(5 minutes)"
    ]
    events.disable_rule(Name=rule)
    yield
    events.enable_rule(Name=rule)


@intercept("expire", "guard-schedule", "GetCustomModelDeployment")
def schedules_never_run(program, call, handler):
    region = program.sandbox.bedrock_region()
    last_model = list(region.models.values())[-1]
    if any(endpoint.model is last_model for endpoint in region.deployments.values()):
        program.delete_schedules()
    return handler(call)


@deviation("notify", "event-queue")
def events_are_lost(program):
    program.sandbox.faults.add("event-loss")
    yield


@deviation("notify", "notice-topic")
def notices_are_not_sent(program):
    events = program.client("events")
    (rule,) = [row["Name"] for row in events.list_rules()["Rules"] if "Ends" in row["Name"]]
    events.disable_rule(Name=rule)
    yield
    events.enable_rule(Name=rule)


@intercept("refuse-jobs", "ended-model", "CreateModelCustomizationJob")
def ended_model_has_another_code(_, call, handler):
    try:
        return handler(call)
    except ServiceError as error:
        raise ServiceError("ValidationException", error.message) from error


@deviation("refuse-jobs", "model-key")
def key_needs_another_permission(_):
    def refuse(*_):
        raise ServiceError("AccessDeniedException", "You are not authorized to use the key.")

    with patch(
        f"{_AUTHORIZATION}._list_key_permissions",
        lambda _, params: refuse() if "customModelKmsKeyId" in params else (),
    ):
        yield


@intercept("expire", "model-delete-served", "DeleteCustomModel")
def served_model_is_deleted(_, call, handler):
    return OperationResult(result={})


@intercept("repeat-jobs", "model-name-taken", "CreateModelCustomizationJob")
def taken_model_name_has_another_code(_, call, handler):
    try:
        return handler(call)
    except ServiceError as error:
        if "model name" not in error.message:
            raise
        raise ServiceError("ValidationException", error.message) from error


@intercept("deny", "expiry-accepted", "CreateProvisionedModelThroughput")
def throughput_needs_another_permission(_, call, handler):
    raise ServiceError("AccessDeniedException", "You are not authorized to buy throughput.")


@intercept("train", "job-phases", "GetModelCustomizationJob")
def jobs_have_no_details(_, call, handler):
    result = handler(call)
    shown = {key: value for key, value in result.result.items() if key != "statusDetails"}
    return replace(result, result=shown)


@intercept("serve", "deployment-token-repeat", "CreateCustomModelDeployment")
def token_of_deployment_is_ignored(_, call, handler):
    call.params.pop("clientRequestToken")
    return handler(call)


@deviation("invoke", "endpoint-resource-tags")
def tags_of_endpoints_are_not_passed_to_iam(_):
    with patch(f"{_AUTHORIZATION}._resource_tags", lambda *_: {}):
        yield


@intercept("delete-models", "model-of-job", "GetModelCustomizationJob")
def job_of_a_deleted_model_has_no_model(program, call, handler):
    result = handler(call)
    models = program.sandbox.bedrock_region().models
    if result.result.get("outputModelArn") in models:
        return result
    shown = {key: value for key, value in result.result.items() if key != "outputModelArn"}
    return replace(result, result=shown)


@intercept("delete-models", "model-delete", "DeleteCustomModel")
def models_can_not_be_deleted(_, call, handler):
    raise ServiceError("AccessDeniedException", "You are not authorized to delete models.")
