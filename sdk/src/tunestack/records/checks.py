"""The rules on one record: its turns, tools, images, reasoning, weights and size."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import orjson

from tunestack.catalog import Content
from tunestack.records.conversation import (
    Conversation,
    Media,
    Reasoning,
    Text,
    ToolResult,
    ToolUse,
    Turn,
)
from tunestack.records.findings import quoted
from tunestack.records.formats import SourceFormat
from tunestack.records.text_rules import ANSWER, PROMPT, check_dspy, check_special, check_texts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from tunestack.records.conversation import Block
    from tunestack.records.findings import Findings
    from tunestack.records.target import Target

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TOOL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
# The characters that AWS's validators let through, which are fewer than S3's.
_S3_URI = re.compile(r"s3://[a-z0-9][-.a-z0-9]{1,61}[a-z0-9](?:/[A-Za-z0-9_.-]+)+")
_ACCOUNT = re.compile(r"\d{12}")
# What else an image may be called after.
_OTHER_IMAGES = ("gif", "bmp", "tif", "tiff", "svg", "heic", "avif")
_URL = re.compile(r"https?://\S+|data:image/[a-zA-Z]+;base64,\S+")


def check(conversation: Conversation, target: Target, findings: Findings) -> None:
    """Check a record against all rules that are about one record alone, but for its tokens."""
    _check_turns(conversation, target, findings)
    _check_weights(conversation, findings)
    _check_tools(conversation, target, findings)
    _check_media(conversation, target, findings)
    _check_reasoning(conversation, target, findings)
    texts = list(_texts(conversation))
    check_texts(texts, target, findings)
    if target.template is not None and target.is_templated(conversation):
        check_special(texts, target.template.special, findings)
    check_dspy(conversation, findings)


def without_blank_parts(conversation: Conversation, findings: Findings) -> Conversation:
    """Leave out blank texts beside other parts, as DSPy writes between two images."""

    def change(turn: Turn) -> Turn:
        kept = tuple(
            block for block in turn.blocks if not isinstance(block, Text) or block.text.strip()
        )
        if not kept or len(kept) == len(turn.blocks):
            return turn
        findings.add("blank-part", turn.at, "has a blank part, which was left out")
        return Turn(turn.role, kept, turn.at, turn.name, turn.weight)

    return conversation.changed(change)


def with_one_text(conversation: Conversation, findings: Findings) -> Conversation:
    """Join the pieces of text of each message, for formats in which it is one; as litellm does when a model is asked."""

    def change(turn: Turn) -> Turn:
        texts = [block.text for block in turn.blocks if isinstance(block, Text)]
        if len(texts) < 2 or len(texts) < len(turn.blocks):
            return turn
        findings.lose(turn.at, f"{len(texts)} pieces of text become one, with nothing between them")
        return Turn(turn.role, (Text("".join(texts)),), turn.at, turn.name, turn.weight)

    return conversation.changed(change)


def without_untaken(conversation: Conversation, target: Target, findings: Findings) -> Conversation:
    """Leave out what the model does not learn from, and note it as lost; a message that held nothing else is left empty."""
    takes = target.model.takes

    def change(turn: Turn) -> Turn:
        kept = tuple(block for block in turn.blocks if _is_taken(block, takes))
        if len(kept) == len(turn.blocks):
            return turn
        findings.lose(turn.at, "the model does not learn from what else is in this message")
        return Turn(turn.role, kept, turn.at, turn.name, turn.weight)

    changed = conversation.changed(change)
    if not changed.tools or Content.TOOLS in takes:
        return changed
    findings.lose("$.tools", "the model does not learn from tools")
    return msgspec.structs.replace(changed, tools=())


def _is_taken(block: Block, takes: Collection[str]) -> bool:
    match block:
        case Media():
            return block.kind in takes
        case ToolUse() | ToolResult():
            return Content.TOOLS in takes
        case Reasoning():
            return Content.REASONING in takes
    return True


def _texts(conversation: Conversation) -> Iterator[tuple[str, str, str]]:
    """List all texts with their paths, and whether the model is to learn them."""
    for turn in conversation.all_turns:
        where = ANSWER if turn.role == "assistant" else PROMPT
        for block in turn.blocks:
            if isinstance(block, Text | Reasoning):
                yield turn.at, where, block.text
            elif isinstance(block, ToolResult):
                for part in block.content:
                    # Not what anybody says: one of AWS's validators looks for reserved words there.
                    said = part.text if isinstance(part, Text) else orjson.dumps(part).decode()
                    yield turn.at, ANSWER, said
    for place, tool in enumerate(conversation.tools):
        if tool.description:
            yield f"$.tools[{place}]", ANSWER, tool.description
        yield f"$.tools[{place}]", ANSWER, orjson.dumps(tool.schema).decode()


def _check_turns(conversation: Conversation, target: Target, findings: Findings) -> None:
    turns = conversation.turns
    for turn in conversation.all_turns:
        if not any(not isinstance(block, Text) or block.text.strip() for block in turn.blocks):
            findings.add("empty-text", turn.at, f"the message of the {turn.role} is empty")
    asked = [turn for turn in turns if turn.role != "system"]
    if conversation.preferred:
        _check_preference(conversation, asked, target, findings)
        return
    if target.form.strict_turns:
        systems = [turn for turn in turns if turn.role == "system"]
        if systems and (len(systems) > 1 or turns[0] is not systems[0]):
            late = systems[1] if len(systems) > 1 else systems[0]
            findings.add(
                "system-place", late.at, "expected one system prompt, as the first message"
            )
        most = target.model.limits.max_system_texts
        if most is not None and systems and len(systems[0].blocks) > most:
            findings.add(
                "system-texts",
                systems[0].at,
                f"{len(systems[0].blocks)} pieces of text, expected {most}: join them",
            )
        _check_order(asked, findings)
    else:
        answers = [turn for turn in asked if turn.role == "assistant"]
        if not any(turn.weight != 0 for turn in answers):
            findings.add("no-answer", "$.messages", "no message of the assistant is to be learned")
        elif asked[-1].role != "assistant":
            findings.add(
                "last-turn", asked[-1].at, "comes after the last answer, and teaches nothing"
            )


def _check_preference(
    conversation: Conversation, asked: list[Turn], target: Target, findings: Findings
) -> None:
    if target.form.strict_turns:
        why = "two answers to choose from: this model learns from one"
        findings.add("preference", "$", why)
    if not asked or asked[-1].role != "user":
        findings.add("preference", "$.input.messages", "expected the user's message as the last")
    answers = [
        [turn.blocks for turn in some] for some in (conversation.preferred, conversation.rejected)
    ]
    if answers[0] == answers[1]:
        findings.add("preference", "$.non_preferred_output", "is the same as preferred_output")


def _check_order(turns: list[Turn], findings: Findings) -> None:
    if not turns:
        findings.add(
            "turns", "$", "expected at least one message of the user and one of the assistant"
        )
        return
    if turns[0].role != "user":
        findings.add(
            "turns", turns[0].at, "the first message is the assistant's, expected the user's"
        )
    for before, turn in pairwise(turns):
        if before.role == turn.role:
            findings.add(
                "turns",
                turn.at,
                f"two messages of the {turn.role} in a row: user and assistant take turns",
            )
    if turns[-1].role != "assistant":
        findings.add(
            "turns",
            turns[-1].at,
            "the last message is the user's, expected the assistant's: it is what is learned",
        )


def _check_weights(conversation: Conversation, findings: Findings) -> None:
    for turn in conversation.all_turns:
        if turn.weight is not None and turn.role != "assistant":
            findings.add(
                "weight", f"{turn.at}.weight", "only the assistant's messages have a weight"
            )


def _check_tools(conversation: Conversation, target: Target, findings: Findings) -> None:
    blocks = [(turn, block) for turn in conversation.all_turns for block in turn.blocks]
    used = [turn.at for turn, block in blocks if isinstance(block, ToolUse | ToolResult)]
    if not used and not conversation.tools:
        return
    if Content.TOOLS not in target.model.takes and "tools-not-taken" not in target.ignored:
        why = f"{target.model.name} does not learn from records with tools"
        findings.add("tools-not-taken", used[0] if used else "$.tools", why)
        return
    if not conversation.tools:
        why = "calls tools that the record does not define: when it is asked, the model is told of them"
        findings.add("tools-undefined", used[0], why)
    names = Counter(tool.name for tool in conversation.tools)
    for place, tool in enumerate(conversation.tools):
        at = f"$.tools[{place}]"
        if not _TOOL_NAME.fullmatch(tool.name):
            findings.add("tool-name", at, "the name is not 1 to 64 letters, digits, _ and -")
        if names[tool.name] > 1:
            findings.add("tool-definition", at, f"{quoted(tool.name)} is there twice")
        if not target.on_openai and not (tool.description or "").strip():
            findings.add("tool-definition", at, "has no description, which the service demands")
        if (
            not target.on_openai
            and tool.schema is not None
            and not isinstance(tool.schema.get("type"), str)
        ):
            findings.add("tool-definition", at, "its schema has no type, which the service demands")
    _check_calls(blocks, names, target, findings)


def _check_calls(
    blocks: Sequence[tuple[Turn, object]], names: Counter[str], target: Target, findings: Findings
) -> None:
    called: set[str] = set()
    answered: set[str] = set()
    _check_answered(blocks, findings)
    for turn, block in blocks:
        if isinstance(block, ToolUse):
            if turn.role != "assistant":
                findings.add("tool-call", turn.at, "a call is the assistant's, and not the user's")
            if names and block.name not in names:
                findings.add(
                    "tool-call",
                    turn.at,
                    f"calls {quoted(block.name)}, which the record's tools do not have",
                )
            if block.id in called or not (target.on_openai or _TOOL_ID.fullmatch(block.id)):
                findings.add(
                    "tool-call",
                    turn.at,
                    "expected an id of its own, of 1 to 64 letters, digits and _ . : -",
                )
            called.add(block.id)
        elif isinstance(block, ToolResult):
            if turn.role != "user" or block.id not in called or block.id in answered:
                findings.add(
                    "tool-result",
                    turn.at,
                    "answers no call before it, or one that was answered already",
                )
            if not block.content:
                findings.add("tool-result", turn.at, "is empty")
            answered.add(block.id)


def _check_answered(blocks: Sequence[tuple[Turn, object]], findings: Findings) -> None:
    """Look for calls that the next turn does not answer; the last one need not be."""
    last = blocks[-1][0] if blocks else None
    results = {block.id for _, block in blocks if isinstance(block, ToolResult)}
    for turn, block in blocks:
        if isinstance(block, ToolUse) and block.id not in results and turn is not last:
            findings.add("unanswered-call", turn.at, "calls a tool, and goes on without its answer")


def _check_media(conversation: Conversation, target: Target, findings: Findings) -> None:
    counts: Counter[str] = Counter()
    for turn in conversation.all_turns:
        for block in turn.blocks:
            if isinstance(block, Media):
                counts[block.kind] += 1
                _check_medium(block, turn, target, findings)
    most = target.model.limits.max_images
    if most is not None and counts["image"] > most:
        findings.add("media-count", "$", f"{counts['image']} images, expected at most {most}")
    if counts["video"] > 1:
        findings.add("media-count", "$", f"{counts['video']} videos, expected at most one")
    if counts["video"] and counts["image"]:
        findings.add("media-mix", "$", "has images and a video: use one kind")


def _check_medium(block: Media, turn: Turn, target: Target, findings: Findings) -> None:
    if block.kind not in target.model.takes:
        findings.add(
            "media-not-taken", turn.at, f"{target.model.name} does not learn from {block.kind}s"
        )
        return
    if turn.role != "user":
        findings.add(
            "media-role",
            turn.at,
            f"a message of the {turn.role} has {_a(block.kind)}: only the user's may",
        )
    if target.on_openai:
        if not _URL.fullmatch(block.uri):
            findings.add("media-source", turn.at, "expected an https or data URL of an image")
    elif not _S3_URI.fullmatch(block.uri):
        findings.add(
            "media-source",
            turn.at,
            f"{_a(block.kind)} has to be in the bucket of the training data, named s3://bucket/key "
            "with letters, digits and _ . / - in the key: upload it there and name it so",
        )
    if block.owner is not None and not _ACCOUNT.fullmatch(block.owner):
        findings.add("media-source", turn.at, "expected an account of 12 digits as bucketOwner")
    forms = _forms(block.kind, target)
    # A web address may end in anything.
    unknown = block.uri.startswith("http") and block.format not in _OTHER_IMAGES
    if block.format not in forms and not unknown:
        findings.add(
            "media-format",
            turn.at,
            f"expected {_a(block.kind)} of format {', '.join(forms)}, found {quoted(block.format)}",
        )


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _forms(kind: str, target: Target) -> tuple[str, ...]:
    if target.on_openai:
        return ("png", "jpeg", "webp")
    newer = target.model_key == "nova-2-lite"
    if kind == "video":
        return ("mov", "mkv", "mp4") if newer else ("mov", "mkv", "mp4", "webm")
    return ("png", "jpeg", "gif") if newer else ("png", "jpeg", "gif", "webp")


def _check_reasoning(conversation: Conversation, target: Target, findings: Findings) -> None:
    for turn in conversation.all_turns:
        thoughts = [
            place for place, block in enumerate(turn.blocks) if isinstance(block, Reasoning)
        ]
        if not thoughts:
            continue
        if Content.REASONING not in target.model.takes:
            # What has no place in a format is the writer's to lose; where it has one, the model decides.
            if target.format is SourceFormat.CONVERSE:
                findings.add(
                    "reasoning", turn.at, f"{target.model.name} does not learn from reasoning"
                )
            continue
        if turn.role != "assistant" or thoughts != [0]:
            findings.add(
                "reasoning",
                turn.at,
                "expected one piece of reasoning, before what the assistant says",
            )
        if len(turn.blocks) == len(thoughts):
            findings.add("reasoning", turn.at, "expected an answer behind the reasoning")
        if not all(turn.blocks[place].text.strip() for place in thoughts):  # type: ignore[union-attr]
            findings.add("reasoning", turn.at, "the reasoning is empty")
