"""Bedrock's own look at a training file: plain and slow, by the rules that AWS documents.

Source: user guide, model-customization-prepare, fine-tuning-troubleshooting and nova-2-sft-data-prep; AWS's validators in
aws-samples/amazon-bedrock-samples@85fba9d (2026-08-21). All read 2026-11-22. The texts are AWS's where they are known.
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
"""What is asked, and what is answered."""

# What the model takes beside text, by the beginning of its id.
_MEDIA = {
    "amazon.nova-lite": {"image", "video"},
    "amazon.nova-pro": {"image", "video"},
    "amazon.nova-2-lite": {"image", "video"},
    "meta.llama3-2-11b": {"image"},
    "meta.llama3-2-90b": {"image"},
}
_TOOLS = ("amazon.nova-micro", "amazon.nova-lite", "amazon.nova-pro")
_REASONING = "amazon.nova-2-lite"
_MOST_IMAGES = 10
_FORMATS = {"image": ("png", "jpeg", "gif", "webp"), "video": ("mov", "mkv", "mp4", "webm")}
# Tokens of prompt and answer, where each has a limit of its own.
_SEPARATE = {"cohere.command": (4096, 2048)}
_RESERVED = {RecordFormat.MESSAGES: ("\nHuman:", "\nAssistant:")}
_ROLES = ("user", "assistant")


class BadDataError(Exception):
    """The job fails on the file; the text is what AWS says, and `why` what it leaves out."""

    def __init__(self, message: str, why: str | None = None) -> None:
        super().__init__(message)
        self.why = why


@dataclass(frozen=True, slots=True)
class Rows:
    """A file that was read: how many records, and the pairs of question and answer in them."""

    rows: int
    pairs: list[Pair]


def read(content: bytes, name: str, base: BaseModel, *, validation: bool) -> Rows:
    """Read a training or validation file.

    Raises:
        BadDataError: the service would refuse the file.
    """
    rows = list(_objects(content, name))
    least = None if validation else base.limits.min_records
    most = base.limits.max_validation_records if validation else base.limits.max_records
    if not rows or (least is not None and len(rows) < least):
        raise BadDataError(
            f"Number of samples in file {name} is {len(rows)}, the minimum is {least or 1}."
        )
    if most is not None and len(rows) > most:
        raise BadDataError(
            f"Number of samples in file {name} is {len(rows)}, the maximum is {most}."
        )
    read_row, shown = _READERS[base.record_format]
    found: list[Pair] = []
    for line, row in enumerate(rows, start=1):
        try:
            pairs = list(read_row(row, base))
        except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            missing = isinstance(error, KeyError)
            why = (
                f"line {line}: {error.args[0]!r} is missing" if missing else f"line {line}: {error}"
            )
            raise BadDataError(f"Input data at {name} must follow '{shown}' format", why) from error
        _check_tokens(pairs, base, line)
        _check_words(row, pairs, base, line, name)
        found += pairs
    return Rows(len(rows), found)


def _objects(content: bytes, name: str) -> Iterator[dict[str, Any]]:
    def broken(line: int, why: object) -> BadDataError:
        return BadDataError(
            f"Unable to parse Amazon S3 file: {name}. Data files must conform to JSONL format.",
            f"line {line}: {why}",
        )

    for line, text in enumerate(content.removesuffix(b"\n").split(b"\n"), start=1):
        try:
            row = json.loads(text.decode("utf-8"), parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise broken(line, error) from None
        if not isinstance(row, dict):
            raise broken(line, "not an object")
        yield row


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _converse(row: Mapping[str, Any], base: BaseModel) -> Iterator[Pair]:
    known = {"schemaVersion", "system", "messages"}
    if base.customization_id.startswith(_TOOLS):
        known.add("toolConfig")
    if row["schemaVersion"] != "bedrock-conversation-2024" or row.keys() - known:
        raise ValueError("unexpected keys or schemaVersion")
    system = row.get("system", [])
    if not isinstance(system, list):
        raise TypeError("system must be a list")
    asked = [_text(block["text"]) for block in system]
    for tool in row.get("toolConfig", {"tools": ()})["tools"]:
        if not isinstance(tool["toolSpec"]["inputSchema"]["json"], dict):
            raise TypeError("a tool must have a schema")
    media: Counter[str] = Counter()
    for role, turn in _alternating(row["messages"]):
        text, kinds = _blocks(turn["content"], role, base)
        media.update(kinds)
        if role == "assistant":
            yield "\n".join(asked), text
        asked.append(text)
    if media["image"] > _MOST_IMAGES or media["video"] > 1 or len(media) > 1:
        raise ValueError(f"{_MOST_IMAGES} images or one video are allowed, not {dict(media)}")


def _blocks(content: list[Mapping[str, Any]], role: str, base: BaseModel) -> tuple[str, list[str]]:
    """Read the content of a turn: its text, and the kinds of its images and videos."""
    texts, media = [], []
    for block in content:
        (kind,) = block
        if kind == "text":
            texts.append(block["text"])
        elif kind in ("image", "video") and role == "user" and kind in _media(base):
            media.append(kind)
            texts.append(_medium(kind, block[kind]))
        elif kind in ("toolUse", "toolResult") and base.customization_id.startswith(_TOOLS):
            _text(block[kind]["toolUseId"])
            texts.append(json.dumps(block, sort_keys=True))
        elif (
            kind == "reasoningContent"
            and role == "assistant"
            and _REASONING in base.customization_id
        ):
            block[kind]["reasoningText"]["text"].strip()
        else:
            raise ValueError(f"a block {kind!r} is not allowed in a turn of the {role} here")
    text = "\n".join(texts)
    if not text.strip():
        raise ValueError(f"a turn of the {role} is empty")
    return text, media


def _medium(kind: str, block: Mapping[str, Any]) -> str:
    uri = block["source"]["s3Location"]["uri"]
    if block["format"] not in _FORMATS[kind] or not uri.startswith("s3://"):
        raise ValueError(f"{kind}: a format of {_FORMATS[kind]} and an s3:// URI are allowed")
    return f"[{kind} {uri}]"


def _media(base: BaseModel) -> set[str]:
    for beginning, kinds in _MEDIA.items():
        if base.customization_id.startswith(beginning):
            return kinds
    return set()


def _alternating(turns: list[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if len(turns) < len(_ROLES) or len(turns) % len(_ROLES):
        raise ValueError("messages must alternate, user first and assistant last")
    for place, turn in enumerate(turns):
        role = _ROLES[place % 2]
        if turn["role"] != role or turn.keys() != {"role", "content"}:
            raise ValueError(f"message {place} must be the {role}'s, with a content")
        yield role, turn


def _messages(row: Mapping[str, Any], _: BaseModel) -> Iterator[Pair]:
    if row.keys() - {"system", "messages"}:
        raise ValueError("unexpected keys")
    asked = [_text(row["system"])] if "system" in row else []
    for role, turn in _alternating(row["messages"]):
        text = _text(turn["content"])
        if role == "assistant":
            yield "\n".join(asked), text
        asked.append(text)


def _prompt_completion(row: Mapping[str, Any], _: BaseModel) -> Iterator[Pair]:
    if row.keys() != {"prompt", "completion"}:
        raise ValueError("expected prompt and completion")
    yield _text(row["prompt"]), _text(row["completion"])


def _titan(row: Mapping[str, Any], base: BaseModel) -> Iterator[Pair]:
    """Read either format: AWS documented prompt and completion, this project's specification the other."""
    if row.keys() == {"inputText", "outputText"}:
        yield _text(row["inputText"]), _text(row["outputText"])
    else:
        yield from _prompt_completion(row, base)


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("a text is empty")
    return value


_PROMPT = '{"prompt": "<input text>", "completion": "<output text>"}'
_READERS: dict[RecordFormat, tuple[Callable[[Any, BaseModel], Iterator[Pair]], str]] = {
    RecordFormat.CONVERSE: (
        _converse,
        '{"schemaVersion": "bedrock-conversation-2024", "system": [...], "messages": [...]}',
    ),
    RecordFormat.MESSAGES: (_messages, '{"system": "<text>", "messages": [...]}'),
    RecordFormat.INPUT_OUTPUT_TEXT: (_titan, _PROMPT),
    RecordFormat.PROMPT_COMPLETION: (_prompt_completion, _PROMPT),
}


def tokens(text: str) -> int:
    """Estimate the tokens of a text: four bytes of UTF-8 each, the usual rule of thumb for English."""
    return len(text.encode()) // 4 + 1


def _check_tokens(pairs: list[Pair], base: BaseModel, line: int) -> None:
    asked = max(tokens(question) for question, _ in pairs)
    answered = max(tokens(answer) for _, answer in pairs)
    why = f"line {line}; tokens are estimated"
    for beginning, (most_asked, most_answered) in _SEPARATE.items():
        if not base.customization_id.startswith(beginning):
            continue
        for kind, count, limit in (
            ("input", asked, most_asked),
            ("output", answered, most_answered),
        ):
            if count > limit:
                raise BadDataError(
                    f"Maximum {kind} token count {count} exceeds limit of {limit}", why
                )
    most = base.limits.max_tokens
    both = max(tokens(question) + tokens(answer) for question, answer in pairs)
    if most is not None and both > most:
        raise BadDataError(
            f"Max sum of input and output token length {both} exceeds total limit of {most}", why
        )


def _check_words(
    row: Mapping[str, Any], pairs: list[Pair], base: BaseModel, line: int, name: str
) -> None:
    """Refuse words that the model keeps for itself: Nova's in any prompt, Claude's anywhere."""
    if base.record_format is RecordFormat.CONVERSE:
        prompts = [block["text"] for block in row.get("system", [])] + [
            block["text"]
            for turn in row["messages"]
            if turn["role"] == "user"
            for block in turn["content"]
            if "text" in block
        ]
    else:
        prompts = [text for pair in pairs for text in pair]
    for word in (*base.limits.reserved_words, *_RESERVED.get(base.record_format, ())):
        if any(word.lower() in text.lower() for text in prompts):
            raise BadDataError(
                f"Reserved keyword {word.strip()} found in file {name}", f"line {line}"
            )
