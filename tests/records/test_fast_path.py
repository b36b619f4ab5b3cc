"""The fast path writes what the slow path writes, and nothing that may break a rule."""

import json

import orjson
import pytest

from tunestack.catalog import CATALOG
from tunestack.records.chunk import Pieces
from tunestack.records.fast_path import FastPath
from tunestack.records.slow_path import examine
from tunestack.records.source import Lines
from tunestack.records.target import Target
from tunestack.records.text_rules import COMPLETED, DSPY, INCOMPLETE

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
def test_fast_path_writes_what_the_slow_path_writes(key):
    target = Target.of(CATALOG[key], source="chat")
    odd = list(lines())
    copied = 0
    for line in odd:
        among = [*[PLAIN] * 40, line]
        outs, _, unsure = FastPath(target).convert([part + b"\n" for part in among])
        examined = examine(line, target)
        if 40 in unsure:
            assert outs[40] == b"", line
            continue
        copied += 1
        assert (outs[40], examined.found, examined.losses) == (examined.line, (), ()), line
    assert len(odd) / 8 < copied < len(odd)


def test_escaped_texts_take_the_fast_path():
    target = Target.of(CATALOG["nova-micro"], source="chat")
    escaped = PLAIN.replace(b"Ho", b"\\u0041")
    piece, out = Pieces(target, 10).look(Lines([escaped + b"\n"] * 100, 0))
    assert (piece.unsure, out.count(b"\n")) == (0, 100)
    assert b'"text":"A"' in out


def test_the_comparison_finds_a_fast_path_without_rules(monkeypatch):
    monkeypatch.setattr("tunestack.records.fast_path.search_patterns", lambda *_: ())
    with pytest.raises(AssertionError):
        test_fast_path_writes_what_the_slow_path_writes("nova-micro")
