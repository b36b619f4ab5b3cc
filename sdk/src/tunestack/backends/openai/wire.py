"""Requests to OpenAI's fine-tuning API, and its answers, as data; nothing is called here.

Source: the openai package, `types/fine_tuning` of 2.54 and 3.54 (read 2026-11-22). `hyperparameters` at the top of a
request is deprecated there: `method` has them.
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
"""What of a job's metadata tells that it was created for the same content."""
KEY = f"{OWN_TAGS}key"
"""And for the same attempt."""
NAME = f"{OWN_TAGS}name"
# A number unless it has a point; OpenAI takes no text here but `auto`, which is what it takes a missing one for.
_WHOLE = ("n_epochs", "batch_size")
_MOST_PAIRS, _LONGEST_KEY, _LONGEST_VALUE = 16, 64, 512

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
}
"""What each word of OpenAI's for a job's state is here."""


class _Row(Protocol):
    @property
    def id(self) -> str: ...


Row = TypeVar("Row", bound=_Row)


def each(rows: Iterable[Row]) -> Iterator[Row]:
    """Give out rows, of pages that a server may repeat for ever."""
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            return
        seen.add(row.id)
        yield row


def create_job(request: JobRequest) -> dict[str, Any]:
    """Write the arguments of `fine_tuning.jobs.create`, of tags that fit."""
    values = {name: _number(name, value) for name, value in request.hyperparameters.items()}
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


def location_not_accepted(location: str) -> ConfigError:
    """Return the error for an `s3_path`."""
    return ConfigError(f"s3_path {location!r}: OpenAI keeps the data itself: leave s3_path out")


def not_a_local_file(uri: str) -> ConfigError:
    """Return the error for data in S3."""
    return ConfigError(f"{uri!r} lies with AWS: download it first")


def require_fitting(tags: Mapping[str, str]) -> None:
    """Look whether a job's metadata has room for tags, beside what tells the job.

    Raises:
        ConfigError: it has not.
    """
    own = sum(name.startswith(OWN_TAGS) for name in tags) + len((CONTENT, KEY, NAME))
    most = _MOST_PAIRS - own
    others = len(tags) + len((CONTENT, KEY, NAME)) - own
    if others > most:
        raise ConfigError(f"{others} tags are too many for OpenAI: use at most {most}")
    for name, value in tags.items():
        if len(name) > _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            raise ConfigError(
                f"tag {shortened(name)} is too long for OpenAI: use {_LONGEST_KEY} characters for "
                f"the key, {_LONGEST_VALUE} for the value"
            )


def _number(name: str, value: str) -> int | float:
    return int(value) if name in _WHOLE else float(value)


def job_info(job: FineTuningJob) -> JobInfo:
    """Read a job."""
    # The package takes whatever a server says for its types: what is not there, or of another kind, is read with care.
    state, phase = STATES.get(job.status, (JobState.UNKNOWN, None))
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
        created=_time(job.created_at),
        ended=_time(job.finished_at),
        hyperparameters=_hyperparameters(job),
        training_data=job.training_file,
        output=next(iter(job.result_files or ()), None),
        trained_tokens=job.trained_tokens,
        expected=_time(job.estimated_finish),
    )


def _failure(job: FineTuningJob) -> str | None:
    error = job.error
    if error is None or not getattr(error, "message", None):
        return None
    where = f", {error.param}" if getattr(error, "param", None) else ""
    code = getattr(error, "code", None)
    return f"{error.message} ({code}{where})" if code else str(error.message)


def _hyperparameters(job: FineTuningJob) -> dict[str, str]:
    method = getattr(job, "method", None)
    kind = method and getattr(method, method.type, None)
    found = getattr(kind, "hyperparameters", None) or job.hyperparameters
    if found is None:
        return {}
    return {name: str(value) for name, value in found.to_dict().items() if value is not None}


def message(event: FineTuningJobEvent) -> JobMessage:
    """Read what OpenAI said of a job."""
    data = event.data if isinstance(event.data, dict) else {}
    return JobMessage(
        time=datetime.fromtimestamp(event.created_at, UTC),
        level=event.level,
        text=event.message,
        data=data,
    )


def checkpoint(found: FineTuningJobCheckpoint) -> Checkpoint:
    """Read a checkpoint."""
    metrics = found.metrics.to_dict()
    return Checkpoint(
        model=found.fine_tuned_model_checkpoint,
        step=found.step_number,
        metrics={name: float(str(value)) for name, value in metrics.items() if value is not None},
        created=datetime.fromtimestamp(found.created_at, UTC),
    )


def endpoint_info(model: str, created: int | None) -> EndpointInfo:
    """Describe a model as what it is: an endpoint that is there as long as the model is, and costs nothing."""
    return EndpointInfo(
        id=model,
        name=model,
        serving=Serving.DIRECT,
        state=EndpointState.READY,
        raw_state="served by its name",
        model=model,
        created=_time(created),
        expiry=Expiry.NEVER,
    )


def custom_model_info(model: Model) -> CustomModelInfo:
    """Read a fine-tuned model, `ft:<base model>:...`."""
    parts = model.id.split(":")
    is_named_so = parts[0] == "ft" and len(parts) > 1
    return CustomModelInfo(
        id=model.id,
        name=model.id,
        base_model=parts[1] if is_named_so else model.id,
        created=_time(model.created),
    )


def metrics(content: bytes) -> Sequence[Mapping[str, float]]:
    """Read a result file: CSV, which OpenAI's own server wraps into base64."""
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


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
