"""The models of an evaluation: fine-tuned models, base models, and base models with a prompt."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tunestack import catalog
from tunestack.backends.identifiers import IdKind
from tunestack.errors import ConfigError, NotFoundError, StateError, shortened
from tunestack.records.conversation import Conversation, from_messages
from tunestack.spec.arguments import check_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tunestack.backends.accounts import Accounts
    from tunestack.backends.base import EndpointInfo
    from tunestack.backends.protocols import Account, Backend
    from tunestack.catalog import BaseModel

MODEL = "model"
"""The name of the evaluated model."""
BASE = "base"
"""The base model of the evaluated model, as one of the other models."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
# A model id on Bedrock, or an inference profile: `us.anthropic.claude-...-v1:0`.
_MODEL_ID = re.compile(r"(?:[a-z-]+\.)?[a-z0-9]+\.[a-z][\w.:-]*")


@dataclass(frozen=True, kw_only=True)
class TokenPrice:
    """The price of tokens, in US dollars per million."""

    input: float
    output: float
    source: str

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        """Return the cost of a request."""
        return (input_tokens * self.input + output_tokens * self.output) / 1_000_000


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model of an evaluation."""

    name: str
    model: str
    """The provider's id of the model; what an id stands for never changes, unlike that of an endpoint."""
    backend: Backend
    is_fine_tuned: bool
    base: BaseModel | None
    """The base model; `None` if it is not in the catalog."""
    prefix: Conversation
    """The prompt before each record: system messages, and examples."""
    price: TokenPrice | None
    """The price of tokens; `None` if it is unknown, or if the model is billed by the hour."""
    is_hourly: bool = False
    """Whether the model is billed by the hour."""
    endpoint: EndpointInfo | None = None
    """The endpoint that the caller named, or that was found."""
    job: str | None = None
    """The id of the job that the caller named."""

    @property
    def key(self) -> str:
        """What stored answers belong to."""
        return f"{self.backend.scope}/{self.model}"

    def create_request(self, conversation: Conversation) -> Conversation:
        """Build the request for a record: all system messages, the examples of the prompt, and the record."""
        if not self.prefix.turns:
            return conversation
        turns = (*self.prefix.turns, *conversation.turns)
        system = tuple(turn for turn in turns if turn.role == "system")
        others = tuple(turn for turn in turns if turn.role != "system")
        return msgspec.structs.replace(conversation, turns=(*system, *others))


def check_name(name: str) -> str:
    """Return the name of a model of the evaluation.

    Raises:
        ConfigError: it is invalid, or that of the evaluated model.
    """
    if name in (MODEL, "judge") or not _NAME.fullmatch(name):
        raise ConfigError(
            f"invalid name {shortened(name)} of a model: use up to 40 letters, digits, '_', '.' and '-', starting with a "
            "letter; 'model' is the evaluated model"
        )
    return name


def name_models(models: Sequence[str]) -> dict[str, str]:
    """Return the models by name: `NAME=MODEL`, or the model itself if it can be a name, or `other1`, `other2` ..."""
    named: dict[str, str] = {}
    for number, text in enumerate(models, start=1):
        name, sign, model = text.partition("=")
        if not sign:
            name, model = (text if _NAME.fullmatch(text) else f"other{number}"), text
        if check_name(name) in named:
            raise ConfigError(f"the name {name!r} is given to two models: use NAME=MODEL")
        named[name] = model
    return named


def read_prompt(name: str, prompt: str | Sequence[Mapping[str, str]]) -> Conversation:
    """Read a prompt: the text of a system message, or messages that end with an answer.

    Raises:
        ConfigError: it is invalid.
    """
    if isinstance(prompt, str):
        prompt = [{"role": "system", "content": prompt}]
    try:
        conversation = from_messages(prompt)
        roles = [turn.role for turn in conversation.turns if turn.role != "system"]
        texts = [message["content"].strip() for message in prompt]
    except (AttributeError, KeyError, TypeError) as error:
        raise _invalid_prompt(name) from error
    if not all(texts) or roles != ["user", "assistant"] * (len(roles) // 2):
        raise _invalid_prompt(name)
    return conversation


def _invalid_prompt(name: str) -> ConfigError:
    return ConfigError(
        f"invalid prompt of {name!r}: use the text of a system message, or a list of "
        '{"role", "content"}: system messages, then pairs of user and assistant'
    )


class CandidateResolver:
    """Finds models by any of their names."""

    def __init__(
        self,
        accounts: Accounts,
        *,
        prompts: Mapping[str, str | Sequence[Mapping[str, str]]],
        prices: Mapping[str, tuple[float, float]],
    ) -> None:
        """Store the arguments; no call is made here."""
        self._accounts = accounts
        self._prompts = prompts
        self._prices = prices
        self._first: Candidate | None = None

    def resolve(self, name: str, text: str) -> Candidate:
        """Find a model; the first one decides what `base` is, and the region of base models.

        Args:
            name: its name in the evaluation.
            text: a job, a fine-tuned model or its endpoint (id, ARN or name), a base model by any of its names, or `base`.

        Raises:
            ConfigError: it does not exist, or the job has no model.
        """
        text = check_id("model", text)
        found = self._find(name, text)
        if self._first is None:
            self._first = found
        return found

    def _find(self, name: str, text: str) -> Candidate:
        if text == BASE:
            if self._first is None or self._first.base is None:
                raise ConfigError(
                    "'base' is the base model of the evaluated model, which is unknown"
                )
            return self._base(name, self._first.base.key)
        short = text.rpartition("/")[2] if not text.startswith("arn:") else text
        is_openai = text.startswith("openai/")
        if short.startswith("ft:"):
            backend = self._accounts.openai.backend(short)
            return self._fine_tuned(name, backend, backend.endpoint(short))
        if catalog.find(text) or is_openai or _MODEL_ID.fullmatch(short):
            return self._base(name, text)
        return self._named(name, text)

    def _base(self, name: str, text: str) -> Candidate:
        account = self._accounts.of_model(text)
        first = self._first
        backend: Backend = account.backend(text)
        if first is not None and not text.startswith("arn:") and first.backend.scope != "openai":
            # In the region of the evaluated model.
            backend = first.backend if account is self._accounts.bedrock else backend
        endpoint = backend.base_endpoint(text)
        return self._create(
            name, backend, model=endpoint.model, base=catalog.find(text), endpoint=endpoint
        )

    def _named(self, name: str, text: str) -> Candidate:
        account, identifier = self._identify(text)
        backend = account.backend(identifier)
        with suppress(ConfigError, NotFoundError):
            job_id = account.check_id(IdKind.JOB, identifier)
            job = backend.job(job_id)
            if job.model is None:
                raise StateError(
                    f"job {job.name!r} is {job.description} and has no model to evaluate",
                    job_id=job.id,
                )
            return self._fine_tuned(name, backend, None, model=job.model, job=job.id)
        with suppress(ConfigError):
            model = account.check_id(IdKind.MODEL, identifier)
            return self._fine_tuned(name, backend, None, model=model)
        with suppress(ConfigError, NotFoundError):
            endpoint = backend.endpoint(account.check_id(IdKind.ENDPOINT, identifier))
            return self._fine_tuned(name, backend, endpoint)
        raise ConfigError(
            f"unknown model {shortened(text)}: expected a job, a fine-tuned model or its endpoint (ARN or name), a base "
            "model (see `tunestack models list`), a model id or inference profile, or openai/NAME"
        )

    def _identify(self, text: str) -> tuple[Account, str]:
        for kind in (IdKind.JOB, IdKind.MODEL):
            with suppress(ConfigError):
                return self._accounts.of_id(kind, text)
        return self._accounts.of_id(IdKind.ENDPOINT, text)

    def _fine_tuned(
        self,
        name: str,
        backend: Backend,
        endpoint: EndpointInfo | None,
        *,
        model: str | None = None,
        job: str | None = None,
    ) -> Candidate:
        model = model or (endpoint.model if endpoint else "")
        return self._create(
            name,
            backend,
            model=model,
            base=backend.base(model),
            endpoint=endpoint,
            is_fine_tuned=True,
            job=job,
        )

    def _create(
        self,
        name: str,
        backend: Backend,
        *,
        model: str,
        base: BaseModel | None,
        endpoint: EndpointInfo | None,
        is_fine_tuned: bool = False,
        job: str | None = None,
    ) -> Candidate:
        prompt = self._prompts.get(name)
        return Candidate(
            name=name,
            model=model,
            backend=backend,
            is_fine_tuned=is_fine_tuned,
            base=base,
            prefix=Conversation(()) if prompt is None else read_prompt(name, prompt),
            price=self._price(name, backend, base if is_fine_tuned else None),
            endpoint=endpoint,
            job=job,
        )

    def _price(self, name: str, backend: Backend, base: BaseModel | None) -> TokenPrice | None:
        """Return the price that the caller gave, or that of a fine-tuned model: the catalog has none of base models."""
        if name in self._prices:
            usd_input, usd_output = self._prices[name]
            return TokenPrice(input=usd_input, output=usd_output, source="given")
        prices = {} if base is None else backend.prices(base)
        if "input" not in prices or "output" not in prices:
            return None
        return TokenPrice(
            input=prices["input"].usd, output=prices["output"].usd, source=str(prices["input"])
        )
