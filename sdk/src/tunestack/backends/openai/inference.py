"""Inference with models of OpenAI and of OpenAI-compatible servers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tunestack.backends.base import (
    Completion,
    EndpointInfo,
    EndpointState,
    ToolCall,
)
from tunestack.backends.openai.errors import translate_errors
from tunestack.backends.openai.identifiers import PREFIX
from tunestack.catalog import RecordFormat, Serving
from tunestack.errors import BusyError
from tunestack.records.findings import Findings
from tunestack.records.formats import FORMATS

if TYPE_CHECKING:
    import openai

    from tunestack.backends.base import InferenceSettings
    from tunestack.records.conversation import Conversation
    from tunestack.records.target import Rendering


class OpenAIInference:
    """The part of `tunestack.backends.protocols.Backend` for inference."""

    _client: openai.OpenAI

    def rendering(self, model: str) -> Rendering | None:  # noqa: ARG002 - part of the protocol
        """Return `None`: OpenAI's models are trained on messages."""
        return None

    def complete(
        self,
        endpoint: EndpointInfo,
        conversation: Conversation,
        settings: InferenceSettings,
        *,
        rendering: Rendering | None = None,  # noqa: ARG002 - part of the protocol
    ) -> Completion:
        """Send a conversation to a model and return the response; billed by the token."""
        request: dict[str, Any] = FORMATS[RecordFormat.CHAT].write(conversation, Findings()) or {}
        if settings.temperature is not None:
            request["temperature"] = settings.temperature
        if settings.max_tokens is not None:
            # Not `max_completion_tokens`, which other servers than OpenAI may not know.
            request["max_tokens"] = settings.max_tokens
        with translate_errors(f"invoking {endpoint.id!r}"):
            response = self._client.chat.completions.create(model=endpoint.id, **request)
        if not response.choices:
            raise BusyError(f"invoking {endpoint.id!r}: the response is empty: try again")
        message, usage = response.choices[0].message, response.usage
        return Completion(
            text=message.content or "",
            tool_calls=tuple(
                ToolCall(name=call.function.name, input=_parse(call.function.arguments))
                for call in message.tool_calls or ()
                if call.type == "function"
            ),
            input_tokens=None if usage is None else usage.prompt_tokens,
            output_tokens=None if usage is None else usage.completion_tokens,
        )

    def request_quota(self, endpoint: EndpointInfo) -> float | None:  # noqa: ARG002 - part of the protocol
        """Return `None`: the quotas of OpenAI depend on the organization."""
        return None

    def base_endpoint(self, model: str) -> EndpointInfo:
        """Return a base model, which is invoked by its name."""
        name = model.removeprefix(PREFIX)
        return EndpointInfo(
            id=name,
            name=name,
            serving=Serving.DIRECT,
            state=EndpointState.READY,
            raw_state="available",
            model=name,
        )


def _parse(arguments: str) -> object:
    """Return the arguments of a tool call; the text as it is if it is not JSON."""
    try:
        parsed: object = json.loads(arguments)
    except ValueError:
        return arguments
    return parsed
