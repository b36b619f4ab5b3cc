"""Customization jobs: create, get, list, stop."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from tunestack.catalog import RecordFormat
from tunestack_sandbox.bedrock import training
from tunestack_sandbox.bedrock.foundation import to_tune
from tunestack_sandbox.bedrock.pages import page
from tunestack_sandbox.bedrock.role import JobRole, RoleError
from tunestack_sandbox.bedrock.state import (
    PHASES,
    Job,
    Region,
    check_tags,
    found,
    without_none,
)
from tunestack_sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.catalog import BaseModel

Params = dict[str, Any]

_STOP_SECONDS = 60
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def create_job(region: Region, params: Params) -> Params:
    """CreateModelCustomizationJob."""
    return region.once("CreateModelCustomizationJob", params, lambda: _create_job(region, params))


def _create_job(region: Region, params: Params) -> Params:
    base, source = to_tune(region, params["baseModelIdentifier"])
    _check_kind(base, params)
    hyperparameters = _checked(base, params.get("hyperParameters", {}))
    check_tags(params.get("jobTags", ()))
    check_tags(params.get("customModelTags", ()))
    if any(job.name == params["jobName"] for job in region.jobs.values()):
        raise Fault("ConflictException", "The provided job name is currently in use.")
    names = {model.name for model in region.models.values()} | {
        job.params["customModelName"] for job in region.jobs.values() if job.ended is None
    }
    if params["customModelName"] in names:
        raise Fault("ConflictException", "The provided custom model name is currently in use.")
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
    arn = region.arn(f"model-customization-job/{base.customization_id}")
    try:
        JobRole(region, params["roleArn"], arn)
    except RoleError as error:
        raise Fault("ValidationException", str(error)) from error
    key = params.get("customModelKmsKeyId")
    now = region.clock.now()
    job = Job(
        arn=arn,
        name=params["jobName"],
        params=params,
        base=base,
        hyperparameters=hyperparameters,
        source=source,
        key=None if key is None else region.aws.key_arn(key),
        created=now,
        modified=now,
        phases={phase: {"status": "NotStarted"} for phase in PHASES},
    )
    region.jobs[job.arn] = job
    region.tag(job.arn, params.get("jobTags", ()))
    training.begin(region, job, now)
    return {"jobArn": job.arn}


def _check_kind(base: BaseModel, params: Params) -> None:
    """Refuse what is no fine-tuning of a language model by a file.

    Raises:
        Fault: it is not; AWS takes some of it, the sandbox does not.
    """
    if (
        params.get("customizationType", "FINE_TUNING") != "FINE_TUNING"
        or "customizationConfig" in params
    ):
        raise Fault("ValidationException", "The sandbox customizes by FINE_TUNING only.")
    if base.record_format is RecordFormat.IMAGE_CAPTION:
        raise Fault("ValidationException", "The sandbox customizes language models only.")
    if "s3Uri" not in params["trainingDataConfig"]:
        raise Fault("ValidationException", "The provided S3 URI is invalid")


def _checked(base: BaseModel, given: Mapping[str, str]) -> dict[str, str]:
    """Check hyperparameters, and add the defaults of those that are not given, as jobs show them."""
    for name, text in given.items():
        known = base.hyperparameters.get(name)
        if known is None:
            raise Fault("ValidationException", f"Unknown hyperparameter {name} for the model.")
        kind = _WHOLE if known.type is int else _NUMBER
        value = float(text) if kind.fullmatch(text) else math.nan
        if not known.min <= value <= known.max:
            raise Fault(
                "ValidationException",
                f"Hyperparameter {name} is {text}, expected {known.min} to {known.max}.",
            )
    defaults = {
        name: str(known.default)
        for name, known in base.hyperparameters.items()
        if known.default is not None
    }
    return {**defaults, **given}


def stop_job(region: Region, params: Params) -> Params:
    """StopModelCustomizationJob."""
    job = found(region.jobs, params["jobIdentifier"], "job")
    if job.status != "InProgress":
        raise Fault("ConflictException", f"The job is {job.status} and can't be stopped.")
    now = region.clock.now()
    training.stop(region, job, now)
    region.clock.after(now, _STOP_SECONDS, lambda due: training.end(region, job, "Stopped", due))
    return {}


def get_job(region: Region, params: Params) -> Params:
    """GetModelCustomizationJob."""
    job = found(region.jobs, params["jobIdentifier"], "job")
    return without_none(
        {
            "jobArn": job.arn,
            "jobName": job.name,
            "outputModelName": job.params["customModelName"],
            "outputModelArn": job.model,
            "outputModelKmsKeyArn": job.key,
            "clientRequestToken": job.params.get("clientRequestToken"),
            "roleArn": job.params["roleArn"],
            "status": job.status,
            "statusDetails": job.phases,
            "failureMessage": job.failure,
            "creationTime": job.created,
            "lastModifiedTime": job.modified,
            "endTime": job.ended,
            "baseModelArn": region.base_arn(job.base),
            "customizationType": "FINE_TUNING",
            "vpcConfig": job.params.get("vpcConfig"),
            "trainingMetrics": job.training_loss and {"trainingLoss": job.training_loss},
            "validationMetrics": [{"validationLoss": loss} for loss in job.validation_losses],
            **training.configuration(job),
        }
    )


def list_jobs(region: Region, params: Params) -> Params:
    """ListModelCustomizationJobs."""

    def row(job: Job) -> Params:
        return without_none(
            {
                "jobArn": job.arn,
                "baseModelArn": region.base_arn(job.base),
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

    wanted = (
        job
        for job in region.jobs.values()
        if params.get("nameContains", "") in job.name
        and params.get("statusEquals", job.status) == job.status
    )
    return page(wanted, params, name="modelCustomizationJobSummaries", row=row)
