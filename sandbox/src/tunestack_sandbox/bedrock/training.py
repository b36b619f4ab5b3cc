"""The phases of a customization job, its end, and the events about its status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.bedrock import metrics
from tunestack_sandbox.bedrock.job_role import JobRole, RoleError
from tunestack_sandbox.bedrock.metering import meter_training
from tunestack_sandbox.bedrock.state import PHASES, Job, Model, Region, drop_none
from tunestack_sandbox.bedrock.training_data import (
    InvalidDataError,
    ParsedFile,
    parse_training_file,
)
from tunestack_sandbox.emulator_client import UnknownPolicyError
from tunestack_sandbox.faults import FaultKind
from tunestack_sandbox.iam import MalformedPolicyError
from tunestack_sandbox.simulated_models import AnswerIndex

if TYPE_CHECKING:
    from datetime import datetime

# The durations that AWS documents for small files, in seconds; that of the training is a setting.
_PHASE_SECONDS = {"validationDetails": 120, "dataProcessingDetails": 300}
_INTERNAL_ERROR = "Encountered an unexpected error when processing the request, please try again"


def start_job(region: Region, job: Job, now: datetime) -> None:
    """Start a new job."""
    _send_status_event(region, job)
    _start_phase(region, job, 0, now)


def _start_phase(region: Region, job: Job, number: int, now: datetime) -> None:
    """Start a phase and schedule its end; complete the job after the last phase."""
    if job.status != "InProgress":
        return
    if number == len(PHASES):
        end_job(region, job, "Completed", now)
        return
    phase = PHASES[number]
    job.modified = now
    if region.faults.trigger(FaultKind.STALL, phase=phase):
        return  # as in field reports: the phase does not start for days, and AWS gives no reason
    job.phases[phase] = {"status": "InProgress", "creationTime": now, "lastModifiedTime": now}
    slow = region.faults.trigger(FaultKind.SLOW_PHASE, phase=phase)
    seconds = _PHASE_SECONDS.get(phase, region.settings.training_seconds)

    def finish(due: datetime) -> None:
        if job.status != "InProgress":
            return
        if region.faults.trigger(FaultKind.INTERNAL_FAILURE, phase=phase):
            _fail_job(region, job, _INTERNAL_ERROR, "injected fault", due)
            return
        try:
            _run_phase(region, job, phase, due)
        except (InvalidDataError, RoleError) as error:
            _fail_job(region, job, str(error), error.reason, due)
            return
        except (MalformedPolicyError, UnknownPolicyError) as error:
            _fail_job(region, job, _INTERNAL_ERROR, str(error), due)
            return
        except Exception as error:  # noqa: BLE001 - a job must end
            _fail_job(region, job, _INTERNAL_ERROR, f"the sandbox failed: {error!r}", due)
            return
        job.phases[phase] |= {"status": "Completed", "lastModifiedTime": due}
        _start_phase(region, job, number + 1, due)

    job.phase_due = region.clock.after(now, seconds + (slow.seconds if slow else 0), finish)


def _run_phase(region: Region, job: Job, phase: str, now: datetime) -> None:
    """Do the work of a phase.

    Raises:
        InvalidDataError: The training data is invalid.
        RoleError: The role lacks a permission.
    """
    role = None
    if region.settings.validate_data:
        role = JobRole(region, job.params["roleArn"], job.arn)
    if phase == "validationDetails" and role is not None:
        _validate_data(job, role)
    elif phase == "trainingDetails":
        _create_model(region, job, role, now)


def _validate_data(job: Job, role: JobRole) -> None:
    validators = job.params.get("validationDataConfig", {}).get("validators", ())
    if validators and not job.base.limits.validation_set:
        raise InvalidDataError("Validation data is not supported for this model.")
    uris = [("training", job.params["trainingDataConfig"]["s3Uri"])]
    uris += [("validation", validator["s3Uri"]) for validator in validators]
    files = [
        (kind, uri, _read_file(role, job, uri, is_validation=kind == "validation"))
        for kind, uri in uris
    ]
    rows = sum(file.rows for _, _, file in files)
    limit = job.base.limits.max_total_records
    if limit is not None and rows > limit:
        raise InvalidDataError(
            f"Number of samples in training and validation files is {rows}, the maximum is {limit}."
        )
    output, folder = _output_uri(job), metrics.output_folder(job)
    role.check_output(output, folder)
    for kind, uri, file in files:
        name, content = metrics.build_manifest(kind, uri, file.rows)
        role.write_file(output, f"{folder}/{name}", content)
    job.answer_index = AnswerIndex(files[0][2].pairs)
    job.tokens = files[0][2].tokens


def _read_file(role: JobRole, job: Job, uri: str, *, is_validation: bool) -> ParsedFile:
    content = role.read_file(uri)
    name = uri.rsplit("/", 1)[-1]
    return parse_training_file(content, name, job.base, is_validation=is_validation)


def _create_model(region: Region, job: Job, role: JobRole | None, now: datetime) -> None:
    """Write the metrics of a job and create its custom model."""
    losses = metrics.simulate_losses(job)
    job.training_loss, job.validation_losses = losses.training[-1], losses.validation[-1:]
    if role is not None:
        for name, content in metrics.build_metrics_files(job, losses):
            role.write_file(_output_uri(job), f"{metrics.output_folder(job)}/{name}", content)
    model = Model(
        arn=region.new_arn(f"custom-model/{job.base.customization_id}"),
        name=job.params["customModelName"],
        job=job,
        created=now,
    )
    region.models[model.arn] = model
    region.add_tags(model.arn, job.params.get("customModelTags", ()))
    job.model = model.arn


def _output_uri(job: Job) -> str:
    uri: str = job.params["outputDataConfig"]["s3Uri"]
    return uri


def _fail_job(region: Region, job: Job, message: str, reason: str | None, now: datetime) -> None:
    job.failure, job.failure_reason = message, reason
    end_job(region, job, "Failed", now)


def stop_job(region: Region, job: Job, now: datetime) -> None:
    """Begin to stop a job."""
    job.status, job.modified = "Stopping", now
    for phase in job.phases.values():
        if phase["status"] == "InProgress":
            phase |= {"status": "Stopping", "lastModifiedTime": now}
    _send_status_event(region, job)


def end_job(region: Region, job: Job, status: str, now: datetime) -> None:
    """End a job with a status."""
    job.status = status
    job.modified = job.ended = now
    meter_training(region, job, now)
    for phase in job.phases.values():
        if phase["status"] in ("InProgress", "Stopping"):
            phase |= {"status": status, "lastModifiedTime": now}
    _send_status_event(region, job)


def build_configuration(job: Job) -> dict[str, Any]:
    """Build the members with the configuration of a job, which the responses for jobs and models have."""
    return {
        "hyperParameters": job.hyperparameters,
        "trainingDataConfig": job.params["trainingDataConfig"],
        "validationDataConfig": job.params.get("validationDataConfig", {"validators": []}),
        "outputDataConfig": job.params["outputDataConfig"],
    }


def _send_status_event(region: Region, job: Job) -> None:
    """Send the event of a job's new status.

    Source: user guide, monitoring-eventbridge-how-it-works (read 2026-11-22).
    """
    if region.faults.trigger(FaultKind.EVENT_LOSS):
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
        "baseModelArn": region.base_model_arn(job.base),
        **build_configuration(job),
    }
    event = {
        "Source": "aws.bedrock",
        "DetailType": "Model Customization Job State Change",
        "Resources": [job.arn],
        "Detail": json.dumps(drop_none(detail)),
    }
    region.send_event(event)
    if region.faults.trigger(FaultKind.EVENT_DUPLICATION):
        region.send_event(event)
