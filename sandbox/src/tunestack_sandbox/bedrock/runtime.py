"""Converse, InvokeModel and their streams, with base models (which say what they are) and tuned ones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tunestack.catalog import CATALOG, find_inference
from tunestack_sandbox.answers import LABEL, untrained
from tunestack_sandbox.bedrock.foundation import INVALID, require_not_gone
from tunestack_sandbox.bedrock.native import (
    Question,
    Spoken,
    body_of,
    converse_answer,
    converse_question,
    converse_stream,
    question,
)
from tunestack_sandbox.bedrock.tools import require_support, use
from tunestack_sandbox.bedrock.training_data import tokens
from tunestack_sandbox.wire import Fault, Reply

if TYPE_CHECKING:
    from tunestack.catalog import BaseModel
    from tunestack_sandbox.answers import Memory
    from tunestack_sandbox.bedrock.state import Endpoint, Region
    from tunestack_sandbox.bedrock.tools import ToolUse

Params = dict[str, Any]

# As quoted by many who got it, for one in strands-agents/harness-sdk and simonw/llm-bedrock#15.
PROFILE_ONLY = (
    "Invocation of model ID {} with on-demand throughput isn\u2019t supported. Retry your request "
    "with the ID or ARN of an inference profile that contains this model."
)


def converse(region: Region, params: Params) -> Reply:
    """Converse."""
    base, memory = _called(region, params["modelId"])
    require_support(base, params, streams=False)
    spoken = _speak(base, memory, converse_question(params))
    result = {**converse_answer(spoken), "metrics": {"latencyMs": 1}}
    return Reply(result=result, headers=spoken.headers)


def converse_streamed(region: Region, params: Params) -> Reply:
    """ConverseStream."""
    base, memory = _called(region, params["modelId"])
    require_support(base, params, streams=True)
    spoken = _speak(base, memory, converse_question(params))
    return Reply(result={"stream": converse_stream(spoken)}, headers=spoken.headers)


def invoke(region: Region, params: Params) -> Reply:
    """InvokeModel."""
    base, memory = _called(region, params["modelId"])
    body = body_of(base.vendor, base.family)
    spoken = _speak(base, memory, question(params.get("body", b""), body))
    content = json.dumps(body.answer(spoken)).encode()
    result = {"body": content, "contentType": "application/json"}
    return Reply(result=result, headers=spoken.headers)


def invoke_streamed(region: Region, params: Params) -> Reply:
    """InvokeModelWithResponseStream."""
    base, memory = _called(region, params["modelId"])
    body = body_of(base.vendor, base.family)
    spoken = _speak(base, memory, question(params.get("body", b""), body))
    *first, last = body.stream(spoken)
    counted = {**last, "amazon-bedrock-invocationMetrics": _metrics(spoken)}
    chunks = [{"chunk": {"bytes": json.dumps(chunk).encode()}} for chunk in (*first, counted)]
    result = {"body": chunks, "contentType": "application/json"}
    return Reply(result=result, headers=spoken.headers)


def _metrics(spoken: Spoken) -> Params:
    return {
        "inputTokenCount": spoken.asked,
        "outputTokenCount": spoken.answered,
        "invocationLatency": 1,
        "firstByteLatency": 1,
    }


def count_tokens(region: Region, params: Params) -> Reply:
    """CountTokens, of base models."""
    if ":custom-model-deployment/" in params["modelId"] or ":provisioned" in params["modelId"]:
        raise Fault("ValidationException", INVALID)
    base, _ = _called(region, params["modelId"])
    asked = params["input"]
    if "converse" in asked:
        text = converse_question(asked["converse"]).text
    else:
        content = asked["invokeModel"]["body"]
        text = question(content, body_of(base.vendor, base.family)).text
    return Reply(result={"inputTokens": tokens(text)}, headers={LABEL: "estimated"})


def _speak(base: BaseModel, memory: Memory | None, asked: Question) -> Spoken:
    if memory is None:
        text, label = untrained(base.name, asked.turns or [("user", asked.text)])
    else:
        text, nearness = memory.answer(asked.text)
        label = f"nearest training answer; nearness={nearness:.2f}"
    tool = None if asked.tool is None else use(asked.tool, text)
    if tool is not None:
        text, label = json.dumps(tool.input), f"simulated tool input; {label}"
        return _spoken(base, asked, text, label, reason="tool_use", tool=tool)
    reason, stop = "end_turn", None
    places = [(text.find(sequence), sequence) for sequence in asked.stop if sequence in text]
    if places:
        place, stop = min(places)
        text, reason = text[:place], "stop_sequence"
    if asked.max_tokens is not None and tokens(text) > asked.max_tokens:
        text, reason, stop = text[: 4 * (asked.max_tokens - 1) + 3], "max_tokens", None
    return _spoken(base, asked, text, label, reason=reason, stop=stop)


def _spoken(
    base: BaseModel,
    asked: Question,
    text: str,
    label: str,
    *,
    reason: str,
    stop: str | None = None,
    tool: ToolUse | None = None,
) -> Spoken:
    return Spoken(
        text=text,
        asked=tokens(asked.text),
        answered=tokens(text),
        reason=reason,
        stop=stop,
        tool=tool,
        question=asked.text,
        model=base.inference_ids[0] if base.inference_ids else base.customization_id,
        headers={LABEL: label},
    )


def _called(region: Region, identifier: str) -> tuple[BaseModel, Memory | None]:
    """Find what is called: a base model, or that of an endpoint with what it was trained on.

    Raises:
        Fault: there is none, it is not ready, or it can't be called.
    """
    if identifier.startswith("arn:") and identifier.split(":")[3] != region.name:
        raise Fault("ValidationException", "The provided ARN is invalid for the service region")
    endpoint = _endpoint(region, identifier)
    if endpoint is None:
        return _base(region, identifier), None
    job = endpoint.model.job
    require_not_gone(region, job.base)
    return job.base, job.memory


def _endpoint(region: Region, identifier: str) -> Endpoint | None:
    for table, ready, kind in (
        (region.deployments, ("Active",), ":custom-model-deployment/"),
        (region.throughputs, ("InService", "Updating"), ":provisioned-model/"),
    ):
        if kind in identifier:
            endpoint = table.get(identifier)
            if endpoint is None:
                raise Fault("ResourceNotFoundException", f"Could not find {identifier}")
            if endpoint.status not in ready:
                raise Fault(
                    "ModelNotReadyException",
                    "Model is not ready for inference. Wait and try your request again.",
                )
            return endpoint
    return None


def _base(region: Region, identifier: str) -> BaseModel:
    if ":custom-model/" in identifier:
        raise Fault(
            "ValidationException", "The provided model doesn't support on-demand throughput."
        )
    wanted = identifier.rsplit("/", 1)[-1]
    for base in CATALOG:
        geography, name = _split(base, wanted)
        if base.provider == "bedrock" and name in base.inference_ids:
            _require_served(region, base, name, geography)
            require_not_gone(region, base)
            return base
        if base.provider == "bedrock" and wanted == base.customization_id:
            # As seen in the field: what a job is created with is not what the model is called with.
            raise Fault("ResourceNotFoundException", "Model not found.")
    raise Fault("ValidationException", INVALID)


def _split(base: BaseModel, wanted: str) -> tuple[str, str]:
    """Split the id of an inference profile into its geography and the model's id; a bare id has no geography."""
    geography, _, name = wanted.partition(".")
    return (geography, name) if name.startswith(f"{base.vendor}.") else ("", wanted)


def _require_served(region: Region, base: BaseModel, name: str, geography: str) -> None:
    """Refuse a base model where AWS does not serve it, as far as the catalog knows.

    Raises:
        Fault: the region does not have the model or the profile, or has it through profiles only.
    """
    known = find_inference(base.key)
    if known is None:
        if geography and f"{geography}.{name}" not in base.inference_ids:
            raise Fault("ValidationException", INVALID)
    elif geography:
        if not known.has_profile(geography, region.name):
            raise Fault("ValidationException", INVALID)
    elif region.name not in known.on_demand:
        served = known.is_served_in(region.name)
        raise Fault("ValidationException", PROFILE_ONLY.format(name) if served else INVALID)
