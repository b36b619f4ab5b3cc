"""Converse, with base models (which say what they are) and tuned ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack.catalog import CATALOG, LifecycleState
from tunestack.sandbox.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tunestack.sandbox.bedrock.state import Endpoint, Region

Params = dict[str, Any]

LABEL = "x-tunestack-sandbox"


def converse(region: Region, params: Params) -> tuple[Params, dict[str, str]]:
    """Converse; the second value is headers that tell how the answer came about."""
    question = "\n".join(
        [
            *_texts(params.get("system", ())),
            *(text for message in params["messages"] for text in _texts(message["content"])),
        ]
    )
    endpoint = _endpoint(region, params["modelId"])
    if endpoint is None:
        text = f"[sandbox: an untrained {_base_name(region, params['modelId'])} answers nothing]"
        label = "untrained base model"
    else:
        memory = endpoint.model.job.memory
        if memory is None:
            raise Fault("InternalServerException", "The model has no training data.")
        text, nearness = memory.answer(question)
        label = f"nearest training answer; nearness={nearness:.2f}"
    asked, answered = _tokens(question), _tokens(text)
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": "end_turn",
        "usage": {
            "inputTokens": asked,
            "outputTokens": answered,
            "totalTokens": asked + answered,
        },
        "metrics": {"latencyMs": 1},
    }, {LABEL: label}


def _endpoint(region: Region, identifier: str) -> Endpoint | None:
    """Find the endpoint that is called; `None` when it is a base model."""
    for table, ready, kind in (
        (region.deployments, "Active", ":custom-model-deployment/"),
        (region.throughputs, "InService", ":provisioned-model/"),
    ):
        if kind in identifier:
            endpoint = table.get(identifier)
            if endpoint is None:
                raise Fault("ResourceNotFoundException", f"Could not find {identifier}")
            if endpoint.status != ready:
                raise Fault("ModelNotReadyException", f"The model {endpoint.name} is not ready.")
            return endpoint
    return None


def _base_name(region: Region, identifier: str) -> str:
    wanted = identifier.rsplit("/", 1)[-1]
    for base in CATALOG:
        if (
            base.provider == "bedrock"
            and wanted in base.inference_ids
            and base.lifecycle.state(region.clock.now().date()) is not LifecycleState.RETIRED
        ):
            return base.name
    if ":custom-model/" in identifier:
        raise Fault(
            "ValidationException",
            "A custom model can't be invoked by its own ARN: deploy it, and use the endpoint's.",
        )
    raise Fault("ResourceNotFoundException", "Model not found.")


def _texts(blocks: Iterable[Params]) -> list[str]:
    return [block["text"] for block in blocks if "text" in block]


def _tokens(text: str) -> int:
    # Four characters a token, the usual rule of thumb.
    return len(text) // 4 + 1
