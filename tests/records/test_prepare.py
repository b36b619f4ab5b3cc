"""Training data: what comes out is what went in, or it is an error that names the line."""

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


def test_chat_becomes_converse(converted):
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


def test_completion_becomes_converse_and_chat_becomes_completion(converted):
    completion = {"prompt": "question", "completion": "answer"}
    assert converted([PLAIN] * 8) == converted([completion] * 8)
    assert [completion] * 100 == converted([PLAIN] * 100, LLAMA)
    assert [completion] * 100 == converted([completion] * 100, LLAMA, data_format="completion")


def test_text_is_kept_to_the_character(converted):
    text = 'é 日本 \u2028 \x85 \t "quoted" \\ 👩‍🚀 '
    records = converted([row(turn("user", text), turn("assistant", text))] * 8)
    assert [text, text] == [message["content"][0]["text"] for message in records[0]["messages"]]


def test_a_file_a_zipped_file_and_an_iterable_are_the_same(converted, tmp_path):
    lines = "".join(json.dumps(PLAIN) + "\n" for _ in range(8)).encode()
    plain, zipped = tmp_path / "in.jsonl", tmp_path / "in.jsonl.gz"
    plain.write_bytes(lines.replace(b"\n", b"\r\n"))
    zipped.write_bytes(gzip.compress(lines))
    expected = converted(PLAIN for _ in range(8))
    assert expected == converted(plain)
    assert expected == converted(str(zipped))


def test_a_problem_is_named_with_its_line_and_nothing_is_written(converted, tmp_path):
    with pytest.raises(DataError, match=r"line 9, \$\.messages: expected a list") as error:
        converted([PLAIN] * 8 + [{}])
    assert "nothing was uploaded: 1 in 9 records" in str(error.value)
    assert error.value.report.bad_records == 1
    assert [*tmp_path.iterdir()] == []


def test_all_problems_are_counted_and_the_first_are_shown(converted):
    with pytest.raises(DataError, match=r"30 in 30 records \(the first 20 of them\)") as error:
        converted([{}] * 30)
    assert len(error.value.problems) == 20


@pytest.mark.parametrize(
    ("rows", "model", "options", "words"),
    [
        ([PLAIN] * 7, NOVA, {}, "has 7 records, Nova Micro needs at least 8"),
        ([], NOVA, {}, "has 0 records"),
        ([PLAIN] * 20_001, NOVA, {}, "takes at most 20,000"),
        ([PLAIN], CATALOG["nova-2-lite"], {"validation": True}, "takes no validation data"),
        ([], NOVA, {"validation": True}, "validation data has 0 records"),
    ],
)
def test_too_few_or_too_many_are_refused(converted, rows, model, options, words):
    with pytest.raises(DataError, match=words):
        converted(rows, model, **options)


def test_a_small_validation_set_is_fine(converted):
    assert len(converted([PLAIN], validation=True)) == 1


def test_an_unknown_format_names_the_known_ones(converted):
    with pytest.raises(ConfigError, match="'grpo_chat' is unknown: use 'chat', 'completion'"):
        converted([PLAIN], data_format="grpo_chat")


@pytest.mark.parametrize("name", ["missing.jsonl", "folder", "broken.jsonl.gz"])
def test_a_file_that_can_not_be_read_is_one_clear_error(converted, tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="can't be read|no whole gzip"):
        converted(tmp_path / name)


def test_what_only_looks_like_a_key_is_fine(converted, tmp_path):
    text = 'say "content": and "content" : twice'
    file = tmp_path / "in.jsonl"
    file.write_text(
        "\n".join(json.dumps(row(turn("user", text), turn("assistant", "a"))) for _ in range(8))
    )
    assert text == converted(file)[0]["messages"][0]["content"][0]["text"]


def test_a_zipped_file_that_breaks_off_is_one_clear_error(converted, tmp_path):
    whole = gzip.compress(
        b"".join(b'{"prompt": "%d", "completion": "a"}\n' % n for n in range(500))
    )
    spoilt = whole[:200] + bytes(200) + whole[400:]
    for content in (whole[:-20], spoilt):
        file = tmp_path / "in.jsonl.gz"
        file.write_bytes(content)
        with pytest.raises(DataError, match="no whole gzip file|not JSON"):
            converted(file)


def test_a_line_that_no_machine_should_hold_is_refused(converted, tmp_path):
    file = tmp_path / "bomb.jsonl.gz"
    with gzip.open(file, "wb", compresslevel=1) as zipped:
        for _ in range(65):
            zipped.write(bytes(2**20))
    with pytest.raises(DataError, match="line 1, .*longer than 8 MiB"):
        converted(file)


@pytest.mark.parametrize("source", [None, 5, b"bytes", {"messages": []}, object(), "a\0b.jsonl"])
def test_what_is_no_data_is_one_clear_error(converted, source):
    with pytest.raises(DataError, match="training data"):
        converted(source)


def test_a_full_disk_is_one_clear_error():
    with pytest.raises(DataError, match="'/dev/full' can't be written: .*No space left"):
        prepare([PLAIN] * 8, NOVA, Path("/dev/full"))


def test_what_the_callers_own_data_raises_is_the_callers(converted):
    def rows():
        yield PLAIN
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        converted(rows())


def test_training_and_validation_are_counted_together_where_the_model_does(tmp_path):
    completion = {"prompt": "q", "completion": "a"}
    training = prepare([completion] * 9_999, LLAMA, tmp_path / "t")
    validation = prepare([completion] * 2, LLAMA, tmp_path / "v", validation=True)
    with pytest.raises(DataError, match="10,001 records together, .* at most 10,000"):
        check_together(training, validation)


def test_text_that_is_taken_for_a_path_is_not_quoted(converted):
    with pytest.raises(DataError, match="a text that is no path") as error:
        converted('{"prompt": "SECRET", "completion": "a"}')
    assert "SECRET" not in str(error.value)
