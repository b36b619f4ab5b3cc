"""Fine-tuning jobs: create, look, list, cancel, pause and resume."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from tunestack.catalog import CATALOG, LifecycleState
from tunestack_sandbox.openai import training
from tunestack_sandbox.openai.state import ORGANIZATION, Job, Project, Refusal, new_id, page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.catalog import BaseModel

_FIELDS = {
    *("model", "training_file", "validation_file", "hyperparameters", "method", "suffix"),
    *("seed", "metadata", "integrations"),
}
_METHODS = {
    "supervised": {"batch_size", "learning_rate_multiplier", "n_epochs"},
    "dpo": {"batch_size", "learning_rate_multiplier", "n_epochs", "beta"},
}
_PAUSES = ("running",)


def create(project: Project, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Create a job."""
    unknown = asked.keys() - _FIELDS
    if unknown:
        raise Refusal(f"Unrecognized request argument supplied: {min(unknown)}")
    base = _base(project, _text(asked, "model"))
    for kind in ("training_file", "validation_file"):
        if asked.get(kind) is None and kind == "validation_file":
            continue
        file = project.files.get(_text(asked, kind))
        if file is None or file.purpose != "fine-tune":
            raise Refusal(f"invalid {kind}: {asked[kind]}", code="invalid_file", param=kind)
    _check_metadata(asked.get("metadata") or {})
    suffix, seed = asked.get("suffix"), asked.get("seed")
    if suffix is not None and (not isinstance(suffix, str) or not 1 <= len(suffix) <= 64):
        raise Refusal("Invalid 'suffix': expected 1 to 64 characters.", param="suffix")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise Refusal("Invalid 'seed': expected an integer.", param="seed")
    job = Job(
        id=new_id("ftjob"),
        params={name: value for name, value in asked.items() if value is not None},
        base=base,
        created=project.clock.now(),
        seed=secrets.randbelow(2**31) if seed is None else seed,
        hyperparameters=_hyperparameters(asked, base),
    )
    project.jobs[job.id] = job
    training.begin(project, job)
    return answer(job)


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value:
        raise Refusal(f"you must provide a {name} parameter", param=name)
    return value


def _base(project: Project, name: str) -> BaseModel:
    """Find what is to be tuned: a base model, or a tuned one.

    Raises:
        Refusal: it can't be tuned, or not any more.
    """
    if name in project.models:
        base = project.models[name].base
    else:
        known = [
            model
            for model in CATALOG
            if model.provider == "openai" and name in (model.customization_id, *model.aliases)
        ]
        if not known or known[0].unsupported:
            raise Refusal(
                f"Model {name} is not available for fine-tuning or does not exist.",
                code="model_not_available",
                param="model",
            )
        base = known[0]
    if base.lifecycle.state(project.clock.now().date()) is not LifecycleState.ACTIVE:
        raise Refusal(
            f"Fine-tuning of {name} is no longer available.",
            status=403,
            code="model_not_available",
            param="model",
        )
    return base


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or len(metadata) > 16:
        raise Refusal("Invalid 'metadata': expected at most 16 pairs.", param="metadata")
    for name, value in metadata.items():
        if not isinstance(value, str) or len(name) > 64 or len(value) > 512:
            raise Refusal(
                f"Invalid 'metadata.{name}': expected 64 characters for the key, 512 for the value.",
                param="metadata",
            )


def _hyperparameters(asked: Mapping[str, Any], base: BaseModel) -> dict[str, Any]:
    method = asked.get("method") or {"type": "supervised"}
    if not isinstance(method, dict) or method.get("type") not in _METHODS:
        raise Refusal("Invalid 'method.type': not available for this model.", param="method")
    kind = method["type"]
    if kind == "dpo" and not base.other_formats:
        raise Refusal(f"Method dpo is not available for {base.customization_id}.", param="method")
    if method.keys() - {"type", kind}:
        raise Refusal(f"Invalid 'method': expected 'type' and '{kind}'.", param="method")
    # The place at the top is deprecated, and still taken.
    given = dict(method.get(kind, {}).get("hyperparameters") or asked.get("hyperparameters") or {})
    unknown = given.keys() - _METHODS[kind]
    if unknown:
        raise Refusal(f"Unrecognized hyperparameter: {min(unknown)}", param="hyperparameters")
    for name, value in given.items():
        whole = name in ("n_epochs", "batch_size")
        right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        known = base.hyperparameters.get(name)
        if value != "auto" and not (right and (known is None or known.min <= value <= known.max)):
            raise Refusal(f"Invalid 'hyperparameters.{name}': {value!r}", param="hyperparameters")
    return given


def answer(job: Job) -> dict[str, Any]:
    """Write a job as the API does."""
    values = {
        name: job.hyperparameters.get(name, "auto")
        for name in ("batch_size", "learning_rate_multiplier", "n_epochs")
    }
    own = {name: job.hyperparameters.get(name, "auto") for name in sorted(_METHODS[job.method])}
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "model": job.params["model"],
        "created_at": int(job.created.timestamp()),
        "finished_at": None if job.ended is None else int(job.ended.timestamp()),
        "fine_tuned_model": job.model,
        "organization_id": ORGANIZATION,
        "result_files": list(job.result_files),
        "status": job.status,
        "training_file": job.params["training_file"],
        "validation_file": job.params.get("validation_file"),
        "hyperparameters": values if job.method == "supervised" else {},
        "trained_tokens": job.trained_tokens,
        "error": job.error or {},
        "seed": job.seed,
        "estimated_finish": int(job.due.timestamp())
        if job.status == "running" and job.due
        else None,
        "integrations": [],
        "metadata": job.params.get("metadata"),
        "user_provided_suffix": job.params.get("suffix"),
        "method": {"type": job.method, job.method: {"hyperparameters": own}},
    }


def list_jobs(project: Project, query: Mapping[str, str]) -> dict[str, Any]:
    """List jobs, the newest first."""
    wanted = {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in query.items()
        if name.startswith("metadata[")
    }
    rows = [
        answer(job)
        for job in reversed(project.jobs.values())
        if wanted.items() <= (job.params.get("metadata") or {}).items()
    ]
    return page(rows, query)


def retrieve(project: Project, job_id: str) -> dict[str, Any]:
    """Describe a job."""
    return answer(_job(project, job_id))


def cancel(project: Project, job_id: str) -> dict[str, Any]:
    """End a job."""
    job = _job(project, job_id)
    if job.status in training.ENDED:
        raise Refusal(f"Job has already completed: {job_id}", code="job_already_completed")
    training.cancel(project, job)
    return answer(job)


def pause(project: Project, job_id: str) -> dict[str, Any]:
    """Let a job stand still."""
    job = _job(project, job_id)
    if job.status not in _PAUSES:
        raise Refusal(f"Job {job_id} is {job.status} and can't be paused.")
    training.pause(project, job)
    return answer(job)


def resume(project: Project, job_id: str) -> dict[str, Any]:
    """Let a job go on."""
    job = _job(project, job_id)
    if job.status != "paused":
        raise Refusal(f"Job {job_id} is {job.status} and can't be resumed.")
    training.resume(project, job)
    return answer(job)


def events(project: Project, job_id: str, query: Mapping[str, str]) -> dict[str, Any]:
    """List what a job has said, the newest first."""
    return page(list(reversed(_job(project, job_id).events)), query)


def checkpoints(project: Project, job_id: str, query: Mapping[str, str]) -> dict[str, Any]:
    """List what a job has left on its way, the newest first."""
    return page(list(reversed(_job(project, job_id).checkpoints)), query, usual=10)


def _job(project: Project, job_id: str) -> Job:
    if job_id not in project.jobs:
        raise Refusal(
            f"Could not find fine tune: {job_id}",
            status=404,
            code="fine_tune_not_found",
            param="fine_tune_id",
        )
    return project.jobs[job_id]
