"""Every record that DSPy's adapters make in its own fine-tuning flows is converted, or refused with the reason."""

import json

import dspy
import orjson
import pytest
from dspy.adapters import ChatAdapter, XMLAdapter

from tunestack.catalog import CATALOG
from tunestack.records.conversation import Text
from tunestack.records.findings import Findings
from tunestack.records.formats import FORMATS
from tunestack.records.slow_path import examine
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
    """Answer the question, knowing what was said before."""

    history: dspy.History = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


class Seeing(dspy.Signature):
    """Say what is to be seen."""

    shot: dspy.Image = dspy.InputField()
    answer: str = dspy.OutputField()


class Drawing(dspy.Signature):
    """Draw."""

    wish: str = dspy.InputField()
    shot: dspy.Image = dspy.OutputField()


class Calling(dspy.Signature):
    """Call a tool."""

    question: str = dspy.InputField()
    tools: list[dspy.Tool] = dspy.InputField()
    calls: dspy.ToolCalls = dspy.OutputField()


def weather(city: str) -> str:
    """Tell the weather."""
    return city


def asked(**values):
    """An answered question, with other inputs or outputs where given."""
    return {"question": "2+2?", "answer": "4"} | values


HISTORY = dspy.History(messages=[asked(question="1+1?", answer="2")])
CALLS = dspy.ToolCalls.from_dict_list([{"name": "weather", "args": {"city": "Bonn"}}])
# The case: the signature, demos, and the values of its fields.
CASES = {
    "plain": (QA, [], asked()),
    "unicode": (QA, [], asked(question="é 日本 \u2028 👩‍🚀", answer='"quoted" \\ \t')),
    "several lines": (QA, [], asked(answer="one\n\ntwo\n")),
    "demos": (QA, [asked(question="3+3?", answer="6"), asked()], asked()),
    "incomplete demo": (Noted, [asked(question="3+3?")], asked(note="so")),
    "None as answer": (Noted, [], asked(note=None)),
    "history": (Remembering, [], {**asked(), "history": HISTORY}),
    "image": (Seeing, [], {"shot": dspy.Image(PIXEL), "answer": "a dot"}),
    "image by URL": (Seeing, [], {"shot": dspy.Image("https://example.com/a.png"), "answer": "a dot"}),
    "image in a demo": (Seeing, [{"shot": dspy.Image(PIXEL), "answer": "x"}], {"shot": dspy.Image(PIXEL), "answer": "a dot"}),
    "image as answer": (Drawing, [], {"wish": "a dot", "shot": dspy.Image(PIXEL)}),
    "tools": (Calling, [], {"question": "rain?", "tools": [dspy.Tool(weather)], "calls": CALLS}),
    "reserved": (QA, [], asked(question="User: 2+2?")),
}  # fmt: skip
MEDIA = ["media-not-taken"]
# What the rules say, model by model; what is not here is converted and nothing is said.
SAID = {
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
def test_a_record_is_converted_or_refused_with_the_reason(case, adapter, model):
    target = Target.of(CATALOG[MODELS[model]], source="chat")
    line = orjson.dumps(record(case, adapter))
    examined = examine(line, target)
    expected = SAID.get(case, {}).get(model, [])
    assert sorted(expected) == sorted(found.rule for found in examined.found), examined.found
    if examined.line is None:
        return
    # None is altered: its texts are there, in their order, to the character.
    said = texts(FORMATS[target.source].read(json.loads(line), Findings()))
    options = {"template": target.template} if target.form.templated else {}
    read = FORMATS[target.format].read(json.loads(examined.line), Findings(), **options)
    assert "".join(said) == "".join(texts(read))


def test_native_history_with_tools_is_kept():
    """As ChatAdapter writes a History with calls when it calls natively."""
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
    examined = examine(orjson.dumps({"messages": messages}), Target.of(CATALOG["nova-micro"]))
    assert ["tools-undefined"] == [found.rule for found in examined.found]
    roles = [turn["role"] for turn in json.loads(examined.line)["messages"]]
    assert ["user", "assistant", "user", "assistant"] == roles


@pytest.mark.parametrize("adapter", [dspy.JSONAdapter(), dspy.TwoStepAdapter(dspy.LM("openai/x"))])
def test_other_adapters_make_no_records(adapter):
    with pytest.raises((NotImplementedError, AttributeError)):
        adapter.format_finetune_data(
            signature=QA, demos=[], inputs={"question": "a"}, outputs={"answer": "b"}
        )
