"""All prompts of a file are written the same way, and the report says how."""

import json

import pytest

from tunestack.catalog import CATALOG
from tunestack.errors import ConfigError, DataError
from tunestack.records import prepare
from tunestack.records.prepare import check, check_together

LLAMA = CATALOG["llama-3-1-8b"]
HEAD = "<|start_header_id|>{}<|end_header_id|>\n\n"


def question(number, *, system=None):
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": f"question {number}"})
    return {"messages": [*messages, {"role": "assistant", "content": f"answer {number}"}]}


def with_template(number):
    return {
        "prompt": f"<|begin_of_text|>{HEAD.format('user')}question {number}<|eot_id|>{HEAD.format('assistant')}",
        "completion": f"answer {number}",
    }


def raw(number):
    return {"prompt": f"question {number}", "completion": f"answer {number}"}


def hundred(create):
    return [create(number) for number in range(100)]


@pytest.fixture
def convert(tmp_path):
    """Convert records for Llama 3.1; returns the converted records and the rendering."""

    def convert_records(records, **options):
        dataset = prepare(records, LLAMA, tmp_path / "converted.jsonl", **options)
        lines = dataset.path.read_text().splitlines()
        return [json.loads(line) for line in lines], dataset.report.rendering

    return convert_records


def test_messages_are_all_written_with_the_chat_template(convert):
    records = [question(0), question(1, system="be brief"), *hundred(question)]
    converted, rendering = convert(records)
    assert rendering == "chat-template"
    assert all(record["prompt"].startswith("<|begin_of_text|>") for record in converted)
    assert all(record["prompt"].endswith(HEAD.format("assistant")) for record in converted)
    assert converted[2:] == hundred(with_template)


def test_prompts_are_kept(convert):
    assert convert(hundred(raw)) == (hundred(raw), "raw")


def test_prompts_with_the_chat_template_are_kept_and_reported(convert):
    assert convert(hundred(with_template)) == (hundred(with_template), "chat-template")


def test_chat_template_can_be_added_to_prompts(convert):
    records = [*hundred(raw), with_template(100)]
    converted, rendering = convert(records, rendering="chat-template")
    assert rendering == "chat-template"
    assert converted == [with_template(number) for number in range(101)]


def test_single_questions_can_be_written_as_raw_prompts(convert):
    assert convert(hundred(question), rendering="raw") == (hundred(raw), "raw")


def test_raw_prompts_can_not_have_a_system_prompt(convert):
    with pytest.raises(DataError, match="a raw rendering has one prompt and one completion"):
        convert([*hundred(question), question(100, system="be brief")], rendering="raw")


def test_mixed_prompts_are_an_error_with_the_counts(convert):
    with pytest.raises(DataError, match="1 of 101 prompts are written with the chat template"):
        convert([*hundred(raw), with_template(100)])


def test_training_and_validation_data_have_the_same_rendering(tmp_path):
    report = check(hundred(raw), LLAMA, validation=True, against=hundred(question))
    assert "rendering of the prompts is 'chat-template' in the training data" in report.text()
    training = prepare(hundred(question), LLAMA, tmp_path / "training.jsonl")
    validation = prepare(hundred(raw), LLAMA, tmp_path / "validation.jsonl", validation=True)
    with pytest.raises(DataError, match="and 'raw' in the validation data"):
        check_together(training, validation)


def test_models_trained_on_messages_have_no_rendering():
    nova = CATALOG["nova-micro"]
    assert check(hundred(question), nova).rendering is None
    with pytest.raises(ConfigError, match="Nova Micro is trained on messages"):
        check(hundred(question), nova, rendering="raw")
    with pytest.raises(ConfigError, match="invalid rendering 'converse': use 'raw' or 'chat-"):
        check(hundred(question), LLAMA, rendering="converse")
