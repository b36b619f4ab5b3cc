"""Inference with fine-tuned models on Amazon Bedrock.

Models that are trained on messages are invoked with Converse. Models that are trained on prompts and completions are invoked
with InvokeModel, which sends a prompt unchanged: Converse would write the messages with a template of its own, and the model
would get prompts that differ from those of its training data.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast, get_args

from tunestack import catalog
from tunestack.backends.bedrock import wire
from tunestack.backends.bedrock.errors import translate_errors
from tunestack.catalog import Serving
from tunestack.errors import AccessError, BusyError, ModelError, NotFoundError
from tunestack.records.chat_templates import TEMPLATES
from tunestack.records.formats import FORMATS
from tunestack.records.target import Rendering
from tunestack.spec.job_spec import RENDERING_TAG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from types_boto3_bedrock import BedrockClient
    from types_boto3_bedrock_runtime import BedrockRuntimeClient

    from tunestack.backends.base import EndpointInfo
    from tunestack.catalog import BaseModel

logger = logging.getLogger(__name__)

# Source: a field report of 2026-08, which read these quotas in us-west-2: 4 requests a minute, not adjustable, for Llama 3.3 70B.
_FEW_REQUESTS = (
    "on-demand custom models have small quotas, such as 4 requests a minute for Llama 3.3 70B: send one request at a time, more "
    "slowly, and see the quota 'On-demand custom model deployment requests per minute' in Service Quotas"
)


class BedrockInference:
    """The part of `tunestack.backends.protocols.Backend` for inference, in one region of one account."""

    def __init__(self) -> None:
        """Start without known renderings."""
        self._renderings: dict[str, Rendering | None] = {}

    @property
    def _control(self) -> BedrockClient:
        raise NotImplementedError

    @property
    def _runtime(self) -> BedrockRuntimeClient:
        raise NotImplementedError

    def rendering(self, model: str) -> Rendering | None:
        """Return the rendering of the training data of a custom model, by its ARN; one call, and none for the same model again.

        Returns:
            The rendering. `None` if the base model is trained on messages, if Tunestack did not create the model, or if the
            caller has no permission to read its tags.
        """
        if _find_prompt_model(model) is None:
            return None
        if model not in self._renderings:
            self._renderings[model] = self._read_rendering(model)
        return self._renderings[model]

    def _read_rendering(self, model: str) -> Rendering | None:
        try:
            with translate_errors(f"getting the tags of custom model {model!r}"):
                rows = self._control.list_tags_for_resource(resourceARN=model).get("tags", ())
        except (AccessError, NotFoundError):
            return None
        value = {row["key"]: row["value"] for row in rows}.get(RENDERING_TAG)
        return cast("Rendering", value) if value in get_args(Rendering) else None

    def invoke(
        self,
        endpoint: EndpointInfo,
        messages: Sequence[Mapping[str, str]],
        *,
        rendering: Rendering | None = None,
    ) -> str:
        """Send a conversation and return the text of the response; on demand, billed by the token."""
        base = _find_prompt_model(endpoint.model)
        trained = self.rendering(endpoint.model)
        used = rendering or trained
        if base is not None and used is None:
            logger.warning(
                "the rendering of the training data of %s is unknown, so Bedrock writes the prompt: specify the rendering "
                "if the model was trained on other prompts",
                endpoint.model,
            )
        with _explain_throttling(endpoint), translate_errors(f"invoking {endpoint.id!r}"):
            if base is None or used is None:
                return self._converse(endpoint.id, messages)
            return self._invoke_prompt(endpoint, base, messages, used, trained)

    def _converse(self, endpoint_id: str, messages: Sequence[Mapping[str, str]]) -> str:
        response = self._runtime.converse(**wire.converse(endpoint_id, messages))
        blocks = response["output"].get("message", {}).get("content", [])
        return "".join(block.get("text", "") for block in blocks)

    def _invoke_prompt(
        self,
        endpoint: EndpointInfo,
        base: BaseModel,
        messages: Sequence[Mapping[str, str]],
        used: Rendering,
        trained: Rendering | None,
    ) -> str:
        turns = [(message["role"], message["content"]) for message in messages]
        is_question = [role for role, _ in turns] == ["user"]
        if used == "raw" and not is_question:
            used = "chat-template"
        if trained is not None and used != trained:
            logger.warning(
                "the prompt is written as %r, and the training data of %s as %r: the model was not trained on such prompts",
                *(used, endpoint.model, trained),
            )
        prompt = write_prompt(base, turns) if used == "chat-template" else turns[0][1]
        response = self._runtime.invoke_model(
            modelId=endpoint.id,
            contentType="application/json",
            body=json.dumps(_request_body(base, prompt)),
        )
        return _read_text(base, json.loads(response["body"].read()))


@contextmanager
def _explain_throttling(endpoint: EndpointInfo) -> Iterator[None]:
    """Add what to do to the error of a throttled request to an on-demand endpoint."""
    try:
        yield
    except BusyError as error:
        if error.code != "ThrottlingException" or endpoint.serving is not Serving.ON_DEMAND:
            raise
        message = f"{error}: {_FEW_REQUESTS}"
        raise BusyError(message, code=error.code, request_id=error.request_id) from error.__cause__


def _find_prompt_model(model: str) -> BaseModel | None:
    """Return the base model of a custom model if it is trained on prompts and completions."""
    try:
        base = catalog.of_custom_model(model)
    except ModelError:
        return None
    return base if FORMATS[base.record_format].is_templated else None


def write_prompt(base: BaseModel, turns: Sequence[tuple[str, str]]) -> str:
    """Write a conversation with the chat template of a base model, as in training data.

    A single message that has the template already is returned unchanged.
    """
    template = TEMPLATES[cast("catalog.ChatTemplate", base.chat_template)]
    first = turns[0][1]
    if len(turns) == 1 and template.begin and template.parse(first, "") is not None:
        return first
    return template.render([*turns, ("assistant", "")])[0]


def _request_body(base: BaseModel, prompt: str) -> dict[str, Any]:
    """Build the body of `InvokeModel`, with the longest response that all models of the publisher support.

    Source: user guide, model-parameters-meta, model-parameters-cohere-command, model-parameters-titan-text.
    """
    if base.publisher == "meta":
        return {"prompt": prompt, "max_gen_len": 2048}
    if base.publisher == "cohere":
        return {"prompt": prompt, "max_tokens": 4096}
    return {"inputText": prompt, "textGenerationConfig": {"maxTokenCount": 3072}}


def _read_text(base: BaseModel, body: Mapping[str, Any]) -> str:
    if base.publisher == "meta":
        return str(body["generation"])
    if base.publisher == "cohere":
        return str(body["generations"][0]["text"])
    return str(body["results"][0]["outputText"])
