"""How litellm writes the prompts of fine-tuned models that are trained on prompts and completions.

With Converse, Bedrock writes the messages with a template of its own. These LMs use InvokeModel instead, and litellm writes the
prompt from arguments of the LM, which DSPy saves with it, so that it is written as in the training data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tunestack.records.chat_templates import TEMPLATES

if TYPE_CHECKING:
    from tunestack.catalog import BaseModel, ChatTemplate

PREFIXES = {"meta": "bedrock/llama/", "cohere": "bedrock/cohere/", "amazon": "bedrock/amazon/"}
"""The prefixes of an ARN in `lm.model` with which litellm uses InvokeModel, by publisher (litellm 1.110)."""
ARGUMENTS = ("roles", "initial_prompt_value", "final_prompt_value")
"""The arguments of litellm that `prompt_arguments` returns."""


def prompt_arguments(base: BaseModel | None, rendering: str) -> dict[str, Any]:
    """Return the arguments with which litellm writes prompts in a rendering; empty if Converse has to be used."""
    if base is None or not rendering:  # models that are trained on messages have no rendering
        return {}
    if rendering == "raw":
        roles = ("system", "user", "assistant")
        return {"roles": {role: {"pre_message": "", "post_message": ""} for role in roles}}
    template = TEMPLATES[cast("ChatTemplate", base.chat_template)]
    if (
        template.system is not None
    ):  # Llama 2: litellm can't write a system prompt into a user message
        return {}
    return {
        "roles": {
            role: {"pre_message": before, "post_message": template.after[role] + template.between}
            for role, before in template.before.items()
        },
        "initial_prompt_value": template.begin,
        "final_prompt_value": template.end,
    }
