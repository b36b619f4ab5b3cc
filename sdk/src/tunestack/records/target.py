"""The target of a conversion: a model, one of its record formats, and the caller's options."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal, cast, get_args

import msgspec

from tunestack.catalog import CATALOG, Content, RecordFormat, unknown
from tunestack.errors import ConfigError, shortened
from tunestack.records.chat_templates import TEMPLATES
from tunestack.records.chunks import MAX_IMAGE_LINE_LENGTH, MAX_LINE_LENGTH
from tunestack.records.formats import FORMATS, Format
from tunestack.records.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Collection

    from tunestack.catalog import BaseModel
    from tunestack.records.chat_templates import Template


Rendering = Literal["raw", "chat-template"]
"""How the prompts of a format with one prompt and one completion are written, the same way in all records of a file.

- `raw`: the prompt of the data, unchanged. A record is one question and one answer.
- `chat-template`: the messages in the chat template of the model family.

A model answers best to prompts that are written as in its training data, so the rendering of the training data is also used
for inference.
"""
_PROMPT_FORMATS = (RecordFormat.COMPLETION, RecordFormat.INPUT_OUTPUT_TEXT)


class Target(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The target of a conversion."""

    model_key: str
    format: RecordFormat
    """The format that is written."""
    source: RecordFormat | None = None
    """The format that is read; `None` if it is detected from the first record."""
    is_lossy: bool = False
    """Whether content that the format can't represent is left out and counted, instead of being an error."""
    ignored: frozenset[str] = frozenset()
    """Validation rules to skip."""
    owner: str | None = None
    """AWS account that owns the buckets of images."""
    requested_rendering: Rendering | None = None

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
        rendering: str | None = None,
    ) -> Target:
        """Check the options of a caller.

        Raises:
            ConfigError: a format, a rule, `on_loss` or `rendering` is invalid.
        """
        if on_loss not in ("error", "report"):
            raise ConfigError(f"invalid on_loss {shortened(on_loss)}: use 'error' or 'report'")
        target_format = _parse_target_format(model, record_format)
        return cls(
            model_key=model.key,
            format=target_format,
            source=None if source is None else _parse_source_format(source),
            is_lossy=on_loss == "report",
            ignored=_parse_ignored(ignore),
            owner=owner,
            requested_rendering=_parse_rendering(model, target_format, rendering),
        )

    @cached_property
    def model(self) -> BaseModel:
        """The base model."""
        return CATALOG[self.model_key] if self.model_key in CATALOG else unknown(self.model_key)

    @property
    def rendering(self) -> Rendering | None:
        """How prompts are written: by default, those of prompt/completion data are unchanged; `None` for formats with messages."""
        if not self.form.is_templated:
            return None
        default: Rendering = "raw" if self.source in _PROMPT_FORMATS else "chat-template"
        return self.requested_rendering or default

    @cached_property
    def template(self) -> Template | None:
        """The chat template that prompts are written with; `None` if they are not."""
        name = self.model.chat_template
        return None if name is None or self.rendering != "chat-template" else TEMPLATES[name]

    @property
    def form(self) -> Format:
        """The reader and writer of the format that is written."""
        return FORMATS[self.format]

    @property
    def max_line_length(self) -> int:
        """The maximum length of a line in bytes."""
        has_inline_images = self.is_openai and Content.IMAGE in self.model.supports
        return MAX_IMAGE_LINE_LENGTH if has_inline_images else MAX_LINE_LENGTH

    @property
    def is_openai(self) -> bool:
        """Whether the model is fine-tuned at OpenAI."""
        return self.model.provider == "openai"


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


def _parse_rendering(
    model: BaseModel, target_format: RecordFormat, rendering: str | None
) -> Rendering | None:
    if rendering is None:
        return None
    if rendering not in get_args(Rendering):
        raise ConfigError(
            f"invalid rendering {shortened(rendering)}: use {' or '.join(map(repr, get_args(Rendering)))}"
        )
    if not FORMATS[target_format].is_templated:
        raise ConfigError(
            f"{model.name} is trained on messages, which have no rendering: remove rendering={rendering!r}"
        )
    return cast("Rendering", rendering)


def _parse_ignored(names: Collection[str]) -> frozenset[str]:
    if isinstance(names, str):
        names = (names,)
    for name in names:
        rule = RULES.get(name)
        if rule is None or not rule.can_be_ignored:
            valid = ", ".join(rule.name for rule in RULES.values() if rule.can_be_ignored)
            raise ConfigError(f"rule {shortened(name)} can't be ignored: use {valid}")
    return frozenset(names)
