"""The evaluation of a run's models in the account: its arguments, which are checked before anything is uploaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from tunestack.backends.identifiers import IdKind
from tunestack.catalog import Serving
from tunestack.endpoints.start import OWN_PREFIX
from tunestack.errors import ConfigError, CostError, NotFoundError, shortened
from tunestack.evaluation.candidates import BASE, MODEL, CandidateResolver
from tunestack.evaluation.examples import read_examples
from tunestack.evaluation.gate import parse_gate
from tunestack.evaluation.metrics import LIBRARIES, METRICS, create_metrics
from tunestack.evaluation.requests import SAFETY
from tunestack.evaluation.spec import EvaluationSpec, check_max_cost
from tunestack.records.tokens import content_size, count_tokens
from tunestack.spec.arguments import check_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tunestack.backends.accounts import Accounts
    from tunestack.backends.protocols import Backend
    from tunestack.catalog import BaseModel
    from tunestack.evaluation.candidates import Candidate
    from tunestack.evaluation.examples import Example
    from tunestack.records.source import Source


@dataclass(frozen=True, kw_only=True)
class RunEvaluation:
    """How a run evaluates its models in the account, without a client. The arguments are those of `Tuner.evaluate`.

    The metrics are names of `METRICS` and `regex:PATTERN`: functions of your own are not available in the account.

    Example:
        evaluation = RunEvaluation(data="test.jsonl", metrics=["token_f1"], require=["token_f1>=base"])
        tuner.start_run(specs, evaluate=evaluation, promote="support-bot")
    """

    data: Source
    """The held-out set; the last message of a record is the expected answer."""
    metrics: Sequence[str] = ("exact_match",)
    """The first one decides which model is the best."""
    against: Sequence[str] | Mapping[str, str] = (BASE,)
    """Base models to compare with; `base` is the base model of each evaluated model."""
    require: Sequence[str] = ()
    """Conditions, such as `exact_match>=base+0.05`. Only models that pass them can be promoted."""
    by: str | None = None
    mapping: Mapping[str, str] | None = None
    limit: int | None = None
    temperature: float | None = 0.0
    max_tokens: int = 1024
    max_cost: float | None = None
    """The limit in US dollars for the highest estimate of all requests; checked before the run starts."""
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """US dollars per million input and output tokens, by the name of a compared model, for `max_cost`."""

    def to_spec(self, model: str) -> EvaluationSpec:
        """Return the evaluation of one model.

        Raises:
            ConfigError: an argument is invalid.
        """
        check_max_cost(self.max_cost)
        unused = ("data", "max_cost")
        arguments = {name: value for name, value in vars(self).items() if name not in unused}
        return EvaluationSpec(model=model, **arguments)

    def to_dict(self) -> dict[str, Any]:
        """Return all arguments but the data, as JSON has them."""
        values = {name: value for name, value in vars(self).items() if name != "data"}
        values["prices"] = {name: list(price) for name, price in self.prices.items()}
        return values


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedEvaluation:
    """An evaluation that was checked, and what is stored for it."""

    evaluation: RunEvaluation
    promote: str | None
    content: bytes
    """The records of the held-out set, one per line."""
    records: int

    @property
    def file(self) -> str:
        """The name of the file with the records: a digest of its content."""
        return f"held-out-{hashlib.sha256(self.content).hexdigest()[:32]}.jsonl"

    def lines(self) -> Iterator[str]:
        """Yield the evaluation as lines of text."""
        metrics = ", ".join(self.evaluation.metrics)
        yield f"evaluation: {self.records} held-out records, {metrics}; then the endpoints are stopped"
        for condition in self.evaluation.require:
            yield f"condition: {condition}"
        if self.promote is not None:
            yield f"promotion: endpoint {self.promote} serves the best model that passes"

    def describe(self) -> dict[str, Any]:
        """Return what the description of the run has about it."""
        return {**self.evaluation.to_dict(), "file": self.file, "records": self.records}


def prepare_evaluation(
    accounts: Accounts,
    backend: Backend,
    evaluation: RunEvaluation,
    *,
    promote: str | None,
    bases: Sequence[BaseModel],
) -> PreparedEvaluation:
    """Check an evaluation, and read its data; nothing is uploaded.

    Args:
        accounts: the accounts of the models.
        backend: where the run's jobs are submitted.
        evaluation: the arguments.
        promote: the endpoint of the best model, if it is to be promoted.
        bases: the base model of each job.

    Raises:
        ConfigError: an argument is invalid; `CostError` if the highest estimate exceeds `max_cost`.
        DataError: the held-out set is invalid.
    """
    check_type("evaluate", evaluation, RunEvaluation)
    spec = evaluation.to_spec(bases[0].key)
    _check_metrics(evaluation.metrics)
    for base in bases:
        if Serving.ON_DEMAND not in base.serving:
            raise ConfigError(
                f"a fine-tuned {base.name} needs provisioned throughput, which runs do not start: leave out evaluate, and "
                "use Tuner.evaluate after the run"
            )
    data = evaluation.data
    if isinstance(data, str) and data.startswith("s3://"):
        data = accounts.bedrock.backend().open(data)
    examples = read_examples(data, mapping=evaluation.mapping, limit=evaluation.limit)
    names = [metric.name for metric in create_metrics(spec.metrics, examples)]
    for text in spec.require:
        parse_gate(text, metrics=names, models=[*spec.models])
    _check_cost(accounts, evaluation, spec, examples, bases)
    if promote is not None:
        _check_endpoint(accounts, backend, promote, bases)
    lines = [orjson.dumps(dict(one.record), option=orjson.OPT_APPEND_NEWLINE) for one in examples]
    return PreparedEvaluation(
        evaluation=evaluation, promote=promote, content=b"".join(lines), records=len(examples)
    )


def _check_metrics(metrics: Sequence[str]) -> None:
    names = [name for name in METRICS if name not in LIBRARIES]
    for metric in metrics:
        if not isinstance(metric, str) or not (metric in names or metric.startswith("regex:")):
            raise ConfigError(
                f"invalid metric {shortened(metric)} of a run: use {', '.join(names)} or regex:PATTERN; other metrics need "
                "code that is not available in the account: use Tuner.evaluate after the run"
            )


def _check_cost(
    accounts: Accounts,
    evaluation: RunEvaluation,
    spec: EvaluationSpec,
    examples: Sequence[Example],
    bases: Sequence[BaseModel],
) -> None:
    """Check the compared models, and the highest estimate of all requests."""
    others = _resolve_others(accounts, evaluation, spec, bases)
    limit = evaluation.max_cost
    if limit is None:
        return
    tokens = [int(SAFETY * count_tokens(content_size(one.conversation))) for one in examples]
    usd = 0.0
    backend = accounts.bedrock.backend()
    for base in bases:
        prices = backend.prices(base)
        if "input" not in prices or "output" not in prices:
            raise CostError(
                f"the price of a fine-tuned {base.name} is unknown, so max_cost can't be checked: remove max_cost"
            )
        usd += _highest(tokens, spec.max_tokens, prices["input"].usd, prices["output"].usd)
    for other in others:
        if other.price is None:
            raise CostError(
                f"the price of {other.name!r} ({other.model}) is unknown, so max_cost can't be checked: pass its price in US "
                f"dollars per million tokens, prices={{{other.name!r}: (input, output)}}, or remove max_cost"
            )
        usd += _highest(tokens, spec.max_tokens, other.price.input, other.price.output)
    if usd > limit:
        raise CostError(
            f"the evaluation may cost ${usd:,.4f}, more than max_cost ${limit:g}: raise it, or lower limit or max_tokens"
        )


def _resolve_others(
    accounts: Accounts, evaluation: RunEvaluation, spec: EvaluationSpec, bases: Sequence[BaseModel]
) -> list[Candidate]:
    """Return the compared models of all jobs: `base` is another one for each base model."""
    others: dict[str, Candidate] = {}
    for base in {base.key: base for base in bases}.values():
        resolver = CandidateResolver(accounts, prompts={}, prices=evaluation.prices)
        resolver.resolve(MODEL, base.key)
        for name, text in spec.models.items():
            other = resolver.resolve(name, text)
            if other.is_fine_tuned or other.backend.scope == "openai":
                raise ConfigError(
                    f"invalid model {name!r} in against: a run compares with base models on Bedrock"
                )
            others[other.key] = other
    return list(others.values())


def _highest(tokens: Sequence[int], max_tokens: int, input_usd: float, output_usd: float) -> float:
    return (sum(tokens) * input_usd + len(tokens) * max_tokens * output_usd) / 1_000_000


def _check_endpoint(
    accounts: Accounts, backend: Backend, promote: str, bases: Sequence[BaseModel]
) -> None:
    """Check that the models can be promoted to an endpoint.

    Source: API reference, UpdateCustomModelDeployment: a model of the same base model.
    """
    name = accounts.of_id(IdKind.ENDPOINT, promote)[1]
    keys = {base.key for base in bases}
    if len(keys) > 1:
        raise ConfigError(
            f"the models of a run that promotes one must have one base model, not {', '.join(sorted(keys))}"
        )
    try:
        served = backend.base(backend.endpoint(name).model)
    except NotFoundError:
        if name.startswith(OWN_PREFIX):
            raise ConfigError(
                f"invalid promote {shortened(name)}: names of new endpoints can't start with {OWN_PREFIX!r}"
            ) from None
        return
    if served.key not in keys:
        raise ConfigError(
            f"endpoint {name!r} serves a fine-tuned {served.name}, and can't be updated to a fine-tuned {bases[0].name}: "
            "promote to another name"
        )
