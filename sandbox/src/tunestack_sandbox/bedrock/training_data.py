"""Bedrock's validation of training files, by the rules that AWS documents. It shares no code with the SDK's validation.

Source: user guide, model-customization-prepare, fine-tuning-troubleshooting and nova-2-sft-data-prep; AWS's validators in
aws-samples/amazon-bedrock-samples@85fba9d (2026-08-21). All read 2026-11-22. The messages are AWS's where they are known.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tunestack.catalog import RecordFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tunestack.catalog import BaseModel

Pair = tuple[str, str]
"""A prompt and its completion."""

# The media that models support beside text, by the prefix of the model id.
_MEDIA_BY_PREFIX = {
    "amazon.nova-lite": {"image", "video"},
    "amazon.nova-pro": {"image", "video"},
    "amazon.nova-2-lite": {"image", "video", "document"},
    "meta.llama3-2-11b": {"image"},
    "meta.llama3-2-90b": {"image"},
}
_PREFIXES_WITH_TOOLS = (
    "amazon.nova-micro",
    "amazon.nova-lite",
    "amazon.nova-pro",
    "amazon.nova-2-lite",
)
_MODEL_WITH_REASONING = "amazon.nova-2-lite"
_MAX_IMAGES = 10
_MEDIA_FORMATS = {
    "image": ("png", "jpeg", "gif", "webp"),
    "video": ("mov", "mkv", "mp4", "webm"),
    "document": ("pdf",),
}
# The token limits of prompt and completion, for models that have one for each, by the prefix of the model id.
_SEPARATE_TOKEN_LIMITS = {"cohere.command": (4096, 2048)}
_RESERVED_KEYWORDS = {RecordFormat.MESSAGES: ("\nHuman:", "\nAssistant:")}
_ROLES = ("user", "assistant")


class InvalidDataError(Exception):
    """A training file is invalid. Has AWS's message, and the reason that AWS does not return."""

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """The number of records in a training file, their prompts and completions, and their estimated tokens."""

    rows: int
    pairs: list[Pair]
    tokens: int


def parse_training_file(
    content: bytes, name: str, base: BaseModel, *, is_validation: bool
) -> ParsedFile:
    """Parse a training or validation file.

    Args:
        content: The content of the file.
        name: The name of the file, for messages.
        base: The base model, which decides on the record format and the limits.
        is_validation: Whether it is a validation file.

    Raises:
        InvalidDataError: The file is invalid.
    """
    rows = list(_parse_lines(content, name))
    limits = base.limits
    minimum = None if is_validation else limits.min_records
    maximum = limits.max_validation_records if is_validation else limits.max_records
    if not rows or (minimum is not None and len(rows) < minimum):
        raise InvalidDataError(
            f"Number of samples in file {name} is {len(rows)}, the minimum is {minimum or 1}."
        )
    if maximum is not None and len(rows) > maximum:
        raise InvalidDataError(
            f"Number of samples in file {name} is {len(rows)}, the maximum is {maximum}."
        )
    parse_row, format_text = _PARSERS[base.record_format]
    all_pairs: list[Pair] = []
    tokens = 0
    for line, row in enumerate(rows, start=1):
        try:
            pairs = list(parse_row(row, base))
        except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            is_missing = isinstance(error, KeyError)
            problem = f"{error.args[0]!r} is missing" if is_missing else str(error)
            raise InvalidDataError(
                f"Input data at {name} must follow '{format_text}' format",
                f"line {line}: {problem}",
            ) from error
        _check_tokens(pairs, base, line)
        _check_reserved_keywords(row, pairs, base, line, name)
        all_pairs += pairs
        # The last prompt of a conversation contains the others.
        tokens += sum(map(estimate_tokens, pairs[-1]))
    return ParsedFile(len(rows), all_pairs, tokens)


def _parse_lines(content: bytes, name: str) -> Iterator[dict[str, Any]]:
    def build_error(line: int, problem: object) -> InvalidDataError:
        return InvalidDataError(
            f"Unable to parse Amazon S3 file: {name}. Data files must conform to JSONL format.",
            f"line {line}: {problem}",
        )

    for line, text in enumerate(content.removesuffix(b"\n").split(b"\n"), start=1):
        try:
            row = json.loads(text.decode("utf-8"), parse_constant=_reject_constant)
        except (ValueError, RecursionError) as error:
            raise build_error(line, error) from None
        if not isinstance(row, dict):
            raise build_error(line, "not an object")
        yield row


def _reject_constant(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _parse_converse(row: Mapping[str, Any], base: BaseModel) -> Iterator[Pair]:
    keys = {"schemaVersion", "system", "messages"}
    if base.customization_id.startswith(_PREFIXES_WITH_TOOLS):
        keys.add("toolConfig")
    if row["schemaVersion"] != "bedrock-conversation-2024" or row.keys() - keys:
        raise ValueError("unexpected keys or schemaVersion")
    system = row.get("system", [])
    if not isinstance(system, list):
        raise TypeError("system must be a list")
    prompt = [_require_text(block["text"]) for block in system]
    for tool in row.get("toolConfig", {"tools": ()})["tools"]:
        if not isinstance(tool["toolSpec"]["inputSchema"]["json"], dict):
            raise TypeError("a tool must have a schema")
    media: Counter[str] = Counter()
    for role, message in _check_roles(row["messages"]):
        text, kinds = _parse_blocks(message["content"], role, base)
        media.update(kinds)
        if role == "assistant":
            yield "\n".join(prompt), text
        prompt.append(text)
    is_mixed = media["video"] > 0 and media.total() > media["video"]
    if media["image"] > _MAX_IMAGES or media["video"] > 1 or media["document"] > 1 or is_mixed:
        raise ValueError(
            f"{_MAX_IMAGES} images, one document or one video are allowed, not {dict(media)}"
        )


def _parse_blocks(
    content: list[Mapping[str, Any]], role: str, base: BaseModel
) -> tuple[str, list[str]]:
    """Return the text of a message, and the kinds of its images and videos."""
    texts, media = [], []
    for block in content:
        (kind,) = block
        if kind == "text":
            texts.append(block["text"])
        elif kind in _MEDIA_FORMATS and role == "user" and kind in _list_media(base):
            media.append(kind)
            texts.append(_parse_media(kind, block[kind]))
        elif kind in ("toolUse", "toolResult") and base.customization_id.startswith(
            _PREFIXES_WITH_TOOLS
        ):
            _require_text(block[kind]["toolUseId"])
            texts.append(json.dumps(block, sort_keys=True))
        elif (
            kind == "reasoningContent"
            and role == "assistant"
            and _MODEL_WITH_REASONING in base.customization_id
        ):
            block[kind]["reasoningText"]["text"].strip()
        else:
            raise ValueError(f"a block {kind!r} is not allowed in a message of the {role}")
    text = "\n".join(texts)
    if not text.strip():
        raise ValueError(f"a message of the {role} is empty")
    return text, media


def _parse_media(kind: str, block: Mapping[str, Any]) -> str:
    uri = block["source"]["s3Location"]["uri"]
    formats = _MEDIA_FORMATS[kind]
    if block["format"] not in formats or not uri.startswith("s3://"):
        raise ValueError(f"{kind}: a format of {formats} and an s3:// URI are allowed")
    return f"[{kind} {uri}]"


def _list_media(base: BaseModel) -> set[str]:
    for prefix, kinds in _MEDIA_BY_PREFIX.items():
        if base.customization_id.startswith(prefix):
            return kinds
    return set()


def _check_roles(messages: list[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if len(messages) < len(_ROLES) or len(messages) % len(_ROLES):
        raise ValueError("messages must alternate, user first and assistant last")
    for number, message in enumerate(messages):
        role = _ROLES[number % 2]
        if message["role"] != role or message.keys() != {"role", "content"}:
            raise ValueError(f"message {number} must have the role {role} and a content")
        yield role, message


def _parse_messages(row: Mapping[str, Any], _: BaseModel) -> Iterator[Pair]:
    if row.keys() - {"system", "messages"}:
        raise ValueError("unexpected keys")
    prompt = [_require_text(row["system"])] if "system" in row else []
    for role, message in _check_roles(row["messages"]):
        text = _require_text(message["content"])
        if role == "assistant":
            yield "\n".join(prompt), text
        prompt.append(text)


def _parse_prompt_completion(row: Mapping[str, Any], _: BaseModel) -> Iterator[Pair]:
    if row.keys() != {"prompt", "completion"}:
        raise ValueError("expected prompt and completion")
    yield _require_text(row["prompt"]), _require_text(row["completion"])


def _parse_titan(row: Mapping[str, Any], base: BaseModel) -> Iterator[Pair]:
    """Accept two formats: AWS documents prompt and completion, this project's specification the other."""
    if row.keys() == {"inputText", "outputText"}:
        yield _require_text(row["inputText"]), _require_text(row["outputText"])
    else:
        yield from _parse_prompt_completion(row, base)


def _require_text(value: str) -> str:
    if not value.strip():
        raise ValueError("a text is empty")
    return value


_PROMPT_COMPLETION = '{"prompt": "<input text>", "completion": "<output text>"}'
_PARSERS: dict[RecordFormat, tuple[Callable[[Any, BaseModel], Iterator[Pair]], str]] = {
    RecordFormat.CONVERSE: (
        _parse_converse,
        '{"schemaVersion": "bedrock-conversation-2024", "system": [...], "messages": [...]}',
    ),
    RecordFormat.MESSAGES: (_parse_messages, '{"system": "<text>", "messages": [...]}'),
    RecordFormat.INPUT_OUTPUT_TEXT: (_parse_titan, _PROMPT_COMPLETION),
    RecordFormat.COMPLETION: (_parse_prompt_completion, _PROMPT_COMPLETION),
}


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text: four bytes of UTF-8 each, the usual rule of thumb for English."""
    return len(text.encode()) // 4 + 1


def _check_tokens(pairs: list[Pair], base: BaseModel, line: int) -> None:
    tokens = [
        (estimate_tokens(prompt), estimate_tokens(completion)) for prompt, completion in pairs
    ]
    max_input = max(count for count, _ in tokens)
    max_output = max(count for _, count in tokens)
    reason = f"line {line}; tokens are estimated"
    for prefix, (input_limit, output_limit) in _SEPARATE_TOKEN_LIMITS.items():
        if not base.customization_id.startswith(prefix):
            continue
        for kind, count, limit in (
            ("input", max_input, input_limit),
            ("output", max_output, output_limit),
        ):
            if count > limit:
                raise InvalidDataError(
                    f"Maximum {kind} token count {count} exceeds limit of {limit}", reason
                )
    limit_of_sum = base.limits.max_tokens
    max_sum = max(sum(counts) for counts in tokens)
    if limit_of_sum is not None and max_sum > limit_of_sum:
        raise InvalidDataError(
            f"Max sum of input and output token length {max_sum} exceeds total limit of "
            f"{limit_of_sum}",
            reason,
        )


def _check_reserved_keywords(
    row: Mapping[str, Any], pairs: list[Pair], base: BaseModel, line: int, name: str
) -> None:
    """Check for the keywords that a model reserves: Nova's in any prompt, Claude's in any text.

    Source: AWS's validator for Nova, aws/nova-forge-sdk, dataset_checks_config.py (read 2026-11-29): case-sensitive, as in the
    user guide and in upper case.
    """
    if base.record_format is RecordFormat.CONVERSE:
        texts = [block["text"] for block in row.get("system", [])] + [
            block["text"]
            for turn in row["messages"]
            if turn["role"] == "user"
            for block in turn["content"]
            if "text" in block
        ]
    else:
        texts = [text for pair in pairs for text in pair]
    keywords = (*base.limits.reserved_words, *_RESERVED_KEYWORDS.get(base.record_format, ()))
    for keyword in keywords:
        spellings = {keyword, keyword.upper()} if keyword.endswith(":") else {keyword}
        if any(spelling in text for text in texts for spelling in spellings):
            raise InvalidDataError(
                f"Reserved keyword {keyword.strip()} found in file {name}", f"line {line}"
            )
