"""Parse the model names of litellm, DSPy, AWS and OpenAI."""

from __future__ import annotations

import re

import msgspec

from tunestack.settings import REGION

# The providers and routes of litellm 1.93 (llms/bedrock/common_utils.py and base_aws_llm.py, read 2026-11-28), and the
# commitment terms in its price list. A model id can have any number of these prefixes.
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
# The same model with another context window, such as `amazon.nova-micro-v1:0:24k` or `...-v1[200k]`.
_CONTEXT = re.compile(r"(?:(?<=:\d):\d+k|\[\w+\])$")
# The name of a fine-tuned model at OpenAI: `ft:gpt-4o-mini-2024-07-18:organization:suffix:id`.
_FINE_TUNED = re.compile(r"ft:([^:]+)(?::[^:]*)*")


class ModelName(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed model name."""

    identifier: str
    """The model id, without provider, route, region, geography and context window."""
    region: str | None = None
    """The AWS region in the name, as in `bedrock/us-west-2/...` or in an ARN."""


def parse_name(name: str) -> ModelName:
    """Parse a model name. Unknown prefixes stay in the identifier.

    ```python
    parse_name("bedrock/us-west-2/us.amazon.nova-micro-v1:0")
    # ModelName(identifier="amazon.nova-micro-v1:0", region="us-west-2")
    ```
    """
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
