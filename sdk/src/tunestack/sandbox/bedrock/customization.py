"""Customization jobs and the custom models that come of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tunestack.catalog import CATALOG, LifecycleState
from tunestack.sandbox.bedrock.answers import Memory
from tunestack.sandbox.bedrock.pages import page
from tunestack.sandbox.bedrock.state import PHASES, Job, Model, Region, found
from tunestack.sandbox.bedrock.training_data import BadDataError, Rows, read
from tunestack.sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tunestack.catalog import BaseModel

Params = dict[str, Any]

# Seconds that AWS takes, in the order of PHASES; the first two as documented for small files, training "several hours".
_SECONDS = {"validationDetails": 120, "dataProcessingDetails": 300, "trainingDetails": 5400}
_STOP_SECONDS = 60
_LABEL = {"tunestack-sandbox": "simulated"}


def create_job(region: Region, params: Params) -> Params:
    """CreateModelCustomizationJob."""
    return region.once("CreateModelCustomizationJob", params, lambda: _create_job(region, params))


def _create_job(region: Region, params: Params) -> Params:
    base = _tunable_base(region, params["baseModelIdentifier"])
    if params.get("customizationType", "FINE_TUNING") != "FINE_TUNING":
        raise Fault("ValidationException", "The sandbox customizes by FINE_TUNING only.")
    _check_hyperparameters(base, params.get("hyperParameters", {}))
    for job in region.jobs.values():
        if job.name == params["jobName"]:
            raise Fault("ConflictException", f"The job name {job.name} is already in use.")
        if job.params["customModelName"] == params["customModelName"] and job.model:
            raise Fault(
                "ConflictException",
                f"The custom model name {params['customModelName']} is already in use.",
            )
    if not region.aws.has_role(params["roleArn"]):
        raise Fault(
            "ValidationException", f"Could not assume provided IAM role {params['roleArn']}."
        )
    now = region.clock.now()
    job = Job(
        arn=region.arn(f"model-customization-job/{base.customization_id}"),
        name=params["jobName"],
        params=params,
        base=base,
        created=now,
        modified=now,
        phases={phase: {"status": "NotStarted"} for phase in PHASES},
    )
    region.jobs[job.arn] = job
    region.tag(job.arn, params.get("jobTags", ()))
    _begin(region, job, 0, now)
    return {"jobArn": job.arn}


def _tunable_base(region: Region, identifier: str) -> BaseModel:
    """Find the base model to tune; an earlier custom model is tuned further on its own base."""
    if ":custom-model/" in identifier:
        return found(region.models, identifier, "model").job.base
    wanted = identifier.rsplit("/", 1)[-1]
    for base in CATALOG:
        if base.customization_id == wanted and base.provider == "bedrock":
            state = base.lifecycle.state(region.clock.now().date())
            if region.name in base.regions and state is not LifecycleState.RETIRED:
                if state is LifecycleState.LEGACY:
                    raise Fault(
                        "ValidationException",
                        f"The model {wanted} is legacy and takes no new customization jobs.",
                    )
                return base
    raise Fault("ValidationException", "The provided model identifier is invalid.")


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


def _begin(region: Region, job: Job, place: int, now: datetime) -> None:
    """Begin a phase, and arrange for its end."""
    if job.status != "InProgress":
        return
    if place == len(PHASES):
        _complete(region, job, now)
        return
    phase = PHASES[place]
    job.modified = now
    job.phases[phase] = {"status": "InProgress", "creationTime": now, "lastModifiedTime": now}

    def end(due: datetime) -> None:
        if job.status != "InProgress":
            return
        try:
            if phase == "validationDetails":
                _validate(region, job)
        except BadDataError as error:
            _end(job, "Failed", due)
            job.failure = str(error)
            return
        job.phases[phase] |= {"status": "Completed", "lastModifiedTime": due}
        _begin(region, job, place + 1, due)

    region.clock.after(now, _SECONDS[phase], end)


def _validate(region: Region, job: Job) -> None:
    training = _read(region, job, job.params["trainingDataConfig"]["s3Uri"], validation=False)
    job.memory = Memory(training.pairs)
    rows = training.rows
    for validator in job.params.get("validationDataConfig", {}).get("validators", ()):
        if not job.base.limits.validation_set:
            raise BadDataError("Validation data is not supported for this model.")
        rows += _read(region, job, validator["s3Uri"], validation=True).rows
    most = job.base.limits.max_total_records
    if most is not None and rows > most:
        raise BadDataError(
            f"Number of samples in training and validation files is {rows}, the maximum is {most}."
        )
    if not region.aws.write(_artifact(job, ".write_access_check_file.temp"), "", _LABEL):
        raise BadDataError(
            "Amazon S3 perms missing (PutObject): Could not validate PutObject permissions "
            f"to {job.params['outputDataConfig']['s3Uri']}."
        )


def _read(region: Region, job: Job, uri: str, *, validation: bool) -> Rows:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    place = region.aws.bucket_region(bucket)
    content = region.aws.read(uri) if place == region.name else None
    if content is None:
        raise BadDataError(
            "Could not validate GetObject permissions to access Amazon S3 bucket: "
            f"{bucket} at key {key}."
        )
    return read(content, key.rsplit("/", 1)[-1], job.base, validation=validation)


def _complete(region: Region, job: Job, now: datetime) -> None:
    """Write what a job leaves behind, and make the model."""
    epochs = int(job.params.get("hyperParameters", {}).get("epochCount", 1))
    losses = [round(0.2 + 1.8 * math.exp(-step / 4), 4) for step in range(4 * epochs)]
    job.training_loss = losses[-1]
    training = "step_number,epoch_number,training_loss,perplexity\n" + "".join(
        f"{step + 1},{step // 4 + 1},{loss},{round(math.exp(loss), 4)}\n"
        for step, loss in enumerate(losses)
    )
    region.aws.write(
        _artifact(job, "training_artifacts/step_wise_training_metrics.csv"), training, _LABEL
    )
    if job.params.get("validationDataConfig", {}).get("validators"):
        job.validation_losses = [round(losses[-1] * 1.1, 4)]
        validation = "step_number,epoch_number,validation_loss,perplexity\n" + "".join(
            f"{step + 1},{step // 4 + 1},{round(loss * 1.1, 4)},{round(math.exp(loss * 1.1), 4)}\n"
            for step, loss in enumerate(losses)
        )
        region.aws.write(
            _artifact(
                job,
                "validation_artifacts/post_fine_tuning_validation/validation_metrics.csv",
            ),
            validation,
            _LABEL,
        )
    model = Model(
        arn=region.arn(f"custom-model/{job.base.customization_id}"),
        name=job.params["customModelName"],
        job=job,
        created=now,
    )
    region.models[model.arn] = model
    region.tag(model.arn, job.params.get("customModelTags", ()))
    job.model = model.arn
    _end(job, "Completed", now)


def _artifact(job: Job, name: str) -> str:
    output = job.params["outputDataConfig"]["s3Uri"].removesuffix("/")
    return f"{output}/model-customization-job-{job.arn.rsplit('/', 1)[1]}/{name}"


def _end(job: Job, status: str, now: datetime) -> None:
    job.status = status
    job.modified = job.ended = now
    for phase in job.phases.values():
        if phase["status"] == "InProgress":
            phase |= {"status": status, "lastModifiedTime": now}


def stop_job(region: Region, params: Params) -> Params:
    """StopModelCustomizationJob."""
    job = found(region.jobs, params["jobIdentifier"], "job")
    if job.status != "InProgress":
        raise Fault("ConflictException", f"The job is {job.status} and can't be stopped.")
    now = region.clock.now()
    job.status, job.modified = "Stopping", now
    region.clock.after(now, _STOP_SECONDS, lambda due: _end(job, "Stopped", due))
    for phase in job.phases.values():
        if phase["status"] == "InProgress":
            phase |= {"status": "Stopped", "lastModifiedTime": now}
    return {}


def get_job(region: Region, params: Params) -> Params:
    """GetModelCustomizationJob."""
    job = found(region.jobs, params["jobIdentifier"], "job")
    return _without_none(
        {
            "jobArn": job.arn,
            "jobName": job.name,
            "outputModelName": job.params["customModelName"],
            "outputModelArn": job.model,
            "clientRequestToken": job.params.get("clientRequestToken"),
            "roleArn": job.params["roleArn"],
            "status": job.status,
            "statusDetails": job.phases,
            "failureMessage": job.failure,
            "creationTime": job.created,
            "lastModifiedTime": job.modified,
            "endTime": job.ended,
            "baseModelArn": base_arn(region, job.base),
            "hyperParameters": job.params.get("hyperParameters", {}),
            "trainingDataConfig": job.params["trainingDataConfig"],
            "validationDataConfig": job.params.get("validationDataConfig", {"validators": []}),
            "outputDataConfig": job.params["outputDataConfig"],
            "customizationType": "FINE_TUNING",
            "trainingMetrics": job.training_loss and {"trainingLoss": job.training_loss},
            "validationMetrics": [{"validationLoss": loss} for loss in job.validation_losses],
        }
    )


def list_jobs(region: Region, params: Params) -> Params:
    """ListModelCustomizationJobs."""
    rows = [
        _without_none(
            {
                "jobArn": job.arn,
                "baseModelArn": base_arn(region, job.base),
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
        for job in region.jobs.values()
        if params.get("nameContains", "") in job.name
        and params.get("statusEquals", job.status) == job.status
    ]
    return page(rows, params, name="modelCustomizationJobSummaries", created="creationTime")


def get_model(region: Region, params: Params) -> Params:
    """GetCustomModel."""
    model = found(region.models, params["modelIdentifier"], "model")
    job = model.job
    return {
        "modelArn": model.arn,
        "modelName": model.name,
        "jobName": job.name,
        "jobArn": job.arn,
        "baseModelArn": base_arn(region, job.base),
        "customizationType": "FINE_TUNING",
        "hyperParameters": job.params.get("hyperParameters", {}),
        "trainingDataConfig": job.params["trainingDataConfig"],
        "validationDataConfig": job.params.get("validationDataConfig", {"validators": []}),
        "outputDataConfig": job.params["outputDataConfig"],
        "trainingMetrics": {"trainingLoss": job.training_loss},
        "validationMetrics": [{"validationLoss": loss} for loss in job.validation_losses],
        "creationTime": model.created,
        "modelStatus": "Active",
    }


def list_models(region: Region, params: Params) -> Params:
    """ListCustomModels."""
    rows = [
        {
            "modelArn": model.arn,
            "modelName": model.name,
            "creationTime": model.created,
            "baseModelArn": base_arn(region, model.job.base),
            "baseModelName": model.job.base.customization_id.partition(":")[0],
            "customizationType": "FINE_TUNING",
            "ownerAccountId": region.account,
            "modelStatus": "Active",
        }
        for model in region.models.values()
        if params.get("nameContains", "") in model.name
    ]
    return page(rows, params, name="modelSummaries", created="creationTime")


def delete_model(region: Region, params: Params) -> Params:
    """DeleteCustomModel."""
    model = found(region.models, params["modelIdentifier"], "model")
    if any(
        endpoint.model is model
        for endpoint in (*region.deployments.values(), *region.throughputs.values())
    ):
        raise Fault("ConflictException", f"The model {model.name} is in use by an endpoint.")
    del region.models[model.arn]
    return {}


def base_arn(region: Region, base: BaseModel) -> str:
    """Write the ARN of a base model."""
    return f"arn:aws:bedrock:{region.name}::foundation-model/{base.customization_id}"


def _without_none(answer: Params) -> Params:
    return {name: value for name, value in answer.items() if value is not None}
