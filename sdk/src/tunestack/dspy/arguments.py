"""What `train_kwargs` stands for: hyperparameters, arguments of `Tuner.submit`, and a timeout."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from tunestack.catalog import CATALOG
from tunestack.errors import ConfigError
from tunestack.jobs.job import TIMEOUT
from tunestack.polling import to_timeout
from tunestack.spec.job_spec import SubmitArguments

OPTIONS = tuple(
    name
    for name in SubmitArguments.__annotations__
    if name not in ("data_format", "hyperparameters")
)
"""The arguments of `Tuner.submit` in `train_kwargs`; every other name but `timeout` is a hyperparameter."""


def submit_arguments(train_kwargs: object) -> tuple[SubmitArguments, float]:
    """Return the arguments of `Tuner.submit` that `train_kwargs` stands for, and how many seconds to wait for the job.

    Unlike in `Tuner.submit`, `queue` is on: a job waits for a free slot, since the answers that it learns from are paid for.

    Raises:
        ConfigError: `train_kwargs` is no dict, or `timeout` is invalid.
    """
    if train_kwargs is None:
        train_kwargs = {}
    if not isinstance(train_kwargs, dict):
        raise ConfigError(
            f"train_kwargs is a {type(train_kwargs).__name__}: "
            "use a dict of hyperparameters and arguments of Tuner.submit"
        )
    timeout = to_timeout(train_kwargs.get("timeout", TIMEOUT))
    arguments: Any = {"queue": True, "hyperparameters": {}}
    for name, value in train_kwargs.items():
        if name in OPTIONS:
            arguments[name] = value
        elif name != "timeout":
            _refuse_misspelled(name)
            arguments["hyperparameters"][name] = value
    return arguments, timeout


def _refuse_misspelled(name: object) -> None:
    """Refuse what is nearly the name of an argument, before it is taken for a hyperparameter."""
    near = get_close_matches(str(name), (*OPTIONS, "timeout"), n=1, cutoff=0.85)
    if near and str(name) not in _HYPERPARAMETERS:
        raise ConfigError(f"unknown argument {name!r} in train_kwargs: did you mean {near[0]!r}?")


_HYPERPARAMETERS = {name for model in CATALOG for name in model.hyperparameters}
