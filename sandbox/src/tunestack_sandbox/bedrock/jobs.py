"""Operations on customization jobs: create, get, list, stop."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from tunestack.catalog import NumberType, RecordFormat
from tunestack_sandbox.bedrock import training
from tunestack_sandbox.bedrock.foundation_models import find_base_model
from tunestack_sandbox.bedrock.job_role import NOT_ASSUMED, JobRole, RoleError
from tunestack_sandbox.bedrock.pagination import build_page
from tunestack_sandbox.bedrock.state import (
    PHASES,
    Job,
    Region,
    check_tags,
    drop_none,
    require,
)
from tunestack_sandbox.faults import FaultKind
from tunestack_sandbox.messages import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.catalog import BaseModel

Params = dict[str, Any]

_STOP_SECONDS = 60
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def create_job(region: Region, params: Params) -> Params:
    """Handle CreateModelCustomizationJob."""
    return region.create_once(
        "CreateModelCustomizationJob", params, lambda: _create_job(region, params)
    )


def _create_job(region: Region, params: Params) -> Params:
    base, source = find_base_model(region, params["baseModelIdentifier"])
    _require_fine_tuning(base, params)
    hyperparameters = _complete_hyperparameters(base, params.get("hyperParameters", {}))
    check_tags(params.get("jobTags", ()))
    check_tags(params.get("customModelTags", ()))
    _require_unused_names(region, params)
    _require_quotas(region)
    _require_ready_role(region)
    arn = region.new_arn(f"model-customization-job/{base.customization_id}")
    if region.settings.validate_data:
        try:
            JobRole(region, params["roleArn"], arn)
        except RoleError as error:
            raise ServiceError("ValidationException", str(error)) from error
    key = params.get("customModelKmsKeyId")
    now = region.clock.now()
    job = Job(
        arn=arn,
        name=params["jobName"],
        params=params,
        base=base,
        hyperparameters=hyperparameters,
        source=source,
        kms_key=None if key is None else region.client.find_key_arn(key),
        created=now,
        modified=now,
        phases={phase: {"status": "NotStarted"} for phase in PHASES},
    )
    region.jobs[job.arn] = job
    region.add_tags(job.arn, params.get("jobTags", ()))
    training.start_job(region, job, now)
    return {"jobArn": job.arn}


def _require_unused_names(region: Region, params: Params) -> None:
    if any(job.name == params["jobName"] for job in region.jobs.values()):
        raise ServiceError("ConflictException", "The provided job name is currently in use.")
    names = {model.name for model in region.models.values()} | {
        job.params["customModelName"] for job in region.jobs.values() if job.ended is None
    }
    if params["customModelName"] in names:
        message = "The provided custom model name is currently in use."
        raise ServiceError("ConflictException", message)


def _require_quotas(region: Region) -> None:
    quotas = region.settings.quotas
    region.require_quota(
        sum(job.ended is None for job in region.jobs.values()),
        quotas.jobs,
        f"You have reached the limit of {quotas.jobs} scheduled customization jobs.",
    )
    region.require_quota(
        len(region.models),
        quotas.custom_models,
        f"You have reached the limit of {quotas.custom_models} custom models.",
    )


def _require_ready_role(region: Region) -> None:
    """Raise ServiceError while a fault delays the role, as IAM does for minutes after a role was created.

    Sources: aws-samples/amazon-bedrock-workshop#367; the AWS provider of Terraform retries (internal/service/bedrock/custom_model.go).
    """
    rule = region.faults.trigger(FaultKind.ROLE_NOT_READY)
    if rule is None:
        return
    if rule.injected_count == 1:
        region.clock.after(region.clock.now(), rule.seconds, lambda _: region.faults.remove(rule))
    raise ServiceError("ValidationException", NOT_ASSUMED)


def _require_fine_tuning(base: BaseModel, params: Params) -> None:
    """Check that the job fine-tunes a language model with a file.

    Raises:
        ServiceError: It does not. AWS accepts some of these jobs, the sandbox does not.
    """
    if (
        params.get("customizationType", "FINE_TUNING") != "FINE_TUNING"
        or "customizationConfig" in params
    ):
        raise ServiceError("ValidationException", "The sandbox customizes by FINE_TUNING only.")
    if base.record_format is RecordFormat.IMAGE_CAPTION:
        raise ServiceError("ValidationException", "The sandbox customizes language models only.")
    if "s3Uri" not in params["trainingDataConfig"]:
        raise ServiceError("ValidationException", "The provided S3 URI is invalid")


def _complete_hyperparameters(base: BaseModel, params: Mapping[str, str]) -> dict[str, str]:
    """Validate hyperparameters and add defaults for missing ones, in the format of GetModelCustomizationJob."""
    for name, text in params.items():
        limits = base.hyperparameters.get(name)
        if limits is None:
            raise ServiceError(
                "ValidationException", f"Unknown hyperparameter {name} for the model."
            )
        pattern = _INTEGER if limits.type is NumberType.INTEGER else _NUMBER
        value = float(text) if pattern.fullmatch(text) else math.nan
        if not limits.min <= value <= limits.max:
            raise ServiceError(
                "ValidationException",
                f"Hyperparameter {name} is {text}, expected {limits.min} to {limits.max}.",
            )
    defaults = {
        name: str(limits.default)
        for name, limits in base.hyperparameters.items()
        if limits.default is not None
    }
    return {**defaults, **params}


def stop_job(region: Region, params: Params) -> Params:
    """Handle StopModelCustomizationJob."""
    job = require(region.jobs, params["jobIdentifier"], "job")
    if job.status != "InProgress":
        raise ServiceError("ConflictException", f"The job is {job.status} and can't be stopped.")
    now = region.clock.now()
    training.stop_job(region, job, now)
    region.clock.after(
        now, _STOP_SECONDS, lambda due: training.end_job(region, job, "Stopped", due)
    )
    return {}


def get_job(region: Region, params: Params) -> Params:
    """Handle GetModelCustomizationJob."""
    job = require(region.jobs, params["jobIdentifier"], "job")
    return drop_none(
        {
            "jobArn": job.arn,
            "jobName": job.name,
            "outputModelName": job.params["customModelName"],
            "outputModelArn": job.model,
            "outputModelKmsKeyArn": job.kms_key,
            "clientRequestToken": job.params.get("clientRequestToken"),
            "roleArn": job.params["roleArn"],
            "status": job.status,
            "statusDetails": job.phases,
            "failureMessage": job.failure,
            "creationTime": job.created,
            "lastModifiedTime": job.modified,
            "endTime": job.ended,
            "baseModelArn": region.base_model_arn(job.base),
            "customizationType": "FINE_TUNING",
            "vpcConfig": job.params.get("vpcConfig"),
            "trainingMetrics": job.training_loss and {"trainingLoss": job.training_loss},
            "validationMetrics": [{"validationLoss": loss} for loss in job.validation_losses],
            **training.build_configuration(job),
        }
    )


def list_jobs(region: Region, params: Params) -> Params:
    """Handle ListModelCustomizationJobs."""

    def build_row(job: Job) -> Params:
        return drop_none(
            {
                "jobArn": job.arn,
                "baseModelArn": region.base_model_arn(job.base),
                "jobName": job.name,
                "status": job.status,
                "statusDetails": job.phases,
                "lastModifiedTime": job.modified,
                "creationTime": job.created,
                "endTime": job.ended,
                "customModelArn": job.model,
                "customModelName": job.params["customModelName"],
                "customizationType": "FINE_TUNING",
            }
        )

    jobs = (
        job
        for job in region.jobs.values()
        if params.get("nameContains", "") in job.name
        and params.get("statusEquals", job.status) == job.status
    )
    return build_page(jobs, params, name="modelCustomizationJobSummaries", build_row=build_row)
