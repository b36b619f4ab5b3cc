"""Build requests to OpenAI's fine-tuning API and read its responses; no service is called here.

Source: the openai package, `types/fine_tuning` of 2.54 and 3.54 (read 2026-11-22). `hyperparameters` at the top level of a
request is deprecated there, in favor of `method`.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tunestack.backends.base import (
    Checkpoint,
    CustomModelInfo,
    EndpointInfo,
    EndpointState,
    Expiry,
    JobInfo,
    JobMessage,
    JobState,
)
from tunestack.catalog import Serving
from tunestack.errors import ConfigError, shortened
from tunestack.spec.arguments import OWN_TAGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from openai.types import Model
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
    from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

    from tunestack.backends.base import JobRequest

CONTENT = f"{OWN_TAGS}content"
"""The key of a job's metadata for the content, see `JobRequest.content`."""
KEY = f"{OWN_TAGS}key"
"""The key of a job's metadata for the content and attempt, see `JobRequest.key`."""
NAME = f"{OWN_TAGS}name"
# Other hyperparameters are floats. OpenAI accepts no text but `auto`, which is the default.
_INTEGERS = ("n_epochs", "batch_size")
_MAX_PAIRS, _MAX_KEY_LENGTH, _MAX_VALUE_LENGTH = 16, 64, 512

STATES: Mapping[str, tuple[JobState, str | None]] = {
    "validating_files": (JobState.PENDING, "validation"),
    "queued": (JobState.PENDING, "queued"),
    "running": (JobState.RUNNING, "training"),
    # Not in the package's types, but in the API's reference.
    "pausing": (JobState.RUNNING, "pausing"),
    "paused": (JobState.PAUSED, None),
    "succeeded": (JobState.SUCCEEDED, None),
    "failed": (JobState.FAILED, None),
    "cancelled": (JobState.STOPPED, None),
    # Other servers. Source: Azure's API for fine-tuning, 2024-10-21 (`pending`, `canceled`); 2023-05-15 (`notRunning`).
    "pending": (JobState.PENDING, "queued"),
    "notRunning": (JobState.PENDING, "queued"),
    "canceled": (JobState.STOPPED, None),
}
"""The state and phase of each status."""


class _Row(Protocol):
    @property
    def id(self) -> str: ...


Row = TypeVar("Row", bound=_Row)


def iterate_rows(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows of all pages; stop at a repeated row, because some servers return the same page forever."""
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            return
        seen.add(row.id)
        yield row


def create_job(request: JobRequest) -> dict[str, Any]:
    """Build the arguments of `fine_tuning.jobs.create`; the tags must have passed `check_tags`."""
    values = {name: _parse_number(name, value) for name, value in request.hyperparameters.items()}
    wire: dict[str, Any] = {
        "model": request.base_model,
        "training_file": request.training_data,
        "method": {
            "type": request.spec.training_method,
            request.spec.training_method: {"hyperparameters": values} if values else {},
        },
        "metadata": {
            **request.tags,
            CONTENT: request.content,
            KEY: request.key,
            NAME: request.name,
        },
    }
    optional = {
        "validation_file": request.validation_data,
        "seed": request.spec.seed,
        "suffix": request.spec.suffix,
    }
    return wire | {name: value for name, value in optional.items() if value is not None}


def unsupported_location(location: str) -> ConfigError:
    """Return the error for an `s3_path`."""
    return ConfigError(
        f"s3_path {location!r} is not supported: OpenAI stores the data itself: remove s3_path"
    )


def unsupported_uri(uri: str) -> ConfigError:
    """Return the error for data in S3."""
    return ConfigError(f"{uri!r} is in S3: download it first, and pass the local file")


def check_tags(tags: Mapping[str, str]) -> None:
    """Check that tags fit into a job's metadata, together with the keys that identify the job.

    Raises:
        ConfigError: there are too many, or one is too long.
    """
    own = sum(name.startswith(OWN_TAGS) for name in tags) + len((CONTENT, KEY, NAME))
    limit = _MAX_PAIRS - own
    count = len(tags) + len((CONTENT, KEY, NAME)) - own
    if count > limit:
        raise ConfigError(f"{count} tags are too many for OpenAI: use at most {limit}")
    for name, value in tags.items():
        if len(name) > _MAX_KEY_LENGTH or len(value) > _MAX_VALUE_LENGTH:
            raise ConfigError(
                f"tag {shortened(name)} is too long for OpenAI: use at most {_MAX_KEY_LENGTH} characters for "
                f"the key, and {_MAX_VALUE_LENGTH} for the value"
            )


def _parse_number(name: str, value: str) -> int | float:
    return int(value) if name in _INTEGERS else float(value)


def job_info(job: FineTuningJob) -> JobInfo:
    """Read a job."""
    # The package does not validate responses, and other servers leave fields out or use other types.
    state, phase = STATES.get(job.status, (JobState.UNKNOWN, None))
    if state is JobState.UNKNOWN and job.finished_at is not None:
        # The job has ended, whatever the server calls it: it has a model, or it failed.
        state = JobState.SUCCEEDED if job.fine_tuned_model else JobState.FAILED
    metadata = job.metadata or {}
    return JobInfo(
        id=job.id,
        name=metadata.get(NAME) or job.id,
        state=state,
        raw_state=job.status,
        base_model=job.model,
        phase=phase,
        model=job.fine_tuned_model,
        failure=_failure(job),
        created=_parse_timestamp(job.created_at),
        ended=_parse_timestamp(job.finished_at),
        hyperparameters=_hyperparameters(job),
        training_data=job.training_file,
        validation_data=job.validation_file,
        output=next(iter(job.result_files or ()), None),
        trained_tokens=job.trained_tokens,
        expected=_parse_timestamp(job.estimated_finish),
        method=getattr(getattr(job, "method", None), "type", None),
        seed=getattr(job, "seed", None),
        # Not in the package's types, but in the responses.
        suffix=getattr(job, "user_provided_suffix", None),
    )


def _failure(job: FineTuningJob) -> str | None:
    error = job.error
    if error is None or not getattr(error, "message", None):
        return None
    param = f", {error.param}" if getattr(error, "param", None) else ""
    code = getattr(error, "code", None)
    return f"{error.message} ({code}{param})" if code else str(error.message)


def _hyperparameters(job: FineTuningJob) -> dict[str, str]:
    method = getattr(job, "method", None)
    settings = method and getattr(method, method.type, None)
    values = getattr(settings, "hyperparameters", None) or job.hyperparameters
    if values is None:
        return {}
    return {name: str(value) for name, value in values.to_dict().items() if value is not None}


def job_message(event: FineTuningJobEvent) -> JobMessage:
    """Read an event of a job."""
    data = event.data if isinstance(event.data, dict) else {}
    return JobMessage(
        time=datetime.fromtimestamp(event.created_at, UTC),
        level=event.level,
        text=event.message,
        data=data,
    )


def checkpoint(row: FineTuningJobCheckpoint) -> Checkpoint:
    """Read a checkpoint."""
    metrics = row.metrics.to_dict()
    return Checkpoint(
        model=row.fine_tuned_model_checkpoint,
        step=row.step_number,
        metrics={name: float(str(value)) for name, value in metrics.items() if value is not None},
        created=datetime.fromtimestamp(row.created_at, UTC),
    )


def endpoint_info(model: str, created: int | None) -> EndpointInfo:
    """Return the observation of a fine-tuned model as its own endpoint, which costs nothing while idle."""
    return EndpointInfo(
        id=model,
        name=model,
        serving=Serving.DIRECT,
        state=EndpointState.READY,
        raw_state="served by its name",
        model=model,
        created=_parse_timestamp(created),
        expiry=Expiry.NEVER,
    )


def custom_model_info(model: Model) -> CustomModelInfo:
    """Read a fine-tuned model, `ft:<base model>:...`."""
    parts = model.id.split(":")
    has_base_model = parts[0] == "ft" and len(parts) > 1
    return CustomModelInfo(
        id=model.id,
        name=model.id,
        base_model=parts[1] if has_base_model else model.id,
        created=_parse_timestamp(model.created),
    )


def metrics(content: bytes) -> Sequence[Mapping[str, float]]:
    """Read a result file: CSV, which OpenAI encodes in base64 and other servers do not."""
    text = content.decode("utf-8", "replace")
    if "," not in text.partition("\n")[0]:
        try:
            text = base64.b64decode(content, validate=False).decode("utf-8", "replace")
        except binascii.Error:
            return []
    return [
        {name: float(value) for name, value in row.items() if name and value}
        for row in csv.DictReader(io.StringIO(text))
    ]


def _parse_timestamp(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
