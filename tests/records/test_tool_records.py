"""Records with tool calls: the fast path writes the same bytes as the slow path, and nothing that may break a rule."""

import json
import random
import re
from collections import Counter
from typing import Any

import orjson
import pytest

from tunestack.catalog import CATALOG
from tunestack.records import check
from tunestack.records.fast_path import FastPath
from tunestack.records.slow_path import convert_record
from tunestack.records.target import Target
from tunestack.records.text_rules import COMPLETED, DSPY, INCOMPLETE

MODELS = ["nova-micro", "gpt-4.1-2025-04-14"]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "Find an order.",
            "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}},
        },
    }
    for name in ("find", "cancel")
]
LONG = "An answer of more than two hundred characters. " * 5
TEXTS = ["Hi", LONG, f"{LONG}\n", "User:", " ", "", None, "null", "None", 'a "word"', "é", "call-1"]
SYSTEMS = ["Be brief.", DSPY, COMPLETED, "<unk>"]
RESULTS = ["found", "", " ", '{"a": 1}', "Bot:", INCOMPLETE]
IDS = ["call-1", "call-2", "call 3", "x" * 65, "é", ""]
ARGUMENTS = [
    '{"order": 1}',
    '{"order":1,"why":"lost \\"it\\""}',
    '{"a": {"b": [1, {"c": "User:"}]}}',
    "{}",
    "",
    " ",
    "null",
    "[]",
    '{"order": 1, "order": 2}',
    '{"a": 12345678901234567890123}',
    '{"a": 1e999}',
    '{"a": 0.1}',
    '{"order": "\\u0022\\ud83d\\ude00"}',
    '{"order": 1',
    '{"a\\\\": 1, "a\\\\": 2}',
]


def call(identifier, arguments, name="find"):
    return {
        "id": identifier,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def record(
    *, system=None, question="Where?", content=None, calls, results, more=(), answer="There."
):
    messages = [] if system is None else [{"role": "system", "content": system}]
    messages += [
        {"role": "user", "content": question},
        {"role": "assistant", "content": content, "tool_calls": calls},
        *({"role": "tool", "tool_call_id": id_, "content": text} for id_, text in results),
        *more,
        {"role": "assistant", "content": answer},
    ]
    return {"messages": messages, "tools": TOOLS}


PLAIN = record(calls=[call("call-1", '{"order": 1}')], results=[("call-1", "found")])


def random_record(choose):
    """Create a record of one of a few structures; most of its values are plain."""

    def pick(values):
        return choose.choice(values) if choose.random() < 0.15 else values[0]

    ids = [pick(IDS), pick(["call-2", "call-1"])][: choose.randint(1, 2)]
    calls = [
        call(identifier, pick(ARGUMENTS), pick(["find", "cancel", "unknown"])) for identifier in ids
    ]
    results = [(pick([identifier, "call-9"]), pick(RESULTS)) for identifier in ids]
    questions = [{"role": "user", "content": pick(["And?", "", "Bot:"])}]
    return record(
        system=choose.choice([None, pick(SYSTEMS)]),
        question=pick(["Where?", *TEXTS, INCOMPLETE]),
        content=pick([None, *TEXTS]),
        calls=calls,
        results=results,
        more=choose.choice([(), [{"role": "assistant", "content": pick(TEXTS)}, *questions]]),
        answer=pick(["There.", *TEXTS]),
    )


def convert(lines, model, size=20, **options):
    """Convert lines on both paths, several at once, and compare them; return how many the fast path decided."""
    target = Target.create(CATALOG[model], source="chat", **options)
    fast_path = FastPath(target)
    lines = list(lines)
    decided = 0
    for start in range(0, len(lines), size):
        chunk = lines[start : start + size]
        converted = fast_path.convert([line + b"\n" for line in chunk])
        results = [convert_record(line, target) for line in chunk]
        indices = sorted({*range(len(chunk))} - {*converted.remaining})
        for index in indices:
            result = results[index]
            assert (converted.lines[index], (), ()) == (
                result.line,
                result.problems,
                result.losses,
            ), chunk[index]
        assert converted.sizes == [results[index].size for index in indices]
        content: Counter[str] = Counter()
        systems = 0
        for template, count in converted.templates.items():
            content.update(dict.fromkeys(template.content, count))
            systems += count * template.has_system
        assert content == Counter(kind for index in indices for kind in results[index].content)
        assert systems == sum(results[index].has_system for index in indices)
        decided += len(indices)
    return decided


def random_lines(count):
    choose = random.Random(17)
    for _ in range(count):
        made = random_record(choose)
        yield choose.choice([orjson.dumps(made), json.dumps(made).encode()])


@pytest.mark.parametrize("model", MODELS)
def test_both_paths_write_the_same_bytes(model):
    assert convert(random_lines(4000), model) > 1000


def test_a_structure_takes_the_fast_path_from_its_second_record():
    assert convert([orjson.dumps(PLAIN)] * 10, "nova-micro") == 9


REPLACED = [
    (b'"role":"user"', b'"role":"user","role":"user"'),
    (b'"content":"found"', b'"content":"lost","content":"found"'),
    (b'"content":"Where?"', b'"content":"Wh\\u0065re?"'),
    (b'"content":"Where?"', b'"content":"\\u0022\\u0022","content":"\\u0022\\u0022"'),
    (b'"content":"Where?"', b'"content":"\\u0022\\u0022\\u0022\\u0022","name":"x"'),
    (b'"name":"find","arguments"', b'"name":"lose","name":"find","arguments"'),
    (b'"tools":[', b'"tools":[],"tools":['),
    (b'"id":"call-1"', b'"id":"call-0","id":"call-1"'),
    (b'"content":null,', b""),
    (b'"content":null', b'"content":""'),
    (b'"content":"found"', b'"content":"found","name":"find"'),
    (b'"content":"found"', b'"content":[{"type":"text","text":"found"}]'),
    (b'"content":"There."', b'"content":"There.","weight":0'),
    (b'"content":"There."', b'"content":"There.","tool_calls":[]'),
    (b'"content":"There."', b'"content":"There.","tool_calls":null'),
    (b'"type":"function","function":{"name":"find","arg', b'"function":{"name":"find","arg'),
    (b'"content":"There."', b'"content":"\\ud800"'),
    (b'"content":"There."', b'"content":"\xff"'),
    (b'"tool_call_id":"call-1"', b'"tool_call_id":"call-2"'),
    (b'"tool_call_id":"call-1",', b""),
    (b'"role":"tool"', b'"role":"function"'),
    (b'"messages"', b'"parallel_tool_calls":false,"messages"'),
    (b":", b" : "),
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("plain", "odd"), REPLACED)
def test_unusual_records_are_converted_as_on_the_slow_path(plain, odd, model):
    line = orjson.dumps(PLAIN)
    assert plain in line
    convert([line, line, line, *[line.replace(plain, odd)] * 3], model)


ALIKE: list[dict[str, Any]] = [
    {"content": "Hello", "tool_calls": []},
    {"content": "Hello", "tool_call_id": "x"},
    {"content": "", "tool_call_id": "x"},
    {"content": "", "tool_calls": []},
    {"content": None, "tool_calls": []},
    {"content": "Hello"},
    {"tool_calls": []},
    {},
    {"content": None, "tool_calls": [call("x", "{}")]},
    {"content": "Hello", "tool_calls": [call("x", "{}")]},
    {"content": "Hello", "tool_call_id": "x", "tool_calls": [call("x", "{}")]},
]


@pytest.mark.parametrize("options", [{}, {"on_loss": "report"}, {"ignore": ["normalized"]}])
@pytest.mark.parametrize("model", MODELS)
def test_structures_that_are_alike_keep_their_values(model, options):
    """A value of one record must never be written to another."""
    records = [
        {"messages": [{"role": role, **first}, {"role": "user", "content": "And?"}, *messages]}
        for first in ALIKE
        for role in ("assistant", "tool", "user")
        for messages in (PLAIN["messages"], PLAIN["messages"][1:], PLAIN["messages"][3:])
    ]
    plain = [
        {"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}]}
        for n in range(len(records))
    ]
    lines = []
    for unusual, following in zip(records, plain, strict=True):
        lines += [orjson.dumps({**unusual, "tools": TOOLS})] * 3 + [orjson.dumps(following)]
    assert convert(lines, model, **options) >= len(plain)


def test_merged_calls_are_checked_as_one_answer():
    """The slow path merges consecutive messages with calls: their texts together are equal to the last answer."""
    first = {"content": LONG, "tool_calls": [call("call-1", "{}")]}
    second = {"content": None, "tool_calls": [call("call-2", "{}")]}
    messages: list[Any] = [
        {"role": "user", "content": "Where?"},
        {"role": "assistant", **first},
        {"role": "assistant", **second},
        *({"role": "tool", "tool_call_id": f"call-{n}", "content": "x"} for n in (1, 2)),
        {"role": "assistant", "content": "m"},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": f"{LONG}\n\n"},
    ]
    line = orjson.dumps({"messages": messages, "tools": TOOLS})
    target = Target.create(CATALOG["nova-pro"], source="chat", ignore=["normalized"])
    assert [problem.rule for problem in convert_record(line, target).problems] == [
        "answer-in-prompt"
    ]
    assert convert([line] * 5, "nova-pro", ignore=["normalized"]) == 0


def test_structures_without_a_template_leave_room_for_others(monkeypatch):
    monkeypatch.setattr("tunestack.records.tool_records._MAX_TEMPLATES", 2)
    refused = [
        orjson.dumps(record(calls=[call("call-1", "{}", f"f{n}")], results=[("call-1", "x")]))
        for n in range(5)
    ]
    assert convert(refused * 3 + [orjson.dumps(PLAIN)] * 5, "nova-micro") == 4


def test_duplicate_keys_are_reported(tmp_path):
    line = orjson.dumps(PLAIN)
    lines = [line] * 300
    lines[200] = line.replace(b'"content":"found"', b'"content":"lost","content":"found"')
    lines[250] = orjson.dumps(
        record(calls=[call("call-1", '{"a":1,"a":2}')], results=[("call-1", "found")])
    )
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"\n".join(lines))
    found = check(path, CATALOG["nova-micro"])
    assert [(problem.line, problem.rule) for problem in found.errors] == [
        (201, "double-key"),
        (251, "tool-arguments"),
    ]


def test_report_is_the_same_without_the_fast_path(tmp_path, monkeypatch):
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"\n".join(random_lines(500)))
    model = CATALOG["nova-micro"]
    found = check(path, model, data_format="chat")
    monkeypatch.setattr("tunestack.records.tool_records._MAX_TEMPLATES", 0)
    assert check(path, model, data_format="chat").to_dict() == found.to_dict()
    assert found.content["tools"] > 100


@pytest.mark.parametrize(
    ("name", "replacement"),
    [
        ("decode", lambda text, findings: orjson.loads(text)),
        ("TOOL_USE_ID", re.compile("(?s).*")),
        ("_may_break_dspy_rule", lambda messages: False),
        ("_NULLS", ()),
    ],
)
def test_comparison_finds_a_missing_check(name, replacement, monkeypatch):
    monkeypatch.setattr(f"tunestack.records.tool_records.{name}", replacement)
    with pytest.raises((AssertionError, orjson.JSONDecodeError)):
        convert(random_lines(4000), "nova-micro")


@pytest.mark.parametrize("quote", [rb"\u005cu0022", rb"\\u00\u0032\u0032"])
@pytest.mark.parametrize("model", MODELS)
def test_escaped_quotes_in_arguments_hide_no_duplicate_key(model, quote):
    """They are escaped twice: the converted line has as many more quotes as the duplicate key has."""
    line = orjson.dumps(PLAIN)
    arguments = rb"{\"a\":\"" + 4 * quote + rb"\"}"
    duplicate = line.replace(b'"content":"Where?"', b'"content":"Why?","content":"Where?"')
    hidden = duplicate.replace(rb"{\"order\": 1}", arguments)
    assert quote in hidden
    assert convert_record(hidden, Target.create(CATALOG[model], source="chat")).line is None
    assert convert([line, line, line, hidden], model) == 2


def test_templates_keep_no_values():
    """They would be in memory as long as the template."""
    fast_path = FastPath(Target.create(CATALOG["nova-micro"], source="chat"))
    plain = orjson.dumps({"messages": PLAIN["messages"][::3]})
    converted = fast_path.convert([orjson.dumps(PLAIN) + b"\n"] * 3 + [plain + b"\n"] * 2)
    assert len(converted.templates) == 2
    for template in converted.templates:
        assert {*template.parts[1::2], *template.source_parts[1::2]} == {b""}


def test_number_of_templates_is_limited(monkeypatch):
    monkeypatch.setattr("tunestack.records.tool_records._MAX_TEMPLATES", 1)
    other = record(system="Be brief.", calls=[call("call-1", "{}")], results=[("call-1", "found")])
    lines = [orjson.dumps(PLAIN)] * 3 + [orjson.dumps(other)] * 5
    assert convert(lines, "nova-micro") == 2


def test_records_with_different_tools_take_the_slow_path():
    lines = [
        orjson.dumps({**PLAIN, "tools": [*TOOLS, {**TOOLS[0], "function": {"name": f"f{number}"}}]})
        for number in range(20)
    ]
    assert convert(lines, "gpt-4.1-2025-04-14") == 0
