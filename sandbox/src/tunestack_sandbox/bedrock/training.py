"""The life of a job: its phases, how it ends, and the events that tell of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.answers import Memory
from tunestack_sandbox.aws import UnknownPolicyError
from tunestack_sandbox.bedrock import metrics
from tunestack_sandbox.bedrock.role import JobRole, RoleError
from tunestack_sandbox.bedrock.state import PHASES, Job, Model, Region, without_none
from tunestack_sandbox.bedrock.training_data import BadDataError, Rows, read
from tunestack_sandbox.faults import FaultKind
from tunestack_sandbox.iam import MalformedPolicyError

if TYPE_CHECKING:
    from datetime import datetime

# Seconds that AWS takes, in the order of PHASES; the first two as documented for small files, training "several hours".
_SECONDS = {"validationDetails": 120, "dataProcessingDetails": 300, "trainingDetails": 5400}
_INTERNAL = "Encountered an unexpected error when processing the request, please try again"


def begin(region: Region, job: Job, now: datetime) -> None:
    """Begin a job that was just created."""
    _tell(region, job)
    _begin(region, job, 0, now)


def _begin(region: Region, job: Job, place: int, now: datetime) -> None:
    """Begin a phase, and arrange for its end."""
    if job.status != "InProgress":
        return
    if place == len(PHASES):
        end(region, job, "Completed", now)
        return
    phase = PHASES[place]
    job.modified = now
    if region.faults.strike(FaultKind.STALL, phase=phase):
        return  # as seen in the field: not started, for days, and no word of why
    job.phases[phase] = {"status": "InProgress", "creationTime": now, "lastModifiedTime": now}
    slow = region.faults.strike(FaultKind.SLOW_PHASE, phase=phase)

    def finish(due: datetime) -> None:
        if job.status != "InProgress":
            return
        if region.faults.strike(FaultKind.INTERNAL_FAILURE, phase=phase):
            _fail(region, job, _INTERNAL, "asked for as a fault", due)
            return
        try:
            _work(region, job, phase, due)
        except (BadDataError, RoleError) as error:
            _fail(region, job, str(error), error.why, due)
            return
        except (MalformedPolicyError, UnknownPolicyError) as error:
            _fail(region, job, _INTERNAL, str(error), due)
            return
        except Exception as error:  # noqa: BLE001 - a job ends, whatever it ran into
            _fail(region, job, _INTERNAL, f"the sandbox failed: {error!r}", due)
            return
        job.phases[phase] |= {"status": "Completed", "lastModifiedTime": due}
        _begin(region, job, place + 1, due)

    region.clock.after(now, _SECONDS[phase] + (slow.seconds if slow else 0), finish)


def _work(region: Region, job: Job, phase: str, now: datetime) -> None:
    """Do what a phase is for.

    Raises:
        BadDataError: the data is not as it must be.
        RoleError: the role may not do what the phase needs.
    """
    role = JobRole(region, job.params["roleArn"], job.arn)
    if phase == "validationDetails":
        _validate(job, role)
    elif phase == "trainingDetails":
        _train(region, job, role, now)


def _validate(job: Job, role: JobRole) -> None:
    validators = job.params.get("validationDataConfig", {}).get("validators", ())
    if validators and not job.base.limits.validation_set:
        raise BadDataError("Validation data is not supported for this model.")
    uris = {"training": [job.params["trainingDataConfig"]["s3Uri"]]}
    uris["validation"] = [validator["s3Uri"] for validator in validators]
    read_in = [
        (kind, uri, _read(role, job, uri, validation=kind == "validation"))
        for kind, listed in uris.items()
        for uri in listed
    ]
    rows = sum(checked.rows for _, _, checked in read_in)
    most = job.base.limits.max_total_records
    if most is not None and rows > most:
        raise BadDataError(
            f"Number of samples in training and validation files is {rows}, the maximum is {most}."
        )
    role.require_output(_output(job), metrics.folder(job))
    for kind, uri, checked in read_in:
        name, content = metrics.manifest(kind, uri, checked.rows)
        role.write(_output(job), f"{metrics.folder(job)}/{name}", content)
    job.memory = Memory(read_in[0][2].pairs)


def _read(role: JobRole, job: Job, uri: str, *, validation: bool) -> Rows:
    content = role.read(uri)
    return read(content, uri.rsplit("/", 1)[-1], job.base, validation=validation)


def _train(region: Region, job: Job, role: JobRole, now: datetime) -> None:
    """Write what a job leaves behind, and make the model."""
    made = metrics.losses(job)
    job.training_loss, job.validation_losses = made.training[-1], made.validation[-1:]
    for name, content in metrics.files(job, made):
        role.write(_output(job), f"{metrics.folder(job)}/{name}", content)
    model = Model(
        arn=region.arn(f"custom-model/{job.base.customization_id}"),
        name=job.params["customModelName"],
        job=job,
        created=now,
    )
    region.models[model.arn] = model
    region.tag(model.arn, job.params.get("customModelTags", ()))
    job.model = model.arn


def _output(job: Job) -> str:
    uri: str = job.params["outputDataConfig"]["s3Uri"]
    return uri


def _fail(region: Region, job: Job, message: str, why: str | None, now: datetime) -> None:
    job.failure, job.why = message, why
    end(region, job, "Failed", now)


def stop(region: Region, job: Job, now: datetime) -> None:
    """Begin to stop a job."""
    job.status, job.modified = "Stopping", now
    for phase in job.phases.values():
        if phase["status"] == "InProgress":
            phase |= {"status": "Stopping", "lastModifiedTime": now}
    _tell(region, job)


def end(region: Region, job: Job, status: str, now: datetime) -> None:
    """End a job."""
    job.status = status
    job.modified = job.ended = now
    for phase in job.phases.values():
        if phase["status"] in ("InProgress", "Stopping"):
            phase |= {"status": status, "lastModifiedTime": now}
    _tell(region, job)


def configuration(job: Job) -> dict[str, Any]:
    """List what a job was created with, as its description and its model's have it."""
    return {
        "hyperParameters": job.hyperparameters,
        "trainingDataConfig": job.params["trainingDataConfig"],
        "validationDataConfig": job.params.get("validationDataConfig", {"validators": []}),
        "outputDataConfig": job.params["outputDataConfig"],
    }


def _tell(region: Region, job: Job) -> None:
    """Send the event of a job's new status.

    Source: user guide, monitoring-eventbridge-how-it-works (read 2026-11-22).
    """
    if region.faults.strike(FaultKind.EVENT_LOSS):
        return
    times = {
        "creationTime": job.created,
        "lastModifiedTime": job.modified,
        "endTime": job.ended,
    }
    detail = {
        "version": "0.0",
        "jobName": job.name,
        "jobArn": job.arn,
        "outputModelName": job.params["customModelName"],
        "outputModelArn": job.model,
        "roleArn": job.params["roleArn"],
        "jobStatus": job.status,
        "failureMessage": job.failure,
        **{name: time and f"{time:%Y-%m-%dT%H:%M:%SZ}" for name, time in times.items()},
        "baseModelArn": region.base_arn(job.base),
        **configuration(job),
    }
    event = {
        "Source": "aws.bedrock",
        "DetailType": "Model Customization Job State Change",
        "Resources": [job.arn],
        "Detail": json.dumps(without_none(detail)),
    }
    region.send_event(event)
    if region.faults.strike(FaultKind.EVENT_DUPLICATION):
        region.send_event(event)
