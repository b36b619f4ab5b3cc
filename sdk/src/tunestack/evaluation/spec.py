"""The arguments of an evaluation, checked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, get_args

from tunestack.backends.base import InferenceSettings
from tunestack.errors import ConfigError, shortened
from tunestack.evaluation.candidates import check_name, name_models
from tunestack.evaluation.journal import default_cache
from tunestack.records.target import Rendering
from tunestack.spec.arguments import check_type, is_list_of, is_mapping_of_text

if TYPE_CHECKING:
    from tunestack.endpoints.start import ServingChoice
    from tunestack.polling import Duration

_MAX_TOKENS = 1024
_RESAMPLES = 2000
_MOST_USD = 10**9


class EvaluateArguments(TypedDict, total=False):
    """The optional arguments of `Tuner.evaluate` and `Job.evaluate`."""

    against: Sequence[str] | Mapping[str, str]
    prompts: Mapping[str, str | Sequence[Mapping[str, str]]]
    metrics: Sequence[str | Callable[..., Any]]
    judge: str | None
    rubric: str | None
    by: str | None
    require: Sequence[str]
    mapping: Mapping[str, str] | None
    limit: int | None
    temperature: float | None
    max_tokens: int
    rendering: Rendering | None
    start_endpoint: bool
    serving: ServingChoice
    ttl: Duration | None
    requests_per_minute: float | None
    workers: int
    max_cost: float | None
    prices: Mapping[str, tuple[float, float]]
    cache: str | PathLike[str] | None
    output: str | PathLike[str] | None
    store: bool
    resamples: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec:
    """An evaluation; see `Tuner.evaluate` for the attributes."""

    model: str
    against: Sequence[str] | Mapping[str, str] = ()
    prompts: Mapping[str, str | Sequence[Mapping[str, str]]] = field(default_factory=dict)
    metrics: Sequence[str | Callable[..., Any]] = ("exact_match",)
    judge: str | None = None
    rubric: str | None = None
    by: str | None = None
    require: Sequence[str] = ()
    mapping: Mapping[str, str] | None = None
    limit: int | None = None
    temperature: float | None = 0.0
    max_tokens: int = _MAX_TOKENS
    rendering: Rendering | None = None
    start_endpoint: bool = False
    serving: ServingChoice = "auto"
    ttl: Duration | None = None
    requests_per_minute: float | None = None
    workers: int = 4
    max_cost: float | None = None
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    cache: str | PathLike[str] | None = None
    output: str | PathLike[str] | None = None
    store: bool = True
    resamples: int = _RESAMPLES
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: one is invalid.
        """
        self._check_types()
        for name, least, most in (
            ("workers", 1, 64),
            ("max_tokens", 1, 1_000_000),
            ("resamples", 100, 100_000),
        ):
            _check_number(name, getattr(self, name), least, most, is_integer=True)
        _check_number("seed", self.seed, -(2**63), 2**63, is_integer=True)
        if self.limit is not None:
            _check_number("limit", self.limit, 1, 10**9, is_integer=True)
        if self.temperature is not None:
            _check_number("temperature", self.temperature, 0, 2)
        check_max_cost(self.max_cost)
        if self.requests_per_minute is not None:
            _check_number("requests_per_minute", self.requests_per_minute, 0.01, 1_000_000)
        self._check_names()
        for name, price in self.prices.items():
            _check_price(name, price)

    def _check_types(self) -> None:
        check_type("model", self.model, str)
        for name in ("judge", "rubric", "by"):
            if getattr(self, name) is not None:
                check_type(name, getattr(self, name), str)
        for name in ("start_endpoint", "store"):
            check_type(name, getattr(self, name), bool)
        if self.rendering not in (None, *get_args(Rendering)):
            raise _invalid("rendering", self.rendering, " or ".join(map(repr, get_args(Rendering))))
        for name in ("cache", "output"):
            if not isinstance(getattr(self, name), str | PathLike | None):
                raise _invalid(name, getattr(self, name), "a path")
        self._check_collections()

    def _check_collections(self) -> None:
        if not is_list_of(self.against, str) and not is_mapping_of_text(self.against):
            raise _invalid(
                "against", self.against, "a list of models, or a mapping of names to models"
            )
        if not is_list_of(self.metrics, str, Callable):
            raise _invalid("metrics", self.metrics, "a list of names and functions")
        if not is_list_of(self.require, str):
            raise _invalid("require", self.require, "a list of conditions")
        if self.mapping is not None and not is_mapping_of_text(self.mapping):
            raise _invalid("mapping", self.mapping, "a mapping of names to fields")
        for name in ("prompts", "prices"):
            if not isinstance(getattr(self, name), Mapping):
                raise _invalid(name, getattr(self, name), f"a mapping of names of models to {name}")

    def _check_names(self) -> None:
        known = ["model", *self.models, *(["judge"] if self.judge else [])]
        for name in (*self.prompts, *self.prices):
            if name not in known:
                raise ConfigError(
                    f"unknown model {shortened(name)} in prompts or prices: use {', '.join(known)}"
                )
        if self.judge and not self.models:
            raise ConfigError("a judge compares two models: name the other one with against")
        if self.rubric and not self.judge:
            raise ConfigError("a rubric needs a judge: name the model that judges")

    @property
    def models(self) -> dict[str, str]:
        """The other models, by name."""
        if isinstance(self.against, Mapping):
            return {check_name(name): model for name, model in self.against.items()}
        return name_models(self.against)

    @property
    def settings(self) -> InferenceSettings:
        """The inference settings of all requests."""
        return InferenceSettings(temperature=self.temperature, max_tokens=self.max_tokens)

    @property
    def cache_folder(self) -> Path:
        """The folder of the stored answers."""
        return default_cache() if self.cache is None else Path(self.cache)


def check_max_cost(value: object) -> None:
    """Raise an error if this can't be the limit of the cost of an evaluation, in US dollars."""
    if value is not None:
        _check_number("max_cost", value, 0, _MOST_USD)


def _check_price(name: str, price: object) -> None:
    if (
        not isinstance(price, Sequence)
        or len(price) != 2
        or not all(isinstance(usd, int | float) and 0 <= usd <= _MOST_USD for usd in price)
    ):
        raise ConfigError(
            f"invalid price {shortened(price)} of {name!r}: use US dollars per million input and output tokens"
        )


def _invalid(name: str, value: object, expected: str) -> ConfigError:
    return ConfigError(f"invalid {name} {shortened(value)}: use {expected}")


def _check_number(
    name: str, value: object, least: float, most: float, *, is_integer: bool = False
) -> None:
    kinds = (int,) if is_integer else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        kind = "an integer" if is_integer else "a number"
        raise _invalid(name, value, f"{kind} from {least:,} to {most:,}")
