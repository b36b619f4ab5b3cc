"""`tunestack data`: a file with twenty mistakes, and valid files."""

import gzip
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.records.samples import ASK, CALL, LONG, PLAIN, RESULT, SAY, TOOLS, image, row, text, turn
from tunestack.cli.commands import run

TUNESTACK = Path(sys.executable).with_name("tunestack")


def line(record):
    return json.dumps(record)


# The line, the rule, the path, and a part of the message.
MISTAKES = [
    (line(row(turn("human", "hi"), SAY)), "role", "$.messages[0].role", "invalid role 'human'"),
    (line(row(turn("user", "User: hi"), SAY)), "reserved-word", "$.messages[0]", "'User:'"),
    ("", "blank-line", "$", "empty"),
    ("{'messages': []}", "json", "$", "double quotes"),
    (line([PLAIN]), "object", "$", "an array"),
    (line(row(ASK)), "turns", "$.messages[0]", "the last message must be the assistant message"),
    (line(row(ASK, ASK, SAY)), "turns", "$.messages[1]", "in a row"),
    (line(row(ASK, turn("assistant", "  "))), "empty-text", "$.messages[1]", "is empty"),
    (line(PLAIN | {"images": []}), "loss", "$.images", "no such field"),
    (line(PLAIN | {"id": 7}), "normalized", "$.id", "metadata"),
    (line(row(ASK, SAY | {"weight": 0}, *LONG["messages"][3:])), "loss", "$.messages[1].weight", "does not support weights"),
    (line(row(turn("user", [text("see"), image("https://example.com/a.png")]), SAY)), "media-source", "$.messages[0]", "s3://"),
    (line(row(turn("user", [image("s3://bucket/a.bmp")]), SAY)), "media-format", "$.messages[0]", "png"),
    (line(row(turn("user", 5), SAY)), "field", "$.messages[0].content", "a number"),
    (line({"message": []}), "field", "$.messages", "expected an array"),
    ('{"messages": [], "messages": []}', "double-key", "$", "twice"),
    (line(row(ASK, CALL, RESULT | {"tool_call_id": "x"}, SAY, tools=TOOLS)), "tool-result", "$.messages[2]", "not the result of an earlier call"),
    (line(row(turn("user", "x" * 200_000), SAY)), "tokens", "$", "32,000"),
    (line(row(ASK, turn("assistant", "<<CUSTOM-TYPE-START-IDENTIFIER>>"))), "type-marker", "$.messages[1]", "DSPy"),
    (line(PLAIN) + line(PLAIN), "json", "$", "two records"),
    (line(row(ASK, turn("assistant", "[[ ## a ## ]]\nNone"))), "none-as-answer", "$.messages[1]", "None"),
    ('{"messages": [{"role": "user", "content": "' + "\udcff" + '"}]}', "encoding", "$", "UTF-8"),
]  # fmt: skip


@pytest.fixture
def invalid_file(tmp_path):
    """Return a file with a valid record, and a mistake on each of the other lines."""
    file = tmp_path / "invalid_file.jsonl"
    lines = [line(PLAIN), *(bad for bad, *_ in MISTAKES)]
    file.write_bytes("\n".join(lines).encode("utf-8", "surrogateescape"))
    return file


@pytest.fixture
def good(tmp_path):
    """Return a file that is valid for every model."""
    file = tmp_path / "good.jsonl"
    rows = [
        row(turn("user", f"number {number}?"), turn("assistant", "so")) for number in range(200)
    ]
    file.write_text("".join(line(record) + "\n" for record in rows))
    return file


def test_check_reports_every_mistake_with_line_and_path(invalid_file, capsys):
    assert run(["data", "check", str(invalid_file), "-m", "nova-lite", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    content = invalid_file.read_bytes().split(b"\n")
    for number, (_, rule, path, words) in enumerate(MISTAKES, start=2):
        offset = sum(len(before) + 1 for before in content[: number - 1])
        found = [
            problem
            for problem in report["problems"]
            if (problem["line"], problem["rule"], problem["path"]) == (number, rule, path)
        ]
        assert found, (number, rule, path, [p for p in report["problems"] if p["line"] == number])
        assert offset == found[0]["offset"]
        assert words in found[0]["message"]


def test_check_prints_a_readable_report(invalid_file, capsys):
    assert run(["data", "check", str(invalid_file), "-m", "nova-lite", "--limit", "100"]) == 1
    said = capsys.readouterr().out
    assert "22 records (chat) for nova-lite (bedrock-conversation-2024): invalid" in said
    assert "line 2, $.messages[0].role: invalid role 'human'" in said
    assert all(rule in said for _, rule, _, _ in MISTAKES)


@pytest.mark.parametrize(
    "model", ["nova-micro", "claude-3-haiku", "llama-3-1-8b", "titan-text-express", "gpt-4.1"]
)
def test_convert_writes_a_valid_file(good, tmp_path, capsys, model):
    made = tmp_path / "made.jsonl"
    assert run(["data", "convert", str(good), "-m", model, "-o", str(made), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert 200 == said["records"] == made.read_bytes().count(b"\n")
    assert said["bytes"] == made.stat().st_size
    # The converted file is detected as the format of the model.
    assert run(["data", "check", str(made), "-m", model]) == 0
    capsys.readouterr()


def test_convert_keeps_an_existing_file_if_there_are_errors(good, invalid_file, tmp_path, capsys):
    made = tmp_path / "made.jsonl"
    made.write_text("before")
    made.chmod(0o600)
    assert run(["data", "convert", str(invalid_file), "-m", "nova-micro", "-o", str(made)]) == 1
    assert made.read_text() == "before"
    assert run(["data", "convert", str(good), "-m", "nova-micro", "-o", str(made)]) == 0
    assert made.read_bytes().startswith(b"{")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert {"made.jsonl", "good.jsonl", "invalid_file.jsonl"} == {
        file.name for file in tmp_path.iterdir()
    }
    capsys.readouterr()


def test_on_loss_report_counts_losses(tmp_path, capsys):
    file = tmp_path / "in.jsonl"
    file.write_text("".join(line(PLAIN | {"images": number}) + "\n" for number in range(9)))
    assert run(["data", "check", str(file), "-m", "nova-micro"]) == 1
    assert run(["data", "check", str(file), "-m", "nova-micro", "--on-loss", "report"]) == 0
    assert "9 x $.images: this format has no such field" in capsys.readouterr().out


def test_ignore_skips_a_rule(tmp_path, capsys):
    file = tmp_path / "in.jsonl"
    file.write_text(line(PLAIN))
    assert run(["data", "check", str(file), "-m", "nova-micro"]) == 1
    assert run(["data", "check", str(file), "-m", "nova-micro", "--ignore", "record-count"]) == 0
    assert run(["data", "check", str(file), "-m", "nova-micro", "--ignore", "json"]) == 2
    assert "can't be ignored" in capsys.readouterr().err


def test_report_prints_token_statistics(good, capsys):
    assert run(["data", "report", str(good), "-m", "nova-micro"]) == 0
    said = capsys.readouterr().out
    assert "tokens, estimated as a quarter of the bytes" in said
    assert "####" in said


def test_split_is_reproducible_and_keeps_questions_together(tmp_path, capsys):
    file = tmp_path / "in.jsonl"
    rows = [
        {"prompt": f"q{number % 40}", "completion": f"a{number}", "id": number}
        for number in range(400)
    ]
    file.write_text("".join(line(record) + "\n" for record in rows))

    def split(name, *more):
        training, validation = tmp_path / f"{name}-t", tmp_path / f"{name}-v"
        command = ["data", "split", str(file), "-t", str(training), "-v", str(validation), *more]
        assert run(command) == 0
        return training.read_text(), validation.read_text()

    first = split("a")
    assert first == split("b")
    assert first != split("c", "--seed", "1")
    assert sorted(file.read_text().splitlines()) == sorted("".join(first).splitlines())
    asked = [{json.loads(row)["prompt"] for row in side.splitlines()} for side in first]
    assert not asked[0] & asked[1]
    assert first[1].count("\n") == 40
    capsys.readouterr()
    shuffled = tmp_path / "in.jsonl"
    shuffled.write_text("".join(line(record) + "\n" for record in reversed(rows)))
    again = split("d")
    assert sorted(first[1].splitlines()) == sorted(again[1].splitlines())


@pytest.mark.parametrize(
    ("places", "code", "words"),
    [
        (["-t", "{file}", "-v", "v"], 2, "the same file"),
        (["-t", "t", "-v", "t"], 2, "the same file"),
        (["-t", "t", "-v", "no/v"], 2, "can't be written"),
        (["-t", "t", "-v", "v", "--fraction", "1"], 2, "between 0 and 1"),
    ],
)
def test_failed_split_changes_no_file(good, tmp_path, capsys, monkeypatch, places, code, words):
    monkeypatch.chdir(tmp_path)
    before = good.read_bytes()
    places = [place.format(file=good.name) for place in places]
    assert code == run(["data", "split", good.name, *places])
    assert words in capsys.readouterr().err
    assert before == good.read_bytes()
    assert [good.name] == [file.name for file in tmp_path.iterdir()]


def test_split_requires_two_questions(tmp_path, capsys):
    file = tmp_path / "in.jsonl"
    file.write_text((line(PLAIN) + "\n") * 5)
    assert (
        run(["data", "split", str(file), "-t", str(tmp_path / "t"), "-v", str(tmp_path / "v")]) == 1
    )
    assert "a split needs at least two" in capsys.readouterr().err
    assert [file] == [*tmp_path.iterdir()]


def test_check_against_training_data(good, tmp_path, capsys):
    other = tmp_path / "other.jsonl"
    other.write_text(line(row(turn("user", "number 7?"), turn("assistant", "so"))))
    assert (
        run(["data", "check", str(other), "-m", "nova-micro", "--against", str(good), "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["counts"] == {"overlap": 1}


@pytest.mark.parametrize("zipped", [False, True])
def test_check_reads_standard_input(good, zipped):
    content = good.read_bytes()
    done = subprocess.run(
        [TUNESTACK, "data", "check", "-", "-m", "nova-micro", "--json"],
        input=gzip.compress(content) if zipped else content,
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["records"] == 200


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["check", "missing.jsonl", "-m", "nova-micro"], 2, "does not exist"),
        (["check", "{file}", "-m", "nova-micrp"], 2, "did you mean 'nova-micro'?"),
        (["check", "{file}", "-m", "nova-micro", "--data-format", "csv"], 2, "unknown data format 'csv': use 'chat', 'completion'"),
        (["check", "{file}", "-m", "nova-micro", "--record-format", "messages"], 2, "does not support the record format"),
        (["check", "{file}", "-m", "nova-micro", "--limit", "0"], 2, "0"),
        (["check", "{file}", "-m", "titan-embed-image"], 2, "images with captions"),
        (["convert", "{file}", "-m", "nova-micro", "-o", "no/such/folder"], 2, "can't be written"),
        (["convert", "{file}", "-m", "nova-micro", "-o", "{file}"], 2, "the same file"),
        (["convert", "{file}", "-m", "nova-micro", "-o", "/dev/full"], 1, "No space left"),
        (["convert", "{file}", "-m", "nova-micro", "-o", "/dev/null"], 0, "wrote /dev/null"),
    ],
)  # fmt: skip
def test_exit_codes_and_messages(good, capsys, arguments, code, words):
    assert code == run(["data", *(argument.format(file=good) for argument in arguments)])
    assert words in capsys.readouterr().err
    assert good.stat().st_size > 1000
    assert Path("/dev/null").is_char_device()
