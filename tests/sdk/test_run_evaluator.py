"""The steps of the evaluation of a run, without its state machine: errors, long evaluations, and invocations that end."""

import json
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import boto3
import pytest

from tests.sdk.run_specs import ROWS, build_specs
from tunestack import DataError, EndpointState, RunEvaluation, TunestackError
from tunestack.runs import function
from tunestack.runs.evaluator import RunEvaluator
from tunestack_sandbox.messages import ServiceError

EVALUATION = RunEvaluation(data=ROWS, metrics=["token_f1"], require=["token_f1>=base"])
MINUTE = timedelta(minutes=1)


@pytest.fixture
def sandbox(evaluating_sandbox):
    return evaluating_sandbox


@pytest.fixture
def start_trained(evaluating):
    """Return a function that starts a run whose jobs have ended, and that no state machine evaluates."""

    def start(specs, name, evaluation=EVALUATION, promote=None):
        run = evaluating.start_run(specs, name=name, evaluate=evaluation, promote=promote)
        boto3.client("stepfunctions").stop_execution(executionArn=run.id)
        for spec in specs:
            evaluating.submit(spec.model, spec.data, hyperparameters=spec.hyperparameters).wait()
        return run

    return start


@pytest.fixture
def build(evaluating):
    """Return a function that builds the evaluator of a run, which ends after a number of checks of the time."""

    def build_evaluator(run, checks=1000):
        numbers = count()
        return RunEvaluator(
            evaluating._accounts,
            run.name,
            evaluating.run(run.name).info.file,
            is_over=lambda: next(numbers) >= checks,
        )

    return build_evaluator


def advance_until(evaluator, sandbox, is_reached):
    for _ in range(60):
        if is_reached():
            return
        evaluator.advance()
        sandbox.clock.advance(MINUTE)
    pytest.fail("not reached in an hour")


def finish(evaluator, sandbox):
    """Advance until the evaluation is done."""
    for _ in range(60):
        if evaluator.advance().is_done:
            return
        sandbox.clock.advance(MINUTE)
    pytest.fail("not done in an hour")


def list_endpoints(tuner):
    return [(endpoint.name, endpoint.info.model) for endpoint in tuner.endpoints()]


def count_states(tuner):
    return Counter(endpoint.state for endpoint in tuner.endpoints())


def test_failed_condition_promotes_nothing(evaluating, sandbox, start_trained, build):
    evaluation = replace(EVALUATION, require=["token_f1>=1.5"])
    run = start_trained(build_specs(2), "gate", evaluation, promote="gate")
    finish(build(run), sandbox)
    result = run.evaluation()
    assert (result.best, result.promotion) == (None, None)
    lines = "\n".join(result.lines())
    assert "failed: token_f1>=1.5: token_f1 1 is not >= 1.5" in lines
    assert "best: none, because no model passed" in lines
    sandbox.clock.advance(MINUTE)
    assert list_endpoints(evaluating) == []


def test_promoted_endpoint_is_updated_in_place(evaluating, sandbox, start_trained, build):
    results = []
    for name, spec in zip(("v1", "v2"), build_specs(2), strict=True):
        run = start_trained([spec], name, promote="in-place")
        finish(build(run), sandbox)
        results.append(run.evaluation())
    sandbox.clock.advance(MINUTE)
    first, second = (result.models[0].model for result in results)
    assert list_endpoints(evaluating) == [("in-place", second)]
    assert results[1].promotion["previous"] == first


def test_error_while_an_endpoint_starts_stops_both(evaluating, sandbox, start_trained, build):
    run = start_trained(build_specs(2), "starting")

    def refuse(call, handler):
        # The second endpoint starts as soon as the first one is ready.
        if call.operation.name == "CreateCustomModelDeployment" and count_states(evaluating) == {
            EndpointState.STARTING: 1
        }:
            raise ServiceError("ServiceQuotaExceededException", "Too many deployments.")
        if call.operation.name == "Converse":
            states.append(count_states(evaluating))
            raise ServiceError("AccessDeniedException", "You are not allowed.")
        return handler(call)

    states: list[Counter[EndpointState]] = []
    evaluator = build(run)
    with sandbox.intercept_operations(refuse):
        advance_until(evaluator, sandbox, lambda: states)
    assert states[0] == {EndpointState.READY: 1, EndpointState.STARTING: 1}
    assert count_states(evaluating)[EndpointState.READY] == 0
    with pytest.raises(TunestackError, match="not allowed"):
        advance_until(evaluator, sandbox, lambda: False)
    sandbox.clock.advance(MINUTE)
    assert list(evaluating.endpoints()) == []


def test_model_whose_endpoint_was_updated_is_not_evaluated(
    evaluating, sandbox, start_trained, build
):
    specs = build_specs(2)
    run = start_trained(specs[:1], "updated")
    other = evaluating.submit(specs[1].model, specs[1].data, hyperparameters={"epochCount": 1})
    (trained,) = run.jobs()
    endpoint = evaluating.start_endpoint(trained.model)
    endpoint.update(other.wait().model)
    finish(build(run), sandbox)
    (result,) = run.evaluation().models
    assert "was updated to" in result.error
    endpoint.stop()


def test_life_of_an_endpoint_is_extended_while_it_is_used(
    evaluating, sandbox, start_trained, build
):
    run = start_trained(build_specs(1), "lease")
    advance_until(build(run), sandbox, lambda: count_states(evaluating)[EndpointState.READY])
    (endpoint,) = evaluating.endpoints()
    first = endpoint.expires_at
    for _ in range(3):
        sandbox.clock.advance(timedelta(hours=3))
        assert not build(run, checks=6).advance().is_done, "a part of the evaluation"
    (endpoint,) = evaluating.endpoints()
    assert endpoint.expires_at - first > timedelta(hours=8)
    assert endpoint.expires_at - sandbox.clock.now() < timedelta(hours=4, minutes=5)
    assert build(run).advance().is_done
    sandbox.clock.advance(MINUTE)
    assert list(evaluating.endpoints()) == []


def test_quota_of_endpoints_is_waited_for(evaluating, sandbox, start_trained, build, caplog):
    run = start_trained(build_specs(1), "quota")
    rule = {"operation": "CreateCustomModelDeployment", "code": "ServiceQuotaExceededException"}
    sandbox.faults.add("error", **rule)
    for _ in range(3):
        progress = build(run).advance()
        assert (progress.is_done, progress.seconds) == (False, 600)
    assert "waits for an endpoint: " in caplog.text
    sandbox.faults.clear()
    finish(build(run), sandbox)
    assert run.evaluation().models[0].error is None


def test_evaluation_ends_after_a_week(evaluating, sandbox, start_trained, build):
    run = start_trained(build_specs(1), "week")
    assert not build(run).advance().is_done
    sandbox.clock.advance(timedelta(days=8))
    with pytest.raises(DataError, match="could not be evaluated within 7 days"):
        for _ in range(10):  # an endpoint that is starting is stopped later
            build(run).advance()
            sandbox.clock.advance(MINUTE)
    sandbox.clock.advance(MINUTE)
    assert list(evaluating.endpoints()) == []
    with pytest.raises(TunestackError, match="could not be evaluated within 7 days"):
        build(run).advance()


def test_cancelled_run_has_no_endpoint(evaluating, sandbox, start_trained, build):
    run = start_trained(build_specs(1), "cancelled")
    advance_until(build(run), sandbox, lambda: count_states(evaluating)[EndpointState.READY])
    (model,) = evaluating.custom_models()
    evaluating.promote(model.id, "of-somebody")
    run.cancel(jobs=True)
    sandbox.clock.advance(MINUTE)
    assert list_endpoints(evaluating) == [("of-somebody", model.id)]


def test_invocations_that_end_early_send_no_request_twice(
    evaluating, sandbox, start_trained, build
):
    rows = json.loads(json.dumps(ROWS).replace("number", "word"))  # no answer is stored
    run = start_trained(build_specs(1), "short", replace(EVALUATION, data=rows))
    asked: Counter[str] = Counter()
    advance_until(build(run), sandbox, lambda: count_states(evaluating)[EndpointState.READY])

    sent = 0

    def delay(call, handler):
        """Delay all but the first four requests of an invocation until its time is over."""
        nonlocal sent
        if call.operation.name == "Converse":
            asked[f"{call.params['modelId']} {call.params['messages']}"] += 1
            sent += 1
            if sent > 4:
                time.sleep(1)
        return handler(call)

    class Context:
        def get_remaining_time_in_millis(self):
            return 1000 * 120 + 1000

    event = {"run": run.name, "key": f"runs/{evaluating.run(run.name).info.file}.jsonl"}
    answers: list[dict[str, Any]] = []
    with sandbox.intercept_operations(delay):
        while not answers or not answers[-1]["done"]:
            sent = 0
            answers.append(function.evaluate(event, Context()))
            if answers[-1]["seconds"]:
                sandbox.clock.advance(MINUTE)
            assert len(answers) < 1000
    assert len([row for row in answers if row == {"done": False, "seconds": 0}]) >= 2
    assert set(asked.values()) == {1}
    assert len(asked) == 2 * len(ROWS)
