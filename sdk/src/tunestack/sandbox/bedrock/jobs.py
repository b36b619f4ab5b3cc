"""Customization jobs: create, get, list, stop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tunestack.sandbox.bedrock import training
from tunestack.sandbox.bedrock.foundation import to_tune
from tunestack.sandbox.bedrock.pages import page
from tunestack.sandbox.bedrock.role import JobRole, RoleError
from tunestack.sandbox.bedrock.state import (
    PHASES,
    Job,
    Region,
    found,
    require_few_tags,
    without_none,
)
from tunestack.sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.catalog import BaseModel

Params = dict[str, Any]

_STOP_SECONDS = 60


def create_job(region: Region, params: Params) -> Params:
    """CreateModelCustomizationJob."""
    return region.once("CreateModelCustomizationJob", params, lambda: _create_job(region, params))


def _create_job(region: Region, params: Params) -> Params:
    base, source = to_tune(region, params["baseModelIdentifier"])
    if params.get("customizationType", "FINE_TUNING") != "FINE_TUNING":
        raise Fault("ValidationException", "The sandbox customizes by FINE_TUNING only.")
    _check_hyperparameters(base, params.get("hyperParameters", {}))
    require_few_tags(params.get("jobTags", ()))
    require_few_tags(params.get("customModelTags", ()))
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
    now = region.clock.now()
    job = Job(
        arn=arn,
        name=params["jobName"],
        params=params,
        base=base,
        source=source,
        created=now,
        modified=now,
        phases={phase: {"status": "NotStarted"} for phase in PHASES},
    )
    region.jobs[job.arn] = job
    region.tag(job.arn, params.get("jobTags", ()))
    training.begin(region, job, now)
    return {"jobArn": job.arn}


def _check_hyperparameters(base: BaseModel, given: Mapping[str, str]) -> None:
    for name, text in given.items():
        known = base.hyperparameters.get(name)
        if known is None:
            raise Fault("ValidationException", f"Unknown hyperparameter {name} for the model.")
        try:
            value = known.type(text)
        except ValueError:
            value = math.nan
        if not known.min <= value <= known.max:
            raise Fault(
                "ValidationException",
                f"Hyperparameter {name} is {text}, expected {known.min} to {known.max}.",
            )


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
            "outputModelKmsKeyArn": job.params.get("customModelKmsKeyId"),
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
