"""The types of the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

import msgspec


class Confidence(StrEnum):
    """The confidence in a fact of the catalog."""

    HIGH = "high"
    """From the API model, schema or documentation of the service."""
    MEDIUM = "medium"
    """From one indirect or old source."""
    LOW = "low"
    """Inferred, without a source that states it."""


class RecordFormat(StrEnum):
    """The format of one line of a training file."""

    CONVERSE = "bedrock-conversation-2024"
    """`{"schemaVersion", "system": [{"text"}], "messages": [{"role", "content": [{"text"}]}]}`"""
    COMPLETION = "completion"
    """`{"prompt": "...", "completion": "..."}`"""
    MESSAGES = "messages"
    """`{"system": "...", "messages": [{"role", "content": "..."}]}` (Claude)"""
    INPUT_OUTPUT_TEXT = "input-output-text"
    """`{"inputText": "...", "outputText": "..."}` (Titan)"""
    IMAGE_CAPTION = "image-caption"
    """`{"image-ref": "s3://...", "caption": "..."}` (image models)"""
    CHAT = "chat"
    """`{"messages": [{"role", "content"}]}` with OpenAI's optional fields"""
    PREFERENCE = "preference"
    """`{"input": {"messages"}, "preferred_output": [...], "non_preferred_output": [...]}` (DPO)"""


class Content(StrEnum):
    """Content of a record other than text."""

    IMAGE = "image"
    VIDEO = "video"
    DOCUMENT = "document"
    TOOLS = "tools"
    """Tool definitions, calls and results."""
    REASONING = "reasoning"
    """Reasoning that the model is trained to produce before its answer."""


class ChatTemplate(StrEnum):
    """The template that renders a conversation as one text, for formats with one prompt and one completion."""

    LLAMA_3 = "llama-3"
    LLAMA_2 = "llama-2"
    COHERE = "cohere"
    TITAN = "titan"


class Serving(StrEnum):
    """How a custom model is served."""

    ON_DEMAND = "on-demand"
    """A custom model deployment: billed by the token, free while idle."""
    PROVISIONED = "provisioned"
    """Provisioned throughput: billed by the hour and model unit until it is deleted."""
    DIRECT = "direct"
    """No endpoint is needed: the fine-tuned model is invoked by its name (OpenAI)."""


class LifecycleState(StrEnum):
    """The lifecycle state of a base model on a given date."""

    ACTIVE = "active"
    LEGACY = "legacy"
    """New jobs and new provisioned throughput are refused; existing endpoints work until the end of life."""
    RETIRED = "retired"


class Lifecycle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lifecycle dates of a model; `None` is a date that was not published."""

    legacy: date | None = None
    end_of_life: date | None = None
    gone_by: date | None = None
    """The date by which the model was no longer available, if its end of life was not published."""
    confidence: Confidence = Confidence.HIGH
    source: str = ""

    def state(self, on: date) -> LifecycleState:
        """Return the lifecycle state on a date."""
        ends = [end for end in (self.end_of_life, self.gone_by) if end is not None]
        if ends and on >= min(ends):
            return LifecycleState.RETIRED
        if self.legacy is not None and on >= self.legacy:
            return LifecycleState.LEGACY
        return LifecycleState.ACTIVE


class NumberType(StrEnum):
    """The type of a hyperparameter."""

    INTEGER = "integer"
    NUMBER = "number"


class Hyperparameter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hyperparameter of a model: the provider's name, type, inclusive range and default."""

    name: str
    type: NumberType
    min: int | float
    max: int | float
    default: int | float | None = None
    aliases: tuple[str, ...] = ()
    """Other names that are accepted, such as those of another provider."""
    auto: bool = False
    """Whether the provider chooses the value from the data if it is `auto` or not given."""
    confidence: Confidence
    source: str


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of a training file; `None` is a limit that was not published."""

    min_records: int | None = None
    validator_min_records: int | None = None
    """The minimum of the provider's own validators, if the service accepts fewer."""
    validator_note: str = ""
    """What was reported about jobs with fewer records than the validators require."""
    max_records: int | None = None
    min_validation_records: int | None = None
    max_validation_records: int | None = None
    max_total_records: int | None = None
    """Records of the training and validation files together."""
    max_tokens: int | None = None
    """Tokens in one record, prompt and completion together."""
    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_bytes: int | None = None
    """Size of the training file in bytes."""
    max_validation_bytes: int | None = None
    max_images: int | None = None
    """Images in one record."""
    max_system_texts: int | None = None
    """Text blocks in a system prompt."""
    validation_set: bool = True
    """Whether the service accepts a validation file."""
    reserved_words: tuple[str, ...] = ()
    """Words that make the whole job fail if a prompt contains them."""
    confidence: Confidence
    source: str


PriceKind = Literal["training", "storage", "input", "output", "provisioned"]
"""What a price is for; `catalog.load.PRICE_UNITS` has the units."""


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price in US dollars."""

    usd: float
    confidence: Confidence
    source: str
    seen: date | None = None
    """The date of the price; `None` if the source has no date."""
    is_live: bool = False
    """Whether the price was read from the provider's price list, and not from the catalog."""

    def __str__(self) -> str:
        """Return the price with its source: `$1.95 (catalog, undated, medium confidence)`, `$1.95 (price list of 2026-10-30)`."""
        if self.is_live:
            return f"${self.usd:,.2f} (price list of {self.seen})"
        dated = self.seen or "undated"
        return f"${self.usd:,.2f} (catalog, {dated}, {self.confidence.value} confidence)"


class BaseModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A base model that can be fine-tuned, or could be in the past."""

    key: str
    """The short name in this catalog, used in stages and on the command line."""
    name: str
    publisher: str
    """Who made the model: `amazon`, `meta`, ..."""
    provider: str
    """The service that fine-tunes it: `bedrock` or `openai`."""
    family: str
    """The family in the data file, which has the shared fields."""
    customization_id: str
    """The model id for creating a job. On Bedrock it differs from the id for invoking the base model."""
    inference_ids: tuple[str, ...] = ()
    """The model ids for invoking the base model, the preferred one first."""
    aliases: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    lifecycle: Lifecycle = Lifecycle()
    serving: tuple[Serving, ...] = ()
    """How a custom model can be served; `auto` uses the first."""
    record_format: RecordFormat
    """The format in which training files are written."""
    other_formats: tuple[RecordFormat, ...] = ()
    """Other formats that the service accepts, or accepted in the past."""
    chat_template: ChatTemplate | None = None
    """The template for multi-turn records and system prompts in a format with one prompt and one completion."""
    supports: tuple[Content, ...] = ()
    """Content other than text that records can have."""
    disputed: Mapping[Content, str] = {}
    """Content on which the provider's sources disagree, and what they say; it is accepted with a warning."""
    hyperparameters: Mapping[str, Hyperparameter]
    limits: Limits
    prices: Mapping[PriceKind, Price] = {}
    usage_type: str | None = None
    """The model in the usage types of AWS's price list: `NovaPro` in `USE1-NovaPro-Customization-Training`."""
    units_quota: str | None = None
    """The code of the quota of model units per provisioned model, on Bedrock; `None` if it is unknown."""
    unsupported: str | None = None
    """Why Tunestack can't fine-tune the model although the provider can; `None` if it can."""
    source: str
    seen: date
    """The date on which the source was read."""

    def __post_init__(self) -> None:
        """Make the mappings read-only, like the other fields."""
        for name in ("disputed", "hyperparameters", "prices"):
            msgspec.structs.force_setattr(self, name, MappingProxyType(getattr(self, name)))

    def names(self) -> tuple[str, ...]:
        """Return all names of the model, the catalog key first."""
        return (self.key, self.customization_id, *self.inference_ids, *self.aliases)
