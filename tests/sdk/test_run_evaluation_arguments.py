"""The arguments of the evaluation of a run: checked before anything is uploaded or started."""

import re
from dataclasses import replace

import pytest

from tests.sdk.run_specs import ROWS, build_specs
from tunestack import ConfigError, CostError, DataError, DeploymentError, RunEvaluation
from tunestack.runs.sweep import read_sweep


@pytest.fixture
def sandbox(evaluating_sandbox):
    return evaluating_sandbox


def start(tuner, *, promote=None, **arguments):
    evaluation = RunEvaluation(**{"data": ROWS, **arguments})
    return tuner.start_run(build_specs(1), name="invalid", evaluate=evaluation, promote=promote)


def test_stage_without_the_setting_is_an_error_that_names_it(tuner, list_training_files):
    files = list_training_files()
    with pytest.raises(DeploymentError, match=r"set run_evaluation=True in stages.py and run `cdk"):
        start(tuner)
    assert list_training_files() == files


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": ["exact"]}, "invalid metric 'exact' of a run: use exact_match"),
        ({"metrics": ["rouge_l"]}, "use Tuner.evaluate after the run"),
        ({"metrics": ["module:function"]}, "code that is not available in the account"),
        ({"metrics": "exact_match"}, "invalid metrics 'exact_match': use a list"),
        ({"require": ["exact_match>base+"]}, "invalid condition"),
        ({"require": ["token_f1>=0.5"]}, "it must start with one of exact_match"),
        ({"against": ["nova-micr"]}, "unknown model 'nova-micr'"),
        ({"against": ["openai/gpt-4o"]}, "compares with base models on Bedrock"),
        ({"max_tokens": 0}, "invalid max_tokens 0"),
        ({"max_cost": 1.0}, "the price of 'base'"),
        (
            {"max_cost": 0.0001, "prices": {"base": (1.0, 1.0)}},
            "more than max_cost \\$0.0001: raise it",
        ),
        ({"promote": "tunestack-mine"}, "names of new endpoints can't start with 'tunestack-'"),
    ],
)
def test_invalid_arguments_are_errors(evaluating, arguments, message):
    with pytest.raises(ConfigError, match=message):
        start(evaluating, **arguments)
    assert not [run for run in evaluating.runs() if run.name.startswith("invalid-")]


def read_estimate(tuner, specs):
    """Return the highest estimate of an evaluation, from its error."""
    evaluation = RunEvaluation(data=ROWS, max_cost=0.0001, prices={"base": (1000.0, 1000.0)})
    with pytest.raises(CostError) as raised:
        tuner.start_run(specs, name="invalid", evaluate=evaluation)
    match = re.search(r"may cost \$([\d.]+)", str(raised.value))
    assert match is not None
    return float(match[1])


def test_max_cost_counts_each_base_model_once(evaluating):
    one, two = build_specs(2)
    same = read_estimate(evaluating, [one, two])
    assert read_estimate(evaluating, [one, replace(two, model="nova-lite")]) > 1.9 * same


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": 5}, "invalid metrics 5"),
        ({"against": 5}, "invalid against 5"),
        ({"require": [5]}, r"invalid require \[5\]"),
        ({"prices": 5}, "invalid prices 5"),
        ({"prices": {"base": 3}}, "invalid price 3 of 'base'"),
        ({"limit": "5"}, "invalid limit '5'"),
        ({"max_cost": "5"}, "invalid max_cost '5'"),
    ],
)
def test_arguments_of_other_types_are_errors(arguments, message):
    with pytest.raises(ConfigError, match=message):
        RunEvaluation(data=ROWS, **arguments).to_spec("nova-micro")


def test_invalid_held_out_set_is_an_error(evaluating):
    with pytest.raises(DataError, match="the last message is not an answer"):
        start(evaluating, data=[{"messages": ROWS[0]["messages"][:1]}])


def test_promotion_needs_an_evaluation(evaluating):
    with pytest.raises(ConfigError, match="promote needs evaluate"):
        evaluating.start_run(build_specs(1), promote="tickets")


def test_sweep_file_has_the_evaluation(tmp_path):
    path = tmp_path / "sweep.toml"
    text = (
        'promote = "tickets"\n[job]\nmodel = "nova-micro"\ndata = "a.jsonl"\n'
        '[evaluate]\ndata = "test.jsonl"\nmetrics = ["token_f1"]\n'
    )
    path.write_text(text)
    sweep = read_sweep(path)
    assert sweep.evaluate == RunEvaluation(data=str(tmp_path / "test.jsonl"), metrics=["token_f1"])
    assert sweep.promote == "tickets"
    path.write_text(text.replace("metrics", "metric"))
    with pytest.raises(ConfigError, match="unknown key 'metric' of evaluate: did you mean 'metr"):
        read_sweep(path)
    path.write_text(text.replace('data = "test.jsonl"\n', ""))
    with pytest.raises(ConfigError, match="evaluate has no data"):
        read_sweep(path)
