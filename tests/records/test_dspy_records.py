"""Every record that DSPy's adapters make in its own fine-tuning flows is converted, or rejected with a reason."""

import json
from typing import Any

import dspy
import orjson
import pytest
from dspy.adapters import ChatAdapter, XMLAdapter

from tunestack.catalog import CATALOG
from tunestack.records.conversation import Text
from tunestack.records.findings import Findings
from tunestack.records.formats import FORMATS
from tunestack.records.slow_path import convert_record
from tunestack.records.target import Target

ADAPTERS = {"chat": ChatAdapter(), "xml": XMLAdapter()}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
MODELS = {
    "nova": "nova-micro",
    "llama": "llama-3-1-8b",
    "claude": "claude-3-haiku",
    "titan": "titan-text-express",
    "gpt": "gpt-4o-2024-08-06",
}


class QA(dspy.Signature):
    """Answer the question."""

    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


class Noted(QA):
    """Answer the question, with a note."""

    note: str | None = dspy.OutputField()


class Remembering(dspy.Signature):
    """Answer the question, given the conversation so far."""

    history: dspy.History = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


class Seeing(dspy.Signature):
    """Describe the image."""

    shot: dspy.Image = dspy.InputField()
    answer: str = dspy.OutputField()


class Drawing(dspy.Signature):
    """Draw an image."""

    wish: str = dspy.InputField()
    shot: dspy.Image = dspy.OutputField()


class Calling(dspy.Signature):
    """Call a tool."""

    question: str = dspy.InputField()
    tools: list[dspy.Tool] = dspy.InputField()
    calls: dspy.ToolCalls = dspy.OutputField()


def weather(city: str) -> str:
    """Return the weather."""
    return city


def qa_values(**values):
    """Return the values of an answered question, with some of them replaced or added."""
    return {"question": "2+2?", "answer": "4"} | values


HISTORY = dspy.History(messages=[qa_values(question="1+1?", answer="2")])
CALLS = dspy.ToolCalls.from_dict_list([{"name": "weather", "args": {"city": "Bonn"}}])
# By case: the signature, the demos, and the values of the fields.
CASES: dict[str, Any] = {
    "plain": (QA, [], qa_values()),
    "unicode": (QA, [], qa_values(question="é 日本 \u2028 👩‍🚀", answer='"quoted" \\ \t')),
    "several lines": (QA, [], qa_values(answer="one\n\ntwo\n")),
    "demos": (QA, [qa_values(question="3+3?", answer="6"), qa_values()], qa_values()),
    "incomplete demo": (Noted, [qa_values(question="3+3?")], qa_values(note="so")),
    "None as answer": (Noted, [], qa_values(note=None)),
    "history": (Remembering, [], {**qa_values(), "history": HISTORY}),
    "image": (Seeing, [], {"shot": dspy.Image(PIXEL), "answer": "a dot"}),
    "image by URL": (Seeing, [], {"shot": dspy.Image("https://example.com/a.png"), "answer": "a dot"}),
    "image in a demo": (Seeing, [{"shot": dspy.Image(PIXEL), "answer": "x"}], {"shot": dspy.Image(PIXEL), "answer": "a dot"}),
    "image as answer": (Drawing, [], {"wish": "a dot", "shot": dspy.Image(PIXEL)}),
    "tools": (Calling, [], {"question": "rain?", "tools": [dspy.Tool(weather)], "calls": CALLS}),
    "reserved": (QA, [], qa_values(question="User: 2+2?")),
}  # fmt: skip
MEDIA = ["unsupported-media"]
# The rules that are reported, by case and model. Every other record is converted without findings.
FINDINGS = {
    "image": dict.fromkeys(["nova", "llama", "claude", "titan"], MEDIA),
    "image by URL": dict.fromkeys(["nova", "llama", "claude", "titan"], MEDIA),
    "image in a demo": dict.fromkeys(["nova", "llama", "claude", "titan"], MEDIA * 2),
    "image as answer": {model: ["type-marker", "data-as-text"] for model in MODELS},
    "None as answer": {model: ["none-as-answer"] for model in MODELS},
    "incomplete demo": {model: ["incomplete-demo"] for model in MODELS},
    "reserved": {"nova": ["reserved-word"], "titan": ["special-token"]},
}


def record(case, adapter):
    signature, demos, values = CASES[case]
    inputs = {name: values[name] for name in signature.input_fields}
    outputs = {name: values[name] for name in signature.output_fields}
    return ADAPTERS[adapter].format_finetune_data(
        signature=signature,
        demos=[dspy.Example(**demo) for demo in demos],
        inputs=inputs,
        outputs=outputs,
    )


def texts(conversation):
    return [
        block.text
        for turn in conversation.turns
        for block in turn.blocks
        if isinstance(block, Text)
    ]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("case", CASES)
def test_record_is_converted_or_rejected_with_a_reason(case, adapter, model):
    target = Target.create(CATALOG[MODELS[model]], source="chat")
    line = orjson.dumps(record(case, adapter))
    result = convert_record(line, target)
    expected = FINDINGS.get(case, {}).get(model, [])
    assert sorted(found.rule for found in result.problems) == sorted(expected), result.problems
    if result.line is None:
        return
    # The texts are unchanged and in the same order.
    assert target.source is not None
    original = texts(FORMATS[target.source].read(json.loads(line), Findings()))
    options = {"template": target.template} if target.form.is_templated else {}
    read = FORMATS[target.format].read(json.loads(result.line), Findings(), **options)
    assert "".join(texts(read)) == "".join(original)


def test_history_with_native_tool_calls_is_kept():
    """ChatAdapter writes a History with tool calls like this if native function calling is on."""
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "rain?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": "rain"},
        {"role": "user", "content": "so?"},
        {"role": "assistant", "content": "yes"},
    ]
    result = convert_record(
        orjson.dumps({"messages": messages}), Target.create(CATALOG["nova-micro"])
    )
    assert [found.rule for found in result.problems] == ["tools-undefined"]
    assert result.line is not None
    roles = [turn["role"] for turn in json.loads(result.line)["messages"]]
    assert roles == ["user", "assistant", "user", "assistant"]


@pytest.mark.parametrize("adapter", [dspy.JSONAdapter(), dspy.TwoStepAdapter(dspy.LM("openai/x"))])
def test_other_adapters_do_not_support_training_data(adapter):
    with pytest.raises((NotImplementedError, AttributeError)):
        adapter.format_finetune_data(
            signature=QA, demos=[], inputs={"question": "a"}, outputs={"answer": "b"}
        )
