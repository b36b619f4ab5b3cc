"""The arguments of a fine-tuning job."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

from tunestack.catalog import RecordFormat
from tunestack.errors import ConfigError, HyperparameterError, shortened
from tunestack.polling import to_seconds
from tunestack.records.shapes import create_mapping
from tunestack.records.target import Target as RecordTarget
from tunestack.spec.arguments import (
    OWN_TAGS,
    check_tags,
    check_type,
    is_list_of,
    is_mapping_of_text,
)
from tunestack.spec.hyperparameters import complete, resolve

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import timedelta

    from tunestack.catalog import BaseModel
    from tunestack.records.source import Source
    from tunestack.records.target import Rendering

Method = Literal["supervised", "dpo"]
OnLoss = Literal["error", "report"]

QUEUE_TIMEOUT = 24 * 3600.0
"""Seconds to wait for a free job slot with `queue=True`: jobs take several hours, and others may be queued as well."""

_MAX_COST_LIMIT = 10**9
_METHODS = ("supervised", "dpo")
_SUFFIX = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}")
# With the model's key, the digest and the attempt, a job's name stays below the 63 characters that Bedrock allows.
_NAME = re.compile(r"(?=.{1,20}$)[a-zA-Z0-9](-?[a-zA-Z0-9])*")


class SubmitArguments(TypedDict, total=False):
    """The keyword arguments of `Tuner.submit`, `Tuner.cost` and `Tuner.check`; the fields of `JobSpec` with the same names."""

    data_format: str | None
    hyperparameters: Mapping[str, object] | None
    validation_data: Source | None
    record_format: str | None
    on_loss: OnLoss
    ignore: Collection[str]
    s3_path: str | None
    name: str
    tags: Mapping[str, str] | None
    rerun: bool
    max_cost: float | None
    rendering: Rendering | None
    mapping: Mapping[str, str] | None
    method: Method | None
    seed: int | None
    suffix: str | None
    queue: bool | float | timedelta


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """A fine-tuning job to be submitted; `Tuner.submit` describes each field.

    Creating one checks everything that does not depend on the model, `check` the rest.

    Raises:
        ConfigError: an argument is invalid.
    """

    model: str
    data: Source = ()
    data_format: str | None = None
    hyperparameters: Mapping[str, object] | None = None
    validation_data: Source | None = None
    record_format: str | None = None
    on_loss: OnLoss = "error"
    ignore: Collection[str] = ()
    s3_path: str | None = None
    name: str = "tunestack"
    tags: Mapping[str, str] | None = None
    rerun: bool = False
    max_cost: float | None = None
    rendering: Rendering | None = None
    mapping: Mapping[str, str] | None = None
    method: Method | None = None
    seed: int | None = None
    suffix: str | None = None
    queue: bool | float | timedelta = False

    def __post_init__(self) -> None:
        """Check what does not depend on the model."""
        check_type("model", self.model, str)
        check_type("rerun", self.rerun, bool)
        check_tags({} if self.tags is None else self.tags)
        self._check_records()
        self._check_name()
        self._check_s3_path()
        self._check_method()
        self._check_seed()
        self._check_suffix()
        self._check_max_cost()
        _ = self.queue_timeout

    @property
    def training_method(self) -> Method:
        """The method: as specified, or `dpo` for records of preferences."""
        if self.method is not None:
            return self.method
        return "dpo" if self.record_format == RecordFormat.PREFERENCE else "supervised"

    @property
    def written_format(self) -> str | None:
        """The format to write records in: as specified, or that of the method; `None` for the model's own."""
        if self.record_format is None and self.method == "dpo":
            return RecordFormat.PREFERENCE.value
        return self.record_format

    @property
    def queue_timeout(self) -> float | None:
        """Seconds to wait for a free job slot; `None` raises at once when there is none.

        Raises:
            ConfigError: `queue` is neither a truth value nor a finite duration.
        """
        if self.queue is None or self.queue is False:
            return None
        return QUEUE_TIMEOUT if self.queue is True else to_seconds(self.queue, "queue")

    def check(self, base: BaseModel) -> None:
        """Check the arguments against a base model.

        Raises:
            HyperparameterError: an unknown name, or an invalid value.
            ConfigError: the model does not accept another argument.
        """
        values = self.resolved_hyperparameters(base)
        if "beta" in values and self.training_method != "dpo":
            raise HyperparameterError('beta requires method="dpo": set it, or remove beta')
        if base.provider != "openai":
            for name in ("seed", "suffix"):
                if getattr(self, name) is not None:
                    raise ConfigError(
                        f"{name}={getattr(self, name)!r} is an argument for OpenAI only: remove it"
                    )
        if self.validation_data is not None and not base.limits.validation_set:
            raise ConfigError(f"{base.name} takes no validation data: remove validation_data")
        if self.mapping is not None:
            create_mapping(self.mapping)
        RecordTarget.create(
            base,
            source=self.data_format,
            record_format=self.written_format,
            on_loss=self.on_loss,
            ignore=self.ignore,
            rendering=self.rendering,
        )

    def resolved_hyperparameters(self, base: BaseModel) -> dict[str, str]:
        """Return the hyperparameters as they are sent; see `tunestack.spec.hyperparameters.resolve`."""
        return resolve(base, {} if self.hyperparameters is None else self.hyperparameters)

    def complete_hyperparameters(self, base: BaseModel) -> dict[str, str]:
        """Return the hyperparameters as they are sent, and the model's defaults for the others."""
        return complete(base, self.resolved_hyperparameters(base))

    def _check_records(self) -> None:
        if self.data_format is not None:
            check_type("data_format", self.data_format, str)
        if not is_list_of(self.ignore, str):
            raise ConfigError(f"invalid ignore {shortened(self.ignore)}: use a list of rules")
        if self.mapping is not None and not is_mapping_of_text(self.mapping):
            raise ConfigError(
                f"invalid mapping {shortened(self.mapping)}: use a mapping of names to fields"
            )

    def _check_name(self) -> None:
        if not _NAME.fullmatch(check_type("name", self.name, str)):
            raise ConfigError(
                f"invalid name {shortened(self.name)}: use 1 to 20 letters and digits, with single hyphens between them"
            )

    def _check_s3_path(self) -> None:
        if self.s3_path is None:
            return
        path = check_type("s3_path", self.s3_path, str)
        if self.validation_data is not None and path.endswith(".jsonl"):
            raise ConfigError(
                f"s3_path {shortened(path)} is one file, and there are training and validation data: use a folder"
            )

    def _check_method(self) -> None:
        if self.method is None:
            return
        if check_type("method", self.method, str) not in _METHODS:
            raise ConfigError(
                f"invalid method {shortened(self.method)}: use {' or '.join(map(repr, _METHODS))}"
            )
        has_preferences = self.written_format == RecordFormat.PREFERENCE
        if (self.method == "dpo") != has_preferences:
            expected = "'preference'" if self.method == "dpo" else "another"
            raise ConfigError(f"method {self.method!r} requires {expected} record_format")

    def _check_seed(self) -> None:
        if self.seed is None:
            return
        if isinstance(self.seed, bool) or not 0 <= check_type("seed", self.seed, int) < 2**31:
            raise ConfigError(
                f"invalid seed {shortened(self.seed)}: use an integer from 0 to 2**31 - 1"
            )

    def _check_suffix(self) -> None:
        if self.suffix is not None and not _SUFFIX.fullmatch(
            check_type("suffix", self.suffix, str)
        ):
            raise ConfigError(
                f"invalid suffix {shortened(self.suffix)}: use 1 to 64 letters, digits, hyphens and underscores"
            )

    def _check_max_cost(self) -> None:
        most: object = self.max_cost
        if most is None:
            return
        if (
            isinstance(most, bool)
            or not isinstance(most, int | float)
            or not 0 <= most < _MAX_COST_LIMIT
        ):
            raise ConfigError(f"invalid max_cost {shortened(most)}: use an amount of US dollars")


RENDERING_TAG = f"{OWN_TAGS}rendering"
"""The tag of a job and of its custom model with the `Rendering` of its training data."""
BASE_MODEL_TAG = f"{OWN_TAGS}base-model"
"""The tag that names the base model of a job and of its custom model."""
