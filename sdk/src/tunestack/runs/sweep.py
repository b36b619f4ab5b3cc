"""Files that describe a run: a base, a grid of hyperparameters, and a list of jobs, in TOML."""

from __future__ import annotations

import itertools
import math
import tomllib
from dataclasses import dataclass, fields
from difflib import get_close_matches
from os import PathLike
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from tunestack.errors import ConfigError, shortened
from tunestack.runs.evaluation import RunEvaluation
from tunestack.runs.start import check_job_count, start
from tunestack.spec.job_spec import JobSpec, SubmitArguments

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from tunestack.backends.accounts import Accounts
    from tunestack.polling import Poll
    from tunestack.runs.plan import RunPlan
    from tunestack.runs.run import Run

_NOT_IN_RUNS = {"rerun", "queue"}
_JOB_KEYS = ({"model", "data"} | SubmitArguments.__annotations__.keys()) - _NOT_IN_RUNS
_RUN_KEYS = {"name", "max_parallel", "budget", "job", "grid", "jobs", "evaluate", "promote"}
_EVALUATION_KEYS = {field.name for field in fields(RunEvaluation)}
_FILES = ("data", "validation_data")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """The content of a sweep file."""

    specs: list[JobSpec]
    name: str
    max_parallel: int | None = None
    budget: float | None = None
    evaluate: RunEvaluation | None = None
    promote: str | None = None


def start_sweep(
    accounts: Accounts,
    file: Path | str,
    *,
    name: str | None,
    max_parallel: int | None,
    budget: float | None,
    confirm: Callable[[RunPlan], object] | None,
    poll: Poll,
) -> Run:
    """Start the run that a sweep file describes; see `Tuner.start_sweep`."""
    if not isinstance(file, str | PathLike):
        raise ConfigError(f"invalid file {shortened(file)}: use a path or an S3 URI")
    if isinstance(file, str) and file.startswith("s3://"):
        with accounts.bedrock.backend().open(file) as stream:
            sweep = parse_sweep(stream.read(), file)
    else:
        sweep = read_sweep(file)
    return start(
        accounts,
        sweep.specs,
        name=name or sweep.name,
        max_parallel=sweep.max_parallel if max_parallel is None else max_parallel,
        budget=sweep.budget if budget is None else budget,
        evaluate=sweep.evaluate,
        promote=sweep.promote,
        confirm=confirm,
        poll=poll,
    )


def read_sweep(path: Path | str) -> Sweep:
    """Read a sweep file; see `parse_sweep`.

    Raises:
        ConfigError: the file can't be read, or has unknown keys or invalid values.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    return parse_sweep(content, path)


def parse_sweep(content: bytes, location: Path | str) -> Sweep:
    """Read the content of a sweep file.

    ```toml
    name = "epochs"
    promote = "support-bot"       # optional: the endpoint of the best model
    max_parallel = 2
    budget = 50.0

    [job]                         # the arguments of `submit` that all jobs have in common
    model = "nova-micro"
    data = "train.jsonl"          # relative to this file

    [grid]                        # optional: a job for each combination of these hyperparameters
    epochCount = [1, 2, 3]
    learningRate = [1e-6, 1e-5]

    [[jobs]]                      # optional: the arguments of single jobs
    data = "tenants/a.jsonl"

    [evaluate]                    # optional: the arguments of `RunEvaluation`
    data = "test.jsonl"
    metrics = ["token_f1"]
    require = ["token_f1>=base"]
    ```

    With both, each of the jobs is combined with the grid.

    Args:
        content: the content.
        location: the path or the S3 URI of the file, for the locations that are relative to it.

    Raises:
        ConfigError: it is not TOML, or has unknown keys or invalid values.
    """
    try:
        document = tomllib.loads(content.decode())
    except ValueError as error:  # not UTF-8, not TOML, or an integer of thousands of digits
        raise ConfigError(f"{location} is not TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{location} has too many nested arrays or tables") from error
    _check_keys(document, _RUN_KEYS, "the file")
    common = _read_table(document, "job")
    jobs = document.get("jobs", [{}])
    if not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs) or not jobs:
        raise ConfigError("jobs must be tables: [[jobs]]")
    arguments = [{**common, **job} for job in jobs]
    for job in arguments:
        _check_keys(job, _JOB_KEYS, "a job")
        for required in ("model", "data"):
            if required not in job:
                raise ConfigError(
                    f"a job has no {required}: set it in [job], or in each of [[jobs]]"
                )
    grid = _read_grid(document)
    # Before the grid is expanded: it can have any number of points.
    check_job_count(len(arguments) * math.prod(map(len, grid.values())))
    points = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    specs = [_create_spec(job, point, location) for job in arguments for point in points]
    return Sweep(
        specs=specs,
        name=document.get("name", PurePath(location).stem),
        max_parallel=document.get("max_parallel"),
        budget=document.get("budget"),
        evaluate=_create_evaluation(document, location),
        promote=document.get("promote"),
    )


def _create_evaluation(document: Mapping[str, Any], location: Path | str) -> RunEvaluation | None:
    if "evaluate" not in document:
        return None
    table = _read_table(document, "evaluate")
    _check_keys(table, _EVALUATION_KEYS, "evaluate")
    if not isinstance(table.get("data"), str):
        raise ConfigError("evaluate has no data: set it to the file with the held-out set")
    return RunEvaluation(**{**table, "data": _resolve_file(table["data"], location)})


def _resolve_file(name: str, location: Path | str) -> str:
    """Return the location of a file that is relative to the sweep file."""
    if name.startswith("s3://"):
        return name
    if isinstance(location, Path):
        return str(location.parent / name)
    return f"{location.rpartition('/')[0]}/{name}"


def _read_table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{name} must be a table: [{name}]")
    return table


def _check_keys(table: Mapping[str, Any], known: Collection[str], of: str) -> None:
    for key in table:
        if key in _NOT_IN_RUNS:
            raise ConfigError(f"{key} is not an argument of the jobs of a run: remove it")
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"use {', '.join(sorted(known))}"
            raise ConfigError(f"unknown key {shortened(key)} of {of}: {hint}")


def _read_grid(document: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the values of each hyperparameter."""
    grid = _read_table(document, "grid")
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise ConfigError(f"the grid's {name} must be a list of values: {name} = [1, 2, 3]")
    return grid


def _create_spec(job: Mapping[str, Any], point: Mapping[str, Any], location: Path | str) -> JobSpec:
    given = _read_table(job, "hyperparameters")
    if both := given.keys() & point.keys():
        raise ConfigError(
            f"{', '.join(sorted(both))} is in the grid and in hyperparameters: remove one"
        )
    files = {
        name: _resolve_file(job[name], location)
        for name in _FILES
        if isinstance(job.get(name), str)
    }
    return JobSpec(**{**job, **files, "hyperparameters": {**given, **point}})
