"""The fast path writes the same bytes as the slow path, and nothing that may break a rule."""

import json

import orjson
import pytest

from tunestack.catalog import CATALOG
from tunestack.records.chunks import Chunk
from tunestack.records.fast_path import FastPath
from tunestack.records.pipeline import ChunkConverter
from tunestack.records.slow_path import convert_record
from tunestack.records.target import Target
from tunestack.records.text_rules import COMPLETED, DSPY, INCOMPLETE
from tunestack.records.totals import Totals

PLAIN = orjson.dumps(
    {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
)
BLANK = ["", " ", "\t\n", "\u00a0", "\u0085", "\u1680", "\u2003 ", "\u3000", "\x1f", "\x0b\x0c"]
TEXTS = [
    *BLANK,
    *(f"{blank}ink" for blank in BLANK),
    *("User:", "the bOT: says", "\\", "\\u", "/", 'a "quoted" word', '{"tool_calls"', "é", "日本"),
    *("<unk>", "<IMAGE>", "[eos]", "data:image/png;base64,AAAA", "< 0x1>", "\u2028", "\x7f", "😀"),
    *("<a at 0x>", "<module.Name object at 0x7f>", "[[ ## a ## ]]\nNone", "<a>\nNone\n</a>"),
    *('{ "name": "f", "arguments": {}}', "<tool_call>", "<function=f>", "<PDF_BASE_64_ENCODED(1"),
]
RAW = [
    "1",
    "null",
    "true",
    "[]",
    '["Hi"]',
    "{}",
    '{"a": 1}',
    "-0.5",
    '"\\/"',
    '"\\ud800"',
    '"\\u0041"',
]


def lines():
    for text in TEXTS:
        for ascii_only in (True, False):
            for asked, said in ((text, "Ho"), ("Hi", text)):
                messages = [
                    {"role": "user", "content": asked},
                    {"role": "assistant", "content": said},
                ]
                yield json.dumps({"messages": messages}, ensure_ascii=ascii_only).encode()
                messages.insert(0, {"role": "system", "content": text})
                yield orjson.dumps({"messages": messages})
    yield from (PLAIN.replace(b'"Ho"', raw.encode()) for raw in RAW)
    yield from (PLAIN.replace(b'"Hi"', raw.encode()) for raw in RAW)
    yield PLAIN.replace(b"Ho", b"\xff")
    yield PLAIN.replace(b"Ho", b"\xed\xa0\x80")
    yield PLAIN.replace(b"Ho", b"a\tb")
    yield PLAIN.replace(b'"content":"Ho"', b'"content":"Hm","content":"Ho"')
    yield PLAIN.replace(b'"messages":[', b'"messages":   [')
    yield dspy("an answer", "a question")
    yield dspy(COMPLETED, "a question")
    yield dspy(COMPLETED, f"a demo, {INCOMPLETE}")


def dspy(answer, question):
    contents = (f"{COMPLETED} {DSPY}", question, answer)
    roles = ("system", "user", "assistant")
    return orjson.dumps(
        {
            "messages": [
                {"role": role, "content": text} for role, text in zip(roles, contents, strict=True)
            ]
        }
    )


@pytest.mark.parametrize("key", ["nova-micro", "claude-3-haiku", "llama-3-1-8b", "gpt-4.1-nano"])
def test_fast_path_writes_the_same_bytes_as_the_slow_path(key):
    target = Target.create(CATALOG[key], source="chat")
    odd = list(lines())
    decided = 0
    for line in odd:
        converted = FastPath(target).convert([PLAIN + b"\n", line + b"\n"])
        result = convert_record(line, target)
        if 1 in converted.remaining:
            assert converted.lines[1] == b"", line
            continue
        decided += 1
        assert (converted.lines[1], result.problems, result.losses) == (result.line, (), ()), line
    assert len(odd) / 8 < decided < len(odd)


def test_escaped_texts_take_the_fast_path():
    target = Target.create(CATALOG["nova-micro"], source="chat")
    escaped = PLAIN.replace(b"Ho", b"\\u0041")
    converted = FastPath(target).convert([escaped + b"\n"] * 100)
    assert (len(converted.sizes), converted.remaining) == (100, [])
    totals = Totals(target, 10)
    output = ChunkConverter(totals).convert(Chunk([escaped + b"\n"] * 100))
    assert output.count(b'"text":"A"') == totals.records == 100


def test_comparison_finds_a_fast_path_without_rules(monkeypatch):
    monkeypatch.setattr("tunestack.records.fast_path.create_searches", lambda *_: ())
    with pytest.raises(AssertionError):
        test_fast_path_writes_the_same_bytes_as_the_slow_path("nova-micro")
