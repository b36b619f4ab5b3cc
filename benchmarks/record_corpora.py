"""Training data for the benchmark, generated: the same bytes on every machine.

The records have the shapes that real training data has: labels and numbers in tickets, quotes and escapes in code,
scripts other than Latin, tool calls, and long documents.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_WORDS = [
    "the",
    "of",
    "parcel",
    "order",
    "with",
    "lamp",
    "has",
    "not",
    "come",
    "where",
    "refund",
    "please",
    "shipping",
    "address",
    "customer",
    "invoice",
    "tent",
    "stock",
    "blue",
    "broken",
    "delivery",
    "tomorrow",
    "week",
    "account",
    "password",
    "reset",
    "email",
    "price",
    "a",
    "to",
    "and",
    "in",
    "that",
    "for",
    "was",
    "on",
    "are",
    "as",
    "you",
    "do",
    "we",
    "will",
    "send",
    "replacement",
    "within",
    "three",
    "working",
    "days",
    "because",
    "carrier",
    "lost",
    "it",
    "near",
    "warehouse",
    "sorry",
    "about",
    "delay",
]
_LABELS = (
    "Order",
    "Customer",
    "Status",
    "Date",
    "Product",
    "Error",
    "Number",
    "Carrier",
    "Next step",
    "Summary",
)
_SCRIPTS = (
    "Où est mon colis ? Il devait arriver hier, et le numéro de suivi ne répond plus.",
    "Die Größe stimmt nicht, ich möchte das Gerät zurückschicken: bitte für Montag abholen.",
    "荷物がまだ届いていません。注文番号を確認してください。",
    "我的包裹在哪里？请尽快发货，谢谢。",  # noqa: RUF001
    "Где моя посылка? Статус: в пути.",
    "أين طردي؟ لم يصل بعد.",
    "मेरा पार्सल कहाँ है? कृपया बताएं।",
    "Thanks a lot 😀 it works now 🎉",
)
_CODE = (
    'def load(path: str) -> dict[str, int]:\n    with open(path, "r") as file:\n        return {row["id"]: int(row["n"]) for row in file}\n',
    'const url = `https://example.com/${id}?q="x"`;\nif (a < b && c > 0) {\n\treturn JSON.parse("{\\"key\\": [1, 2]}");\n}\n',
    'SELECT "name", count(*) FROM orders WHERE path LIKE \'C:\\\\temp\\\\%\' GROUP BY "name";\n',
    '<div class="row" data-id=\'7\'>\n  <a href="/orders?id=1">{{ order.title }}</a>\n</div>\n',
    'match re.search(r"^\\s*(\\d+):\\s*\'(.*)\'$", line):\n    case None: raise ValueError(f"bad line: {line!r}")\n',
)
_SYSTEM = (
    "You answer customers of an outdoor shop. Rules: be brief, be friendly, and never promise a date.\n"
    "Format: one paragraph. Language: that of the customer."
)


class _Texts:
    """Makes texts from a random seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the same texts every time

    def sentence(self, words: int) -> str:
        return " ".join(self._random.choices(_WORDS, k=words)).capitalize() + "."

    def ticket(self, labels: int, words: int) -> str:
        lines = [
            f"{self._random.choice(_LABELS)}: {self._random.randint(1, 10**6)}"
            for _ in range(labels)
        ]
        body = [self.sentence(self._random.randint(6, 18)) for _ in range(words // 12)]
        return "\n".join(lines) + "\n\n" + " ".join(body)

    def code(self, pieces: int) -> str:
        return "```\n" + "".join(self._random.choices(_CODE, k=pieces)) + "```"

    def foreign(self, sentences: int) -> str:
        return " ".join(self._random.choices(_SCRIPTS, k=sentences))

    def number(self) -> int:
        return self._random.randint(1, 10**9)


def _messages(*contents: str) -> dict[str, Any]:
    roles = ("system", "user", "assistant", "user", "assistant")
    return {
        "messages": [
            {"role": role, "content": text} for role, text in zip(roles, contents, strict=False)
        ]
    }


def _ticket(texts: _Texts) -> dict[str, Any]:
    return _messages(_SYSTEM, texts.ticket(6, 84), texts.ticket(2, 60))


def _dialogue(texts: _Texts) -> dict[str, Any]:
    turns = [texts.ticket(2, 36) for _ in range(4)]
    return _messages(_SYSTEM, *turns)


def _code(texts: _Texts) -> dict[str, Any]:
    question = f"{texts.sentence(12)}\n{texts.code(3)}"
    return _messages(_SYSTEM, question, f"{texts.sentence(9)}\n{texts.code(3)}")


def _foreign(texts: _Texts) -> dict[str, Any]:
    return _messages(_SYSTEM, f"{texts.foreign(6)} #{texts.number()}", texts.foreign(5))


def _document(texts: _Texts) -> dict[str, Any]:
    pages = "\n\n".join(texts.ticket(3, 300) for _ in range(15))
    return _messages(_SYSTEM, pages, texts.ticket(4, 120))


def _tool_call(texts: _Texts) -> dict[str, Any]:
    identifier = f"call-{texts.number()}"
    arguments = json.dumps({"order": texts.number(), "reason": texts.sentence(5)})
    function = {"name": "find_order", "arguments": arguments}
    return {
        "messages": [
            {"role": "system", "content": _SYSTEM},
            {"role": "user", "content": texts.ticket(4, 60)},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": identifier, "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": identifier, "content": texts.ticket(3, 12)},
            {"role": "assistant", "content": texts.ticket(0, 40)},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "find_order",
                    "description": "Find an order by its number.",
                    "parameters": {
                        "type": "object",
                        "properties": {"order": {"type": "integer"}, "reason": {"type": "string"}},
                        "required": ["order"],
                    },
                },
            }
        ],
    }


def _mixed(texts: _Texts) -> dict[str, Any]:
    make = (_ticket, _dialogue, _code, _foreign, _ticket)[texts.number() % 5]
    return make(texts)


_BYTES = 27_000_000
"""Size of each corpus, about."""
_MAKERS: dict[str, tuple[Callable[[_Texts], dict[str, Any]], bool]] = {
    "tickets": (_ticket, True),
    "dialogues": (_dialogue, True),
    "code": (_code, True),
    "other scripts": (_foreign, False),
    "other scripts, escaped": (_foreign, True),
    "mixed": (_mixed, False),
    "long documents": (_document, True),
    "tool calls": (_tool_call, True),
}
"""How each corpus is made, and whether its JSON is ASCII only."""
CORPORA = tuple(_MAKERS)
MAIN = "tickets"
"""The corpus that whole commands are measured with."""


def write(path: Path, name: str, *, size: int = _BYTES) -> Path:
    """Write a corpus of about `size` bytes as JSON Lines."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(_lines(name, size))
    return path


def _lines(name: str, size: int) -> Iterator[str]:
    make, ensure_ascii = _MAKERS[name]
    texts = _Texts(1)
    while size > 0:
        line = json.dumps(make(texts), ensure_ascii=ensure_ascii) + "\n"
        size -= len(line.encode())
        yield line
