"""Training data is converted without changes of its content, or there is an error with the line."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from tunestack.catalog import CATALOG
from tunestack.errors import ConfigError, DataError
from tunestack.records import check_together, prepare

NOVA, LLAMA = CATALOG["nova-micro"], CATALOG["llama-3-1-8b"]


def turn(role, content):
    return {"role": role, "content": content}


def row(*messages):
    return {"messages": list(messages)}


PLAIN = row(turn("user", "question"), turn("assistant", "answer"))
LONG = row(
    turn("system", "be brief"),
    turn("user", [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]),
    turn("assistant", "three"),
    turn("user", "four"),
    turn("assistant", "five"),
)


@pytest.fixture
def converted(tmp_path):
    def convert(rows, model=NOVA, **options):
        dataset = prepare(rows, model, tmp_path / "out.jsonl", **options)
        content = dataset.path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == dataset.sha256
        assert content.count(b"\n") == dataset.records
        return [json.loads(line) for line in content.splitlines()]

    return convert


def test_chat_is_converted_to_converse(converted):
    records = converted([PLAIN] * 7 + [LONG])
    assert records[0] == {
        "schemaVersion": "bedrock-conversation-2024",
        "messages": [
            {"role": "user", "content": [{"text": "question"}]},
            {"role": "assistant", "content": [{"text": "answer"}]},
        ],
    }
    assert records[7] == {
        "schemaVersion": "bedrock-conversation-2024",
        "system": [{"text": "be brief"}],
        "messages": [
            {"role": "user", "content": [{"text": "one"}, {"text": "two"}]},
            {"role": "assistant", "content": [{"text": "three"}]},
            {"role": "user", "content": [{"text": "four"}]},
            {"role": "assistant", "content": [{"text": "five"}]},
        ],
    }


def test_completion_is_converted_to_converse_and_back(converted):
    completion = {"prompt": "question", "completion": "answer"}
    assert converted([PLAIN] * 8) == converted([completion] * 8)
    assert converted([PLAIN] * 100, LLAMA, rendering="raw") == [completion] * 100
    assert [completion] * 100 == converted([completion] * 100, LLAMA, data_format="completion")


def test_text_is_not_changed(converted):
    text = 'é 日本 \u2028 \x85 \t "quoted" \\ 👩‍🚀 '
    records = converted([row(turn("user", text), turn("assistant", text))] * 8)
    assert [text, text] == [message["content"][0]["text"] for message in records[0]["messages"]]


def test_file_gzip_file_and_iterable_give_the_same_dataset(converted, tmp_path):
    lines = "".join(json.dumps(PLAIN) + "\n" for _ in range(8)).encode()
    plain, zipped = tmp_path / "in.jsonl", tmp_path / "in.jsonl.gz"
    plain.write_bytes(lines.replace(b"\n", b"\r\n"))
    zipped.write_bytes(gzip.compress(lines))
    expected = converted(PLAIN for _ in range(8))
    assert expected == converted(plain)
    assert expected == converted(str(zipped))


def test_error_has_the_line_and_nothing_is_written(converted, tmp_path):
    with pytest.raises(DataError, match=r"line 9, \$\.messages: expected an array") as error:
        converted([PLAIN] * 8 + [{}])
    assert "nothing was uploaded: 1 in 9 records" in str(error.value)
    assert error.value.report.invalid_records == 1
    assert [*tmp_path.iterdir()] == []


def test_error_counts_all_problems_and_lists_the_first(converted):
    rows = [row(turn(f"role{number}", "a")) for number in range(30)]
    with pytest.raises(DataError, match=r" in 30 records \(the first 20 are listed\)") as error:
        converted(rows)
    assert len(error.value.problems) == 20


def test_problem_of_many_records_is_listed_once(converted):
    with pytest.raises(DataError, match=r"30 in 30 records\n") as error:
        converted([{}] * 30)
    assert list(error.value.problems) == [
        "lines 1, 2, 3 and 27 more, $.messages: expected an array of messages, found no value [field]"
    ]


@pytest.mark.parametrize(
    ("rows", "model", "options", "words"),
    [
        ([PLAIN] * 7, NOVA, {}, "has 7 records, the minimum of Nova Micro is 8"),
        ([], NOVA, {}, "has 0 records"),
        ([PLAIN] * 20_001, NOVA, {}, "the maximum of Nova Micro is 20,000"),
        ([PLAIN], CATALOG["nova-2-lite"], {"validation": True}, "does not support validation data"),
        ([], NOVA, {"validation": True}, "validation data has 0 records"),
    ],
)
def test_too_few_or_too_many_records_are_errors(converted, rows, model, options, words):
    with pytest.raises(DataError, match=words):
        converted(rows, model, **options)


def test_small_validation_set_is_valid(converted):
    assert len(converted([PLAIN], validation=True)) == 1


def test_unknown_format_lists_the_known_ones(converted):
    with pytest.raises(
        ConfigError, match="unknown data format 'grpo_chat': use 'chat', 'completion'"
    ):
        converted([PLAIN], data_format="grpo_chat")


@pytest.mark.parametrize("name", ["missing.jsonl", "folder", "broken.jsonl.gz"])
def test_unreadable_file_is_a_clear_error(converted, tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="can't be read|is a folder|not a complete gzip"):
        converted(tmp_path / name)


def test_texts_that_look_like_keys_are_valid(converted, tmp_path):
    text = 'say "content": and "content" : twice'
    file = tmp_path / "in.jsonl"
    file.write_text(
        "\n".join(json.dumps(row(turn("user", text), turn("assistant", "a"))) for _ in range(8))
    )
    assert text == converted(file)[0]["messages"][0]["content"][0]["text"]


def test_truncated_gzip_file_is_a_clear_error(converted, tmp_path):
    whole = gzip.compress(
        b"".join(b'{"prompt": "%d", "completion": "a"}\n' % n for n in range(500))
    )
    spoilt = whole[:200] + bytes(200) + whole[400:]
    for content in (whole[:-20], spoilt):
        file = tmp_path / "in.jsonl.gz"
        file.write_bytes(content)
        with pytest.raises(DataError, match="not a complete (gzip|compressed) file|invalid JSON"):
            converted(file)


def test_line_of_more_than_a_gibibyte_is_an_error(converted, tmp_path):
    file = tmp_path / "bomb.jsonl.gz"
    with gzip.open(file, "wb", compresslevel=1) as zipped:
        for _ in range(65):
            zipped.write(b"x" * 2**20)
    with pytest.raises(DataError, match="line 1, .*longer than 8 MiB"):
        converted(file)


@pytest.mark.parametrize("source", [None, 5, b"bytes", {"messages": []}, object(), "a\0b.jsonl"])
def test_invalid_source_is_a_clear_error(converted, source):
    with pytest.raises(DataError, match="training data"):
        converted(source)


def test_full_disk_is_a_clear_error():
    with pytest.raises(DataError, match="'/dev/full' can't be written: .*No space left"):
        prepare([PLAIN] * 8, NOVA, Path("/dev/full"))


def test_errors_of_the_callers_iterator_are_not_translated(converted):
    def rows():
        yield PLAIN
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        converted(rows())


def test_limit_of_training_and_validation_records_together(tmp_path):
    completion = {"prompt": "q", "completion": "a"}
    training = prepare([completion] * 9_999, LLAMA, tmp_path / "t")
    validation = prepare([completion] * 2, LLAMA, tmp_path / "v", validation=True)
    with pytest.raises(DataError, match="10,001 records together, the maximum of .* is 10,000"):
        check_together(training, validation)


def test_json_text_instead_of_a_path_is_not_quoted(converted):
    with pytest.raises(DataError, match="JSON text, not a path") as error:
        converted('{"prompt": "SECRET", "completion": "a"}')
    assert "SECRET" not in str(error.value)
