"""Read the names by which litellm, DSPy and AWS call a model."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tunestack.settings import REGION

# The providers and routes of litellm 1.93 (llms/bedrock/common_utils.py and base_aws_llm.py, read 2026-11-28), which come
# before a model id in any number, and the terms that its price list has there.
_ROUTES = frozenset(
    [
        "bedrock",
        "bedrock_converse",
        "bedrock_mantle",
        "openai",
        "converse",
        "converse_like",
        "invoke",
        "async_invoke",
        "chat_completions",
        "mantle",
        "nova",
        "nova-2",
        "llama",
        "deepseek_r1",
        "qwen2",
        "qwen3",
        "moonshot",
        "*",
        "1-month-commitment",
        "6-month-commitment",
    ]
)
# Cross-region inference profiles: `us.amazon.nova-micro-v1:0` (user guide, inference-profiles-support, read 2026-11-28).
_GEOGRAPHY = re.compile(r"(?:us|eu|apac|jp|au|ca|global|us-gov)\.")
_BASE_MODEL_ARN = re.compile(
    r"arn:aws[a-z-]*:bedrock:([a-z0-9-]*):\d*:(?:foundation-model|inference-profile)/([^/]+)"
)
# The same model with another context window: `amazon.nova-micro-v1:0:24k`, `...-v1[200k]`.
_CONTEXT = re.compile(r"(?:(?<=:\d):\d+k|\[\w+\])$")
# What OpenAI calls a fine-tuned model: `ft:gpt-4o-mini-2024-07-18:organization:suffix:id`.
_FINE_TUNED = re.compile(r"ft:([^:]+)(?::[^:]*)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelName:
    """A name, without the provider, route and region before it."""

    identifier: str
    """The model's id, without the geography and the context window."""
    region: str | None = None
    """The AWS region in the name: `bedrock/us-west-2/...`, or that of an ARN."""


def parse_name(name: str) -> ModelName:
    """Read any name of a model; what is not known as a part of one stays in the identifier."""
    rest, region = name.strip().lower(), None
    while "/" in rest and not rest.startswith("arn:"):
        first, _, after = rest.partition("/")
        if REGION.fullmatch(first):
            region = first
        elif first not in _ROUTES:
            break
        rest = after
    if arn := _BASE_MODEL_ARN.fullmatch(rest):
        region, rest = arn[1] or region, arn[2]
    elif fine_tuned := _FINE_TUNED.fullmatch(rest):
        rest = fine_tuned[1]
    if geography := _GEOGRAPHY.match(rest):
        rest = rest[geography.end() :]
    return ModelName(identifier=_CONTEXT.sub("", rest), region=region)
