"""Converted records of each model family, byte by byte."""

import json

import orjson
import pytest

from tests.records.samples import (
    LONG,
    PLAIN,
    PREFERENCE,
    SYSTEMATIC,
    WITH_IMAGE,
    WITH_REASONING,
    WITH_TOOLS,
)
from tunestack.catalog import CATALOG
from tunestack.records.slow_path import convert_record
from tunestack.records.target import Target

COMPLETION = {"prompt": "question", "completion": "answer"}


def converse(*turns, **more):
    messages = [{"role": role, "content": content} for role, content in turns]
    return {"schemaVersion": "bedrock-conversation-2024", "messages": messages, **more}


def said(words):
    return [{"text": words}]


HEAD = "<|start_header_id|>{}<|end_header_id|>\n\n"
LLAMA_3 = (
    f"<|begin_of_text|>{HEAD.format('system')}be brief<|eot_id|>"
    f"{HEAD.format('user')}question<|eot_id|>"
)
TOOL = {
    "toolSpec": {
        "name": "weather",
        "description": "Tell the weather.",
        "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
}
S3_IMAGE = {
    "image": {
        "format": "png",
        "source": {"s3Location": {"uri": "s3://bucket/cat.png", "bucketOwner": "123456789012"}},
    }
}
ASKED, ANSWERED = ("user", said("question")), ("assistant", said("answer"))
MORE = ("user", said("and then?")), ("assistant", said("nothing"))
GOLDEN = [
    # Nova, and Llama 3.2 and 3.3: Converse.
    ("nova-micro", PLAIN, converse(ASKED, ANSWERED)),
    ("nova-micro", COMPLETION, converse(ASKED, ANSWERED)),
    ("nova-micro", SYSTEMATIC, converse(ASKED, ANSWERED, system=said("be brief"))),
    ("nova-micro", LONG, converse(ASKED, ANSWERED, *MORE, system=said("be brief"))),
    ("llama-3-3-70b", LONG, converse(ASKED, ANSWERED, *MORE, system=said("be brief"))),
    ("llama-3-2-1b", PLAIN, converse(ASKED, ANSWERED)),
    (
        "nova-pro",
        WITH_TOOLS,
        converse(
            ASKED,
            (
                "assistant",
                [
                    {
                        "toolUse": {
                            "toolUseId": "call-1",
                            "name": "weather",
                            "input": {"city": "Bonn"},
                        }
                    }
                ],
            ),
            ("user", [{"toolResult": {"toolUseId": "call-1", "content": said("rain")}}]),
            ANSWERED,
            toolConfig={"tools": [TOOL]},
        ),
    ),
    ("nova-lite", WITH_IMAGE, converse(("user", [*said("what is it?"), S3_IMAGE]), ANSWERED)),
    ("llama-3-2-11b", WITH_IMAGE, converse(("user", [*said("what is it?"), S3_IMAGE]), ANSWERED)),
    (
        "nova-2-lite",
        WITH_REASONING,
        converse(
            ASKED,
            (
                "assistant",
                [
                    {"reasoningContent": {"reasoningText": {"text": "let me see"}}},
                    *said("answer"),
                ],
            ),
        ),
    ),
    # Claude.
    ("claude-3-haiku", PLAIN, PLAIN),
    ("claude-3-haiku", COMPLETION, PLAIN),
    ("claude-3-haiku", SYSTEMATIC, {"system": "be brief", **PLAIN}),
    (
        "claude-3-haiku",
        LONG,
        {"system": "be brief", "messages": LONG["messages"][1:]},
    ),
    # Llama 3.1: messages with its template, prompts unchanged.
    (
        "llama-3-1-8b",
        PLAIN,
        {
            "prompt": f"<|begin_of_text|>{HEAD.format('user')}question<|eot_id|>{HEAD.format('assistant')}",
            "completion": "answer",
        },
    ),
    ("llama-3-1-8b", COMPLETION, COMPLETION),
    (
        "llama-3-1-70b",
        SYSTEMATIC,
        {"prompt": LLAMA_3 + HEAD.format("assistant"), "completion": "answer"},
    ),
    (
        "llama-3-1-8b",
        LONG,
        {
            "prompt": f"{LLAMA_3}{HEAD.format('assistant')}answer<|eot_id|>"
            f"{HEAD.format('user')}and then?<|eot_id|>{HEAD.format('assistant')}",
            "completion": "nothing",
        },
    ),
    # Llama 2.
    (
        "llama-2-13b",
        PLAIN,
        {"prompt": "<s>[INST] question [/INST]", "completion": "answer"},
    ),
    (
        "llama-2-70b",
        SYSTEMATIC,
        {
            "prompt": "<s>[INST] <<SYS>>\nbe brief\n<</SYS>>\n\nquestion [/INST]",
            "completion": "answer",
        },
    ),
    (
        "llama-2-13b",
        LONG,
        {
            "prompt": "<s>[INST] <<SYS>>\nbe brief\n<</SYS>>\n\nquestion [/INST] answer </s>"
            "<s>[INST] and then? [/INST]",
            "completion": "nothing",
        },
    ),
    # Cohere.
    ("cohere-command", PLAIN, {"prompt": "User: question\nChatbot:", "completion": "answer"}),
    ("cohere-command", COMPLETION, COMPLETION),
    (
        "cohere-command-light",
        SYSTEMATIC,
        {"prompt": "System: be brief\nUser: question\nChatbot:", "completion": "answer"},
    ),
    (
        "cohere-command",
        LONG,
        {
            "prompt": "System: be brief\nUser: question\nChatbot: answer\nUser: and then?\nChatbot:",
            "completion": "nothing",
        },
    ),
    # Titan.
    ("titan-text-express", PLAIN, {"inputText": "User: question\nBot:", "outputText": "answer"}),
    ("titan-text-lite", COMPLETION, {"inputText": "question", "outputText": "answer"}),
    (
        "titan-text-premier",
        SYSTEMATIC,
        {"inputText": "System: be brief\nUser: question\nBot:", "outputText": "answer"},
    ),
    (
        "titan-text-express",
        LONG,
        {
            "inputText": "System: be brief\nUser: question\nBot: answer\nUser: and then?\nBot:",
            "outputText": "nothing",
        },
    ),
    # OpenAI.
    ("gpt-4.1-2025-04-14", LONG, LONG),
    ("gpt-4.1-2025-04-14", COMPLETION, PLAIN),
    ("gpt-4.1-mini-2025-04-14", WITH_TOOLS, WITH_TOOLS),
]


def written(key, record, **options):
    """Convert a record, and check that a compact and a spaced line give the same."""
    target = Target.create(CATALOG[key], owner="123456789012", **options)
    lines = {
        convert_record(line, target).line
        for line in (orjson.dumps(record), json.dumps(record).encode())
    }
    assert not convert_record(orjson.dumps(record), target).problems
    (line,) = lines
    assert line is not None
    assert line.endswith(b"\n")
    return json.loads(line)


@pytest.mark.parametrize(("key", "record", "expected"), GOLDEN)
def test_record_is_converted_to(key, record, expected):
    assert expected == written(key, record)


def test_titan_supports_prompt_and_completion():
    assert written("titan-text-express", COMPLETION, record_format="completion") == COMPLETION


def test_preference_data_is_written_for_dpo():
    assert written("gpt-4.1-2025-04-14", PREFERENCE, record_format="preference") == PREFERENCE


@pytest.mark.parametrize(
    ("key", "expected"), [(key, expected) for key, _, expected in GOLDEN if "gpt" not in key]
)
def test_converted_records_are_not_changed_again(key, expected):
    line = json.dumps(expected).encode()
    target = Target.create(CATALOG[key])
    result = convert_record(line, target)
    assert not result.problems
    if "prompt" in expected or (key == "claude-3-haiku" and "system" not in expected):
        # Callers have these formats too: written anew, so that equal data is one file.
        assert orjson.dumps(expected) + b"\n" == result.line
    else:
        assert line + b"\n" == result.line


def test_records_in_the_format_of_the_model_are_kept_byte_for_byte():
    odd = b'{ "messages":[{"content":[{"text":"\\u0041\\/"}],"role":"user"},{"role":"assistant","content":[{"text":"b"}]}],\t"schemaVersion":"bedrock-conversation-2024"}'
    assert convert_record(odd, Target.create(CATALOG["nova-micro"])).line == odd + b"\n"


def test_arguments_of_tool_calls_are_kept():
    call = json.loads(json.dumps(WITH_TOOLS))
    call["messages"][1]["tool_calls"][0]["function"]["arguments"] = '{ "city" : "Bonn" }'
    assert written("gpt-4.1-2025-04-14", call) == call
