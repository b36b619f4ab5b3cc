"""Conversations, the same for each seed, and how each record format writes them. Independent of the SDK's readers."""

import json
from typing import Any

from tests.records.samples import TOOLS, Generator


class Talk:
    """A conversation: events `(system, text)`, `(user, text)`, `(assistant, text)`, `(call, id, name, arguments)`, `(result, id, text)`."""

    def __init__(self, generator, *, turns=3, system=True, tools=True):
        dice = generator.random
        self.events: list[Any] = []
        if system and dice.random() < 0.5:
            self.events.append(("system", generator.text()))
        self.has_tools = bool(tools) and dice.random() < 0.5
        for number in range(dice.randint(1, turns)):
            self.events.append(("user", generator.text()))
            if self.has_tools and dice.random() < 0.7:
                arguments = {"city": dice.choice(["Bonn", "東京", "x"])}
                self.events.append(("call", f"id-{number}", "weather", arguments))
                self.events.append(("result", f"id-{number}", generator.text(5)))
            self.events.append(("assistant", generator.text()))

    @property
    def system(self):
        return next((event[1] for event in self.events if event[0] == "system"), None)

    @property
    def rest(self):
        return [event for event in self.events if event[0] != "system"]

    @property
    def texts(self):
        return [event[1] for event in self.rest]


def chat(talk):
    messages = []
    for kind, *values in talk.events:
        match kind:
            case "call":
                identifier, name, arguments = values
                function = {"name": name, "arguments": json.dumps(arguments)}
                call = {"id": identifier, "type": "function", "function": function}
                messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            case "result":
                messages.append({"role": "tool", "tool_call_id": values[0], "content": values[1]})
            case _:
                messages.append({"role": kind, "content": values[0]})
    return {"messages": messages} | ({"tools": TOOLS} if talk.has_tools else {})


def _split(talk):
    """Return the chat record without its answer, and the answer."""
    record = chat(talk)
    return {**record, "messages": record["messages"][:-1]}, record["messages"][-1]


def _pair(prompt, completion, *, system=False):
    def write(talk):
        record = {prompt: talk.texts[0], completion: talk.texts[1], "id": 1}
        return record | ({"system": talk.system} if system else {})

    return write


def converse(talk):
    messages = []
    for kind, *values in talk.rest:
        match kind:
            case "call":
                use = dict(zip(("toolUseId", "name", "input"), values, strict=True))
                messages.append({"role": "assistant", "content": [{"toolUse": use}]})
            case "result":
                result = {"toolUseId": values[0], "content": [{"text": values[1]}]}
                messages.append({"role": "user", "content": [{"toolResult": result}]})
            case _:
                messages.append({"role": kind, "content": [{"text": values[0]}]})
    record: Any = {"messages": messages}
    if talk.system is not None:
        record["system"] = [{"text": talk.system}]
    if talk.has_tools:
        spec = {"name": "weather", "description": "d", "inputSchema": {"json": {"type": "object"}}}
        record["toolConfig"] = {"tools": [{"toolSpec": spec}]}
    return record


def _invocation_log(talk):
    record = converse(talk)
    *messages, answer = record["messages"]
    request = {**record, "messages": messages, "inferenceConfig": {"maxTokens": 9}}
    return {
        "schemaType": "ModelInvocationLog",
        "input": {"inputBodyJson": request},
        "output": {"outputBodyJson": {"output": {"message": answer}, "stopReason": "end_turn"}},
    }


def _batch(talk):
    return {"custom_id": "1", "method": "POST", "body": {**chat(talk), "model": "gpt"}}


def _exchange(talk):
    request, answer = _split(talk)
    response = {"body": {"choices": [{"index": 0, "message": answer}]}}
    return {"request": {"body": request}, "response": response}


def _completion(talk):
    request, answer = _split(talk)
    return {"id": "x", **request, "choices": [{"index": 0, "message": answer}]}


def _responses(talk):
    items = []
    for kind, *values in talk.rest[:-1]:
        match kind:
            case "call":
                call = {"call_id": values[0], "name": values[1], "arguments": json.dumps(values[2])}
                items.append({"type": "function_call", **call})
            case "result":
                output = {"call_id": values[0], "output": values[1]}
                items.append({"type": "function_call_output", **output})
            case _:
                items.append({"role": kind, "content": values[0]})
    text = [{"type": "output_text", "text": talk.texts[-1]}]
    record = {
        "input": items,
        "output": [{"type": "message", "role": "assistant", "content": text}],
    }
    return record | ({} if talk.system is None else {"instructions": talk.system})


def _history(talk):
    request, answer = _split(talk)
    return {**request, "outputs": [answer["content"]], "usage": {}}


def _anthropic(talk):
    messages = []
    for kind, *values in talk.rest:
        match kind:
            case "call":
                use = dict(zip(("id", "name", "input"), values, strict=True))
                block = {"type": "tool_use", **use}
            case "result":
                block = {"type": "tool_result", "tool_use_id": values[0], "content": values[1]}
            case _:
                block = {"type": "text", "text": values[0]}
        role = {"call": "assistant", "result": "user"}.get(kind, kind)
        messages.append({"role": role, "content": [block]})
    record = {"system": [{"type": "text", "text": talk.system or " "}], "messages": messages}
    tool = {"name": "weather", "description": "d", "input_schema": {"type": "object"}}
    return record | ({"tools": [tool]} if talk.has_tools else {})


def _langchain(talk):
    names = {"user": "human", "assistant": "ai", "system": "system"}
    messages = []
    for kind, *values in talk.events:
        match kind:
            case "call":
                call = dict(zip(("id", "name", "args"), values, strict=True))
                data = {"content": "", "tool_calls": [call]}
                messages.append({"type": "ai", "data": data})
            case "result":
                data = {"content": values[1], "tool_call_id": values[0]}
                messages.append({"type": "tool", "data": data})
            case _:
                messages.append({"type": names[kind], "data": {"content": values[0]}})
    return {"messages": messages}


def _sharegpt(talk):
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    turns = []
    for kind, *values in talk.events:
        match kind:
            case "call":
                call = json.dumps({"name": values[1], "arguments": values[2]})
                turns.append({"from": "function_call", "value": call})
            case "result":
                turns.append({"from": "observation", "value": values[1]})
            case _:
                turns.append({"from": names[kind], "value": values[0]})
    return {"conversations": turns}


def _conversations(talk):
    record = chat(talk)
    record["conversations"] = record.pop("messages")
    return record


def _gemini(talk):
    turns = [
        {"role": "model" if kind == "assistant" else kind, "parts": [{"text": text}]}
        for kind, text in talk.rest
    ]
    record = {"contents": turns}
    return record | (
        {} if talk.system is None else {"systemInstruction": {"parts": [{"text": talk.system}]}}
    )


def _hh(talk):
    names = {"user": "Human", "assistant": "Assistant"}
    parts = [f"\n\n{names[kind]}: {text}" for kind, text in talk.rest]
    return {"chosen": "".join(parts), "rejected": "".join([*parts[:-1], "\n\nAssistant: other"])}


def _trl(talk):
    request, answer = _split(talk)
    other = {"role": "assistant", "content": "other"}
    return {"prompt": request["messages"], "chosen": [answer], "rejected": [other]}


def _alpaca(talk):
    *before, question, answer = talk.texts
    record = {
        "instruction": question,
        "input": "",
        "output": answer,
        "history": [list(pair) for pair in zip(before[::2], before[1::2], strict=True)],
    }
    return record | ({} if talk.system is None else {"system": talk.system})


def _dolly(talk):
    *_, question, answer = talk.texts
    return {"instruction": question, "context": "", "response": answer, "category": "qa"}


def _claude(talk):
    messages = [{"role": kind, "content": text} for kind, text in talk.rest]
    return {"messages": messages} | ({} if talk.system is None else {"system": talk.system})


SINGLE: dict[str, Any] = {"turns": 1, "system": False, "tools": False}
TEXT_ONLY = {"tools": False}
_PAIRS = [
    ("question", "answer"), ("Question", "Answer"), ("query", "response"), ("query", "answer"), ("prompt", "response"),
    ("input", "output"), ("input", "target"), ("inputs", "targets"), ("input_text", "output_text"), ("user", "assistant"),
    ("Prompt", "Completion"),
]  # fmt: skip
WRITERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "Bedrock invocation log": (_invocation_log, {}),
    "OpenAI batch requests": (_batch, {}),
    "requests and responses": (_exchange, {}),
    "OpenAI Responses": (_responses, {}),
    "OpenAI completions": (_completion, {}),
    "DSPy history": (_history, {}),
    "Anthropic messages": (_anthropic, {}),
    "LangChain messages": (_langchain, {}),
    "ShareGPT": (_sharegpt, {}),
    "conversations": (_conversations, {}),
    "Gemini": (_gemini, TEXT_ONLY),
    "HH-RLHF": (_hh, {"system": False, "tools": False}),
    "TRL preferences": (_trl, TEXT_ONLY),
    "Alpaca": (_alpaca, TEXT_ONLY),
    "Dolly": (_dolly, SINGLE),
    **{f"{names[0]}/{names[1]}": (_pair(*names), SINGLE) for names in _PAIRS},
    **{
        f"system/{names[0]}/{names[1]}": (
            _pair(*names, system=True),
            {"turns": 1, "tools": False, "system": "always"},
        )
        for names in [*_PAIRS, ("prompt", "completion")]
    },
    "chat": (chat, {}),
    "completion": (_pair("prompt", "completion"), SINGLE),
    "input-output-text": (_pair("inputText", "outputText"), SINGLE),
    "bedrock-conversation-2024": (converse, {}),
    "messages": (_claude, TEXT_ONLY),
}
"""For each shape and format, the function that writes it, and the content that it can have."""


def generate(name, seed, count):
    """Yield conversations and their records in a format."""
    write, options = WRITERS[name]
    generator = Generator(seed)
    always = options.get("system") == "always"
    while count:
        talk = Talk(generator, **{**options, "system": bool(options.get("system", True))})
        if always and talk.system is None:
            continue
        count -= 1
        yield talk, write(talk)
