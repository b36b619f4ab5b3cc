"""Write the training data of a job in the format of its model."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tunestack._utils.temporary import temporary_directory
from tunestack.records import Dataset, Severity, check_together, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tunestack.backends.protocols import DataStore, Target
    from tunestack.records.source import Source
    from tunestack.spec.job_spec import JobSpec

logger = logging.getLogger(__name__)

_MAX_LOGGED_WARNINGS = 5
"""Warnings about training data that are logged one by one."""


@contextmanager
def write_data(
    target: Target[DataStore], spec: JobSpec
) -> Iterator[tuple[Dataset, Dataset | None]]:
    """Write the data in the model's format to temporary files."""

    def open_source(source: Source) -> Source:
        if isinstance(source, str) and source.startswith("s3://"):
            return target.backend.open(source)
        return source

    write: Callable[..., Dataset] = partial(
        prepare,
        model=target.base,
        data_format=spec.data_format,
        record_format=spec.written_format,
        on_loss=spec.on_loss,
        ignore=spec.ignore,
        owner=target.owner,
        rendering=spec.rendering,
        mapping=spec.mapping,
    )
    with temporary_directory() as folder:
        training = write(open_source(spec.data), path=folder / "training.jsonl")
        _log_warnings(training, "training data")
        if spec.validation_data is None:
            yield training, None
            return
        validation = write(
            open_source(spec.validation_data), path=folder / "validation.jsonl", validation=True
        )
        _log_warnings(validation, "validation data")
        for warning in check_together(training, validation):
            logger.warning("%s", warning)
        yield training, validation


def _log_warnings(dataset: Dataset, name: str) -> None:
    report = dataset.report
    for notice in report.notices:
        logger.info("%s: %s", name, notice)
    for problem in report.warnings[:_MAX_LOGGED_WARNINGS]:
        logger.warning("%s: %s", name, problem)
    count = report.count(Severity.WARNING)
    if count > _MAX_LOGGED_WARNINGS:
        logger.warning("%s: %d more warnings", name, count - _MAX_LOGGED_WARNINGS)
    for field, times in report.losses.items():
        logger.warning("%s: left out %d times (on_loss='report'): %s", name, times, field)
