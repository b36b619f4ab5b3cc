"""Shapes of logged requests and responses: Bedrock's invocation logs, OpenAI's batches and responses, DSPy's history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunestack.records.chat_templates import detect_template
from tunestack.records.conversation import Reasoning, ToolResult
from tunestack.records.findings import Findings, Severity
from tunestack.records.formats import chat_writer
from tunestack.records.formats import converse as converse_format
from tunestack.records.rules import RULES
from tunestack.records.shapes.base import (
    Message,
    Record,
    Shape,
    ShapeError,
    conversation,
    dump,
    has_items,
    join_texts,
    message,
    require_list,
    system,
    tool_call,
)
from tunestack.records.shapes.chats import anthropic
from tunestack.records.shapes.streams import join_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunestack.records.conversation import Turn

_NOT_SETTINGS = ("messages", "tools", "functions", "parallel_tool_calls")


def _require(value: Any, name: str, path: str = "$") -> dict[str, Any]:
    found = value.get(name)
    if not isinstance(found, dict):
        raise ShapeError(f"{path}.{name}", "expected an object")
    return found


def _chat(request: Record, answer: Message) -> dict[str, Any]:
    """Return a request to OpenAI's chat API and its answer as a record; settings such as the temperature are left out."""
    messages = require_list(request.get("messages"), "$.messages")
    rest = {name: request[name] for name in _NOT_SETTINGS[1:] if request.get(name) is not None}
    return {"messages": [*messages, answer], **rest}


def _choice(response: Record, path: str) -> Message:
    """Return the first answer of a response of OpenAI's chat API, without the fields that are not training data."""
    choices = require_list(response.get("choices"), f"{path}.choices")
    answer = choices[0].get("message") if choices else None
    if not isinstance(answer, dict):
        raise ShapeError(f"{path}.choices[0].message", "expected an object")
    names = ("role", "content", "tool_calls", "function_call", "reasoning_content", "refusal")
    return {
        name: answer.get(name)
        for name in names
        if answer.get(name) is not None or name == "content"
    }


def _invocation_log(record: Record) -> dict[str, Any]:
    """Convert an entry of Bedrock's model invocation log.

    Source: user guide, model-invocation-logging; model-parameters-meta, -titan-text, -claude, -nova.
    """
    if record.get("errorCode"):
        raise ShapeError("$.errorCode", "the request failed, so it has no answer: filter the logs")
    request, response = (
        _body(record, "input", "inputBodyJson"),
        _body(record, "output", "outputBodyJson"),
    )
    if isinstance(response, list):
        response = join_stream(response)
    if not isinstance(request, dict) or not isinstance(response, dict):
        raise ShapeError("$", "expected objects in inputBodyJson and outputBodyJson")
    if isinstance(output := response.get("output"), dict):  # Converse, and Nova with InvokeModel
        names = ("system", "messages", "toolConfig")
        body = {name: request[name] for name in names if request.get(name)}
        turns = require_list(body.get("messages", []), "$.input.inputBodyJson.messages")
        return from_converse({**body, "messages": [*turns, output.get("message")]})
    if isinstance(response.get("choices"), list):
        return _chat(request, _choice(response, "$.output.outputBodyJson"))
    if isinstance(response.get("content"), list):  # Claude
        turns = require_list(request.get("messages", []), "$.input.inputBodyJson.messages")
        answer = message("assistant", response["content"])
        return anthropic({**request, "messages": [*turns, answer]})
    return _from_prompt(request, response)


def _body(record: Record, part: str, name: str) -> Any:
    body = _require(record, part).get(name)
    if body is None:
        raise ShapeError(
            f"$.{part}.{name}",
            "the log has no text, or stored it in another object (above 100 KB): enable the delivery of text data",
        )
    return body


def _from_prompt(request: Record, response: Record) -> dict[str, Any]:
    """Convert a prompt and its completion: Llama, Titan, Cohere."""
    prompt = request.get("prompt", request.get("inputText"))
    answer = response.get("generation")
    for name, text in (("results", "outputText"), ("generations", "text"), ("outputs", "text")):
        if has_items(response.get(name), text):
            answer = response[name][0][text]
    if not isinstance(prompt, str) or not isinstance(answer, str):
        raise ShapeError("$", "unknown format of the request or the response")
    template = detect_template({"prompt": prompt})
    turns = None if template is None else template.parse(prompt, answer)
    if turns is None:
        turns = [("user", prompt), ("assistant", answer)]
    return conversation(*(message(role, text) for role, text in turns))


def from_converse(record: Record) -> dict[str, Any]:
    """Convert the structures of Converse to OpenAI's chat format."""
    findings = Findings()
    read = converse_format.read(record, findings)
    written = chat_writer.write(read, findings)
    for problem in findings.problems:
        if RULES[problem.rule].severity is Severity.ERROR:
            raise ShapeError(problem.path, problem.message)
    # The writer leaves out reasoning, which OpenAI does not train on.
    turns = [turn for turn in read.turns if not _has_results_only(turn)]
    answers = [answer for answer in written["messages"] if answer["role"] != "tool"]
    for turn, answer in zip(turns, answers, strict=True):
        reasoning = "".join(block.text for block in turn.blocks if isinstance(block, Reasoning))
        if reasoning:
            answer["reasoning_content"] = reasoning
    return written


def _has_results_only(turn: Turn) -> bool:
    return bool(turn.blocks) and all(isinstance(block, ToolResult) for block in turn.blocks)


def _batch(record: Record) -> dict[str, Any]:
    """Convert a request of OpenAI's batch API; its last message has to be the answer."""
    body = _require(record, "body")
    messages = require_list(body.get("messages"), "$.body.messages")
    if not messages or messages[-1].get("role") != "assistant":
        raise ShapeError(
            "$.body.messages",
            "a batch request has no answer: join the input and output files by custom_id, as {request, response}",
        )
    return _chat({**body, "messages": messages[:-1]}, messages[-1])


def _exchange(record: Record) -> dict[str, Any]:
    """Convert a logged request and its response, each with or without `body`."""
    request, response = _require(record, "request"), _require(record, "response")
    request = request["body"] if isinstance(request.get("body"), dict) else request
    response = response["body"] if isinstance(response.get("body"), dict) else response
    return _chat(request, _choice(response, "$.response"))


def _stored_completion(record: Record) -> dict[str, Any]:
    """Convert a completion with the messages of its request, such as an export of stored completions."""
    messages = record.get("messages", record.get("input"))
    request = {**record, "messages": messages}
    return _chat(request, _choice(record, "$"))


def _responses(record: Record) -> dict[str, Any]:
    """Convert the input and output items of OpenAI's Responses API."""
    items = record.get("input")
    if isinstance(items, str):
        items = [message("user", items)]
    turns = [
        *_response_items(items, "$.input"),
        *_response_items(record.get("output"), "$.output"),
    ]
    return conversation(system(record.get("instructions")), *turns)


def _response_items(items: Any, path: str) -> Iterator[Message]:
    for index, item in enumerate(require_list(items, path)):
        item_path = f"{path}[{index}]"
        match item.get("type", "message"):
            case "message":
                yield message(
                    item.get("role", ""), join_texts(item.get("content"), f"{item_path}.content")
                )
            case "function_call":
                call = tool_call(
                    item.get("call_id", ""), item.get("name", ""), item.get("arguments", "{}")
                )
                yield {"role": "assistant", "content": None, "tool_calls": [call]}
            case "function_call_output":
                yield {
                    "role": "tool",
                    "tool_call_id": item.get("call_id"),
                    "content": dump(item.get("output")),
                }
            case "reasoning":
                continue  # encrypted, or a summary: not what the model wrote
            case _:
                raise ShapeError(
                    f"{item_path}.type", "unsupported item: use messages and function calls"
                )


def _history(record: Record) -> dict[str, Any]:
    """Convert an entry of `lm.history` in DSPy."""
    outputs = record.get("outputs")
    answer = outputs[0] if isinstance(outputs, list) and outputs else None
    text = answer.get("text") if isinstance(answer, dict) else answer
    if not isinstance(text, str):
        raise ShapeError("$.outputs", "expected a text")
    messages = record.get("messages") or [message("user", record.get("prompt"))]
    return conversation(*require_list(messages, "$.messages"), message("assistant", text))


INVOCATION_LOG = Shape(
    name="Bedrock invocation log",
    mapping="the input and output bodies are the messages",
    fields=(),
    matches=lambda record: (
        record.get("schemaType") == "ModelInvocationLog"
        or (isinstance(record.get("input"), dict) and "inputBodyJson" in record["input"])
    ),
    convert=_invocation_log,
)

REQUESTS = (
    INVOCATION_LOG,
    Shape(
        name="OpenAI batch requests",
        mapping="the messages of body are the messages",
        fields=(),
        matches=lambda record: "custom_id" in record and isinstance(record.get("body"), dict),
        convert=_batch,
    ),
    Shape(
        name="requests and responses",
        mapping="the messages of request and the first choice of response are the messages",
        fields=(),
        matches=lambda record: (
            isinstance(record.get("request"), dict) and isinstance(record.get("response"), dict)
        ),
        convert=_exchange,
    ),
    Shape(
        name="OpenAI Responses",
        mapping="instructions, input and output are the messages",
        fields=(),
        matches=lambda record: (
            isinstance(record.get("input"), str | list) and has_items(record.get("output"), "type")
        ),
        convert=_responses,
    ),
    Shape(
        name="OpenAI completions",
        mapping="the messages and the first choice are the messages",
        fields=(),
        matches=lambda record: (
            has_items(record.get("choices"), "message")
            and isinstance(record.get("messages", record.get("input")), list)
        ),
        convert=_stored_completion,
    ),
    Shape(
        name="DSPy history",
        mapping="messages and outputs are the messages",
        fields=(),
        matches=lambda record: (
            isinstance(record.get("outputs"), list) and ("messages" in record or "prompt" in record)
        ),
        convert=_history,
    ),
)
