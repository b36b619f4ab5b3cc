"""What training data has to keep to: every rule with where it is from, and what it means for the job.

Sources: [UG:x] is https://docs.aws.amazon.com/bedrock/latest/userguide/x.html, [N1] the Nova user guide's
fine-tune-prepare-data-understanding, [N2] the Nova 2 user guide's nova-data-prep-sft-2, [ns] AWS's validator in
aws-samples/amazon-nova-samples@1e88f24, [nf] amzn-nova-forge 1.4.10, [hk] AWS's data_validation.py for Claude 3 Haiku,
[ll] AWS's validator for Llama in aws-samples/amazon-bedrock-samples@f3cdcfd, [api] openai-openapi, [sft], [vis] and
[dpo] OpenAI's guides on supervised fine-tuning, vision and preferences, [dspy] dspy 3.4.1 as run. All read 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tunestack.records.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

ERROR, WARNING, HINT = Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    name: str
    severity: Severity
    says: str
    source: str
    can_be_waived: bool = False
    """Whether a caller who knows better may turn it off: a limit that AWS has raised, a guess that is wrong here."""


_JSONL = "[UG:model-customization-prepare]: JSON Lines, as RFC 8259 has JSON"
_SHAPE = "[UG:model-customization-prepare], [ns], [hk], [api]"
_ALL = (
    Rule("json", ERROR, "every line is JSON", _JSONL),
    Rule("object", ERROR, "every record is an object", _JSONL),
    Rule("encoding", ERROR, "every line is UTF-8, and every text can be written so", _JSONL),
    Rule(
        "double-key",
        ERROR,
        "no key is twice in an object: readers keep one and drop the other",
        _JSONL,
    ),
    Rule("number", ERROR, "no number is NaN, infinite, or an integer beyond 64 bits", _JSONL),
    Rule("depth", ERROR, "no record is nested deeper than 100 levels", "what a parser can hold"),
    Rule("line-length", ERROR, "no line is longer than 8 MiB", "what a machine can hold"),
    Rule("blank-line", WARNING, "no line is empty; one that is, is left out", _JSONL),
    Rule("byte-order-mark", WARNING, "no byte order mark begins the file; it is left out", _JSONL),
    Rule("field", ERROR, "every field is there and of its type", _SHAPE),
    Rule(
        "loss",
        ERROR,
        "nothing is lost in conversion, unless losses are to be reported only",
        "tunestack",
    ),
    Rule("role", ERROR, "every role is one of the format's", _SHAPE),
    Rule(
        "turns",
        ERROR,
        "user and assistant take turns, the user first and the assistant last",
        "[ns], [hk]; [UG:model-customization-prepare] by its examples",
    ),
    Rule(
        "last-turn",
        WARNING,
        "the last message is the assistant's (OpenAI)",
        "[sft] by its examples: what comes after the last answer teaches nothing",
    ),
    Rule(
        "no-answer",
        ERROR,
        "there is an answer to learn",
        "openai-cookbook, Chat_finetuning_data_prep; [hk]",
    ),
    Rule(
        "system-place",
        ERROR,
        "a system prompt stands first, and is one",
        "[UG:model-customization-prepare]: system is a field of the record",
    ),
    Rule("system-texts", ERROR, "a system prompt is one piece of text (Llama 3.2, 3.3)", "[ll]"),
    Rule("empty-text", ERROR, "no message is empty or blank", "[ns], Converse's own check"),
    Rule(
        "blank-part",
        WARNING,
        "no part of a message is blank; one beside other parts is left out",
        "[dspy]: between images; Converse's own check",
    ),
    Rule("weight", ERROR, "weights are 0 or 1, and on the assistant's messages only", "[api]"),
    Rule(
        "preference",
        ERROR,
        "two answers to choose from are one message of the assistant each",
        "[dpo]",
    ),
    Rule(
        "tools-not-taken",
        ERROR,
        "the model learns from records with tools",
        "[UG:nova-2-sft-data-prep]: they might fail the job; [ll] knows none",
        can_be_waived=True,
    ),
    Rule(
        "tool-definition",
        ERROR,
        "a tool has a name, a description, and a schema with a type; names are not twice",
        "[ns], [nf]",
    ),
    Rule(
        "tool-name",
        ERROR,
        "a tool's name is 1 to 64 letters, digits, _ and -",
        "botocore 1.43, bedrock-runtime ToolName; [api]",
    ),
    Rule(
        "tool-call",
        ERROR,
        "a call names a tool that the record defines, with an id of its own",
        "[ns], [nf]; botocore, ToolUseId",
    ),
    Rule("tool-result", ERROR, "a result answers a call before it, once", "[ns], [nf]"),
    Rule("tool-arguments", ERROR, "the arguments of a call are a JSON object", "[api]"),
    Rule(
        "tools-undefined",
        WARNING,
        "a record with calls defines its tools",
        "[ns]: names are checked only where they are defined; [dspy]: it never defines them in records",
        can_be_waived=True,
    ),
    Rule(
        "unanswered-call",
        WARNING,
        "a call has its result before the conversation goes on",
        "Converse's own check; [ns] and [nf] do not look",
        can_be_waived=True,
    ),
    Rule(
        "legacy-functions",
        HINT,
        "calls are tool_calls, and not OpenAI's older functions, which are written as tools",
        "[api]: deprecated",
        can_be_waived=True,
    ),
    Rule(
        "media-not-taken",
        ERROR,
        "the model learns from images or videos, if there are any",
        "[N1], [N2], [UG:model-customization-prepare]",
    ),
    Rule(
        "media-source",
        ERROR,
        "images and videos are named by S3 URI (Bedrock), or by https or data URL (OpenAI)",
        "[ns]: s3Location only; [vis]",
    ),
    Rule(
        "media-format",
        ERROR,
        "an image is png, jpeg, gif or webp, a video mov, mkv, mp4 or webm; never called jpg (Bedrock); no gif on OpenAI, no webp and webm on Nova 2",
        "[N1], [ns], [vis]",
    ),
    Rule("media-count", ERROR, "a record has at most 10 images or one video", "[N1], [N2]; [vis]"),
    Rule("media-mix", ERROR, "a record has images or a video, not both", "[N1]"),
    Rule("media-role", ERROR, "images and videos are in the user's messages", "[ns], [vis], [ll]"),
    Rule(
        "reasoning",
        ERROR,
        "reasoning is the assistant's, before its text, and not empty; of Bedrock's models Nova 2 Lite learns it",
        "[N2], [ns], [nf]",
    ),
    Rule(
        "reserved-word",
        ERROR,
        "no prompt holds a word that the model keeps for itself",
        "[N1], [N2]: the job fails; [hk]",
        can_be_waived=True,
    ),
    Rule(
        "reserved-word-unsure",
        WARNING,
        "no text holds a word that only AWS's validators refuse: `Thought:`, `<unk>`, or a reserved word in an answer",
        "[ns], [nf]",
        can_be_waived=True,
    ),
    Rule(
        "special-token",
        ERROR,
        "no text of a conversation that is written with a chat template holds what that puts between turns",
        "meta-llama/llama, generation.py: such texts are unsafe",
    ),
    Rule(
        "tokens",
        ERROR,
        "no record has more tokens than the model takes (estimated)",
        "[UG:model-customization-prepare], [hk]",
        can_be_waived=True,
    ),
    Rule(
        "tokens-near",
        WARNING,
        "no record comes near the limit of tokens: the estimate may be wrong by a fifth",
        "[UG:model-customization-prepare]",
        can_be_waived=True,
    ),
    Rule(
        "tokens-truncated",
        WARNING,
        "no record has more tokens than OpenAI trains on: the rest is cut off",
        "[sft]",
        can_be_waived=True,
    ),
    Rule(
        "type-marker",
        ERROR,
        "no text holds DSPy's mark of an image or another type: it would be learned as text",
        "[dspy]: an output of a custom type, or a tool's result",
    ),
    Rule(
        "object-as-text",
        WARNING,
        "no text holds an object's Python representation, as of an image that became text",
        "[dspy]: images inside Example, Prediction or plain objects",
        can_be_waived=True,
    ),
    Rule(
        "data-as-text",
        WARNING,
        "no text holds base64 of a file",
        "[dspy]: a data URL given as a text",
        can_be_waived=True,
    ),
    Rule(
        "tool-call-as-text",
        WARNING,
        "no answer is a tool call written as text",
        "a call that was flattened on the way is learned as prose",
        can_be_waived=True,
    ),
    Rule(
        "none-as-answer",
        WARNING,
        "no answer of a DSPy field is the word None",
        "[dspy]: what was missing is written so",
        can_be_waived=True,
    ),
    Rule(
        "answer-in-prompt",
        WARNING,
        "the last answer is no earlier answer, word for word",
        "[dspy]: ReActV2's history holds what comes after it",
        can_be_waived=True,
    ),
    Rule(
        "unfinished-answer",
        WARNING,
        "an answer ends as DSPy's system prompt demands",
        "[dspy]: a parse that failed",
        can_be_waived=True,
    ),
    Rule(
        "transcript",
        WARNING,
        "no message of a user is a transcript of several speakers",
        "flattened conversations teach the model to speak for the user",
        can_be_waived=True,
    ),
    Rule(
        "incomplete-demo",
        HINT,
        "no DSPy demo lacks fields",
        "[dspy]: demos without all fields are shown as incomplete, and come first",
        can_be_waived=True,
    ),
    Rule(
        "record-count",
        ERROR,
        "there are as many records as the model takes",
        "[UG:model-customization-prepare], [N1], [N2], [sft]",
        can_be_waived=True,
    ),
    Rule(
        "few-records",
        HINT,
        "there are enough records to learn from",
        "[N2], [nf]: 200; [N1], [sft]: 50 to 100",
        can_be_waived=True,
    ),
    Rule(
        "validation-not-taken",
        ERROR,
        "there is no validation set where the model takes none",
        "[UG:nova-2-sft-data-prep]",
    ),
    Rule(
        "file-size",
        ERROR,
        "the file is as large as the service takes",
        "[UG:model-customization-prepare], [sft]",
        can_be_waived=True,
    ),
    Rule(
        "duplicates",
        WARNING,
        "no record is there twice",
        "a record that is there twice is learned, and billed, twice",
        can_be_waived=True,
    ),
    Rule(
        "overlap",
        WARNING,
        "no record is in both training and validation data",
        "[sft]: a loss on what was learned says nothing",
        can_be_waived=True,
    ),
    Rule(
        "mixed-content",
        WARNING,
        "all records have images, videos or reasoning, or none has",
        "[nf]: all or none; [N2]: modalities are not mixed",
        can_be_waived=True,
    ),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _ALL})
"""Every rule by its name."""
