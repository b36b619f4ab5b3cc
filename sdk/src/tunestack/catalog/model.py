"""The types of the catalog."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date


class Confidence(StrEnum):
    """How sure a fact is."""

    HIGH = "high"
    """The service's own model, schema or documentation, read in full."""
    MEDIUM = "medium"
    """One indirect or dated source."""
    LOW = "low"
    """An inference."""


class RecordFormat(StrEnum):
    """How one line of a training file looks."""

    CONVERSE = "bedrock-conversation-2024"
    """`{"schemaVersion", "system": [{"text"}], "messages": [{"role", "content": [{"text"}]}]}`"""
    PROMPT_COMPLETION = "prompt-completion"
    """`{"prompt": "...", "completion": "..."}`"""
    MESSAGES = "messages"
    """`{"system": "...", "messages": [{"role", "content": "..."}]}` (Claude)"""
    INPUT_OUTPUT_TEXT = "input-output-text"
    """`{"inputText": "...", "outputText": "..."}` (Titan)"""
    IMAGE_CAPTION = "image-caption"
    """`{"image-ref": "s3://...", "caption": "..."}` (image models)"""
    OPENAI_CHAT = "openai-chat"
    """`{"messages": [{"role", "content"}]}` with OpenAI's optional fields"""
    OPENAI_PREFERENCE = "openai-preference"
    """`{"input": {"messages"}, "preferred_output": [...], "non_preferred_output": [...]}` (DPO)"""


class Content(StrEnum):
    """What a record may hold beside text."""

    IMAGE = "image"
    VIDEO = "video"
    TOOLS = "tools"
    """Tool definitions, calls and results."""
    REASONING = "reasoning"
    """What the model is to think before it answers."""


class ChatTemplate(StrEnum):
    """How a family writes a conversation as one text, for records that hold one prompt and one answer."""

    LLAMA_3 = "llama-3"
    LLAMA_2 = "llama-2"
    COHERE = "cohere"
    TITAN = "titan"


class Serving(StrEnum):
    """How a tuned model is served."""

    ON_DEMAND = "on-demand"
    """A custom-model deployment: paid by the token, nothing while idle."""
    PROVISIONED = "provisioned"
    """Provisioned throughput: billed by the hour, for each model unit, until it is deleted."""
    DIRECT = "direct"
    """Nothing to start: the tuned model answers by its name (OpenAI)."""


class LifecycleState(StrEnum):
    """Where a base model stands on a given day."""

    ACTIVE = "active"
    LEGACY = "legacy"
    """No new jobs and no new provisioned throughput; what runs goes on until the end of life."""
    RETIRED = "retired"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lifecycle:
    """The dates of a model's life; `None` is a date that nobody has published."""

    legacy: date | None = None
    end_of_life: date | None = None
    gone_by: date | None = None
    """The day on which the model was seen to be gone, where its end of life was never published."""
    confidence: Confidence = Confidence.HIGH
    source: str = ""

    def state(self, on: date) -> LifecycleState:
        """Say where the model stands on a day."""
        ends = [day for day in (self.end_of_life, self.gone_by) if day is not None]
        if ends and on >= min(ends):
            return LifecycleState.RETIRED
        if self.legacy is not None and on >= self.legacy:
            return LifecycleState.LEGACY
        return LifecycleState.ACTIVE


@dataclass(frozen=True, kw_only=True, slots=True)
class Hyperparameter:
    """One hyperparameter of a model: its vendor's name, type, range (inclusive) and default."""

    name: str
    type: type[int | float]
    min: float
    max: float
    default: float | None = None
    aliases: tuple[str, ...] = ()
    """What others call it, and may call it here."""
    auto: bool = False
    """Whether the vendor chooses it by the data, when it is `auto` or left out."""
    confidence: Confidence
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a training file may hold; `None` is a limit that nobody has published."""

    min_records: int | None = None
    max_records: int | None = None
    min_validation_records: int | None = None
    max_validation_records: int | None = None
    max_total_records: int | None = None
    """Training and validation together."""
    max_tokens: int | None = None
    """Tokens of one record, prompt and answer together."""
    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_bytes: int | None = None
    """Size of the training file."""
    max_validation_bytes: int | None = None
    max_images: int | None = None
    """Images of one record."""
    max_system_texts: int | None = None
    """Pieces of text in a system prompt."""
    validation_set: bool = True
    """Whether the service takes a validation set at all."""
    reserved_words: tuple[str, ...] = ()
    """Words that fail the whole job when a prompt holds them, in whatever case."""
    confidence: Confidence
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """A price in US dollars."""

    usd: float
    confidence: Confidence
    source: str
    seen: date | None = None
    """The day on which it was true; `None` where the source does not say."""

    def __str__(self) -> str:
        """Write the price with how sure it is."""
        when = f"seen {self.seen}" if self.seen else "undated"
        return f"${self.usd:,.2f} ({when}, {self.confidence.value} confidence)"


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseModel:
    """A base model that can be tuned, or once could."""

    key: str
    """The catalog's own short name, used in stages and on the command line."""
    name: str
    vendor: str
    provider: str
    """Who tunes it: `bedrock` or `openai`."""
    family: str
    """The table of the data file that it shares its facts with."""
    customization_id: str
    """What a job is created with; on Bedrock it is not what the base model is called with."""
    inference_ids: tuple[str, ...] = ()
    """What the base model is called with; the preferred one first."""
    aliases: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    lifecycle: Lifecycle
    serving: tuple[Serving, ...] = ()
    """The ways to serve the tuned model; the one that `auto` takes first."""
    record_format: RecordFormat
    """The format that its training files are written in."""
    other_formats: tuple[RecordFormat, ...] = ()
    """Formats that the service takes, or took, as well."""
    chat_template: ChatTemplate | None = None
    """For several turns, or a system prompt, in a format of one prompt and one answer."""
    takes: tuple[Content, ...] = ()
    """What its records may hold beside text."""
    hyperparameters: Mapping[str, Hyperparameter]
    limits: Limits
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By what is paid for, see `catalog.load.PRICE_UNITS`."""
    unsupported: str | None = None
    """Why Tunestack does not tune it although the vendor does; `None` if it does."""
    source: str
    seen: date
    """The day on which the source was read."""

    def names(self) -> tuple[str, ...]:
        """Every name that the model is known by, the catalog's key first."""
        return (self.key, self.customization_id, *self.inference_ids, *self.aliases)
