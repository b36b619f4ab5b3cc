"""The sandbox's checker, which was written from AWS's rules alone, agrees with the rules on valid and invalid records."""

import copy
import json
import random
from collections import Counter

import orjson
import pytest

from tests.records.samples import Generator
from tunestack.catalog import CATALOG, RecordFormat
from tunestack.records.slow_path import convert_record
from tunestack.records.target import Target
from tunestack_sandbox.bedrock.training_data import InvalidDataError, parse_training_file

CONTENT = {
    "nova-micro": {"tools": True},
    "nova-pro": {"tools": True, "images": True},
    "nova-2-lite": {"images": True},
    "llama-3-2-11b": {"images": True},
    "llama-3-2-1b": {},
    "llama-3-3-70b": {},
    "llama-3-1-8b": {},
    "llama-2-70b": {},
    "claude-3-haiku": {},
    "cohere-command": {},
    "titan-text-express": {},
}
WORDS = ["User:", "bot:", "<image>", "[EOS]", "\nHuman:", "\nAssistant:", "Thought:", "<unk>", ""]
VALUES = ["", " ", "x", 7, None, True, [], {}, [{}], ["x"], [{"text": "x"}], {"text": "x"}]
# Rules that are stricter than the documented reasons for which AWS rejects a file.
STRICTER = {
    "type-marker": "nobody means it",
    "tool-call": "AWS's validators, not the service's pages",
    "tool-result": "AWS's validators, not the service's pages",
    "tool-definition": "AWS's validators, not the service's pages",
    "tool-name": "botocore's pattern",
    "media-source": "AWS's validators have fewer characters than S3",
    "media-format": "Nova 2 takes fewer formats by one validator, and more by a guide",
    "system-texts": "AWS's validator for Llama",
    "reasoning": "AWS's validators",
    "loss": "a field that the format does not have: some of AWS's validators overlook it",
    "field": "of what tools are and are called with",
}


class Mutator:
    """Breaks a record in one place."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def spoil(self, record):
        record = copy.deepcopy(record)
        where, key = self.random.choice([*self.places(record)])
        match self.random.randint(0, 6):
            case 0:
                del where[key]
            case 1 if isinstance(where, dict):
                where[self.random.choice(["extra", "text", "name", "role"])] = "x"
            case 2 if isinstance(where, list):
                where.insert(key, copy.deepcopy(self.random.choice(where)))
            case 3 if isinstance(where[key], str):
                cut = self.random.randint(0, len(where[key]))
                word = self.random.choice(WORDS)
                where[key] = where[key][:cut] + word + where[key][cut:]
            case 4 if isinstance(where, list):
                self.random.shuffle(where)
            case 5 if isinstance(where[key], str):
                where[key] = self.random.choice(["user", "assistant", "system", " "])
            case _:
                where[key] = copy.deepcopy(self.random.choice(VALUES))
        return record

    def places(self, value):
        if isinstance(value, dict | list):
            for key in value if isinstance(value, dict) else range(len(value)):
                yield value, key
                yield from self.places(value[key])


def second_opinion(line, model):
    try:
        # As a validation set, which may be of one record.
        parse_training_file(line, "f.jsonl", model, is_validation=True)
    except InvalidDataError as error:
        return str(error), error.reason
    return None


def compare(seed, count):
    """Check valid and broken records with both checkers; return the number of agreements, and the differences."""
    generator, mutator = Generator(seed), Mutator(seed)
    agreed: Counter[str] = Counter()
    stricter: Counter[str] = Counter()
    laxer = []
    for number in range(count):
        key = [*CONTENT][number % len(CONTENT)]
        model = CATALOG[key]
        written = convert_record(
            orjson.dumps(generator.conversation(**CONTENT[key])),
            Target.create(model, source="chat", on_loss="report"),
        )
        if written.line is None:
            continue
        record = json.loads(written.line)
        if number % 3:
            record = mutator.spoil(record)
        target = Target.create(model, source=source_of(model))
        ours = convert_record(orjson.dumps(record), target)
        theirs = second_opinion(orjson.dumps(record) + b"\n", model)
        if (ours.line is None) is (theirs is not None):
            agreed["refused" if theirs else "accepted"] += 1
        elif theirs is None:
            rules = {found.rule for found in ours.problems if found.rule in STRICTER}
            assert rules, (key, record, ours.problems)
            stricter.update(rules)
        elif (remaining := second_opinion(ours.line, model)) is not None:
            laxer.append((key, record, remaining))
        else:  # rewritten, and then valid
            agreed["accepted"] += 1
    return agreed, stricter, laxer


def source_of(model):
    if model.record_format is RecordFormat.COMPLETION:
        return "completion"
    return model.record_format.value


def judge(seed, count):
    agreed, stricter, laxer = compare(seed, count)
    assert laxer[:3] == []
    assert agreed["accepted"] > 0.3 * count
    assert agreed["refused"] > 0.2 * count
    assert stricter.total() < 0.1 * count, stricter
    return agreed, stricter


def test_both_checkers_agree_except_for_stricter_rules():
    judge(1, 6000)


@pytest.mark.campaign
def test_both_checkers_agree_on_a_hundred_thousand_records(record_property):
    agreed, stricter = judge(2, 100_000)
    print(  # noqa: T201 - figures for whoever runs it with -s
        f"agreed: {dict(agreed)}; ours stricter: {dict(stricter.most_common())}"
    )


def test_comparison_finds_a_missing_rule(monkeypatch):
    """Negative control."""
    from tunestack.records import checks

    monkeypatch.setattr(checks, "_check_order", lambda *_: None)
    _, _, laxer = compare(1, 1000)
    assert laxer
