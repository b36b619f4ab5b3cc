"""The phases of a fine-tuning job, its end, its events and its checkpoints."""

from __future__ import annotations

import base64
import math
import secrets
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.faults import FaultKind
from tunestack_sandbox.openai import files
from tunestack_sandbox.openai.state import Job, Project, new_id
from tunestack_sandbox.openai.training_data import InvalidFileError, parse_training_file
from tunestack_sandbox.simulated_models import AnswerIndex

if TYPE_CHECKING:
    from datetime import datetime

# The duration of each phase in seconds, and its name in fault rules.
_PHASES = {
    "validating_files": (60, "validationDetails"),
    "queued": (300, "dataProcessingDetails"),
    "running": (1800, "trainingDetails"),
}
_NEXT = {"validating_files": "queued", "queued": "running"}
_NEXT_MESSAGES = {
    "queued": "Files validated, moving job to queued state",
    "running": "Fine-tuning job started",
}
_INTERNAL_ERROR = "The job failed due to an internal error. Please try again."
_MAX_CHECKPOINTS = 3
_STEPS_PER_EPOCH = 4
_DEFAULT_EPOCHS, _MAX_EPOCHS = 3, 25
_MIN_EXAMPLES, _MAX_EXAMPLES = 100, 25_000
END_STATES = ("succeeded", "failed", "cancelled")


def _add_event(
    project: Project,
    job: Job,
    text: str,
    *,
    level: str = "info",
    data: dict[str, Any] | None = None,
) -> None:
    """Add an event to a job."""
    job.events.append(
        {
            "id": new_id("ftevent"),
            "object": "fine_tuning.job.event",
            "created_at": int(project.clock.now().timestamp()),
            "level": level,
            "message": text,
            "type": "metrics" if data else "message",
            "data": data or {},
        }
    )


def start_job(project: Project, job: Job) -> None:
    """Start a new job."""
    _add_event(project, job, f"Created fine-tuning job: {job.id}")
    _add_event(project, job, f"Validating training file: {job.params['training_file']}")
    _start_phase(project, job, "validating_files", job.created)


def _start_phase(project: Project, job: Job, status: str, now: datetime) -> None:
    job.status = status
    seconds, phase = _PHASES[status]
    if project.faults.trigger(FaultKind.STALL, phase=phase):
        return
    slow = project.faults.trigger(FaultKind.SLOW_PHASE, phase=phase)
    _schedule_end(project, job, now, seconds + (slow.seconds if slow else 0.0))


def _schedule_end(project: Project, job: Job, now: datetime, seconds: float) -> None:
    job.run += 1
    run = job.run

    def finish(due: datetime) -> None:
        if job.run == run and job.status in _PHASES:
            _finish_phase(project, job, due)

    job.due = project.clock.after(now, seconds, finish)


def _finish_phase(project: Project, job: Job, now: datetime) -> None:
    """Do the work of the current phase and start the next one."""
    if project.faults.trigger(FaultKind.INTERNAL_FAILURE, phase=_PHASES[job.status][1]):
        _fail_job(project, job, "server_error", _INTERNAL_ERROR, now)
        return
    try:
        if job.status == "validating_files":
            _validate_files(project, job)
        elif job.status == "running":
            _create_model(project, job, now)
            return
    except InvalidFileError as error:
        _fail_job(project, job, error.code, str(error), now)
        return
    following = _NEXT[job.status]
    _add_event(project, job, _NEXT_MESSAGES[following])
    _start_phase(project, job, following, now)


def _validate_files(project: Project, job: Job) -> None:
    for kind in ("training_file", "validation_file"):
        name = job.params.get(kind)
        if name is None:
            continue
        if name not in project.files:
            raise InvalidFileError(f"invalid_{kind}", f"File {name} was deleted.")
        records, pairs = parse_training_file(
            project.files[name].content, name, job.method, is_training=kind == "training_file"
        )
        if kind == "training_file":
            job.pairs = pairs
            job.tokens = sum(len(text.encode()) // 4 + 1 for pair in pairs for text in pair)
            for hyperparameter, value in _choose_hyperparameters(records).items():
                if job.hyperparameters.get(hyperparameter, "auto") == "auto":
                    job.hyperparameters[hyperparameter] = value


def _choose_hyperparameters(records: int) -> dict[str, Any]:
    """Return the values of `auto`. The epochs are those of OpenAI's cookbook."""
    epochs = _DEFAULT_EPOCHS
    if records * epochs < _MIN_EXAMPLES:
        epochs = min(_MAX_EPOCHS, -(-_MIN_EXAMPLES // records))
    elif records * epochs > _MAX_EXAMPLES:
        epochs = max(1, _MAX_EXAMPLES // records)
    return {
        "n_epochs": epochs,
        "batch_size": max(1, min(256, records // 500)),
        "learning_rate_multiplier": 2.0,
    }


def _create_model(project: Project, job: Job, now: datetime) -> None:
    """Create the fine-tuned model of a job, its checkpoints and its result file."""
    suffix = job.params.get("suffix") or ""
    base = job.base.customization_id
    job.model = f"ft:{base}:sandbox:{suffix}:{secrets.token_hex(4)}"
    job.answer_index = AnswerIndex(job.pairs)
    epochs = int(job.hyperparameters["n_epochs"])
    losses = [
        round(0.2 + 1.8 * math.exp(-step / _STEPS_PER_EPOCH), 4)
        for step in range(_STEPS_PER_EPOCH * epochs)
    ]
    has_validation = "validation_file" in job.params
    for step, loss in enumerate(losses, start=1):
        metrics = {"step": step, "train_loss": loss, "train_mean_token_accuracy": _accuracy(loss)}
        if has_validation:
            metrics |= {"valid_loss": round(loss * 1.1, 4)}
        text = f"Step {step}/{len(losses)}: training loss={loss:.2f}"
        _add_event(project, job, text, data=metrics)
        first = len(losses) - _STEPS_PER_EPOCH * _MAX_CHECKPOINTS
        if step % _STEPS_PER_EPOCH == 0 and step > first:
            _add_checkpoint(project, job, step, metrics, is_last=step == len(losses))
    _add_result_file(project, job, losses, has_validation=has_validation)
    project.models[job.model] = job
    job.trained_tokens = job.tokens * epochs
    _add_event(project, job, f"New fine-tuned model created: {job.model}")
    job.status, job.ended = "succeeded", now
    _add_event(project, job, "The job has successfully completed")


def _add_checkpoint(
    project: Project, job: Job, step: int, metrics: dict[str, Any], *, is_last: bool
) -> None:
    model = str(job.model) if is_last else f"{job.model}:ckpt-step-{step}"
    project.models[model] = job
    job.checkpoints.append(
        {
            "id": new_id("ftckpt"),
            "object": "fine_tuning.job.checkpoint",
            "created_at": int(project.clock.now().timestamp()),
            "fine_tuned_model_checkpoint": model,
            "fine_tuning_job_id": job.id,
            "metrics": metrics,
            "step_number": step,
        }
    )
    _add_event(project, job, f"Checkpoint created at step {step}")


def _add_result_file(
    project: Project, job: Job, losses: list[float], *, has_validation: bool
) -> None:
    rows = ["step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"]
    for step, loss in enumerate(losses, start=1):
        valid = f"{round(loss * 1.1, 4)},{_accuracy(loss * 1.1)}" if has_validation else ","
        rows.append(f"{step},{loss},{_accuracy(loss)},{valid}")
    # OpenAI's result files are base64, too.
    content = base64.b64encode(("\n".join(rows) + "\n").encode())
    job.result_files = [files.add_result_file(project, "step_metrics.csv", content).id]


def _accuracy(loss: float) -> float:
    return round(math.exp(-loss), 4)


def _fail_job(project: Project, job: Job, code: str, message: str, now: datetime) -> None:
    param = code.removeprefix("invalid_") if code.endswith("_file") else "training_file"
    job.error = {"code": code, "message": message, "param": param}
    job.status, job.ended = "failed", now
    _add_event(project, job, message, level="error")


def cancel_job(project: Project, job: Job) -> None:
    """Cancel a job."""
    job.status, job.ended = "cancelled", project.clock.now()
    _add_event(project, job, "The job was cancelled")


def pause_job(project: Project, job: Job) -> None:
    """Pause a job."""
    now = project.clock.now()
    job.remaining_seconds = max((job.due - now).total_seconds(), 0.0) if job.due else 0.0
    job.run += 1
    job.status = "paused"
    _add_event(project, job, "The job was paused")


def resume_job(project: Project, job: Job) -> None:
    """Resume a paused job."""
    job.status = "running"
    # The remaining seconds were measured on the sandbox's clock: the speed must not apply again.
    seconds = job.remaining_seconds * project.clock.speed
    _schedule_end(project, job, project.clock.now(), seconds)
    _add_event(project, job, "The job was resumed")
