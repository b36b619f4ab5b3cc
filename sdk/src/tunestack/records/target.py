"""What records are written for: a model, one of its formats, and what the caller has asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tunestack.catalog import CATALOG, ChatTemplate, RecordFormat, unknown
from tunestack.errors import ConfigError, shortened
from tunestack.records.chat_templates import TEMPLATES
from tunestack.records.formats import FORMATS, Format, SourceFormat
from tunestack.records.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Collection

    from tunestack.catalog import BaseModel
    from tunestack.records.chat_templates import Template
    from tunestack.records.conversation import Conversation


@dataclass(frozen=True, kw_only=True)
class Target:
    """What records are written for; small and plain, so that it can be sent to a helping process."""

    model_key: str
    format: SourceFormat
    source: SourceFormat | None = None
    """What records come in; told by the first one if not given."""
    lossy: bool = False
    """Whether what the format can't carry is left out and counted, instead of refused."""
    ignored: frozenset[str] = field(default_factory=frozenset)
    """Rules that the caller has waived."""
    owner: str | None = None
    """The account that owns the buckets of images."""

    @classmethod
    def of(
        cls,
        model: BaseModel,
        *,
        source: str | None = None,
        record_format: str | None = None,
        on_loss: str = "error",
        ignore: Collection[str] = (),
        owner: str | None = None,
    ) -> Target:
        """Check what a caller asks for.

        Raises:
            ConfigError: a format, a rule or `on_loss` is not one there is.
        """
        if on_loss not in ("error", "report"):
            raise ConfigError(f"on_loss {shortened(on_loss)} is unknown: use 'error' or 'report'")
        return cls(
            model_key=model.key,
            format=_written(model, record_format),
            source=None if source is None else _source(source),
            lossy=on_loss == "report",
            ignored=_waived(ignore),
            owner=owner,
        )

    @cached_property
    def model(self) -> BaseModel:
        """The base model."""
        return CATALOG[self.model_key] if self.model_key in CATALOG else unknown(self.model_key)

    @cached_property
    def template(self) -> Template | None:
        """How several turns are written as one text, where they have to be."""
        name: ChatTemplate | None = self.model.chat_template
        return TEMPLATES[name] if name is not None and self.form.templated else None

    @property
    def record_format(self) -> str:
        """The format by the catalog's name."""
        return next(
            form.value
            for form in (self.model.record_format, *self.model.other_formats)
            if SourceFormat(form.value) is self.format
        )

    @property
    def form(self) -> Format:
        """How the format is read and written."""
        return FORMATS[self.format]

    @property
    def on_openai(self) -> bool:
        """Whether OpenAI trains the model."""
        return self.model.provider == "openai"

    def is_templated(self, conversation: Conversation) -> bool:
        """Tell whether a conversation is written with the template: it is more than a question and its answer."""
        return self.template is not None and [turn.role for turn in conversation.turns] != [
            "user",
            "assistant",
        ]


def _source(name: str) -> SourceFormat:
    try:
        return SourceFormat(name)
    except ValueError:
        known = ", ".join(repr(known.value) for known in SourceFormat)
        raise ConfigError(f"data format {shortened(name)} is unknown: use {known}") from None


def _written(model: BaseModel, name: str | None) -> SourceFormat:
    taken = [model.record_format, *model.other_formats]
    if name is not None and name not in taken:
        raise ConfigError(
            f"{model.name} does not learn from record format {shortened(name)}: "
            f"use {', '.join(repr(form.value) for form in taken)}"
        )
    wanted = model.record_format if name is None else RecordFormat(name)
    if wanted is RecordFormat.IMAGE_CAPTION:
        raise ConfigError(
            f"{model.name} learns from images with captions: Tunestack has no such records"
        )
    return SourceFormat(wanted.value)


def _waived(names: Collection[str]) -> frozenset[str]:
    if isinstance(names, str):
        names = (names,)
    for name in names:
        rule = RULES.get(name)
        if rule is None or not rule.can_be_waived:
            possible = ", ".join(rule.name for rule in RULES.values() if rule.can_be_waived)
            raise ConfigError(f"rule {shortened(name)} can't be ignored: possible are {possible}")
    return frozenset(names)
