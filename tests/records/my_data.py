"""Files as people have them, for docs/my-data.md and its test: each has two questions with their answers."""

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import zstandard

PAIRS = [("What is number 1?", "It is one."), ("What is number 2?", "It is two.")]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A file, and what is expected of it."""

    title: str
    file: str
    write: Callable[[Path], object]
    options: str = ""
    accepted: bool = True
    system: bool = False
    """Whether its records have a system prompt, `Be brief.`"""
    model: str = "nova-micro"
    section: str = ""


def lines(
    create: Callable[[str, str], object], *, end: str = "\n", encoding: str = "utf-8"
) -> Callable[[Path], object]:
    """Write JSON Lines."""
    text = "".join(json.dumps(create(*pair)) + end for pair in PAIRS)
    return lambda path: path.write_bytes(text.encode(encoding))


def content(data: bytes | str) -> Callable[[Path], object]:
    """Write these bytes."""
    return lambda path: path.write_bytes(data if isinstance(data, bytes) else data.encode())


def chat(question: str, answer: str, *, system: bool = False, **more: object) -> dict[str, object]:
    """Return a record in OpenAI's chat format."""
    first = [{"role": "system", "content": "Be brief."}] if system else []
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": [*first, *turns], **more}


ROWS = [chat(*pair) for pair in PAIRS]
JSONL = "".join(json.dumps(record) + "\n" for record in ROWS)
TABLE = [
    {"question": question, "answer": answer, "id": number}
    for number, (question, answer) in enumerate(PAIRS)
]


def delimited(delimiter: str) -> str:
    """Return the table as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, TABLE[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(TABLE)
    return text.getvalue()


def zipped(*names: str) -> bytes:
    """Return an archive with the same file under several names."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, JSONL)
    return data.getvalue()


def write_excel(path: Path) -> None:
    book = openpyxl.Workbook()
    for row in ([*TABLE[0]], *([*row.values()] for row in TABLE)):
        book.active.append(row)
    book.save(path)


def write_parquet(path: Path) -> None:
    pa.parquet.write_table(pa.Table.from_pylist(ROWS), path)


def write_feather(path: Path) -> None:
    pa.feather.write_feather(pa.Table.from_pylist(TABLE), path, compression="uncompressed")


def write_dataset(path: Path) -> None:
    """Write the files of `datasets.Dataset.save_to_disk`."""
    path.mkdir()
    table = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_stream(path / "data-00000-of-00001.arrow", table.schema) as writer:
        writer.write_table(table)
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": "train"}
    (path / "state.json").write_text(json.dumps(state))
    (path / "dataset_info.json").write_text("{}")


def write_dataset_dict(path: Path) -> None:
    path.mkdir()
    (path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))


def converse(question: str, answer: str, **more: object) -> dict[str, object]:
    """Return a record with the structures of Converse, without schemaVersion."""
    turns = (("user", question), ("assistant", answer))
    return {
        "messages": [{"role": role, "content": [{"text": text}]} for role, text in turns],
        **more,
    }


def invocation_log(request: object, response: object) -> dict[str, object]:
    """Return an entry of Bedrock's model invocation log."""
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-11-01T10:00:00Z",
        "accountId": "123456789012",
        "region": "us-east-1",
        "requestId": "6a1b",
        "operation": "Converse",
        "modelId": "us.amazon.nova-pro-v1:0",
        "input": {
            "inputContentType": "application/json",
            "inputBodyJson": request,
            "inputTokenCount": 9,
        },
        "output": {
            "outputContentType": "application/json",
            "outputBodyJson": response,
            "outputTokenCount": 5,
        },
    }


def user(question: str) -> dict[str, str]:
    return {"role": "user", "content": question}


def choices(answer: str) -> dict[str, object]:
    """Return a response of OpenAI's chat API."""
    message: dict[str, object] = {"role": "assistant", "content": answer, "refusal": None}
    message["annotations"] = []
    return {
        "id": "chatcmpl-1",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }


def anthropic(question: str, answer: str) -> dict[str, object]:
    """Return a conversation in the format of Anthropic's Messages API."""
    turns = (("user", question), ("assistant", answer))
    messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]
    return {"system": [{"type": "text", "text": "Be brief."}], "messages": messages}


FILES = [
    Case(title="JSON Lines", file="data.jsonl", write=content(JSONL)),
    Case(title="JSON Lines with CRLF line ends", file="windows.jsonl", write=content(JSONL.replace("\n", "\r\n"))),
    Case(title="JSON Lines with CR line ends", file="mac.jsonl", write=content(JSONL.replace("\n", "\r"))),
    Case(title="JSON Lines in UTF-16", file="utf16.jsonl", write=content(JSONL.encode("utf-16"))),
    Case(title="JSON Lines with a byte order mark", file="bom.jsonl", write=content(JSONL.encode("utf-8-sig"))),
    Case(title="a JSON array", file="array.json", write=content(json.dumps(ROWS))),
    Case(title="a JSON array on several lines", file="pretty.json", write=content(json.dumps(ROWS, indent=2))),
    Case(title="JSON records on several lines", file="jq.json", write=content("\n".join(json.dumps(row, indent=2) for row in ROWS))),
    Case(title="a JSON array in an object", file="wrapped.json", write=content(json.dumps({"data": ROWS, "count": 2}))),
    Case(title="CSV", file="data.csv", write=content(delimited(","))),
    Case(title="CSV with semicolons", file="excel.csv", write=content(delimited(";"))),
    Case(title="TSV", file="data.tsv", write=content(delimited("\t"))),
    Case(title="CSV in a file that is called .jsonl", file="renamed.jsonl", write=content(delimited(","))),
    Case(title="Excel", file="data.xlsx", write=write_excel),
    Case(title="parquet", file="data.parquet", write=write_parquet),
    Case(title="Feather (Arrow)", file="data.feather", write=write_feather),
    Case(title="a Hugging Face dataset (`save_to_disk`)", file="dataset", write=write_dataset),
    Case(title="a Hugging Face dataset with several splits", file="splits", write=write_dataset_dict, accepted=False),
    Case(title="gzip", file="data.jsonl.gz", write=content(gzip.compress(JSONL.encode()))),
    Case(title="zstd", file="data.jsonl.zst", write=content(zstandard.compress(JSONL.encode()))),
    Case(title="bzip2", file="data.jsonl.bz2", write=content(bz2.compress(JSONL.encode()))),
    Case(title="xz", file="data.jsonl.xz", write=content(lzma.compress(JSONL.encode()))),
    Case(title="a zip archive with one file", file="data.zip", write=content(zipped("train.jsonl"))),
    Case(title="a zip archive with several files", file="several.zip", write=content(zipped("test.jsonl", "train.jsonl")), accepted=False),
    Case(title="a PDF", file="manual.pdf", write=content(b"%PDF-1.7\n"), accepted=False),
    Case(title="a Python pickle", file="data.pkl", write=content(b"\x80\x04\x95\x00"), accepted=False),
    Case(title="a Git LFS pointer", file="lfs.jsonl", write=content("version https://git-lfs.github.com/spec/v1\n"), accepted=False),
    Case(title="a web page", file="download.jsonl", write=content("<!DOCTYPE html>\n<title>Sign in</title>\n"), accepted=False),
    Case(title="another binary file", file="model.bin", write=content(bytes(64)), accepted=False),
    Case(title="Python dictionaries", file="repr.jsonl", write=content("".join(f"{row}\n" for row in ROWS)), accepted=False),
    Case(title="a JSON array that is not complete", file="cut.json", write=content(json.dumps(ROWS)[:-20]), accepted=False),
]  # fmt: skip
RECORDS = [
    Case(title="OpenAI chat", file="chat.jsonl", write=lines(lambda q, a: chat(q, a, system=True)), system=True),
    Case(title="chat with other fields", file="extra.jsonl", write=lines(lambda q, a: chat(q, a, source="forum", score=3))),
    Case(title="prompt and completion", file="completion.jsonl", write=lines(lambda q, a: {"prompt": q, "completion": a})),
    Case(title="prompt, completion and system", file="system.jsonl", write=lines(lambda q, a: {"system": "Be brief.", "prompt": q, "completion": a}), system=True),
    Case(title="Converse (`bedrock-conversation-2024`)", file="converse.jsonl", write=lines(lambda q, a: converse(q, a, schemaVersion="bedrock-conversation-2024"))),
    Case(title="Converse with another schemaVersion (AWS's tool-use set)", file="tooluse.jsonl", write=lines(lambda q, a: converse(q, a, schemaVersion="tooluse-dataset-2024", system=[]))),
    Case(title="Converse without schemaVersion (AWS's set for Nova 2)", file="nova2.jsonl", write=lines(lambda q, a: converse(q, a, system=[{"text": "Be brief."}])), system=True),
    Case(title="Anthropic messages", file="anthropic.jsonl", write=lines(anthropic), system=True),
    Case(title="Claude (`system`, `messages`)", file="claude.jsonl", write=lines(lambda q, a: {"system": "Be brief.", **chat(q, a)}), system=True),
    Case(title="Alpaca", file="alpaca.jsonl", write=lines(lambda q, a: {"instruction": q, "input": "", "output": a})),
    Case(title="Dolly", file="dolly.jsonl", write=lines(lambda q, a: {"instruction": q, "context": "", "response": a, "category": "qa"})),
    Case(title="ShareGPT", file="sharegpt.jsonl", write=lines(lambda q, a: {"conversations": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": q}, {"from": "gpt", "value": a}]}), system=True),
    Case(title="conversations with roles", file="conversations.jsonl", write=lines(lambda q, a: {"conversations": chat(q, a)["messages"]})),
    Case(title="question and answer", file="questions.jsonl", write=lines(lambda q, a: {"question": q, "answer": a})),
    Case(title="input and output", file="io.jsonl", write=lines(lambda q, a: {"input": q, "output": a})),
    Case(title="prompt and response", file="response.jsonl", write=lines(lambda q, a: {"prompt": q, "response": a})),
    Case(title="Gemini", file="gemini.jsonl", write=lines(lambda q, a: {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": [{"role": "user", "parts": [{"text": q}]}, {"role": "model", "parts": [{"text": a}]}]}), system=True),
    Case(title="LangChain messages", file="langchain.jsonl", write=lines(lambda q, a: {"messages": [{"type": "human", "data": {"content": q}}, {"type": "ai", "data": {"content": a}}]})),
    Case(title="Bedrock invocation logs (Converse)", file="logs.json.gz", write=lambda path: path.write_bytes(gzip.compress("\n".join(json.dumps(invocation_log({"system": [{"text": "Be brief."}], "messages": [{"role": "user", "content": [{"text": q}]}]}, {"output": {"message": {"role": "assistant", "content": [{"text": a}]}}, "stopReason": "end_turn"})) for q, a in PAIRS).encode())), system=True),
    Case(title="Bedrock invocation logs (InvokeModel, Llama)", file="llama-logs.jsonl", write=lines(lambda q, a: invocation_log({"prompt": q, "max_gen_len": 512}, {"generation": a, "stop_reason": "stop"}))),
    Case(title="Bedrock invocation logs (InvokeModel, Claude)", file="claude-logs.jsonl", write=lines(lambda q, a: invocation_log({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [user(q)]}, {"type": "message", "content": [{"type": "text", "text": a}]}))),
    Case(title="requests to OpenAI with their responses", file="exchanges.jsonl", write=lines(lambda q, a: {"request": {"model": "gpt-4.1", "messages": [user(q)], "temperature": 0}, "response": choices(a)})),
    Case(title="stored completions of OpenAI", file="stored.jsonl", write=lines(lambda q, a: {"object": "chat.completion", "messages": [user(q)], **choices(a)})),
    Case(title="OpenAI batch requests with answers", file="batch.jsonl", write=lines(lambda q, a: {"custom_id": q, "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4.1", **chat(q, a)}})),
    Case(title="OpenAI batch requests without answers", file="batch-input.jsonl", write=lines(lambda q, _: {"custom_id": q, "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [user(q)]}}), accepted=False),
    Case(title="OpenAI Responses", file="responses.jsonl", write=lines(lambda q, a: {"instructions": "Be brief.", "input": [user(q)], "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": a}]}]}), system=True),
    Case(title="the history of a DSPy LM", file="history.jsonl", write=lines(lambda q, a: {"prompt": None, "messages": [user(q)], "outputs": [a], "cost": 0.1})),
    Case(title="agent traces with null, empty and extra fields", file="traces.jsonl", write=lines(lambda q, a: {"messages": [{**user(q), "timestamp": 1}, {"role": "assistant", "content": a, "refusal": None, "annotations": [], "tool_calls": None}], "parallel_tool_calls": True})),
    Case(title="TRL preferences", file="trl.jsonl", write=lines(lambda q, a: {"prompt": q, "chosen": a, "rejected": "No."}), model="gpt-4.1-mini", options="--record-format preference"),
    Case(title="HH-RLHF preferences", file="hh.jsonl", write=lines(lambda q, a: {"chosen": f"\n\nHuman: {q}\n\nAssistant: {a}", "rejected": f"\n\nHuman: {q}\n\nAssistant: No."}), model="gpt-4.1-mini", options="--record-format preference"),
    Case(title="preferences, for a model without DPO", file="no-dpo.jsonl", write=lines(lambda q, a: {"prompt": q, "chosen": a, "rejected": "No."}), accepted=False),
    Case(title="other fields", file="mine.jsonl", write=lines(lambda q, a: {"ask": q, "say": a}), accepted=False),
    Case(title="other fields, mapped", file="mine.jsonl", write=lines(lambda q, a: {"ask": q, "say": a}), options="--map prompt=ask,completion=say"),
    Case(title="messages in another field, mapped", file="turns.jsonl", write=lines(lambda q, a: {"turns": chat(q, a)["messages"]}), options="--map messages=turns"),
]  # fmt: skip
