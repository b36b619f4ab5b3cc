"""The life of a job: its phases, how it ends, and what it says on the way."""

from __future__ import annotations

import base64
import math
import secrets
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.answers import Memory
from tunestack_sandbox.faults import FaultKind
from tunestack_sandbox.openai import files
from tunestack_sandbox.openai.state import Job, Project, new_id
from tunestack_sandbox.openai.training_data import BadFileError, read

if TYPE_CHECKING:
    from datetime import datetime

# Seconds that each takes, and the phase of the sandbox's faults that it is.
_PHASES = {
    "validating_files": (60, "validationDetails"),
    "queued": (300, "dataProcessingDetails"),
    "running": (1800, "trainingDetails"),
}
_NEXT = {"validating_files": "queued", "queued": "running"}
_INTERNAL = "The job failed due to an internal error. Please try again."
_KEPT_CHECKPOINTS = 3
_STEPS = 4
"""Steps of an epoch."""
_EPOCHS, _LITTLE, _MUCH, _MOST = 3, 100, 25_000, 25
ENDED = ("succeeded", "failed", "cancelled")


def say(
    project: Project,
    job: Job,
    text: str,
    *,
    level: str = "info",
    data: dict[str, Any] | None = None,
) -> None:
    """Add to what a job has said."""
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


def begin(project: Project, job: Job) -> None:
    """Begin a job that was just created."""
    say(project, job, f"Created fine-tuning job: {job.id}")
    say(project, job, f"Validating training file: {job.params['training_file']}")
    _enter(project, job, "validating_files", job.created)


def _enter(project: Project, job: Job, status: str, now: datetime) -> None:
    job.status = status
    seconds, phase = _PHASES[status]
    if project.faults.strike(FaultKind.STALL, phase=phase):
        return
    slow = project.faults.strike(FaultKind.SLOW_PHASE, phase=phase)
    _due(project, job, now, seconds + (slow.seconds if slow else 0.0))


def _due(project: Project, job: Job, now: datetime, seconds: float) -> None:
    job.turn += 1
    turn = job.turn

    def finish(due: datetime) -> None:
        if job.turn == turn and job.status in _PHASES:
            _finish(project, job, due)

    job.due = project.clock.after(now, seconds, finish)


def _finish(project: Project, job: Job, now: datetime) -> None:
    """Do what a phase is for, and begin the next."""
    if project.faults.strike(FaultKind.INTERNAL_FAILURE, phase=_PHASES[job.status][1]):
        _fail(project, job, "server_error", _INTERNAL, now)
        return
    try:
        if job.status == "validating_files":
            _validate(project, job)
        elif job.status == "running":
            _train(project, job, now)
            return
    except BadFileError as error:
        _fail(project, job, error.code, str(error), now)
        return
    following = _NEXT[job.status]
    said = {
        "queued": "Files validated, moving job to queued state",
        "running": "Fine-tuning job started",
    }
    say(project, job, said[following])
    _enter(project, job, following, now)


def _validate(project: Project, job: Job) -> None:
    for kind in ("training_file", "validation_file"):
        name = job.params.get(kind)
        if name is None:
            continue
        if name not in project.files:
            raise BadFileError(f"invalid_{kind}", f"File {name} is gone.")
        records, pairs = read(
            project.files[name].content, name, job.method, training=kind == "training_file"
        )
        if kind == "training_file":
            job.pairs = pairs
            job.tokens = sum(len(text.encode()) // 4 + 1 for pair in pairs for text in pair)
            for name, value in _chosen(records).items():
                if job.hyperparameters.get(name, "auto") == "auto":
                    job.hyperparameters[name] = value


def _chosen(records: int) -> dict[str, Any]:
    """Choose what nobody has, as OpenAI's cookbook says that OpenAI does."""
    epochs = _EPOCHS
    if records * epochs < _LITTLE:
        epochs = min(_MOST, -(-_LITTLE // records))
    elif records * epochs > _MUCH:
        epochs = max(1, _MUCH // records)
    return {
        "n_epochs": epochs,
        "batch_size": max(1, min(256, records // 500)),
        "learning_rate_multiplier": 2.0,
    }


def _train(project: Project, job: Job, now: datetime) -> None:
    """Write what a job leaves behind, and make the model."""
    suffix = job.params.get("suffix") or ""
    base = job.base.customization_id
    job.model = f"ft:{base}:sandbox:{suffix}:{secrets.token_hex(4)}"
    job.memory = Memory(job.pairs)
    epochs = int(job.hyperparameters["n_epochs"])
    losses = [round(0.2 + 1.8 * math.exp(-step / _STEPS), 4) for step in range(_STEPS * epochs)]
    validated = "validation_file" in job.params
    for step, loss in enumerate(losses, start=1):
        metrics = {"step": step, "train_loss": loss, "train_mean_token_accuracy": _accuracy(loss)}
        if validated:
            metrics |= {"valid_loss": round(loss * 1.1, 4)}
        text = f"Step {step}/{len(losses)}: training loss={loss:.2f}"
        say(project, job, text, data=metrics)
        if step % _STEPS == 0 and step > len(losses) - _STEPS * _KEPT_CHECKPOINTS:
            _checkpoint(project, job, step, metrics, last=step == len(losses))
    _write_results(project, job, losses, validated=validated)
    project.models[job.model] = job
    job.trained_tokens = job.tokens * epochs
    say(project, job, f"New fine-tuned model created: {job.model}")
    job.status, job.ended = "succeeded", now
    say(project, job, "The job has successfully completed")


def _checkpoint(
    project: Project, job: Job, step: int, metrics: dict[str, Any], *, last: bool
) -> None:
    model = str(job.model) if last else f"{job.model}:ckpt-step-{step}"
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
    say(project, job, f"Checkpoint created at step {step}")


def _write_results(project: Project, job: Job, losses: list[float], *, validated: bool) -> None:
    rows = ["step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"]
    for step, loss in enumerate(losses, start=1):
        valid = f"{round(loss * 1.1, 4)},{_accuracy(loss * 1.1)}" if validated else ","
        rows.append(f"{step},{loss},{_accuracy(loss)},{valid}")
    # As OpenAI's server does, which surprises those who read it for the first time.
    content = base64.b64encode(("\n".join(rows) + "\n").encode())
    job.result_files = [files.add_result(project, "step_metrics.csv", content).id]


def _accuracy(loss: float) -> float:
    return round(math.exp(-loss), 4)


def _fail(project: Project, job: Job, code: str, message: str, now: datetime) -> None:
    param = code.removeprefix("invalid_") if code.endswith("_file") else "training_file"
    job.error = {"code": code, "message": message, "param": param}
    job.status, job.ended = "failed", now
    say(project, job, message, level="error")


def cancel(project: Project, job: Job) -> None:
    """End a job for good."""
    job.status, job.ended = "cancelled", project.clock.now()
    say(project, job, "The job was cancelled")


def pause(project: Project, job: Job) -> None:
    """Let a job stand still."""
    now = project.clock.now()
    job.left = max((job.due - now).total_seconds(), 0.0) if job.due else 0.0
    job.turn += 1
    job.status = "paused"
    say(project, job, "The job was paused")


def resume(project: Project, job: Job) -> None:
    """Let a job go on."""
    job.status = "running"
    # What is left was counted on this clock, and is not to be shortened again.
    _due(project, job, project.clock.now(), job.left * project.clock.speed)
    say(project, job, "The job was resumed")
