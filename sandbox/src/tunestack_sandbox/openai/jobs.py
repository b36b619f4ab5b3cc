"""Operations on fine-tuning jobs: create, retrieve, list, cancel, pause and resume."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from tunestack.catalog import CATALOG, LifecycleState
from tunestack_sandbox.openai import training
from tunestack_sandbox.openai.state import (
    ORGANIZATION,
    ApiError,
    Job,
    Project,
    build_page,
    new_id,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack.catalog import BaseModel

_PARAMETERS = {
    *("model", "training_file", "validation_file", "hyperparameters", "method", "suffix"),
    *("seed", "metadata", "integrations"),
}
_HYPERPARAMETERS = {
    "supervised": {"batch_size", "learning_rate_multiplier", "n_epochs"},
    "dpo": {"batch_size", "learning_rate_multiplier", "n_epochs", "beta"},
}


def create_job(project: Project, body: Mapping[str, Any]) -> dict[str, Any]:
    """Handle createFineTuningJob."""
    unknown = body.keys() - _PARAMETERS
    if unknown:
        raise ApiError(f"Unrecognized request argument supplied: {min(unknown)}")
    base = _find_base_model(project, _require_text(body, "model"))
    for kind in ("training_file", "validation_file"):
        if body.get(kind) is None and kind == "validation_file":
            continue
        file = project.files.get(_require_text(body, kind))
        if file is None or file.purpose != "fine-tune":
            raise ApiError(f"invalid {kind}: {body[kind]}", code="invalid_file", param=kind)
    _check_metadata(body.get("metadata") or {})
    suffix, seed = body.get("suffix"), body.get("seed")
    if suffix is not None and (not isinstance(suffix, str) or not 1 <= len(suffix) <= 64):
        raise ApiError("Invalid 'suffix': expected 1 to 64 characters.", param="suffix")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise ApiError("Invalid 'seed': expected an integer.", param="seed")
    job = Job(
        id=new_id("ftjob"),
        params={name: value for name, value in body.items() if value is not None},
        base=base,
        created=project.clock.now(),
        seed=secrets.randbelow(2**31) if seed is None else seed,
        hyperparameters=_read_hyperparameters(body, base),
    )
    project.jobs[job.id] = job
    training.start_job(project, job)
    return describe_job(job)


def _require_text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise ApiError(f"you must provide a {name} parameter", param=name)
    return value


def _find_base_model(project: Project, name: str) -> BaseModel:
    """Return the base model of a model to fine-tune, which is a base model or a fine-tuned model.

    Raises:
        ApiError: The model does not exist, or can't be fine-tuned (any more).
    """
    if name in project.models:
        base = project.models[name].base
    else:
        models = [
            model
            for model in CATALOG
            if model.provider == "openai" and name in (model.customization_id, *model.aliases)
        ]
        if not models or models[0].unsupported:
            raise ApiError(
                f"Model {name} is not available for fine-tuning or does not exist.",
                code="model_not_available",
                param="model",
            )
        base = models[0]
    if base.lifecycle.state(project.clock.now().date()) is not LifecycleState.ACTIVE:
        raise ApiError(
            f"Fine-tuning of {name} is no longer available.",
            status=403,
            code="model_not_available",
            param="model",
        )
    return base


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or len(metadata) > 16:
        raise ApiError("Invalid 'metadata': expected at most 16 pairs.", param="metadata")
    for name, value in metadata.items():
        if not isinstance(value, str) or len(name) > 64 or len(value) > 512:
            raise ApiError(
                f"Invalid 'metadata.{name}': expected 64 characters for the key, 512 for the value.",
                param="metadata",
            )


def _read_hyperparameters(body: Mapping[str, Any], base: BaseModel) -> dict[str, Any]:
    method = body.get("method") or {"type": "supervised"}
    if not isinstance(method, dict) or method.get("type") not in _HYPERPARAMETERS:
        raise ApiError("Invalid 'method.type': not available for this model.", param="method")
    kind = method["type"]
    if kind == "dpo" and not base.other_formats:
        raise ApiError(f"Method dpo is not available for {base.customization_id}.", param="method")
    if method.keys() - {"type", kind}:
        raise ApiError(f"Invalid 'method': expected 'type' and '{kind}'.", param="method")
    # The parameter of the request is deprecated, but still accepted.
    values = dict(method.get(kind, {}).get("hyperparameters") or body.get("hyperparameters") or {})
    unknown = values.keys() - _HYPERPARAMETERS[kind]
    if unknown:
        raise ApiError(f"Unrecognized hyperparameter: {min(unknown)}", param="hyperparameters")
    for name, value in values.items():
        kinds = int if name in ("n_epochs", "batch_size") else int | float
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        limits = base.hyperparameters.get(name)
        if value == "auto":
            continue
        if not is_number or (limits is not None and not limits.min <= value <= limits.max):
            raise ApiError(f"Invalid 'hyperparameters.{name}': {value!r}", param="hyperparameters")
    return values


def describe_job(job: Job) -> dict[str, Any]:
    """Build the API's object for a job."""
    values = {
        name: job.hyperparameters.get(name, "auto")
        for name in ("batch_size", "learning_rate_multiplier", "n_epochs")
    }
    method_values = {
        name: job.hyperparameters.get(name, "auto") for name in sorted(_HYPERPARAMETERS[job.method])
    }
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
        "method": {"type": job.method, job.method: {"hyperparameters": method_values}},
    }


def list_jobs(project: Project, query: Mapping[str, str]) -> dict[str, Any]:
    """Handle listPaginatedFineTuningJobs: the newest jobs come first."""
    metadata = {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in query.items()
        if name.startswith("metadata[")
    }
    rows = [
        describe_job(job)
        for job in reversed(project.jobs.values())
        if metadata.items() <= (job.params.get("metadata") or {}).items()
    ]
    return build_page(rows, query)


def retrieve_job(project: Project, job_id: str) -> dict[str, Any]:
    """Handle retrieveFineTuningJob."""
    return describe_job(_require_job(project, job_id))


def cancel_job(project: Project, job_id: str) -> dict[str, Any]:
    """Handle cancelFineTuningJob."""
    job = _require_job(project, job_id)
    if job.status in training.END_STATES:
        raise ApiError(f"Job has already completed: {job_id}", code="job_already_completed")
    training.cancel_job(project, job)
    return describe_job(job)


def pause_job(project: Project, job_id: str) -> dict[str, Any]:
    """Handle pauseFineTuningJob."""
    job = _require_job(project, job_id)
    if job.status != "running":
        raise ApiError(f"Job {job_id} is {job.status} and can't be paused.")
    training.pause_job(project, job)
    return describe_job(job)


def resume_job(project: Project, job_id: str) -> dict[str, Any]:
    """Handle resumeFineTuningJob."""
    job = _require_job(project, job_id)
    if job.status != "paused":
        raise ApiError(f"Job {job_id} is {job.status} and can't be resumed.")
    training.resume_job(project, job)
    return describe_job(job)


def list_events(project: Project, job_id: str, query: Mapping[str, str]) -> dict[str, Any]:
    """Handle listFineTuningEvents: the newest events come first."""
    return build_page(list(reversed(_require_job(project, job_id).events)), query)


def list_checkpoints(project: Project, job_id: str, query: Mapping[str, str]) -> dict[str, Any]:
    """Handle listFineTuningJobCheckpoints: the newest checkpoints come first."""
    rows = list(reversed(_require_job(project, job_id).checkpoints))
    return build_page(rows, query, default_limit=10)


def _require_job(project: Project, job_id: str) -> Job:
    if job_id not in project.jobs:
        raise ApiError(
            f"Could not find fine tune: {job_id}",
            status=404,
            code="fine_tune_not_found",
            param="fine_tune_id",
        )
    return project.jobs[job_id]
