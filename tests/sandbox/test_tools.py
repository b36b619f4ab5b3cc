"""Forced tool calls and JSON schemas, with Bedrock and OpenAI."""

import json
from typing import Any

import boto3
import jsonschema
import openai
import pytest
from botocore.exceptions import ClientError

from tests.sandbox.samples import A_JOB

MICRO = "us.amazon.nova-micro-v1:0"
LLAMA = "us.meta.llama3-1-8b-instruct-v1:0"
QUESTION = [{"role": "user", "content": [{"text": "What is number 7?"}]}]
SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["early", "late"]}, "number": {"type": "integer"}},
    "required": ["label", "number"],
    "additionalProperties": False,
}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def tool(name, schema=SCHEMA):
    return {"toolSpec": {"name": name, "inputSchema": {"json": schema}}}


def config(choice, *tools):
    return {"tools": list(tools) or [tool("sort")], "toolChoice": choice}


@pytest.fixture
def runtime(sandbox):
    return boto3.client("bedrock-runtime")


@pytest.fixture
def deployed(sandbox, bedrock, model):
    made = bedrock.create_custom_model_deployment(modelDeploymentName="d", modelArn=model)
    sandbox.clock.advance(A_JOB)
    return made["customModelDeploymentArn"]


def used(answer):
    assert answer["stopReason"] == "tool_use"
    (block,) = answer["output"]["message"]["content"]
    return block["toolUse"]


@pytest.mark.parametrize("choice", [{"any": {}}, {"tool": {"name": "sort"}}])
def test_a_forced_tool_is_called_with_valid_input(runtime, deployed, choice):
    answer = runtime.converse(modelId=deployed, messages=QUESTION, toolConfig=config(choice))
    use = used(answer)
    assert use["name"] == "sort"
    jsonschema.validate(use["input"], SCHEMA)
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-tunestack-sandbox"].startswith("simulated tool input; nearest training")


def test_the_tool_input_contains_the_fine_tuned_answer(runtime, deployed):
    plain = runtime.converse(modelId=deployed, messages=QUESTION)
    text = plain["output"]["message"]["content"][0]["text"]
    params = config({"any": {}}, tool("say", TEXT))
    answer = runtime.converse(modelId=deployed, messages=QUESTION, toolConfig=params)
    assert {"text": text} == used(answer)["input"]


def test_a_tool_call_is_streamed(runtime, deployed):
    params = config({"tool": {"name": "sort"}})
    stream = runtime.converse_stream(modelId=deployed, messages=QUESTION, toolConfig=params)
    events = list(stream["stream"])
    start = events[1]["contentBlockStart"]["start"]["toolUse"]
    pieces = [
        event["contentBlockDelta"]["delta"]["toolUse"]["input"]
        for event in events
        if "contentBlockDelta" in event
    ]
    assert start["name"] == "sort"
    assert len(pieces) > 1
    jsonschema.validate(json.loads("".join(pieces)), SCHEMA)
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"


def test_invoke_model_of_nova_accepts_tools(runtime):
    body = {"messages": QUESTION, "toolConfig": config({"any": {}})}
    answer = runtime.invoke_model(modelId=MICRO, body=json.dumps(body))
    jsonschema.validate(used(json.load(answer["body"]))["input"], SCHEMA)


def test_a_model_returns_text_if_no_tool_is_forced(runtime):
    choices: tuple[dict[str, Any] | None, ...] = ({"auto": {}}, None)
    for choice in choices:
        params = {"tools": [tool("sort")]} | ({} if choice is None else {"toolChoice": choice})
        answer = runtime.converse(modelId=MICRO, messages=QUESTION, toolConfig=params)
        assert answer["stopReason"] == "end_turn"


def test_an_agent_with_forced_tools_reaches_the_last_tool(runtime):
    messages, names = list(QUESTION), []
    params = config({"any": {}}, tool("look"), tool("answer", TEXT))
    for _ in range(3):
        answer = runtime.converse(modelId=MICRO, messages=messages, toolConfig=params)
        use = used(answer)
        names.append(use["name"])
        result = {"toolUseId": use["toolUseId"], "content": [{"text": "done"}]}
        messages += [
            answer["output"]["message"],
            {"role": "user", "content": [{"toolResult": result}]},
        ]
    assert names == ["look", "answer", "answer"]
    with pytest.raises(ClientError, match="The toolConfig field must be defined"):
        runtime.converse(modelId=MICRO, messages=messages)


@pytest.mark.parametrize(
    ("model", "job_request", "words"),
    [
        (LLAMA, config({"any": {}}), "doesn't support the toolConfig.toolChoice.any field. Remove"),
        (LLAMA, config({"tool": {"name": "sort"}}), "the toolConfig.toolChoice.tool field. Remove"),
        ("us.meta.llama3-2-1b-instruct-v1:0", {"tools": [tool("sort")]}, "support tool use."),
        (MICRO, config({"tool": {"name": "none"}}), "names the tool none, not in: sort"),
    ],
)
def test_unsupported_tools_are_rejected(runtime, model, job_request, words):
    with pytest.raises(ClientError, match="ValidationException") as refused:
        runtime.converse(modelId=model, messages=QUESTION, toolConfig=job_request)
    assert words in refused.value.response["Error"]["Message"]


def test_a_text_format_is_rejected_for_all_models_with_fine_tuning(runtime, deployed):
    params = {"jsonSchema": {"name": "sort", "schema": json.dumps(SCHEMA)}}
    text_format = {"type": "json_schema", "structure": params}
    with pytest.raises(ClientError, match="doesn't support the outputConfig.textFormat field"):
        runtime.converse(
            modelId=deployed, messages=QUESTION, outputConfig={"textFormat": text_format}
        )


def test_llama_accepts_tools_except_in_a_stream(runtime):
    params = {"tools": [tool("sort")]}
    answer = runtime.converse(modelId=LLAMA, messages=QUESTION, toolConfig=params)
    assert answer["stopReason"] == "end_turn"
    with pytest.raises(ClientError, match="doesn't support tool use in streaming mode"):
        runtime.converse_stream(modelId=LLAMA, messages=QUESTION, toolConfig=params)


@pytest.fixture
def ask(sandbox):
    """Return a function that queries an OpenAI model that is not fine-tuned."""
    create = openai.OpenAI().chat.completions.create
    messages = [{"role": "user", "content": "What is number 7? Answer with JSON."}]
    return lambda **job_request: create(
        **{"model": "gpt-4.1-mini", "messages": messages} | job_request
    )


def function(name="sort", schema=SCHEMA):
    return {"type": "function", "function": {"name": name, "parameters": schema}}


@pytest.mark.parametrize(
    ("choice", "end"),
    [("required", "tool_calls"), ({"type": "function", "function": {"name": "sort"}}, "stop")],
)
def test_openai_is_forced_to_call_a_function(ask, choice, end):
    params = {"tools": [function()], "tool_choice": choice}
    (whole,) = ask(**params).choices
    (call,) = whole.message.tool_calls
    assert (end, None, "sort") == (whole.finish_reason, whole.message.content, call.function.name)
    jsonschema.validate(json.loads(call.function.arguments), SCHEMA)
    chunks = [chunk.choices[0].delta for chunk in ask(**params, stream=True)]
    parts = [part.function for delta in chunks for part in delta.tool_calls or ()]
    assert parts[0].name == "sort"
    assert call.function.arguments == "".join(part.arguments for part in parts)


@pytest.mark.parametrize("choice", ["auto", "none", None])
def test_openai_returns_text_if_no_function_is_forced(ask, choice):
    params = {"tools": [function()]} | ({} if choice is None else {"tool_choice": choice})
    assert ask(**params).choices[0].finish_reason == "stop"


def test_openai_returns_json_with_and_without_a_schema(ask):
    params = {"type": "json_schema", "json_schema": {"name": "sort", "schema": SCHEMA}}
    jsonschema.validate(json.loads(ask(response_format=params).choices[0].message.content), SCHEMA)
    text = ask(response_format={"type": "json_object"}).choices[0].message.content
    assert {"answer"} == json.loads(text).keys()


def test_a_stream_ends_with_the_usage_if_requested(ask):
    *chunks, last = ask(stream=True, stream_options={"include_usage": True})
    whole = ask()
    assert ([], whole.usage) == (last.choices, last.usage)
    assert {None} == {chunk.usage for chunk in chunks}
    assert len(chunks) > 3
    assert whole.choices[0].message.content == "".join(
        chunk.choices[0].delta.content or "" for chunk in chunks
    )
    assert all(chunk.choices for chunk in ask(stream=True))


@pytest.mark.parametrize(
    ("job_request", "words"),
    [
        ({"tool_choice": "required"}, "only allowed when 'tools' are specified"),
        (
            {
                "tools": [function()],
                "tool_choice": {"type": "function", "function": {"name": "none"}},
            },
            "tool choice 'none' not found in 'tools'",
        ),
        ({"tools": ["sort"], "tool_choice": "required"}, "expected an array of objects"),
        ({"response_format": {"type": "xml"}}, "Supported values are: 'json_object'"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {
                "response_format": {"type": "json_object"},
                "messages": [{"role": "user", "content": "hi"}],
            },
            "must contain the word 'json'",
        ),
        ({"stream_options": {"include_usage": True}}, "only allowed when 'stream' is enabled"),
    ],
)
def test_openai_rejects_unsupported_parameters(ask, job_request, words):
    with pytest.raises(openai.BadRequestError, match=words):
        ask(**job_request)
