"""The losses of a job, and from which step on its validation loss rises."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tunestack.backends.base import JobInfo

# Bedrock's names (user guide, "Analyze the results of a model customization job"), then OpenAI's (its result file).
_STEP = ("step_number", "step")
_EPOCH = ("epoch_number", "epoch")
_TRAINING = ("training_loss", "train_loss")
_VALIDATION = ("validation_loss", "valid_loss", "full_valid_loss")
EPOCH_PARAMETERS = ("epochCount", "n_epochs")
"""The hyperparameter with the number of epochs, at Bedrock and OpenAI."""
_RISE = 0.02
"""The validation loss rises if it ends higher than its lowest value by more than this part of it: less is noise."""
_LARGEST = 1e100
_SMOOTHED_PART = 10
"""The validation loss is averaged over this part of the steps: a tenth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overfitting:
    """A validation loss that rises after its lowest value: the model learns the training data by heart."""

    step: int
    """The step with the lowest validation loss."""
    loss: float
    last_step: int
    last_loss: float
    rises_from: int
    """The first step after the lowest validation loss."""
    epochs: int | None
    """The epochs of the job, if they are known."""
    enough: int | None
    """The epochs that would have been enough, if they are known."""
    parameter: str
    """The hyperparameter that has the number of epochs."""

    @property
    def text(self) -> str:
        """What happened, and what to do."""
        observed = (
            f"validation loss rises from step {self.rises_from} on: it was lowest at step {self.step} ({self.loss:.4g}), "
            f"and is {self.last_loss:.4g} at step {self.last_step}"
        )
        if self.enough is None or self.epochs is None:
            return f"{observed}: train for fewer epochs"
        if self.enough >= self.epochs:
            return f"{observed}, in the last epoch: try a lower learning rate"
        unit = "epoch" if self.enough == 1 else "epochs"
        return (
            f"{observed}: {self.enough} {unit} would have been enough (of {self.epochs}): "
            f"submit with {self.parameter}={self.enough}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Losses:
    """The losses of a job by step; empty if the job has none yet."""

    training: Mapping[int, float] = field(default_factory=dict)
    validation: Mapping[int, float] = field(default_factory=dict)
    epochs: Mapping[int, int] = field(default_factory=dict)
    """The epoch of each step, from 1."""

    def __bool__(self) -> bool:
        """Return whether there are losses."""
        return bool(self.training or self.validation)

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, float]], info: JobInfo) -> Losses:
        """Read the rows of `job.metrics()`."""
        training: dict[int, float] = {}
        validation: dict[int, float] = {}
        epochs: dict[int, int] = {}
        for row in rows:
            step = step_of(row)
            if step is None:
                continue
            for names, values in ((_TRAINING, training), (_VALIDATION, validation)):
                loss = _read(row, names)
                if loss is not None:
                    values[int(step)] = loss
            epoch = _read(row, _EPOCH)
            if epoch is not None:
                epochs[int(step)] = int(epoch)
        steps = sorted({*training, *validation})
        if not epochs:
            epochs = _estimate_epochs(steps, info)
        # Counted from 1, even if a file counts from 0.
        first = min(epochs.values(), default=1)
        return cls(
            training=dict(sorted(training.items())),
            validation=dict(sorted(validation.items())),
            epochs={step: epoch + (first == 0) for step, epoch in sorted(epochs.items())},
        )

    def by_epoch(self) -> Iterator[tuple[int, int, float | None, float | None]]:
        """Yield each epoch, its last step, and the last losses until then."""
        last = {epoch: step for step, epoch in self.epochs.items()}
        for epoch, step in last.items():
            yield epoch, step, _last(self.training, step), _last(self.validation, step)

    def overfitting(self, info: JobInfo) -> Overfitting | None:
        """Return from where the validation loss rises; `None` if it does not rise, or there are too few values."""
        steps, values = list(self.validation), list(self.validation.values())
        half = len(values) // _SMOOTHED_PART // 2
        smooth = _smooth(values, half)
        lowest = min(range(len(smooth)), key=smooth.__getitem__, default=0)
        if lowest >= len(steps) - 2 or smooth[-1] - smooth[lowest] <= abs(smooth[lowest]) * _RISE:
            return None
        near = range(max(0, lowest - half), min(len(values), lowest + half + 1))
        best = min(near, key=values.__getitem__)
        parameter = next((name for name in EPOCH_PARAMETERS if name in info.hyperparameters), "")
        return Overfitting(
            step=steps[best],
            loss=values[best],
            last_step=steps[-1],
            last_loss=values[-1],
            rises_from=steps[best + 1],
            epochs=max(self.epochs.values(), default=None),
            enough=self.epochs.get(steps[best]),
            parameter=parameter or EPOCH_PARAMETERS[0],
        )


def step_of(row: Mapping[str, float]) -> float | None:
    """Return the step of a row of `job.metrics()`; `None` if it has none."""
    return _read(row, _STEP)


def _read(row: Mapping[str, float], names: Sequence[str]) -> float | None:
    """Return the first of these columns that has a number which charts can show: not NaN, and not too large."""
    values = (row.get(name) for name in names)
    return next((value for value in values if value is not None and abs(value) <= _LARGEST), None)


def _estimate_epochs(steps: Sequence[int], info: JobInfo) -> dict[int, int]:
    """Divide the steps by the epochs of the job, for files without a column for epochs (OpenAI)."""
    given = next(
        (
            info.hyperparameters.get(name)
            for name in EPOCH_PARAMETERS
            if name in info.hyperparameters
        ),
        None,
    )
    if given is None or not given.isdecimal() or not steps:
        return {}
    last = max(1, steps[-1])
    return {step: max(1, math.ceil(step * int(given) / last)) for step in steps}


def _last(values: Mapping[int, float], step: int) -> float | None:
    """Return the last value until a step."""
    return next((values[other] for other in reversed(list(values)) if other <= step), None)


def _smooth(values: Sequence[float], half: int) -> list[float]:
    """Average each value with its neighbours, up to `half` on each side."""
    windows = (values[max(0, index - half) : index + half + 1] for index in range(len(values)))
    return [sum(window) / len(window) for window in windows]
