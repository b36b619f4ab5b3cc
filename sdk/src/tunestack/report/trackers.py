"""Log the losses of a job to MLflow or Weights & Biases, if these packages are installed."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tunestack._utils.extras import missing_extra
from tunestack.errors import ProviderError, TunestackError
from tunestack.report.collect import create_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunestack.jobs.job import Job
    from tunestack.report.collect import JobReport


def log_to_mlflow(job: Job, *, experiment: str | None = None, read_data: bool = True) -> str:
    """Log a job as a run of MLflow: hyperparameters, tags, losses by step, and the report as an artifact.

    The tracking server is that of MLflow's environment (`MLFLOW_TRACKING_URI`). Each call creates a run.

    Args:
        job: the job.
        experiment: the name of the experiment; by default MLflow's current one.
        read_data: read the training data for the report.

    Returns:
        The id of the run.

    Raises:
        MissingExtraError: the package `mlflow` (or `mlflow-skinny`) is not installed.
        ProviderError: the tracking server refused or failed, or can't be reached.
    """
    try:
        import mlflow  # noqa: PLC0415 - optional
        from mlflow.entities import Metric  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing_extra("mlflow", error) from error
    report = create_report(job, read_data=read_data)
    with _translate(report, "MLflow", "check the server, and its address in MLFLOW_TRACKING_URI"):
        if experiment is not None:
            mlflow.set_experiment(experiment)
        with mlflow.start_run(run_name=report.info.name, tags=_tags(report)) as run:
            run_id: str = run.info.run_id
            mlflow.log_params(dict(report.hyperparameters))
            time = int((report.info.ended or report.created).timestamp() * 1000)
            metrics = [
                Metric(name, value, time, step)
                for step, values in _steps(report)
                for name, value in values.items()
            ]
            client = mlflow.MlflowClient()
            # MLflow accepts 1000 metrics in a request.
            for start in range(0, len(metrics), 1000):
                client.log_batch(run_id, metrics=metrics[start : start + 1000])
            mlflow.log_text(report.html(), "report.html")
    return run_id


def log_to_wandb(job: Job, *, project: str | None = None, read_data: bool = True) -> str:
    """Log a job as a run of Weights & Biases: hyperparameters, losses by step, and the report.

    Key, server and mode are those of its environment (`WANDB_API_KEY`, `WANDB_MODE=offline`). The id of the run is derived from
    the job, so that logging it again adds to the same run.

    Args:
        job: the job.
        project: the project; by default that of the environment.
        read_data: read the training data for the report.

    Returns:
        The id of the run.

    Raises:
        MissingExtraError: the package `wandb` is not installed.
        ProviderError: there is no key, or the server refused or failed, or can't be reached.
    """
    try:
        import wandb  # noqa: PLC0415 - optional
    except ModuleNotFoundError as error:
        raise missing_extra("wandb", error) from error
    report = create_report(job, read_data=read_data)
    run_id = re.sub(r"\W+", "-", report.info.name)[-64:]
    settings: dict[str, Any] = {"project": project} if project else {}
    with (
        _translate(
            report,
            "Weights & Biases",
            "check WANDB_API_KEY and WANDB_BASE_URL, or set WANDB_MODE=offline",
        ),
        wandb.init(
            id=run_id,
            name=report.info.name,
            config={**report.hyperparameters, **_tags(report)},
            resume="allow",
            **settings,
        ) as run,
    ):
        for step, values in _steps(report):
            run.log(values, step=step)
        run.log({"report": wandb.Html(report.html(), inject=False)})
        run.summary.update(_summary(report))
    return run_id


@contextmanager
def _translate(report: JobReport, tracker: str, remedy: str) -> Iterator[None]:
    """Raise the errors of a tracker as `ProviderError`."""
    try:
        yield
    except TunestackError:
        raise
    except Exception as error:  # of the tracker, or of its database, HTTP client or settings
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        raise ProviderError(
            f"job {report.info.name!r} can't be logged to {tracker}: {reason}: {remedy}"
        ) from error


def _steps(report: JobReport) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the losses of each step."""
    losses = report.losses
    for step in sorted({*losses.training, *losses.validation}):
        values = {
            "training_loss": losses.training.get(step),
            "validation_loss": losses.validation.get(step),
        }
        yield step, {name: value for name, value in values.items() if value is not None}


def _tags(report: JobReport) -> dict[str, str]:
    tags = {
        "job": report.info.id,
        "base_model": report.info.base_model,
        "custom_model": report.info.model,
        "training_data_sha256": report.training_data and report.training_data.sha256,
    }
    return {name: value for name, value in tags.items() if value}


def _summary(report: JobReport) -> Mapping[str, float]:
    usd = report.billed_usd
    if usd is None and report.cost is not None:
        usd = report.cost.training_usd
    return {} if usd is None else {"training_usd": usd}
