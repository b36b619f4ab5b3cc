"""The records of a conversation are in the same part of a split, and an overlap of two files is found."""

import json

import pytest

from tunestack.catalog import CATALOG
from tunestack.errors import DataError
from tunestack.records import check, prepare
from tunestack.records.prepare import check_together
from tunestack.records.split import split

NOVA = CATALOG["nova-micro"]


def conversation(number, turns, *, change=str, system=None):
    """Return the first turns of a conversation."""
    messages = [{"role": "system", "content": system}] if system else []
    for turn in range(turns):
        question = change(f"Conversation {number}, turn {turn}?")
        messages += [
            {"role": "user", "content": question},
            {"role": "assistant", "content": f"answer {number}.{turn}"},
        ]
    return {"messages": messages}


def trajectory(number, steps):
    """Return a step of DSPy's ReAct, whose user message grows."""
    thoughts = "".join(f"[[ ## thought_{step} ## ]]\nthinking\n" for step in range(steps))
    text = f"[[ ## question ## ]]\nConversation {number}?\n\n[[ ## trajectory ## ]]\n{thoughts}"
    return {
        "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "content": f"step {steps}"},
        ]
    }


SNAPSHOTS = {
    "growing": lambda number: [conversation(number, turns) for turns in (1, 2, 3)],
    "case": lambda number: [conversation(number, 1), conversation(number, 1, change=str.upper)],
    "spaces": lambda number: [
        conversation(number, 1),
        conversation(number, 1, change=lambda text: f" {text.replace(' ', '  ')}\n"),
    ],
    "system prompt": lambda number: [
        conversation(number, 2, system="Be brief."),
        conversation(number, 2, system="Be polite."),
    ],
    "trajectory": lambda number: [trajectory(number, steps) for steps in (0, 1, 2)],
    "question and answer": lambda number: [
        {"question": f"Conversation {number}?", "answer": answer} for answer in "ab"
    ],
}


@pytest.fixture
def write(tmp_path):
    def write_records(records, name="data.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    return write_records


def numbers(path):
    """Return the conversations in a file."""
    return {
        json.dumps(json.loads(line)).lower().split("conversation ")[1].split("?")[0].split(",")[0]
        for line in path.read_text().replace("  ", " ").splitlines()
    }


@pytest.mark.parametrize("kind", SNAPSHOTS)
def test_records_of_a_conversation_stay_together(write, tmp_path, kind):
    records = [record for number in range(100) for record in SNAPSHOTS[kind](number)]
    training, validation = tmp_path / "training.jsonl", tmp_path / "validation.jsonl"
    made = split(write(records), training, validation)
    assert made.conversations == 100
    assert len(numbers(validation)) == 10
    assert numbers(training) & numbers(validation) == set()


def test_examples_in_front_of_every_question_do_not_make_one_conversation(write, tmp_path):
    example = conversation("example", 1)["messages"]
    records = [
        {"messages": [*example, *conversation(number, 1)["messages"]]} for number in range(100)
    ]
    made = split(write(records), tmp_path / "training.jsonl", tmp_path / "validation.jsonl")
    assert (made.conversations, made.validation_records) == (100, 10)


def test_records_are_grouped_by_a_field(write, tmp_path):
    records = [{**conversation(number, 1), "user": number % 10} for number in range(100)]
    training, validation = tmp_path / "training.jsonl", tmp_path / "validation.jsonl"
    made = split(write(records), training, validation, group_by="user")
    users = [
        {json.loads(line)["user"] for line in path.read_text().splitlines()}
        for path in (training, validation)
    ]
    assert made.conversations == 10
    assert (len(users[0]), len(users[1]), users[0] & users[1]) == (9, 1, set())
    with pytest.raises(DataError, match="line 1 has no field 'team'"):
        split(write(records), training, validation, group_by="team")


def test_parts_have_the_same_share_of_each_value(write, tmp_path):
    records = [
        {**conversation(number, 1), "kind": "rare" if number % 10 == 0 else "common"}
        for number in range(200)
    ]
    validation = tmp_path / "validation.jsonl"
    split(write(records), tmp_path / "training.jsonl", validation, stratify="kind")
    kinds = [json.loads(line)["kind"] for line in validation.read_text().splitlines()]
    assert (kinds.count("rare"), kinds.count("common")) == (2, 18)


def test_overlap_finds_conversations_that_began_in_the_training_data(write, tmp_path):
    training = write([conversation(number, 1) for number in range(20)])
    validation = write([conversation(number, 2) for number in range(18, 30)], "validation.jsonl")
    report = check(validation, NOVA, validation=True, against=training)
    assert "2 conversations of the validation data began in the training data" in report.text()
    made = [
        prepare(path, NOVA, tmp_path / name, validation=name == "b")
        for path, name in ((training, "a"), (validation, "b"))
    ]
    (warning,) = check_together(*made)
    assert warning.startswith("2 conversations of the validation data began in the training data")
    apart = write([conversation(number, 2) for number in range(20, 32)], "apart.jsonl")
    assert "overlap" not in check(apart, NOVA, validation=True, against=training).counts


def asked(question, answer):
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }


def test_near_duplicates_are_reported_on_request():
    questions = ["Where is it?", "Where is it?", "where is  it", "WHERE IS IT?!", "Where was it?"]
    records = [asked(text, "Hier, in Zürich.") for text in questions]
    report = check(records, CATALOG["nova-micro"], find_near_duplicates=True)
    (problem,) = [problem for problem in report.problems if problem.rule == "near-duplicates"]
    assert problem.message.startswith("2 records differ only in case, spaces and punctuation")
    assert "lines 1 and 3" in problem.message
    assert report.duplicates == 1
    assert "near-duplicates" not in check(records, CATALOG["nova-micro"]).counts


def test_texts_in_other_scripts_are_no_near_duplicates():
    records = [asked(text, "x") for text in ("你好", "再见", "1", "2")]
    report = check(records, CATALOG["nova-micro"], find_near_duplicates=True)
    assert "near-duplicates" not in report.counts
