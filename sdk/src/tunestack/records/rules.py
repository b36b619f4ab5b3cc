"""The validation rules for training data, each with its source and its effect on the job.

Sources: [UG:x] is https://docs.aws.amazon.com/bedrock/latest/userguide/x.html, [N1] the Nova user guide's
fine-tune-prepare-data-understanding, [N2] the Nova 2 user guide's nova-data-prep-sft-2, [ns] AWS's validator in
aws-samples/amazon-nova-samples@1e88f24, [nf] amzn-nova-forge 1.4.10, [hk] AWS's data_validation.py for Claude 3 Haiku,
[ll] AWS's validator for Llama in aws-samples/amazon-bedrock-samples@f3cdcfd, [api] openai-openapi, [sft], [vis] and
[dpo] OpenAI's guides on supervised fine-tuning, vision and preferences, [dspy] dspy 3.4.1 as run. All read 2026-11-22.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from tunestack.records.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

ERROR, WARNING, HINT = Severity


class Rule(msgspec.Struct, frozen=True):
    """A validation rule."""

    name: str
    severity: Severity
    requirement: str
    source: str
    can_be_ignored: bool = False
    """Whether a caller can skip the rule, for example because AWS raised a limit."""


_JSONL = "[UG:model-customization-prepare]: JSON Lines, with JSON as in RFC 8259"
_SHAPE = "[UG:model-customization-prepare], [ns], [hk], [api]"
_ALL = (
    Rule("json", ERROR, "every line is JSON", _JSONL),
    Rule("object", ERROR, "every record is an object", _JSONL),
    Rule("encoding", ERROR, "every line is UTF-8, and every text can be encoded as UTF-8", _JSONL),
    Rule(
        "double-key",
        ERROR,
        "no key appears twice in an object: decoders keep one value and drop the other",
        _JSONL,
    ),
    Rule("number", ERROR, "no number is NaN, infinite, or an integer beyond 64 bits", _JSONL),
    Rule("depth", ERROR, "no record is nested deeper than 100 levels", "the stack of JSON parsers"),
    Rule(
        "line-length",
        ERROR,
        "no line is longer than 8 MiB, or 160 MiB for OpenAI's models that support images",
        "the memory of a machine; [vis]: 10 images of 10 MB in data URLs",
    ),
    Rule("blank-line", WARNING, "no line is empty; empty lines are skipped", _JSONL),
    Rule("byte-order-mark", WARNING, "the file has no byte order mark; it is removed", _JSONL),
    Rule("field", ERROR, "every required field exists and has the right type", _SHAPE),
    Rule(
        "loss",
        ERROR,
        "nothing is lost in the conversion, except with on_loss=report",
        "tunestack",
    ),
    Rule("role", ERROR, "every role is valid in the format", _SHAPE),
    Rule(
        "turns",
        ERROR,
        "user and assistant alternate, the user first and the assistant last",
        "[ns], [hk]; [UG:model-customization-prepare] in its examples",
    ),
    Rule(
        "last-turn",
        WARNING,
        "the last message is an assistant message (OpenAI)",
        "[sft] in its examples: messages after the last answer have no effect",
    ),
    Rule(
        "no-answer",
        ERROR,
        "the record has an answer that the model learns",
        "openai-cookbook, Chat_finetuning_data_prep; [hk]",
    ),
    Rule(
        "system-place",
        ERROR,
        "only the first message is a system message",
        "[UG:model-customization-prepare]: system is a field of the record",
    ),
    Rule("system-texts", ERROR, "a system prompt has one text (Llama 3.2, 3.3)", "[ll]"),
    Rule("empty-text", ERROR, "no message is empty or blank", "[ns], Converse's own check"),
    Rule(
        "blank-part",
        WARNING,
        "no part of a message is blank; blank parts beside other parts are removed",
        "[dspy]: between images; Converse's own check",
    ),
    Rule("weight", ERROR, "weights are 0 or 1, and only on assistant messages", "[api]"),
    Rule(
        "preference",
        ERROR,
        "preference data has two different answers, each with one assistant message",
        "[dpo]",
    ),
    Rule(
        "unsupported-tools",
        ERROR,
        "the model supports tools in training data",
        "[hk] and [ll] have no tools",
        can_be_ignored=True,
    ),
    Rule(
        "tool-definition",
        ERROR,
        "a tool has a unique name, a description, and a schema with a type",
        "[ns], [nf]",
    ),
    Rule(
        "tool-name",
        ERROR,
        "the name of a tool has 1 to 64 letters, digits, underscores and hyphens",
        "botocore 1.43, bedrock-runtime ToolName; [api]",
    ),
    Rule(
        "tool-call",
        ERROR,
        "a call names a tool that the record defines, and has a unique id",
        "[ns], [nf]; botocore, ToolUseId",
    ),
    Rule(
        "tool-result",
        ERROR,
        "each result belongs to an earlier call; a call has only one result",
        "[ns], [nf]",
    ),
    Rule("tool-arguments", ERROR, "the arguments of a call are a JSON object", "[api]"),
    Rule(
        "tools-undefined",
        WARNING,
        "a record with calls defines its tools",
        "[ns]: names are only checked if tools are defined; [dspy]: never defines tools in records",
        can_be_ignored=True,
    ),
    Rule(
        "unanswered-call",
        WARNING,
        "a call has a result before the conversation continues",
        "Converse's own check; [ns] and [nf] do not check",
        can_be_ignored=True,
    ),
    Rule(
        "legacy-functions",
        HINT,
        "calls use tool_calls; OpenAI's deprecated functions are converted to tools",
        "[api]: deprecated",
        can_be_ignored=True,
    ),
    Rule(
        "unsupported-media",
        ERROR,
        "the model supports the images and videos of the record",
        "[N1], [N2], [UG:model-customization-prepare]",
    ),
    Rule(
        "media-source",
        ERROR,
        "images and videos are referenced by S3 URI (Bedrock), or by https or data URL (OpenAI)",
        "[ns]: s3Location only; [vis]",
    ),
    Rule(
        "media-format",
        ERROR,
        "images are png, jpeg (not jpg), gif or webp, videos are mov, mkv, mp4 or webm, documents are pdf; no gif at OpenAI, no webm on Nova 2",
        "[N1], [ns], [nf], [vis]",
    ),
    Rule(
        "media-count",
        ERROR,
        "a record has at most 10 images, one video or one document",
        "[N1], [N2]; [ns]; [vis]",
    ),
    Rule(
        "media-mix",
        ERROR,
        "a record has no images or documents beside a video",
        "[N1], [ns], [nf]",
    ),
    Rule(
        "media-role",
        ERROR,
        "images, videos and documents are in user messages",
        "[ns], [vis], [ll]",
    ),
    Rule("media-size", ERROR, "an image in a data URL has at most 10 MB", "[vis]"),
    Rule(
        "sources-disagree",
        WARNING,
        "no content that one of AWS's sources accepts and another one rejects",
        "[N2], [ns], [nf], [UG:nova-2-sft-data-prep]: the message has what each of them says",
        can_be_ignored=True,
    ),
    Rule(
        "reasoning",
        ERROR,
        "reasoning is in assistant messages, before the text, and not empty; on Bedrock, only Nova 2 Lite supports it",
        "[N2], [ns], [nf]",
    ),
    Rule(
        "reserved-word",
        ERROR,
        "no prompt contains a reserved keyword of the model, also as a part of a word",
        "[N1], [N2]: the job fails; [ns] and [nf] search for them in this way; [hk]",
        can_be_ignored=True,
    ),
    Rule(
        "reserved-word-unsure",
        WARNING,
        "no text contains a word that only some of AWS's validators reject: a reserved keyword in an answer or in another case, `Thought:`, `<unk>`",
        "[ns] ignores the case, [nf] does not; both check answers too; `Thought:` and `<unk>` are in [nf]",
        can_be_ignored=True,
    ),
    Rule(
        "special-token",
        ERROR,
        "no text contains a special token of the chat template that the conversation is written with",
        "meta-llama/llama, generation.py: such prompts are unsafe",
    ),
    Rule(
        "tokens",
        ERROR,
        "no record has more tokens than the model supports (estimate; for Claude, a third of its characters)",
        "[UG:model-customization-prepare], [hk]",
        can_be_ignored=True,
    ),
    Rule(
        "tokens-near",
        WARNING,
        "no record is near the token limit: the estimate may be wrong by 20 %",
        "[UG:model-customization-prepare]",
        can_be_ignored=True,
    ),
    Rule(
        "tokens-truncated",
        WARNING,
        "no record has more tokens than OpenAI trains on: the rest is truncated",
        "[sft]",
        can_be_ignored=True,
    ),
    Rule(
        "type-marker",
        ERROR,
        "no text contains DSPy's marker of an image or another type: the model would learn it as text",
        "[dspy]: an output of a custom type, or a tool's result",
    ),
    Rule(
        "object-as-text",
        WARNING,
        "no text contains the Python representation of an object, such as an image that was converted to text",
        "[dspy]: images inside Example, Prediction or plain objects",
        can_be_ignored=True,
    ),
    Rule(
        "data-as-text",
        WARNING,
        "no text contains a base64 file",
        "[dspy]: a data URL passed as text",
        can_be_ignored=True,
    ),
    Rule(
        "tool-call-as-text",
        WARNING,
        "no answer is a tool call written as text",
        "the model would learn to write calls as text",
        can_be_ignored=True,
    ),
    Rule(
        "none-as-answer",
        WARNING,
        "no DSPy field has the answer None",
        "[dspy]: a missing value is written as None",
        can_be_ignored=True,
    ),
    Rule(
        "answer-in-prompt",
        WARNING,
        "the last answer is not equal to an earlier answer",
        "[dspy]: the history of ReActV2 contains later messages",
        can_be_ignored=True,
    ),
    Rule(
        "unfinished-answer",
        WARNING,
        "an answer ends as DSPy's system prompt requires",
        "[dspy]: an answer that could not be parsed",
        can_be_ignored=True,
    ),
    Rule(
        "transcript",
        WARNING,
        "no user message is a transcript of several speakers",
        "flattened conversations teach the model to speak for the user",
        can_be_ignored=True,
    ),
    Rule(
        "incomplete-demo",
        HINT,
        "no DSPy demo has missing fields",
        "[dspy]: incomplete demos are marked, and come first",
        can_be_ignored=True,
    ),
    Rule(
        "record-count",
        ERROR,
        "the number of records is within the limits of the model",
        "[UG:model-customization-prepare], [N1], [N2], [sft]",
        can_be_ignored=True,
    ),
    Rule(
        "few-records",
        HINT,
        "the number of records is at least the recommended one",
        "[N2], [nf]: 200; [N1], [sft]: 50 to 100",
        can_be_ignored=True,
    ),
    Rule(
        "unsupported-validation-data",
        ERROR,
        "validation data is only used with models that support it",
        "[UG:nova-2-sft-data-prep]",
    ),
    Rule(
        "file-size",
        ERROR,
        "the size of the file is within the limits of the service",
        "[UG:model-customization-prepare], [sft]",
        can_be_ignored=True,
    ),
    Rule(
        "duplicates",
        WARNING,
        "no record appears twice",
        "a duplicate is trained on, and billed, twice",
        can_be_ignored=True,
    ),
    Rule(
        "near-duplicates",
        HINT,
        "no record differs only in case, spaces and punctuation from an earlier one (checked by `tunestack data report`)",
        "such records are trained on, and billed, again",
        can_be_ignored=True,
    ),
    Rule(
        "overlap",
        WARNING,
        "no record is in both training and validation data",
        "[sft]: the validation loss of training data is meaningless",
        can_be_ignored=True,
    ),
    Rule(
        "normalized",
        HINT,
        "records have no metadata, empty fields or variants of the format: they are removed or rewritten, with the same meaning",
        "[N1], [N2]: AWS's data sets for Nova have other schema versions or none; [ns], [hk] reject fields that are not documented",
        can_be_ignored=True,
    ),
    Rule(
        "mixed-rendering",
        ERROR,
        "all prompts of prompt/completion data are written with the chat template, or none",
        "AWS's notebooks train and invoke with the same prompt; InvokeModel sends the prompt unchanged",
        can_be_ignored=True,
    ),
    Rule(
        "mixed-content",
        WARNING,
        "images, videos, documents or reasoning are in all records or in none; on Nova, also system prompts and tool calls",
        "[nf]: all or none; [N2]: modalities are not mixed",
        can_be_ignored=True,
    ),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in _ALL})
"""Every rule by its name."""
