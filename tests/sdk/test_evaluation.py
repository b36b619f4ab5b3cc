"""Evaluations: their results, and where they are stored."""

import json
import math
from contextlib import suppress
from dataclasses import fields
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest

from tunestack.errors import ConfigError, CostError, DataError
from tunestack.evaluation.spec import EvaluationSpec

NUMBERS = ("p50", "p90", "p95", "p99")


@pytest.fixture
def held_out(chat):
    """Ten questions of the training data, and ten with an answer that the model did not learn."""
    other = [
        {
            "messages": [row["messages"][0], {"role": "assistant", "content": "Unknown."}],
            "topic": "new",
        }
        for row in chat[10:]
    ]
    return [*({**row, "topic": "old"} for row in chat[:10]), *other]


@pytest.fixture
def evaluate(job, tmp_path):
    """Return a function that evaluates the model of a job, on its endpoint."""
    job.start_endpoint()
    yield lambda data, **arguments: job.evaluate(data, cache=tmp_path / "cache", **arguments)
    job.stop_endpoint()


def test_models_are_compared(evaluate, held_out, job):
    evaluation = evaluate(
        held_out,
        against=["base", "large=nova-pro"],
        by="topic",
        metrics=["exact_match", "token_f1"],
    )
    model, base, large = evaluation.models
    assert (model.model, base.model, large.model) == (
        job.model,
        "us.amazon.nova-micro-v1:0",
        "us.amazon.nova-pro-v1:0",
    )
    assert model.values["exact_match"] == 0.5
    assert base.values["exact_match"] == large.values["exact_match"] == 0
    assert model.breakdown == {
        "new": {"records": 10, "exact_match": 0, "token_f1": 0},
        "old": {"records": 10, "exact_match": 1, "token_f1": 1},
    }
    assert (evaluation.records, evaluation.total, evaluation.job) == (20, 20, job.id)
    assert model.input_tokens > 0
    assert all(model.latency[name] > 0 for name in NUMBERS)
    first = evaluation.comparisons[0]
    assert (first.other, first.metric, first.difference) == ("base", "exact_match", 0.5)
    low, high = first.interval
    assert 0.2 < low < 0.5 < high < 0.8
    assert evaluation.sentences[0] == (
        f"better than base by 50.0 points of exact match, 95 % interval {100 * low:.1f} to {100 * high:.1f}"
    )
    assert evaluation.settings["temperature"] == 0
    assert "fewer than 30 records" in evaluation.notes[0]


def test_results_are_stored_beside_the_output_of_the_job(evaluate, held_out, tmp_path, sandbox):
    evaluation = evaluate(held_out, against=["base"], output=tmp_path / "results")
    deployment = sandbox.deployment("us-east-1")
    prefix = f"s3://{deployment.data_bucket}/{deployment.outputs_prefix}evaluations/"
    assert evaluation.uri.startswith(prefix)
    key = evaluation.uri.removeprefix(f"s3://{deployment.data_bucket}/")
    s3 = boto3.client("s3")
    for name in ("evaluation.json", "records.jsonl", "records.parquet"):
        stored = s3.get_object(Bucket=deployment.data_bucket, Key=f"{key}/{name}")["Body"].read()
        assert stored == (tmp_path / "results" / name).read_bytes()
    document = json.loads((tmp_path / "results" / "evaluation.json").read_text())
    assert document["id"] == evaluation.id
    assert document["comparisons"][0]["interval"] == list(evaluation.comparisons[0].interval)
    lines = (tmp_path / "results" / "records.jsonl").read_text().splitlines()
    rows = list(map(json.loads, lines))
    assert len(rows) == 40
    assert rows[0]["question"] == "What is number 0?"
    assert rows[0]["answer"] == rows[0]["expected"] == "It is 0."
    assert rows[0]["exact_match"] == 1
    table = pq.read_table(tmp_path / "results" / "records.parquet")
    assert table.num_rows == 40
    assert table.column("exact_match").to_pylist() == [row["exact_match"] for row in rows]


def test_stored_answers_are_not_asked_again(evaluate, held_out, requests, job):
    first = evaluate(held_out, against=["base"])
    job.stop_endpoint()
    before = requests.sdk_counts["bedrock-runtime", "Converse"]
    second = evaluate(held_out, against=["base"], metrics=["exact_match", "rouge_l"])
    assert requests.sdk_counts["bedrock-runtime", "Converse"] == before
    assert second.models[0].values["exact_match"] == first.models[0].values["exact_match"]
    assert second.models[0].latency == first.models[0].latency


def test_prompt_is_sent_before_each_record(evaluate, held_out, chat):
    prompt = [
        {"role": "system", "content": "Answer with one sentence."},
        {"role": "user", "content": "What is number 3?"},
        {"role": "assistant", "content": "It is 3."},
    ]
    evaluation = evaluate(
        held_out[:10], against=["base", "prompted=nova-micro"], prompts={"prompted": prompt}
    )
    # A base model of the sandbox answers as the nearest example in the conversation.
    assert evaluation.model("prompted").values["exact_match"] == 0.1
    assert evaluation.model("base").values["exact_match"] == 0
    with pytest.raises(ConfigError, match="invalid prompt of 'base'"):
        evaluate(held_out, against=["base"], prompts={"base": prompt[:2]})
    with pytest.raises(ConfigError, match="unknown model 'pro' in prompts or prices"):
        evaluate(held_out, against=["base"], prompts={"pro": "x"})


def test_judge_that_always_prefers_the_first_answer_decides_nothing(
    evaluate, held_out, west, tuner, chat
):
    """Both orders are asked, so the preference for a position cancels out."""
    always = [
        {"messages": [row["messages"][0], {"role": "assistant", "content": "A"}]} for row in chat
    ]
    judge = tuner.submit("nova-micro", always).wait()
    judge.start_endpoint()
    evaluation = evaluate(
        held_out, against=["base"], judge=judge.model, require=["judge>=0.5", "judge>base"]
    )
    judge.stop_endpoint()
    judged = evaluation.comparisons[-1]
    assert (judged.metric, judged.difference, judged.interval) == ("judge", 0, (0, 0))
    assert [gate.passed for gate in evaluation.gates] == [True, False]


def test_model_at_openai_is_evaluated(tuner, chat, tmp_path):
    job = tuner.submit("gpt-4o-mini-2024-07-18", chat).wait()
    evaluation = job.evaluate(
        chat,
        against=["base"],
        cache=tmp_path,
        prices={"base": (0.15, 0.6)},
        max_cost=1,
        require=["exact_match>=base+0.5", "cost<=base*3"],
    )
    assert evaluation.models[0].values["exact_match"] == 1
    assert evaluation.models[0].cost_per_1000 > 0
    assert evaluation.uri is None
    assert evaluation.passed
    assert " x the cost" in evaluation.sentences[0]


def test_model_that_is_trained_on_prompts_gets_its_training_prompts(west, completions, tmp_path):
    job = west.submit("llama-3-1-8b", completions, rendering="raw").wait()
    with pytest.warns(match="billed by the hour"):
        evaluation = job.evaluate(completions[:20], cache=tmp_path, start_endpoint=True)
    assert evaluation.models[0].values["exact_match"] == 1
    assert evaluation.models[0].output_tokens > 0
    assert list(west.endpoints()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"against": "base"}, "invalid against 'base': use a list"),
        ({"against": ["model=nova-pro"]}, "invalid name 'model'"),
        ({"against": ["base", "base=nova-pro"]}, "the name 'base' is given to two models"),
        ({"workers": 0}, "invalid workers 0: use an integer from 1 to 64"),
        ({"max_cost": -1}, "invalid max_cost -1: use a number from 0"),
        ({"judge": "nova-pro"}, "a judge compares two models"),
        ({"rubric": "short"}, "a rubric needs a judge"),
        ({"limit": 0}, "invalid limit 0"),
        ({"require": ["accuracy>=1"]}, "must start with one of exact_match"),
        ({"against": ["nobody"]}, "unknown model 'nobody'"),
    ],
)
def test_invalid_argument_is_an_error_before_a_model_is_asked(
    job, chat, arguments, message, tmp_path
):
    with pytest.raises(ConfigError, match=message):
        job.evaluate(chat, cache=tmp_path, **arguments)


VALUES: tuple[Any, ...] = (
    5,
    2.5,
    "5",
    True,
    None,
    b"5",
    [5],
    [[]],
    {},
    {"base": 5},
    {5: "base"},
    math.nan,
    10**400,
)


@pytest.mark.parametrize("name", [field.name for field in fields(EvaluationSpec)])
def test_arguments_of_other_types_are_errors(name):
    for value in VALUES:
        with suppress(ConfigError):
            EvaluationSpec(**{"model": "nova-micro", name: value})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": 5}, "invalid metrics 5: use a list of names and functions"),
        ({"metrics": [5]}, r"invalid metrics \[5\]"),
        ({"against": [5]}, r"invalid against \[5\]: use a list of models, or a mapping"),
        ({"against": {"other": 5}}, "invalid against"),
        ({"require": [5]}, r"invalid require \[5\]: use a list of conditions"),
        ({"prompts": 5}, "invalid prompts 5: use a mapping of names of models to prompts"),
        ({"prices": 5}, "invalid prices 5: use a mapping"),
        ({"prices": {"model": 3}}, "invalid price 3 of 'model': use US dollars per million"),
        ({"limit": "5"}, "invalid limit '5': use an integer from 1"),
        ({"limit": 2.5}, "invalid limit 2.5: use an integer from 1"),
        ({"max_cost": "5"}, "invalid max_cost '5': use a number from 0"),
        ({"rendering": 5}, "invalid rendering 5: use 'raw' or 'chat-template'"),
        ({"output": 5}, "invalid output 5: use a path"),
    ],
)
def test_message_of_an_argument_of_another_type(arguments, message):
    with pytest.raises(ConfigError, match=message):
        EvaluationSpec(model="nova-micro", **arguments)


def test_model_without_endpoint_is_an_error(job, chat, tmp_path):
    with pytest.raises(ConfigError, match=r"has no endpoint that is ready.*--start-endpoint"):
        job.evaluate(chat, cache=tmp_path)


def test_unknown_price_is_an_error_with_max_cost(job, chat, tmp_path):
    with pytest.raises(CostError, match=r"the price of 'base' .* is unknown.*--price"):
        job.evaluate(chat, against=["base"], max_cost=1, cache=tmp_path)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"messages": [{"role": "user", "content": "?"}]}, "line 2: the last message is not an answer"),
        ({"messages": [{"role": "assistant", "content": "!"}]}, "line 2: there is no question"),
        ({"messages": [{"role": "bot", "content": "!"}]}, "line 2: .*invalid role"),
    ],
)  # fmt: skip
def test_invalid_record_is_an_error_with_its_line(job, chat, tmp_path, record, message):
    with pytest.raises(DataError, match=message):
        job.evaluate([chat[0], record], cache=tmp_path)
