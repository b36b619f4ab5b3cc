"""Every rule finds the records that break it, and no others."""

import json
from pathlib import Path

import orjson
import pytest

from tests.records.samples import (
    ASK,
    CALL,
    LONG,
    MORE,
    PLAIN,
    PREFERENCE,
    RESULT,
    SAY,
    SYSTEM,
    TOOLS,
    WITH_IMAGE,
    WITH_REASONING,
    WITH_TOOLS,
    image,
    row,
    text,
    turn,
)
from tunestack.catalog import CATALOG
from tunestack.errors import ConfigError
from tunestack.records import RULES, Severity, check
from tunestack.records.findings import Findings
from tunestack.records.jsonline import encode
from tunestack.records.slow_path import convert_record
from tunestack.records.target import Target

GPT, GPT4O = "gpt-4.1-2025-04-14", "gpt-4o-2024-08-06"
VIDEO = {"type": "video_url", "video_url": {"url": "s3://bucket/clip.mp4"}}
OF_DSPY = turn("system", "In adhering to this structure, your objective is: answer")
DEMANDS = turn("system", "All answers end with [[ ## completed ## ]]")


def asked(words):
    return row(turn("user", words), SAY)


def answered(words):
    return row(ASK, turn("assistant", words))


def called(**change):
    call = json.loads(json.dumps(CALL))
    call["tool_calls"][0]["function"] |= change
    return row(ASK, call, RESULT, SAY, tools=TOOLS)


def tool(**change):
    return row(ASK, SAY, tools=[{"type": "function", "function": TOOLS[0]["function"] | change}])


def converse(content, **more):
    messages = [
        {"role": "user", "content": content},
        {"role": "assistant", "content": [{"text": "answer"}]},
    ]
    return {"schemaVersion": "bedrock-conversation-2024", "messages": messages, **more}


LEGACY = {
    "messages": [
        ASK,
        {"role": "assistant", "function_call": CALL["tool_calls"][0]["function"]},
        {"role": "function", "name": "weather", "content": "rain"},
        SAY,
    ],
    "functions": [TOOLS[0]["function"]],
}
CALLS_FIRST = converse([{"text": "a"}])
CALLS_FIRST["messages"][1]["content"].insert(
    0, {"toolUse": {"toolUseId": "1", "name": "weather", "input": {}}}
)
# The rule, the model, a record that breaks the rule, the path, and a similar valid record.
CASES = [
    ("json", "nova-micro", b'{"messages": [', "$", PLAIN),
    ("json", "nova-micro", b"no json", "$", PLAIN),
    ("object", "nova-micro", b"[1]", "$", PLAIN),
    ("object", "nova-micro", b'"text"', "$", PLAIN),
    ("encoding", "nova-micro", b'{"messages": "\xff"}', "$", asked("ÿ")),
    ("double-key", "nova-micro", b'{"messages":[{"role":"user","content":"lost","content":"kept"},{"role":"assistant","content":"a"}]}', "$", asked('"content": "content" : ')),
    ("number", GPT, b'{"messages":[{"role":"assistant","content":"a","weight":NaN}]}', None, asked("NaN Infinity 1e999 12345678901234567890123")),
    ("number", "nova-micro", b'{"messages":[],"n":123456789012345678901234567890}', "$", {**PLAIN}),
    ("depth", "nova-micro", b'{"messages":' + b"[" * 101 + b"]" * 101 + b"}", "$", asked("[" * 5000)),
    ("blank-line", "nova-micro", b" \t", "$", PLAIN),
    ("byte-order-mark", "nova-micro", b"\xef\xbb\xbf" + orjson.dumps(PLAIN), "$", asked("\ufeff?")),
    ("field", "nova-micro", {}, "$.messages", PLAIN),
    ("field", "nova-micro", row("text", SAY), "$.messages[0]", PLAIN),
    ("field", "nova-micro", row({"role": "user"}, SAY), "$.messages[0].content", PLAIN),
    ("field", "nova-micro", {"prompt": "a"}, "$.completion", {"prompt": "a", "completion": "b"}),
    ("field", "nova-micro", {"prompt": 1, "completion": "b"}, "$.prompt", {"prompt": "1", "completion": "b"}),
    ("field", "nova-micro", row(turn("user", [{"type": "text"}]), SAY), "$.messages[0].content[0].text", row(turn("user", [text("a")]), SAY)),
    ("field", "nova-micro", row(turn("user", [{"type": "refusal"}]), SAY), "$.messages[0].content[0].type", row(turn("user", [{"text": "a"}]), SAY)),
    ("field", "nova-micro", converse([{"text": "a"}]) | {"schemaVersion": 1}, "$.schemaVersion", converse([{"text": "a"}])),
    ("normalized", "nova-micro", converse([{"text": "a"}]) | {"schemaVersion": "1"}, "$.schemaVersion", converse([{"text": "a"}])),
    ("loss", "nova-micro", {**PLAIN, "image": 7}, "$.image", PLAIN),
    ("loss", "nova-micro", {**PLAIN, "tool": TOOLS}, "$.tool", PLAIN),
    ("normalized", "nova-micro", {**PLAIN, "id": 7}, "$.id", PLAIN),
    ("loss", "nova-micro", row(ASK, SAY | {"weight": 0}, *MORE), "$.messages[1].weight", LONG),
    ("loss", "nova-micro", row(ASK | {"name": "x"}, SAY), "$.messages[0].name", PLAIN),
    ("loss", "claude-3-haiku", row(turn("user", [text("a"), text("b")]), SAY), "$.messages[0]", row(turn("user", [text("a")]), SAY)),
    ("loss", GPT, WITH_REASONING, "$.messages[1]", PLAIN),
    ("role", "nova-micro", row(turn("bot", "a"), SAY), "$.messages[0].role", row(turn("developer", "a"), ASK, SAY)),
    ("role", "nova-micro", row(turn(None, "a"), SAY), "$.messages[0].role", PLAIN),
    ("turns", "nova-micro", row(ASK), "$.messages[0]", PLAIN),
    ("turns", "claude-3-haiku", row(SAY, ASK, SAY), "$.messages[0]", PLAIN),
    ("turns", "llama-3-1-8b", row(ASK, ASK, SAY), "$.messages[1]", LONG),
    ("turns", "titan-text-express", row(SYSTEM), "$", PLAIN),
    ("last-turn", GPT, row(ASK, SAY, ASK), "$.messages[2]", PLAIN),
    ("no-answer", GPT, row(ASK), "$.messages", PLAIN),
    ("no-answer", GPT, row(ASK, SAY | {"weight": 0}), "$.messages", row(ASK, SAY | {"weight": 0}, *MORE)),
    ("system-place", "nova-micro", row(ASK, SYSTEM, SAY), "$.messages[1]", row(SYSTEM, ASK, SAY)),
    ("system-place", "claude-3-haiku", row(SYSTEM, SYSTEM, ASK, SAY), "$.messages[1]", row(SYSTEM, ASK, SAY)),
    ("system-texts", "llama-3-3-70b", row(turn("system", [text("a"), text("b")]), ASK, SAY), "$.messages[0]", row(SYSTEM, ASK, SAY)),
    ("empty-text", "nova-micro", asked(" \n\u3000"), "$.messages[0]", asked("\u200b")),
    ("empty-text", "llama-3-1-8b", answered(""), "$.messages[1]", answered("0")),
    ("turns", "nova-micro", row(tools=TOOLS), "$", PLAIN),
    ("empty-text", "nova-micro", row(turn("user", []), SAY), "$.messages[0].content", PLAIN),
    ("blank-part", "nova-micro", row(turn("user", [text("a"), text(" ")]), SAY), "$.messages[0]", row(turn("user", [text("a"), text(".")]), SAY)),
    ("weight", GPT, row(ASK, SAY | {"weight": 2}), "$.messages[1].weight", row(ASK, SAY | {"weight": 1})),
    ("preference", GPT, {**PREFERENCE, "preferred_output": [SAY, SAY]}, "$.preferred_output", PREFERENCE),
    ("preference", "nova-micro", PREFERENCE, "$", PLAIN),
    ("unsupported-tools", "llama-3-3-70b", WITH_TOOLS, "$.messages[1]", PLAIN),
    ("unsupported-tools", "llama-3-1-8b", row(ASK, SAY, tools=TOOLS), "$.tools", PLAIN),
    ("tool-definition", "nova-micro", tool(description=" "), "$.tools[0]", tool()),
    ("tool-definition", "nova-micro", tool(parameters={}), "$.tools[0]", tool(parameters={"type": "object"})),
    ("tool-definition", "nova-micro", row(ASK, SAY, tools=TOOLS * 2), "$.tools[0]", row(ASK, SAY, tools=TOOLS)),
    ("tool-name", GPT, tool(name="the weather"), "$.tools[0]", tool(name="the-weather_2")),
    ("tool-call", "nova-micro", called(name="stocks"), "$.messages[1]", WITH_TOOLS),
    ("tool-result", "nova-micro", row(ASK, CALL, RESULT | {"tool_call_id": "other"}, SAY, tools=TOOLS), "$.messages[2]", WITH_TOOLS),
    ("tool-result", GPT, row(ASK, CALL, RESULT, RESULT, SAY, tools=TOOLS), "$.messages[2]", WITH_TOOLS),
    ("tool-arguments", "nova-micro", called(arguments="[1]"), "$.messages[1].tool_calls[0].function.arguments", called(arguments="{}")),
    ("tool-arguments", GPT, called(arguments='{"a": 1, "a": 2}'), "$.messages[1].tool_calls[0].function.arguments", called(arguments='{"a": {"a": 2}}')),
    ("tools-undefined", "nova-micro", row(ASK, CALL, RESULT, SAY), "$.messages[1]", WITH_TOOLS),
    ("legacy-functions", "nova-micro", LEGACY, "$.messages[1].function_call", WITH_TOOLS),
    ("unanswered-call", GPT, row(ASK, CALL, ASK, SAY, tools=TOOLS), "$.messages[1]", row(ASK, CALL, tools=TOOLS)),
    ("unsupported-media", "nova-micro", WITH_IMAGE, "$.messages[0]", PLAIN),
    ("unsupported-media", "llama-3-2-11b", row(turn("user", [VIDEO]), SAY), "$.messages[0]", WITH_IMAGE),
    ("unsupported-media", "nova-lite", row(turn("user", [{"type": "input_audio", "input_audio": {}}]), SAY), "$.messages[0].content[0]", WITH_IMAGE),
    ("media-source", "nova-lite", row(turn("user", [image("https://example.com/a.png")]), SAY), "$.messages[0]", WITH_IMAGE),
    ("media-source", "nova-lite", row(turn("user", [image("s3://bucket/a b.png")]), SAY), "$.messages[0]", row(turn("user", [image("s3://bucket/a_b.png")]), SAY)),
    ("media-source", GPT4O, WITH_IMAGE, "$.messages[0]", row(turn("user", [image("data:image/png;base64,AAAA")]), SAY)),
    ("media-source", GPT4O, row(turn("user", [image("file:///etc/passwd")]), SAY), "$.messages[0]", row(turn("user", [image("https://example.com/a")]), SAY)),
    ("media-format", "nova-lite", row(turn("user", [image("s3://bucket/a.bmp")]), SAY), "$.messages[0]", row(turn("user", [image("s3://bucket/a.jpg")]), SAY)),
    ("media-format", "nova-2-lite", row(turn("user", [VIDEO | {"video_url": {"url": "s3://bucket/clip.webm"}}]), SAY), "$.messages[0]", WITH_IMAGE),
    ("sources-disagree", "nova-2-lite", row(turn("user", [image("s3://bucket/a.webp")]), SAY), "$.messages[0]", WITH_IMAGE),
    ("media-size", GPT4O, row(turn("user", [image("data:image/png;base64," + "A" * 14_000_000)]), SAY), "$.messages[0]", row(turn("user", [image("data:image/png;base64," + "A" * 13_900_000)]), SAY)),
    ("media-format", GPT4O, row(turn("user", [image("https://example.com/a.gif")]), SAY), "$.messages[0]", row(turn("user", [image("https://example.com/a.webp")]), SAY)),
    ("media-count", "nova-lite", row(turn("user", [image()] * 11), SAY), "$", row(turn("user", [image()] * 10), SAY)),
    ("media-count", "nova-pro", row(turn("user", [VIDEO, VIDEO]), SAY), "$", row(turn("user", [VIDEO]), SAY)),
    ("media-mix", "nova-pro", row(turn("user", [VIDEO, image()]), SAY), "$", row(turn("user", [VIDEO]), SAY)),
    ("media-role", "nova-lite", row(ASK, turn("assistant", [text("a"), image()])), "$.messages[1]", WITH_IMAGE),
    ("reasoning", "nova-micro", WITH_REASONING, "$.messages[1]", PLAIN),
    ("reasoning", "nova-2-lite", row(ASK, SAY | {"reasoning_content": " "}), "$.messages[1]", WITH_REASONING),
    ("reserved-word", "nova-micro", asked("say: SuperUser: hello"), "$.messages[0]", asked("say to the user : hello")),
    ("reserved-word", "nova-micro", asked("say: USER: hello"), "$.messages[0]", asked("say USER hello")),
    ("reserved-word", "nova-2-lite", row(turn("system", "<image>"), ASK, SAY), "$.messages[0]", row(turn("system", "< image >"), ASK, SAY)),
    ("reserved-word-unsure", "nova-micro", asked("say: uSeR: hello"), "$.messages[0]", asked("say to the user : hello")),
    ("reserved-word-unsure", "nova-2-lite", row(turn("system", "<Image>"), ASK, SAY), "$.messages[0]", row(turn("system", "< image >"), ASK, SAY)),
    ("reserved-word", "nova-pro", asked("the end[EOS]"), "$.messages[0]", asked("[E O S]")),
    ("reserved-word", "claude-3-haiku", answered("a\nHuman: b"), "$.messages[1]", answered("Human: b\nhuman: c")),
    ("reserved-word-unsure", "nova-micro", answered("System: down"), "$.messages[1]", answered("the system is down")),
    ("reserved-word-unsure", "nova-micro", asked("Thought: none"), "$.messages[0]", asked("a thought")),
    ("special-token", "llama-3-1-8b", row(SYSTEM, turn("user", "<|eot_id|>"), SAY), "$.messages[1]", {"prompt": "<|eot_id|>", "completion": "a"}),
    ("special-token", "titan-text-lite", row(SYSTEM, turn("user", "a\nBot:"), SAY), "$.messages[1]", row(SYSTEM, turn("user", "a Bot:"), SAY)),
    ("tokens", "nova-micro", asked("a" * 4 * 32_000), "$", asked("a" * 4 * 25_000)),
    ("tokens", "cohere-command", {"prompt": "a" * 4 * 4097, "completion": "b"}, "$.prompt", {"prompt": "a" * 4 * 3200, "completion": "b" * 4 * 1600}),
    ("tokens", "cohere-command", {"prompt": "a", "completion": "b" * 4 * 2049}, "$.completion", {"prompt": "a", "completion": "b"}),
    ("tokens-near", "llama-3-3-70b", asked("a" * 4 * 13_000), "$", asked("a" * 4 * 12_000)),
    ("tokens-truncated", GPT, asked("a" * 4 * 65_537), "$", asked("a" * 4 * 50_000)),
    ("type-marker", "nova-micro", answered('<<CUSTOM-TYPE-START-IDENTIFIER>>[{"type"'), "$.messages[1]", answered("<<CUSTOM-TYPE>>")),
    ("object-as-text", "nova-micro", asked("Image(url=data:image/png;base64,<IMAGE_BASE_64_ENCODED(96)>)"), "$.messages[0]", asked("<IMG>")),
    ("object-as-text", GPT, asked("<__main__.Plain object at 0x7f0a>"), "$.messages[0]", asked("an object at 0x7f0a")),
    ("data-as-text", "llama-3-1-8b", asked("data:image/png;base64,iVBORw0KGgo"), "$.messages[0]", asked("data: image/png; base64")),
    ("tool-call-as-text", "nova-micro", answered('{"name": "weather", "arguments": {}}'), "$.messages[1]", asked('{"name": "weather", "arguments": {}}')),
    ("tool-call-as-text", "nova-micro", answered("<tool_call>weather"), "$.messages[1]", answered("<tools>")),
    ("tool-call-as-text", GPT, answered('{"tool_calls": []}'), "$.messages[1]", answered('{"calls": []}')),
    ("none-as-answer", "nova-micro", answered("[[ ## answer ## ]]\nNone\n\n[[ ## completed ## ]]\n"), "$.messages[1]", answered("[[ ## answer ## ]]\nNone of them\n\n[[ ## completed ## ]]\n")),
    ("answer-in-prompt", "nova-micro", row(ASK, turn("assistant", "a" * 201), ASK, turn("assistant", "a" * 201)), "$.messages[3]", row(ASK, SAY, ASK, SAY)),
    ("unfinished-answer", "nova-micro", row(DEMANDS, ASK, turn("assistant", "[[ ## answer ## ]]\nfo")), "$.messages[2]", row(DEMANDS, ASK, turn("assistant", "fo\n\n[[ ## completed ## ]]\n"))),
    ("incomplete-demo", "nova-micro", row(OF_DSPY, turn("user", "This is an example of the task, though some input or output fields are not supplied.\n\n"), turn("assistant", "[[ ## completed ## ]]")), "$.messages[1]", row(DEMANDS, ASK, turn("assistant", "[[ ## completed ## ]]"))),
    ("none-as-answer", "nova-micro", answered("<answer>\nNone\n</answer>"), "$.messages[1]", answered("<answer>\nNone of them\n</answer>")),
    ("preference", GPT, {**PREFERENCE, "non_preferred_output": [SAY]}, "$.non_preferred_output", PREFERENCE),
    ("preference", GPT, {**PREFERENCE, "input": {"messages": []}}, "$.input.messages", PREFERENCE),
    ("field", "nova-micro", converse([{"text": "a"}], toolConfig=[]), "$.toolConfig", converse([{"text": "a"}])),
    ("normalized", "nova-micro", converse([{"text": "a"}], toolConfig={"tools": []}), "$.toolConfig", converse([{"text": "a"}])),
    ("field", GPT, row(ASK, json.loads(json.dumps(CALL).replace('"function", "function"', '"custom", "function"')), RESULT, SAY, tools=TOOLS), "$.messages[1].tool_calls[0].type", WITH_TOOLS),
    ("role", "nova-micro", row({"role": [], "content": "a"}, SAY), "$.messages[0].role", PLAIN),
    ("empty-text", "nova-micro", row(turn("system", ""), ASK, SAY), "$.messages[0]", row(SYSTEM, ASK, SAY)),
    ("loss", GPT, CALLS_FIRST, "$.messages[1]", PLAIN),
    ("media-source", "nova-lite", row(turn("user", [image("s3://bucket/a//b.png")]), SAY), "$.messages[0]", WITH_IMAGE),
    ("transcript", "claude-3-haiku", asked("User: hi\nBot: hello"), "$.messages[0]", asked("Bot: hello")),
    ("transcript", GPT, asked("Q: hi\nBot: hello"), "$.messages[0]", asked("a bot: hello")),
]  # fmt: skip
RENDERED = {"prompt": "<|begin_of_text|>a", "completion": "b"}
OF_THE_FILE = {
    "record-count",
    "few-records",
    "file-size",
    "duplicates",
    "overlap",
    "mixed-content",
    "near-duplicates",
    "mixed-rendering",
    "unsupported-validation-data",
    "line-length",
}


def look(record, key, **options):
    """Convert a record or a line."""
    if isinstance(record, dict) and "preferred_output" in record and key == GPT:
        options |= {"record_format": "preference"}
    line = record if isinstance(record, bytes) else orjson.dumps(record)
    return convert_record(line, Target.create(CATALOG[key], **options))


@pytest.mark.parametrize(("rule", "key", "bad", "path", "good"), CASES)
def test_rule_finds_the_bad_record_and_not_the_good_one(rule, key, bad, path, good):
    result = look(bad, key)
    found = [problem for problem in result.problems if problem.rule == rule]
    assert found, [problem.rule for problem in result.problems]
    assert path in (None, found[0].path)
    is_error = RULES[rule].severity is Severity.ERROR
    assert (result.line is None) is (is_error or rule == "blank-line")
    good_one = look(good, key)
    assert rule not in [problem.rule for problem in good_one.problems]
    assert good_one.line is not None


def test_deprecated_functions_are_converted_to_tools():
    said = json.loads(look(LEGACY, GPT).line)
    call = said["messages"][1]["tool_calls"][0]
    assert call["function"] == CALL["tool_calls"][0]["function"]
    assert said["messages"][2] == RESULT | {"tool_call_id": call["id"], "name": "weather"}
    assert said["tools"] == TOOLS


def test_many_warnings_do_not_hide_an_error():
    blank = turn("user", [text("a"), text(" ")])
    turns = [message for _ in range(150) for message in (blank, SAY)]
    found = look(row(*turns, turn("user", "User: hi"), SAY), "nova-micro")
    assert found.line is None
    assert {"blank-part", "reserved-word"} == {problem.rule for problem in found.problems}


def test_every_rule_has_a_test():
    assert {*RULES} == {rule for rule, *_ in CASES} | OF_THE_FILE


def test_every_rule_has_a_requirement_and_a_source():
    for rule in RULES.values():
        assert rule.requirement
        assert rule.source


@pytest.mark.parametrize(
    "case", [case for case in CASES if RULES[case[0]].can_be_ignored], ids=lambda case: case[0]
)
def test_rules_that_can_be_ignored(case):
    rule, key, bad, _, _ = case
    assert rule not in [found.rule for found in look(bad, key, ignore=[rule]).problems]


@pytest.mark.parametrize("rule", ["json", "loss", "no such rule", "turns"])
def test_other_rules_can_not_be_ignored(rule):
    with pytest.raises(ConfigError, match="can't be ignored: use"):
        look(PLAIN, "nova-micro", ignore=[rule])


def rules_of(report):
    return {problem.rule for problem in report.problems}


def different(count):
    return [asked(f"question {number}") for number in range(count)]


@pytest.mark.parametrize(
    ("rule", "key", "bad", "good", "options"),
    [
        ("record-count", "nova-micro", different(7), different(8), {}),
        ("record-count", "nova-micro", [], different(8), {}),
        ("record-count", "nova-micro", different(20_001), different(20_000), {}),
        ("record-count", "nova-2-lite", different(199), different(200), {}),
        ("record-count", "llama-3-1-8b", different(99), different(100), {}),
        ("record-count", "claude-3-haiku", different(1001), different(1000), {"validation": True}),
        ("record-count", "claude-3-haiku", different(31), different(32), {"validation": True}),
        ("few-records", "nova-micro", different(199), different(200), {}),
        ("few-records", GPT, different(49), different(50), {}),
        ("unsupported-validation-data", "nova-2-lite", different(8), different(8), {"validation": True}),
        ("duplicates", "nova-micro", [*different(8), *different(1)], different(9), {}),
        ("mixed-content", "nova-lite", [*different(8), WITH_IMAGE], [WITH_IMAGE] * 8, {}),
        ("mixed-rendering", "llama-3-1-8b", [RENDERED, {"prompt": "a", "completion": "b"}], [RENDERED] * 2, {}),
        ("line-length", "nova-micro", [*different(8), asked("a" * 9 * 2**20)], different(8), {}),
        ("file-size", "titan-text-lite", [asked("a" * 10_000)] * 10_001, [asked("a" * 10_000)] * 9000, {"validation": True}),
    ],
)  # fmt: skip
def test_file_rule_finds_the_bad_file_and_not_the_good_one(rule, key, bad, good, options):
    assert rule in rules_of(check(bad, CATALOG[key], **options))
    if rule == "unsupported-validation-data":
        options = {}
    assert rule not in rules_of(check(good, CATALOG[key], **options))


def test_validation_data_is_checked_against_training_data():
    nova = CATALOG["nova-micro"]
    both = check(different(9)[8:], nova, validation=True, against=different(9))
    assert "overlap" in rules_of(both)
    apart = check(different(9)[8:], nova, validation=True, against=different(8))
    assert "overlap" not in rules_of(apart)
    llama = CATALOG["llama-3-1-8b"]
    many = [{"prompt": f"{number}", "completion": "a"} for number in range(10_000)]
    assert "record-count" in rules_of(check(different(1), llama, validation=True, against=many))


def test_documentation_lists_all_rules():
    """`WRITE_DOCS=1` updates the page."""
    import os

    page = Path(__file__).parents[2] / "docs/training-data-rules.md"
    rows = "\n".join(
        f"| `{rule.name}` | {rule.severity.value} | {rule.requirement} | {'yes' if rule.can_be_ignored else ''} | {rule.source} |"
        for rule in RULES.values()
    )
    head, _, _ = page.read_text().partition("| rule |") if page.exists() else ("", "", "")
    expected = f"{head}| rule | severity | requirement | can be ignored | source |\n| --- | --- | --- | --- | --- |\n{rows}\n"
    if os.environ.get("WRITE_DOCS"):
        page.write_text(expected)
    assert expected == page.read_text()


def test_messages_contain_no_text_of_the_data():
    secret = "Hilda Whitcher, 078-05-1120"
    for _, key, bad, _, _ in CASES:
        if isinstance(bad, dict):
            spoilt = json.loads(
                json.dumps(bad).replace("question", secret).replace("answer", secret)
            )
            for found in look(spoilt, key).problems:
                assert "Hilda" not in found.message + found.path
    odd = {secret: 1, "messages": [{secret: 1, "role": secret, "content": [{"type": secret}]}]}
    for found in look(odd, "nova-micro").problems:
        assert "Hilda" not in found.message + found.path


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"a": b"bytes"}, "can't be encoded as JSON"),
        ({"a": {1, 2}}, "can't be encoded as JSON"),
        ({1: 2}, "Dict key must be str"),
        ({"a": float("nan")}, "NaN"),
        ({"a": 10**30}, "exceeds 64-bit"),
        ({"a": "\ud800"}, "surrogates not allowed"),
    ],
)
def test_values_without_json_type_are_errors(record, words):
    findings = Findings()
    assert encode(record, findings) is None
    assert words in findings.problems[0].message


def test_too_few_records_for_nova_2_lite_name_the_reported_stall():
    (problem,) = check(different(189), CATALOG["nova-2-lite"]).errors
    assert "189 records, the minimum of Nova 2 Lite in AWS's validators is 200" in str(problem)
    assert "stalled three times" in str(problem)
    assert check(different(189), CATALOG["nova-2-lite"], ignore=["record-count"]).errors == ()
    assert "record-count" not in rules_of(check(different(189), CATALOG["nova-lite"]))
