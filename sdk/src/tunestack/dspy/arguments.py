"""The arguments in `train_kwargs`: hyperparameters, arguments of `Tuner.submit`, and a timeout."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from tunestack.catalog import CATALOG
from tunestack.errors import ConfigError
from tunestack.jobs.job import TIMEOUT
from tunestack.polling import to_timeout
from tunestack.spec.job_spec import SubmitArguments

SUBMIT_OPTIONS = tuple(
    name
    for name in SubmitArguments.__annotations__
    if name not in ("data_format", "hyperparameters")
)
"""The arguments of `Tuner.submit` in `train_kwargs`. Every other name except `timeout` is a hyperparameter."""

_HYPERPARAMETERS = {name for model in CATALOG for name in model.hyperparameters}


def to_submit_arguments(train_kwargs: object) -> tuple[SubmitArguments, float]:
    """Return the arguments of `Tuner.submit` in `train_kwargs`, and the timeout of the job in seconds.

    `queue` is on by default, unlike in `Tuner.submit`: the job waits for a free slot, because the training data was paid for.

    Raises:
        ConfigError: `train_kwargs` is not a dict, an argument is misspelled, or `timeout` is invalid.
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
        if name in SUBMIT_OPTIONS:
            arguments[name] = value
        elif name != "timeout":
            _reject_misspelled_option(name)
            arguments["hyperparameters"][name] = value
    return arguments, timeout


def _reject_misspelled_option(name: object) -> None:
    """Raise an error if the name is close to an option, instead of using it as a hyperparameter."""
    matches = get_close_matches(str(name), (*SUBMIT_OPTIONS, "timeout"), n=1, cutoff=0.85)
    if matches and str(name) not in _HYPERPARAMETERS:
        raise ConfigError(
            f"unknown argument {name!r} in train_kwargs: did you mean {matches[0]!r}?"
        )
