"""Collect what a report on a job shows. Everything is read; nothing is created or billed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from tunestack._utils.temporary import temporary_directory
from tunestack.catalog import Serving
from tunestack.endpoints.expiry import with_expiry
from tunestack.errors import TunestackError
from tunestack.records import check
from tunestack.report.curves import Losses
from tunestack.report.scores import Scores
from tunestack.spec import cost
from tunestack.spec.hyperparameters import complete

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from tunestack.backends.base import CustomModelInfo, EndpointInfo, JobInfo
    from tunestack.backends.protocols import Backend
    from tunestack.catalog import BaseModel, Price
    from tunestack.catalog.model import PriceKind
    from tunestack.jobs.job import Job
    from tunestack.records import Report
    from tunestack.report.curves import Overfitting
    from tunestack.spec.cost import Cost

_CHUNK = 2**20
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataProfile:
    """A training or validation file, as it is stored with the provider."""

    location: str
    """Its S3 URI, or its id at OpenAI."""
    sha256: str
    bytes: int
    report: Report


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class JobReport:
    """A report on a job; `None` for what does not exist, or could not be read (see `unread`)."""

    info: JobInfo
    created: datetime
    """When the report was created."""
    scope: str
    """The region or project of the job."""
    base: BaseModel | None
    hyperparameters: Mapping[str, str]
    """Those of the job, and the model's defaults."""
    tags: Mapping[str, str]
    losses: Losses
    training_data: DataProfile | None
    validation_data: DataProfile | None
    cost: Cost | None
    """The estimate, from the tokens of the training file."""
    prices: Mapping[PriceKind, Price]
    model: CustomModelInfo | None
    endpoints: tuple[EndpointInfo, ...]
    evaluation: Scores | None
    unread: Mapping[str, str]
    """What could not be read, and why."""

    @property
    def overfitting(self) -> Overfitting | None:
        """From which step the validation loss rises; `None` if it does not."""
        return self.losses.overfitting(self.info)

    @property
    def billed_usd(self) -> float | None:
        """The training cost for the tokens that the provider reported; `None` if it reports none (Bedrock)."""
        price = self.prices.get("training")
        if self.info.trained_tokens is None or price is None:
            return None
        return self.info.trained_tokens * price.usd / 1_000_000

    def html(self) -> str:
        """Return a page with no other files: it needs no network."""
        from tunestack.report.page import write_page  # noqa: PLC0415 - which needs this class

        return write_page(self)

    def __repr__(self) -> str:
        """Show the name and the state of the job."""
        return f"<JobReport {self.info.name} {self.info.description}>"

    def _repr_html_(self) -> str:
        """Show the most important numbers and the losses in a notebook."""
        from tunestack.report.page import write_summary  # noqa: PLC0415 - which needs this class

        return write_summary(self)


def create_report(
    job: Job, *, evaluation: Mapping[str, object] | None = None, read_data: bool = True
) -> JobReport:
    """Collect a report on a job, in any state. Nothing is created or billed, except the requests to S3.

    What can't be read, for example because the caller has no permission, is named in the report.

    Args:
        job: the job.
        evaluation: a result to show, see `Scores.from_mapping`.
        read_data: read the training and validation files, for the profile of the data and the cost.

    Raises:
        ConfigError: the evaluation is invalid.
        ProviderError: the job can't be read.
    """
    evaluated = None if evaluation is None else Scores.from_mapping(evaluation)
    info, backend = job.refresh(), job.backend
    reader = _Reader()
    base = reader.read("base model", backend.base, info.base_model)
    rows = reader.read("losses", backend.metrics, info)
    training = validation = estimate = None
    hyperparameters = info.hyperparameters
    prices: Mapping[PriceKind, Price] = {}
    if base is not None:
        hyperparameters, prices = complete(base, info.hyperparameters), backend.prices(base)
        if read_data and info.training_data:
            training = reader.read("training data", _profile, backend, base, info.training_data)
        if read_data and info.validation_data:
            validation = reader.read(
                "validation data", _profile, backend, base, info.validation_data, validation=True
            )
        if training is not None:
            estimate = cost.of_job(
                base,
                tokens=training.report.tokens.total,
                records=training.report.records,
                hyperparameters=hyperparameters,
                prices=prices,
            )
    model = endpoints = None
    if info.model is not None:
        model = reader.read("custom model", backend.custom_model, info.model)
        endpoints = reader.read("endpoints", _endpoints, backend, info.model)
    return JobReport(
        info=info,
        created=backend.now(),
        scope=backend.scope,
        base=base,
        hyperparameters=hyperparameters,
        tags=reader.read("tags", backend.job_tags, info.id) or {},
        losses=Losses.of(rows or (), info),
        training_data=training,
        validation_data=validation,
        cost=estimate,
        prices=prices,
        model=model,
        endpoints=endpoints or (),
        evaluation=evaluated,
        unread=reader.unread,
    )


class _Reader:
    """Reads the parts of a report, and notes what can't be read."""

    def __init__(self) -> None:
        self.unread: dict[str, str] = {}

    def read(
        self,
        part: str,
        call: Callable[Arguments, Result],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result | None:
        """Return the result of a call; `None` if it fails."""
        try:
            return call(*args, **kwargs)
        except TunestackError as error:
            self.unread[part] = str(error)
            return None


def _profile(
    backend: Backend, base: BaseModel, location: str, *, validation: bool = False
) -> DataProfile:
    """Read a file in its format, which is that of the model."""
    digest, size = hashlib.sha256(), 0
    with temporary_directory() as folder:
        path = folder / "data.jsonl"
        with backend.open(location) as stored, path.open("wb") as file:
            while chunk := stored.read(_CHUNK):
                digest.update(chunk)
                size += file.write(chunk)
        report = check(path, base, validation=validation)
        if report.source_format != report.format and report.source_format in base.other_formats:
            # It was written in another format that the model accepts, such as preferences.
            report = check(path, base, record_format=report.source_format, validation=validation)
    return DataProfile(location=location, sha256=digest.hexdigest(), bytes=size, report=report)


def _endpoints(backend: Backend, model: str) -> tuple[EndpointInfo, ...]:
    return tuple(
        with_expiry(backend, info)
        for info in backend.endpoints(model=model)
        if info.serving is not Serving.DIRECT
    )
