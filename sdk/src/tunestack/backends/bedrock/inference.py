"""Inference with fine-tuned models on Amazon Bedrock.

Models that are trained on messages are invoked with Converse. Models that are trained on prompts and completions are invoked
with InvokeModel, which sends a prompt unchanged: Converse would write the messages with a template of its own, and the model
would get prompts that differ from those of its training data.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast, get_args

from tunestack import catalog
from tunestack.backends.base import Completion, EndpointInfo, EndpointState
from tunestack.backends.bedrock import wire
from tunestack.backends.bedrock.arn import strip_route
from tunestack.backends.bedrock.errors import translate_errors
from tunestack.backends.bedrock.region import BedrockRegion
from tunestack.catalog import Serving, find_inference
from tunestack.errors import AccessError, BusyError, InvalidRequestError, ModelError, NotFoundError
from tunestack.records.chat_templates import TEMPLATES
from tunestack.records.conversation import Text
from tunestack.records.formats import FORMATS
from tunestack.records.formats.prompt import one_text
from tunestack.records.target import Rendering
from tunestack.spec.job_spec import RENDERING_TAG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tunestack.backends.base import InferenceSettings
    from tunestack.catalog import BaseModel
    from tunestack.records.conversation import Conversation

logger = logging.getLogger(__name__)

# Source: a field report of 2026-08, which read these quotas in us-west-2: 4 requests a minute, not adjustable, for Llama 3.3 70B.
_FEW_REQUESTS = (
    "on-demand custom models have small quotas, such as 4 requests a minute for Llama 3.3 70B: send one request at a time, more "
    "slowly, and see the quota 'On-demand custom model deployment requests per minute' in Service Quotas"
)
_REQUEST_QUOTAS = {"llama-3-3-70b": 4.0}
"""Requests per minute of an on-demand custom model, by its base model; of others, no value was found."""


class BedrockInference(BedrockRegion):
    """The part of `tunestack.backends.protocols.Backend` for inference, in one region of one account."""

    @cached_property
    def _renderings(self) -> dict[str, Rendering | None]:
        """The renderings that are known, by model."""
        return {}

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

    def complete(
        self,
        endpoint: EndpointInfo,
        conversation: Conversation,
        settings: InferenceSettings,
        *,
        rendering: Rendering | None = None,
    ) -> Completion:
        """Send a conversation and return the response; on demand, billed by the token."""
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
                request = wire.converse(endpoint.id, conversation, settings)
                return wire.completion(self._runtime.converse(**request))
            prompt = _render(endpoint.model, base, conversation, used, trained)
            response = self._runtime.invoke_model(
                modelId=endpoint.id,
                contentType="application/json",
                body=json.dumps(_request_body(base, prompt, settings)),
            )
            return _read_completion(base, json.loads(response["body"].read()))

    def request_quota(self, endpoint: EndpointInfo) -> float | None:
        """Return the quota of requests per minute of an on-demand endpoint, if it is known for its base model."""
        if endpoint.serving is not Serving.ON_DEMAND:
            return None
        with suppress(ModelError):
            return _REQUEST_QUOTAS.get(catalog.of_custom_model(endpoint.model).key)
        return None

    def base_endpoint(self, model: str) -> EndpointInfo:
        """Return the inference profile of a base model in this region, or its model id; ids of other models are used as they are.

        Raises:
            ModelError: the model can't be invoked here, as far as the catalog has this.
        """
        base = catalog.find(model)
        if base is None:
            return _base_endpoint(strip_route(model))
        served = find_inference(base.key)
        for identifier in base.inference_ids:
            geography, _, name = identifier.partition(".")
            is_profile = name.startswith(f"{base.publisher}.")
            if served is None or (
                served.has_profile(geography, self._region)
                if is_profile
                else self._region in served.on_demand
            ):
                return _base_endpoint(identifier)
        raise ModelError(
            f"{base.name} can't be invoked in {self._region}, neither by its model id nor through an inference profile of "
            "the catalog: use the id of an inference profile of this region"
        )


def _base_endpoint(identifier: str) -> EndpointInfo:
    return EndpointInfo(
        id=identifier,
        name=identifier,
        serving=Serving.DIRECT,
        state=EndpointState.READY,
        raw_state="available",
        model=identifier,
    )


def _render(
    model: str,
    base: BaseModel,
    conversation: Conversation,
    used: Rendering,
    trained: Rendering | None,
) -> str:
    """Write the prompt of a model that is trained on prompts."""
    has_other_parts = any(not isinstance(block, Text) for _, block in conversation.blocks())
    if has_other_parts or conversation.tools:
        raise InvalidRequestError(
            f"{model!r} is trained on prompts of text, and the conversation has tools or media"
        )
    turns = [(turn.role, one_text(turn)) for turn in conversation.turns]
    is_question = [role for role, _ in turns] == ["user"]
    if used == "raw" and not is_question:
        used = "chat-template"
    if trained is not None and used != trained:
        logger.warning(
            "the prompt is written as %r, and the training data of %s as %r: the model was not trained on such prompts",
            *(used, model, trained),
        )
    return write_prompt(base, turns) if used == "chat-template" else turns[0][1]


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


def _request_body(base: BaseModel, prompt: str, settings: InferenceSettings) -> dict[str, Any]:
    """Build the body of `InvokeModel`, by default with the longest response that all models of the publisher support.

    Source: user guide, model-parameters-meta, model-parameters-cohere-command, model-parameters-titan-text.
    """
    longest = {"meta": 2048, "cohere": 4096}.get(base.publisher, 3072)
    limit = longest if settings.max_tokens is None else min(settings.max_tokens, longest)
    more = {} if settings.temperature is None else {"temperature": settings.temperature}
    if base.publisher == "meta":
        return {"prompt": prompt, "max_gen_len": limit, **more}
    if base.publisher == "cohere":
        return {"prompt": prompt, "max_tokens": limit, **more}
    return {"inputText": prompt, "textGenerationConfig": {"maxTokenCount": limit, **more}}


def _read_completion(base: BaseModel, body: Mapping[str, Any]) -> Completion:
    """Read the body of a response of `InvokeModel`; that of Cohere has no numbers of tokens."""
    if base.publisher == "meta":
        return Completion(
            text=str(body["generation"]),
            input_tokens=body.get("prompt_token_count"),
            output_tokens=body.get("generation_token_count"),
        )
    if base.publisher == "cohere":
        return Completion(text=str(body["generations"][0]["text"]))
    result = body["results"][0]
    return Completion(
        text=str(result["outputText"]),
        input_tokens=body.get("inputTextTokenCount"),
        output_tokens=result.get("tokenCount"),
    )
