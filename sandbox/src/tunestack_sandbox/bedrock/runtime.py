"""Converse, InvokeModel and their streams, with base models and fine-tuned models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tunestack.catalog import CATALOG, find_inference
from tunestack_sandbox.bedrock import converse_messages
from tunestack_sandbox.bedrock.completions import LATENCY_MS, Completion, Prompt
from tunestack_sandbox.bedrock.foundation_models import INVALID_MODEL, require_not_retired
from tunestack_sandbox.bedrock.invoke_bodies import find_body_format, read_prompt
from tunestack_sandbox.bedrock.metering import meter_invocation
from tunestack_sandbox.bedrock.tool_choice import build_tool_use, require_tool_support
from tunestack_sandbox.bedrock.training_data import estimate_tokens
from tunestack_sandbox.messages import Invocation, OperationResult, ServiceError
from tunestack_sandbox.simulated_models import LABEL, answer_untrained

if TYPE_CHECKING:
    from tunestack.catalog import BaseModel
    from tunestack_sandbox.bedrock.state import Endpoint, Region
    from tunestack_sandbox.bedrock.tool_choice import ToolUse
    from tunestack_sandbox.simulated_models import AnswerIndex

Params = dict[str, Any]

# As quoted in public, for example in strands-agents/harness-sdk and simonw/llm-bedrock#15.
_PROFILE_ONLY = (
    "Invocation of model ID {} with on-demand throughput isn\u2019t supported. Retry your request "
    "with the ID or ARN of an inference profile that contains this model."
)


def converse(region: Region, params: Params) -> OperationResult:
    """Handle Converse."""
    base, index = _find_model(region, params["modelId"])
    require_tool_support(base, params, streams=False)
    completion = _complete(base, index, converse_messages.read_prompt(params))
    metrics = {"latencyMs": LATENCY_MS}
    result = {**converse_messages.build_response(completion), "metrics": metrics}
    return _build_result(region, params["modelId"], result, completion)


def converse_stream(region: Region, params: Params) -> OperationResult:
    """Handle ConverseStream."""
    base, index = _find_model(region, params["modelId"])
    require_tool_support(base, params, streams=True)
    completion = _complete(base, index, converse_messages.read_prompt(params))
    events = converse_messages.build_stream(completion)
    return _build_result(region, params["modelId"], {"stream": events}, completion)


def invoke_model(region: Region, params: Params) -> OperationResult:
    """Handle InvokeModel."""
    base, index = _find_model(region, params["modelId"])
    body_format = find_body_format(base.publisher, base.family)
    completion = _complete(base, index, read_prompt(params.get("body", b""), body_format))
    body = json.dumps(body_format.build_response(completion)).encode()
    result = {"body": body, "contentType": "application/json"}
    return _build_result(region, params["modelId"], result, completion)


def invoke_model_with_response_stream(region: Region, params: Params) -> OperationResult:
    """Handle InvokeModelWithResponseStream."""
    base, index = _find_model(region, params["modelId"])
    body_format = find_body_format(base.publisher, base.family)
    completion = _complete(base, index, read_prompt(params.get("body", b""), body_format))
    *first, last = body_format.build_stream(completion)
    last = {**last, "amazon-bedrock-invocationMetrics": _build_metrics(completion)}
    chunks = [{"chunk": {"bytes": json.dumps(chunk).encode()}} for chunk in (*first, last)]
    result = {"body": chunks, "contentType": "application/json"}
    return _build_result(region, params["modelId"], result, completion)


def _build_result(
    region: Region, model: str, result: Params, completion: Completion
) -> OperationResult:
    """Return the result of an invocation, which is billed and counted."""
    meter_invocation(region, model, completion)
    invocation = Invocation(
        account=region.account,
        input_tokens=completion.input_tokens,
        output_tokens=completion.output_tokens,
    )
    return OperationResult(result=result, headers=completion.headers, invocation=invocation)


def _build_metrics(completion: Completion) -> Params:
    return {
        "inputTokenCount": completion.input_tokens,
        "outputTokenCount": completion.output_tokens,
        "invocationLatency": LATENCY_MS,
        "firstByteLatency": LATENCY_MS,
    }


def count_tokens(region: Region, params: Params) -> OperationResult:
    """Handle CountTokens, which base models have only."""
    if ":custom-model-deployment/" in params["modelId"] or ":provisioned" in params["modelId"]:
        raise ServiceError("ValidationException", INVALID_MODEL)
    base, _ = _find_model(region, params["modelId"])
    content = params["input"]
    if "converse" in content:
        text = converse_messages.read_prompt(content["converse"]).text
    else:
        body_format = find_body_format(base.publisher, base.family)
        text = read_prompt(content["invokeModel"]["body"], body_format).text
    return OperationResult(
        result={"inputTokens": estimate_tokens(text)}, headers={LABEL: "estimated"}
    )


def serves(region: Region, identifier: str) -> bool:
    """Return whether an identifier names a model or an endpoint of the region, ready or not."""
    try:
        _find_model(region, identifier)
    except ServiceError as error:
        return error.code == "ModelNotReadyException"
    return True


def _complete(base: BaseModel, index: AnswerIndex | None, prompt: Prompt) -> Completion:
    """Return the completion of a base model, or of a fine-tuned model with its training answers."""
    if index is None:
        text, label = answer_untrained(base.name, prompt.turns or [("user", prompt.text)])
    else:
        text, similarity = index.find_answer(prompt.text)
        label = f"nearest training answer; nearness={similarity:.2f}"
    if prompt.tool is not None:
        tool_use = build_tool_use(prompt.tool, text)
        text, label = json.dumps(tool_use.input), f"simulated tool input; {label}"
        return _build_completion(
            base, prompt, text, label, stop_reason="tool_use", tool_use=tool_use
        )
    reason, stop_sequence = "end_turn", None
    positions = [(text.find(stop), stop) for stop in prompt.stop_sequences if stop in text]
    if positions:
        position, stop_sequence = min(positions)
        text, reason = text[:position], "stop_sequence"
    if prompt.max_tokens is not None and estimate_tokens(text) > prompt.max_tokens:
        text, reason, stop_sequence = text[: 4 * (prompt.max_tokens - 1) + 3], "max_tokens", None
    return _build_completion(
        base, prompt, text, label, stop_reason=reason, stop_sequence=stop_sequence
    )


def _build_completion(
    base: BaseModel,
    prompt: Prompt,
    text: str,
    label: str,
    *,
    stop_reason: str,
    stop_sequence: str | None = None,
    tool_use: ToolUse | None = None,
) -> Completion:
    return Completion(
        text=text,
        input_tokens=estimate_tokens(prompt.text),
        output_tokens=estimate_tokens(text),
        stop_reason=stop_reason,
        stop_sequence=stop_sequence,
        tool_use=tool_use,
        prompt=prompt.text,
        model=base.inference_ids[0] if base.inference_ids else base.customization_id,
        headers={LABEL: label},
    )


def _find_model(region: Region, identifier: str) -> tuple[BaseModel, AnswerIndex | None]:
    """Return the base model, and the training answers if the identifier is that of an endpoint.

    Raises:
        ServiceError: The model does not exist, is not ready, or can't be invoked in this region.
    """
    if identifier.startswith("arn:") and identifier.split(":")[3] != region.name:
        raise ServiceError(
            "ValidationException", "The provided ARN is invalid for the service region"
        )
    endpoint = _find_endpoint(region, identifier)
    if endpoint is None:
        return _find_base_model(region, identifier), None
    job = endpoint.model.job
    require_not_retired(region, job.base)
    return job.base, job.answer_index


def _find_endpoint(region: Region, identifier: str) -> Endpoint | None:
    for table, ready, kind in (
        (region.deployments, ("Active",), ":custom-model-deployment/"),
        (region.throughputs, ("InService", "Updating"), ":provisioned-model/"),
    ):
        if kind in identifier:
            endpoint = table.get(identifier)
            if endpoint is None:
                raise ServiceError("ResourceNotFoundException", f"Could not find {identifier}")
            if endpoint.status not in ready:
                raise ServiceError(
                    "ModelNotReadyException",
                    "Model is not ready for inference. Wait and try your request again.",
                )
            return endpoint
    return None


def _find_base_model(region: Region, identifier: str) -> BaseModel:
    if ":custom-model/" in identifier:
        raise ServiceError(
            "ValidationException", "The provided model doesn't support on-demand throughput."
        )
    model_id = identifier.rsplit("/", 1)[-1]
    for base in CATALOG:
        geography, name = _split_profile_id(base, model_id)
        if base.provider == "bedrock" and name in base.inference_ids:
            _require_served(region, base, name, geography)
            require_not_retired(region, base)
            return base
        if base.provider == "bedrock" and model_id == base.customization_id:
            # From field reports: the id for jobs is not an id for invocations.
            raise ServiceError("ResourceNotFoundException", "Model not found.")
    raise ServiceError("ValidationException", INVALID_MODEL)


def _split_profile_id(base: BaseModel, model_id: str) -> tuple[str, str]:
    """Split the id of an inference profile into geography and model id; the geography of a model id is empty."""
    geography, _, name = model_id.partition(".")
    return (geography, name) if name.startswith(f"{base.publisher}.") else ("", model_id)


def _require_served(region: Region, base: BaseModel, name: str, geography: str) -> None:
    """Check that AWS serves a base model in the region, as far as the catalog has this.

    Raises:
        ServiceError: The region does not have the model or the profile, or has the model through profiles only.
    """
    inference = find_inference(base.key)
    if inference is None:
        if geography and f"{geography}.{name}" not in base.inference_ids:
            raise ServiceError("ValidationException", INVALID_MODEL)
    elif geography:
        if not inference.has_profile(geography, region.name):
            raise ServiceError("ValidationException", INVALID_MODEL)
    elif region.name not in inference.on_demand:
        is_served = inference.is_served_in(region.name)
        message = _PROFILE_ONLY.format(name) if is_served else INVALID_MODEL
        raise ServiceError("ValidationException", message)
