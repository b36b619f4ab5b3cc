"""Validation of training files by Bedrock, for each model family, with AWS's messages."""

import json

import pytest

from tests.sandbox.samples import claude_row, completion_row, converse_row, titan_row
from tunestack.catalog import CATALOG
from tunestack_sandbox.bedrock.training_data import InvalidDataError, parse_training_file

MODELS = {model.key: model for model in CATALOG}
NOVA_FORMAT = 'must follow \'{"schemaVersion": "bedrock-conversation-2024"'
PROMPT_FORMAT = (
    'Input data at f.jsonl must follow \'{"prompt": "<input text>", '
    '"completion": "<output text>"}\' format'
)
JSONL = "Unable to parse Amazon S3 file: f.jsonl. Data files must conform to JSONL format."


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def checked(key, content, *, is_validation=False):
    """Validate rows or bytes; return AWS's message, or `None` if they are valid."""
    content = content if isinstance(content, bytes) else lines(content)
    try:
        parse_training_file(content, "f.jsonl", MODELS[key], is_validation=is_validation)
    except InvalidDataError as error:
        return str(error)
    return None


def turn(role, *blocks):
    return {
        "role": role,
        "content": [{"text": row} if isinstance(row, str) else row for row in blocks],
    }


def conversation(*turns, **more):
    return {"schemaVersion": "bedrock-conversation-2024", "messages": list(turns), **more}


IMAGE = {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/i.png"}}}}
VIDEO = {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/v.mp4"}}}}
BITMAP = {"image": {**IMAGE["image"], "format": "bmp"}}
TOOL = {"toolUse": {"toolUseId": "1", "name": "t", "input": {}}}
THINKING = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
ASK, SAY = turn("user", "a"), turn("assistant", "b")


@pytest.mark.parametrize(
    ("key", "row"),
    [
        ("nova-micro", conversation(ASK, SAY, system=[{"text": "s"}])),
        ("nova-micro", conversation(ASK, SAY, ASK, SAY)),
        ("nova-micro", conversation(ASK, turn("assistant", TOOL), toolConfig={"tools": []})),
        ("nova-lite", conversation(turn("user", "a", IMAGE), SAY)),
        ("nova-pro", conversation(turn("user", VIDEO, "a"), SAY)),
        ("nova-2-lite", conversation(ASK, turn("assistant", THINKING, "b"))),
        ("nova-2-lite", conversation(ASK, turn("assistant", TOOL))),
        ("llama-3-2-11b", conversation(turn("user", IMAGE, "a"), SAY)),
        ("llama-3-3-70b", conversation(ASK, SAY)),
        ("llama-3-1-8b", completion_row(1)),
        ("titan-text-express", titan_row(1)),
        ("titan-text-express", completion_row(1)),
        ("claude-3-haiku", claude_row(1)),
        ("cohere-command", completion_row(1)),
    ],
)
def test_each_family_accepts_its_record_format(key, row):
    assert checked(key, [row] * 100) is None


@pytest.mark.parametrize(
    ("key", "row"),
    [
        ("nova-micro", {"messages": [ASK, SAY]}),
        ("nova-micro", conversation(ASK, SAY, schemaVersion="other")),
        ("nova-micro", conversation(ASK, SAY, extra=1)),
        ("nova-micro", conversation(SAY, ASK)),
        ("nova-micro", conversation(ASK)),
        ("nova-micro", conversation(ASK, ASK)),
        ("nova-micro", conversation(ASK, SAY, ASK)),
        ("nova-micro", conversation(turn("system", "s"), SAY)),
        ("nova-micro", conversation(turn("user", " "), SAY)),
        ("nova-micro", conversation({"role": "user", "content": "a"}, SAY)),
        ("nova-micro", conversation(turn("user", IMAGE, "a"), SAY)),
        ("nova-micro", conversation(ASK, turn("assistant", THINKING, "b"))),
        ("nova-lite", conversation(ASK, turn("assistant", IMAGE, "b"))),
        ("nova-lite", conversation(turn("user", *[IMAGE] * 11, "a"), SAY)),
        ("nova-lite", conversation(turn("user", VIDEO, VIDEO, "a"), SAY)),
        ("nova-lite", conversation(turn("user", IMAGE, VIDEO, "a"), SAY)),
        ("nova-lite", conversation(turn("user", BITMAP, "a"), SAY)),
        ("nova-2-lite", conversation(turn("user", VIDEO, IMAGE, "a"), SAY)),
        ("llama-3-3-70b", conversation(ASK, turn("assistant", TOOL))),
        ("llama-3-2-1b", conversation(turn("user", IMAGE, "a"), SAY)),
        ("llama-3-2-11b", conversation(turn("user", VIDEO, "a"), SAY)),
        ("nova-micro", completion_row(1)),
    ],
)
def test_an_invalid_converse_record_is_rejected(key, row):
    assert NOVA_FORMAT in checked(key, [converse_row(1)] * 99 + [row])


@pytest.mark.parametrize("key", ["llama-3-1-8b", "cohere-command", "titan-text-express"])
@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "a"},
        {"prompt": "a", "completion": ""},
        {"prompt": "a", "completion": 1},
        {"prompt": "a", "completion": "b", "more": "c"},
        {"input": "a", "output": "b"},
        converse_row(1),
    ],
)
def test_an_invalid_prompt_completion_record_is_rejected(key, row):
    assert checked(key, [completion_row(1)] * 99 + [row]) == PROMPT_FORMAT


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"system": ""},
        {"messages": []},
        {"messages": [{"role": "user", "content": "a"}]},
        {"messages": [{"role": "user", "content": [{"text": "a"}]}] * 2},
        {"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]},
    ],
)
def test_an_invalid_claude_record_is_rejected(change):
    rows = [claude_row(n) for n in range(32)] + [claude_row(1) | change]
    assert 'must follow \'{"system": "<text>"' in checked("claude-3-haiku", rows)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json\n",
        b'{"prompt": "a"\n',
        b"[]\n",
        lines([completion_row(1)]) + b"\n" + lines([completion_row(2)]),
        b"\xef\xbb\xbf" + lines([completion_row(1)]),
        b'{"prompt": "\xff", "completion": "b"}\n',
        b'{"prompt": "a", "completion": NaN}\n',
        b'{"prompt": ' + b"[" * 100_000 + b"\n",
    ],
    ids=["empty", "text", "cut off", "a list", "blank line", "BOM", "not UTF-8", "NaN", "deep"],
)
def test_an_invalid_jsonl_file_is_rejected(content):
    assert checked("llama-3-1-8b", content) == JSONL


def test_the_cause_is_returned_with_the_message_of_aws():
    with pytest.raises(InvalidDataError) as error:
        parse_training_file(
            lines([completion_row(1), {"prompt": "a"}]),
            "f",
            MODELS["cohere-command"],
            is_validation=False,
        )
    assert error.value.reason is not None
    assert error.value.reason.startswith("line 2: ")


@pytest.mark.parametrize(
    ("key", "row", "count", "is_validation", "words"),
    [
        ("nova-micro", converse_row, 7, False, "is 7, the minimum is 8"),
        ("nova-micro", converse_row, 1, True, None),
        ("nova-micro", converse_row, 20_001, False, "is 20001, the maximum is 20000"),
        ("llama-3-1-8b", completion_row, 99, False, "is 99, the minimum is 100"),
        ("claude-3-haiku", claude_row, 31, False, "is 31, the minimum is 32"),
        ("claude-3-haiku", claude_row, 1001, True, "is 1001, the maximum is 1000"),
    ],
)
def test_record_count_limits(key, row, count, is_validation, words):
    found = checked(key, [row(n) for n in range(count)], is_validation=is_validation)
    assert found == words or words in found


@pytest.mark.parametrize(
    ("key", "prompt", "completion", "words"),
    [
        ("titan-text-express", 4 * 4096, 4, "Max sum of input and output token length"),
        ("cohere-command", 4 * 4096 + 4, 4, "Maximum input token count 4098 exceeds limit of 4096"),
        (
            "cohere-command",
            4,
            4 * 2048 + 4,
            "Maximum output token count 2050 exceeds limit of 2048",
        ),
        ("cohere-command", 4 * 4000, 4 * 2000, None),
    ],
)
def test_token_limits_of_a_record(key, prompt, completion, words):
    row = {"prompt": "a" * prompt, "completion": "b" * completion}
    found = checked(key, [row] * 32)
    assert found == words or words in found


@pytest.mark.parametrize(
    "word", ["User:", "Chat-Bot:", "ASSISTANT:", "System:", "<image>", "[EOS]"]
)
def test_reserved_words_of_nova_are_rejected_in_prompts_only(word):
    rows = [conversation(turn("user", f"a {word} b"), SAY)] * 8
    system = [conversation(ASK, SAY, system=[{"text": word}])] * 8
    answered = [conversation(ASK, turn("assistant", word))] * 8
    assert "Reserved keyword" in checked("nova-micro", rows)
    assert "Reserved keyword" in checked("nova-micro", system)
    assert checked("nova-micro", answered) is None
    in_lower_case = [conversation(turn("user", word.lower()), SAY)] * 8
    assert word.islower() or checked("nova-micro", in_lower_case) is None


def test_reserved_words_of_claude_are_rejected():
    row = claude_row(1)
    row["messages"][1]["content"] = "b\nHuman: c"
    assert "Reserved keyword Human:" in checked("claude-3-haiku", [row] * 32)
