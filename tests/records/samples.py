"""Records for the tests of training data, and a generator of conversations."""

import random
from typing import Any

SYSTEM = {"role": "system", "content": "be brief"}
ASK = {"role": "user", "content": "question"}
SAY = {"role": "assistant", "content": "answer"}
MORE = [{"role": "user", "content": "and then?"}, {"role": "assistant", "content": "nothing"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tell the weather.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
CALL: Any = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {
            "id": "call-1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":"Bonn"}'},
        }
    ],
}
RESULT = {"role": "tool", "tool_call_id": "call-1", "content": "rain"}


def turn(role, content):
    return {"role": role, "content": content}


def row(*messages, **more):
    return {"messages": list(messages), **more}


def image(url="s3://bucket/cat.png", **more):
    return {"type": "image_url", "image_url": {"url": url, **more}}


def text(words):
    return {"type": "text", "text": words}


PLAIN = row(ASK, SAY)
SYSTEMATIC = row(SYSTEM, ASK, SAY)
LONG = row(SYSTEM, ASK, SAY, *MORE)
WITH_TOOLS = row(ASK, CALL, RESULT, SAY, tools=TOOLS)
WITH_IMAGE = row(turn("user", [text("what is it?"), image()]), SAY)
WITH_REASONING = row(ASK, SAY | {"reasoning_content": "let me see"})
PREFERENCE = {
    "input": {"messages": [SYSTEM, ASK]},
    "preferred_output": [SAY],
    "non_preferred_output": [turn("assistant", "worse")],
}

# Characters that often cause faults.
_ALPHABET = [
    *"abc XYZ 0123 .,;!?-_/\\\"'{}[]()<>|#%&*+=@^`~$",
    "\n", "\t", "\r", "\b", "\f", "\x00", "\x1f", "\x7f", "\x85", "\u2028", "\u2029", "\ufeff",
    "é", "ß", "日", "本", "😀", "👩‍🚀", "\U0010ffff", "\u0131", "\u0130", "\u017f",
]  # fmt: skip
# Texts that look like structure, or contain reserved keywords.
_ODD = [
    "[[ ## answer ## ]]\n", "\nBot:", "\nUser:", "User", "</s>", "<s>", "[INST]", "<|eot_id|>", "%b", "%s", "TEXT1TEXT",
    '"role":"user"', '"}, {"role": "', "\\u0041", "\\n",
]  # fmt: skip


class Generator:
    """Generates conversations in OpenAI's chat format, the same for each seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self, longest=30):
        words = self.random.choices(_ALPHABET, k=self.random.randint(1, longest))
        if self.random.random() < 0.1:
            words.insert(self.random.randint(0, len(words)), self.random.choice(_ODD))
        return "".join(words) if "".join(words).strip() else "x"

    def content(self, *, images):
        kind = self.random.random()
        if kind < 0.7:
            return self.text()
        parts = [text(self.text()) for _ in range(self.random.randint(1, 3))]
        if images and kind > 0.85:
            place = self.random.randint(0, len(parts))
            form = self.random.choice(["png", "jpg", "gif", "webp"])
            parts.insert(place, image(f"s3://bucket/folder/{self.random.randint(0, 99)}.{form}"))
        return parts

    def conversation(self, *, tools=False, images=False, weights=False):
        messages = []
        if self.random.random() < 0.5:
            messages.append(turn("system", self.text()))
        record = {"messages": messages}
        with_tools = tools and self.random.random() < 0.4
        if with_tools:
            record["tools"] = TOOLS
        for number in range(self.random.choice([1, 1, 1, 2, 3, 5])):
            messages.append(turn("user", self.content(images=images)))
            if with_tools and self.random.random() < 0.6:
                messages += self.call(number)
            answer = turn("assistant", self.content(images=False))
            if weights and self.random.random() < 0.2:
                answer["weight"] = self.random.choice([0, 1])
            if weights and self.random.random() < 0.1:
                messages[-1]["name"] = "somebody"
            messages.append(answer)
        return record

    def call(self, number):
        calls, results = [], []
        for place in range(self.random.randint(1, 2)):
            identifier = f"call-{number}-{place}"
            arguments = '{"city":"' + self.random.choice(["Bonn", "東京", "x"]) + '"}'
            calls.append(
                {
                    "id": identifier,
                    "type": "function",
                    "function": {"name": "weather", "arguments": arguments},
                }
            )
            results.append({"role": "tool", "tool_call_id": identifier, "content": self.text(5)})
        said = {"role": "assistant", "content": self.random.choice([None, self.text(5)])}
        return [said | {"tool_calls": calls}, *results]
