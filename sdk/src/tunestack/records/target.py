"""The target of a conversion: a model, one of its record formats, and the caller's options."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tunestack.catalog import CATALOG, RecordFormat, unknown
from tunestack.errors import ConfigError, shortened
from tunestack.records.chat_templates import TEMPLATES
from tunestack.records.formats import FORMATS, Format
from tunestack.records.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Collection

    from tunestack.catalog import BaseModel
    from tunestack.records.chat_templates import Template
    from tunestack.records.conversation import Conversation


@dataclass(frozen=True, kw_only=True)
class Target:
    """The target of a conversion."""

    model_key: str
    format: RecordFormat
    """The format that is written."""
    source: RecordFormat | None = None
    """The format that is read; `None` if it is detected from the first record."""
    is_lossy: bool = False
    """Whether content that the format can't represent is left out and counted, instead of being an error."""
    ignored: frozenset[str] = field(default_factory=frozenset)
    """Validation rules to skip."""
    owner: str | None = None
    """AWS account that owns the buckets of images."""

    @classmethod
    def create(
        cls,
        model: BaseModel,
        *,
        source: str | None = None,
        record_format: str | None = None,
        on_loss: str = "error",
        ignore: Collection[str] = (),
        owner: str | None = None,
    ) -> Target:
        """Check the options of a caller.

        Raises:
            ConfigError: a format, a rule or `on_loss` is invalid.
        """
        if on_loss not in ("error", "report"):
            raise ConfigError(f"invalid on_loss {shortened(on_loss)}: use 'error' or 'report'")
        return cls(
            model_key=model.key,
            format=_parse_target_format(model, record_format),
            source=None if source is None else _parse_source_format(source),
            is_lossy=on_loss == "report",
            ignored=_parse_ignored(ignore),
            owner=owner,
        )

    @cached_property
    def model(self) -> BaseModel:
        """The base model."""
        return CATALOG[self.model_key] if self.model_key in CATALOG else unknown(self.model_key)

    @cached_property
    def template(self) -> Template | None:
        """The chat template for conversations of several turns, if the format needs one."""
        name = self.model.chat_template
        return TEMPLATES[name] if name is not None and self.form.is_templated else None

    @property
    def form(self) -> Format:
        """The reader and writer of the format that is written."""
        return FORMATS[self.format]

    @property
    def is_openai(self) -> bool:
        """Whether the model is fine-tuned at OpenAI."""
        return self.model.provider == "openai"

    def is_templated(self, conversation: Conversation) -> bool:
        """Return whether a conversation needs the chat template: it is not just one question and one answer."""
        return self.template is not None and [turn.role for turn in conversation.turns] != [
            "user",
            "assistant",
        ]


def _parse_source_format(name: str) -> RecordFormat:
    if name not in FORMATS:
        known = ", ".join(repr(known.value) for known in FORMATS)
        raise ConfigError(f"unknown data format {shortened(name)}: use {known}")
    return RecordFormat(name)


def _parse_target_format(model: BaseModel, name: str | None) -> RecordFormat:
    formats = [model.record_format, *model.other_formats]
    if name is not None and name not in formats:
        raise ConfigError(
            f"{model.name} does not support the record format {shortened(name)}: "
            f"use {', '.join(repr(known.value) for known in formats)}"
        )
    chosen = model.record_format if name is None else RecordFormat(name)
    if chosen not in FORMATS:
        raise ConfigError(
            f"{model.name} is trained on images with captions, which Tunestack does not support"
        )
    return chosen


def _parse_ignored(names: Collection[str]) -> frozenset[str]:
    if isinstance(names, str):
        names = (names,)
    for name in names:
        rule = RULES.get(name)
        if rule is None or not rule.can_be_ignored:
            valid = ", ".join(rule.name for rule in RULES.values() if rule.can_be_ignored)
            raise ConfigError(f"rule {shortened(name)} can't be ignored: use {valid}")
    return frozenset(names)
