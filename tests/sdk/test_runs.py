"""Runs: many jobs that the state machine of the stage submits and waits for, without a client."""

import itertools
import random
import signal
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta

import boto3
import pytest

from tests.parameters import every
from tests.sdk.run_specs import ROWS, build_specs
from tunestack import (
    ConfigError,
    ConflictError,
    JobSpec,
    JobTimeoutError,
    NotFoundError,
    RunPlan,
    RunState,
    StateError,
)
from tunestack_sandbox import Quotas


def list_executions():
    """Return the executions of the state machine, without those of jobs."""
    states = boto3.client("stepfunctions")
    (machine,) = (
        row["stateMachineArn"]
        for row in states.list_state_machines()["stateMachines"]
        if row["name"] == "tunestack-dev"
    )
    return states.list_executions(stateMachineArn=machine)["executions"]


@pytest.fixture(autouse=True)
def _no_executions_of_other_tests(sandbox):
    """Stop the runs of a test: the quota of jobs is shared."""
    yield
    states = boto3.client("stepfunctions")
    for execution in list_executions():
        if execution["status"] == "RUNNING":
            states.stop_execution(executionArn=execution["executionArn"])


@pytest.mark.parametrize(
    "count",
    [
        4,
        pytest.param(60, marks=pytest.mark.campaign),
        pytest.param(200, marks=pytest.mark.campaign),
    ],
)
def test_jobs_fill_the_slots_of_the_account(tuner, sandbox, figure, count):
    sandbox.quotas = Quotas(jobs=2, custom_models=max(100, count))
    run = tuner.start_run(build_specs(count), name=f"slots-{count}")
    assert run.wait().state is RunState.SUCCEEDED
    jobs = run.jobs()
    assert Counter(job.state for job in jobs) == {"succeeded": count}
    created = list(tuner.jobs())
    assert sorted(job.info.name for job in created) == sorted(job.name for job in jobs)
    times = [(job.info.created, job.info.ended) for job in created]
    assert count_concurrent(times) == 2
    total = sum((end - start for start, end in times), timedelta())
    assert run.info.ended is not None
    overhead = (run.info.ended - run.info.created) / (total / 2) - 1
    figure(f"{count} jobs in 2 slots: {100 * overhead:.2f} % longer than without pauses")
    assert overhead < 0.05


def test_wait_reads_only_the_state_of_the_run(tuner, requests):
    run = tuner.start_run(build_specs(3), name="waits")
    before = requests.sdk_counts.copy()
    run.wait()
    assert (requests.sdk_counts - before).keys() == {("stepfunctions", "DescribeExecution")}


def count_concurrent(times):
    """Return the largest number of periods that overlap."""
    changes = sorted([(end, -1) for _, end in times] + [(start, 1) for start, _ in times])
    return max(itertools.accumulate(change for _, change in changes))


def test_the_same_run_again_is_the_running_one(tuner, sandbox):
    first = tuner.start_run(build_specs(3), name="twice")
    second = tuner.start_run(build_specs(3), name="twice")
    assert first.id == second.id
    first.wait()
    assert tuner.start_run(build_specs(3), name="twice").id == first.id, "nothing is left to do"
    assert len(list(tuner.jobs())) == 3


def test_jobs_of_a_run_are_those_of_submit(tuner, sandbox):
    (spec,) = build_specs(1)
    submitted = tuner.submit(spec.model, ROWS, hyperparameters=spec.hyperparameters)
    run = tuner.start_run(build_specs(2), name="adopts").wait()
    assert [job.state for job in run.jobs()] == ["succeeded", "succeeded"]
    assert run.jobs()[0].id == submitted.id
    _, other = build_specs(2)
    again = tuner.submit(other.model, ROWS, hyperparameters=other.hyperparameters)
    assert again.id == run.jobs()[1].id
    assert len(list(tuner.jobs())) == 2


def test_failed_job_does_not_end_the_others(tuner, sandbox):
    sandbox.faults.add("internal-failure", times=1)
    run = tuner.start_run(build_specs(3), name="one-fails", max_parallel=1).wait()
    jobs = run.jobs()
    assert Counter(job.state for job in jobs) == {"succeeded": 2, "failed": 1}
    (failed,) = [job for job in jobs if job.state == "failed"]
    assert failed.reason
    again = tuner.start_run(build_specs(3), name="one-fails", max_parallel=1).wait()
    assert again.id != run.id, "the failed job gets another attempt"
    assert Counter(job.state for job in again.jobs()) == {"succeeded": 3}
    assert len(list(tuner.jobs())) == 4


@pytest.mark.parametrize(
    ("operation", "code", "times"),
    every(
        3,
        [
            ("CreateModelCustomizationJob", "ThrottlingException", 200),
            ("CreateModelCustomizationJob", "ServiceQuotaExceededException", 400),
            ("CreateModelCustomizationJob", "InternalServerException", 10),
            ("GetModelCustomizationJob", "ThrottlingException", 10),
            ("GetModelCustomizationJob", "InternalServerException", 10),
            ("GetModelCustomizationJob", "ResourceNotFoundException", 3),
        ],
    ),
)
def test_service_errors_that_pass_are_waited_for(tuner, sandbox, operation, code, times):
    run = tuner.start_run(build_specs(1), name=f"{code}-{operation}"[:40])
    sandbox.faults.add("error", operation=operation, code=code, times=times)
    sandbox.clock.advance(timedelta(days=8))
    sandbox.faults.clear()
    run.wait()
    assert [job.state for job in run.jobs()] == ["succeeded"]
    assert len(list(tuner.jobs())) == 1


@pytest.mark.parametrize("code", every(2, ["ValidationException", "AccessDeniedException"]))
def test_job_that_is_refused_has_the_reason(tuner, sandbox, code):
    rule = sandbox.faults.add("error", operation="CreateModelCustomizationJob", code=code, times=1)
    run = tuner.start_run(build_specs(2), name=f"refused-{code}", max_parallel=1).wait()
    assert rule
    jobs = run.jobs()
    assert Counter(job.state for job in jobs) == {"failed": 1, "succeeded": 1}
    (refused,) = [job for job in jobs if job.state == "failed"]
    assert (refused.id, bool(refused.reason)) == (None, True)
    again = tuner.start_run(build_specs(2), name=f"refused-{code}", max_parallel=1).wait()
    assert Counter(job.state for job in again.jobs()) == {"succeeded": 2}
    assert len(list(tuner.jobs())) == 2


def test_budget_limits_the_jobs_that_are_submitted(tuner, sandbox):
    plans: list[RunPlan] = []
    run = tuner.start_run(build_specs(5), name="budget", confirm=plans.append)
    run.cancel(jobs=True)
    prices = [job.max_usd or 0 for job in plans[0].jobs]
    budget = sum(prices[:3]) + prices[3] / 2
    run = tuner.start_run(build_specs(5), name="budget", budget=budget).wait()
    assert Counter(job.state for job in run.jobs()) == {"succeeded": 3, "skipped": 2}
    again = tuner.start_run(build_specs(5), name="budget", budget=budget, confirm=plans.append)
    assert again.id == run.id
    assert "is not enough for 2 more jobs" in "\n".join(plans[1].lines())
    with pytest.raises(ConfigError, match="is not enough for one job"):
        tuner.start_run(build_specs(1), budget=prices[0] / 2)


def test_cancelled_run_submits_nothing_more(tuner, sandbox):
    run = tuner.start_run(build_specs(5), name="cancel", max_parallel=2)
    sandbox.clock.advance(timedelta(minutes=10))
    assert run.counts() == {"pending": 2, "waiting": 3} or run.counts()["waiting"] == 3
    assert run.cancel() == []
    assert run.state is RunState.CANCELLED
    sandbox.clock.advance(timedelta(days=2))
    assert run.counts() == {"succeeded": 2, "waiting": 3}
    with pytest.raises(StateError, match="has ended: cancelled"):
        run.cancel()
    again = tuner.start_run(build_specs(5), name="cancel", max_parallel=2).wait()
    assert again.id != run.id
    assert again.counts() == {"succeeded": 5}


def test_cancel_stops_jobs_on_request(tuner, sandbox):
    run = tuner.start_run(build_specs(4), name="cancel-jobs", max_parallel=2)
    sandbox.clock.advance(timedelta(minutes=10))
    assert len(run.cancel(jobs=True)) == 2
    sandbox.clock.advance(timedelta(days=2))
    assert run.counts() == {"stopped": 2, "waiting": 2}


def test_job_that_can_not_be_stopped_does_not_keep_the_others(tuner, sandbox, inject_error):
    run = tuner.start_run(build_specs(4), name="cancel-one", max_parallel=2)
    sandbox.clock.advance(timedelta(minutes=10))
    inject_error("StopModelCustomizationJob", "ConflictException", times=1)
    with pytest.raises(ConflictError):
        run.cancel(jobs=True)
    sandbox.clock.advance(timedelta(days=2))
    assert run.counts() == {"stopped": 1, "succeeded": 1, "waiting": 2}


def test_state_that_is_not_known_is_not_the_end():
    assert [state for state in RunState if not state.is_terminal] == ["running", "unknown"]


def test_timeout_leaves_the_run(tuner, sandbox):
    run = tuner.start_run(build_specs(2), name="timeout", max_parallel=1)
    with pytest.raises(JobTimeoutError, match="continues without this process"):
        run.wait(timeout=600)
    assert tuner.run(run.name).wait().counts() == {"succeeded": 2}
    assert run.name in [other.name for other in tuner.runs()]
    with pytest.raises(NotFoundError, match="run 'nothing' does not exist"):
        tuner.run("nothing")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"specs": []}, "a run has 1 to 10,000 jobs, not 0"),
        ({"name": "a b"}, "invalid name 'a b'"),
        ({"max_parallel": 0}, "invalid max_parallel 0"),
        ({"budget": -1}, "invalid budget -1"),
        ({"budget": "50"}, "invalid budget '50': use an amount of US dollars"),
        ({"budget": date(2026, 1, 1)}, "invalid budget"),
        ({"budget": 10**400}, "invalid budget 1000"),
        ({"specs": 5}, "invalid specs 5: use a list of JobSpec"),
        ({"specs": ["nova-micro"]}, "invalid job 'nova-micro': expected JobSpec"),
        ({"specs": build_specs(1, rerun=True)}, "rerun is not an argument"),
        ({"specs": [JobSpec(model="gpt-4o-mini-2024-07-18", data=ROWS)]}, "runs need Bedrock"),
    ],
)
def test_invalid_arguments_are_errors(tuner, arguments, message):
    with pytest.raises(ConfigError, match=message):
        tuner.start_run(**{"specs": build_specs(1), **arguments})
    assert list_executions_named("run-") == []


def test_sweep_file_that_is_not_a_path_is_an_error(tuner):
    with pytest.raises(ConfigError, match="invalid file 5: use a path or an S3 URI"):
        tuner.start_sweep(5)


def list_executions_named(prefix):
    return [row["name"] for row in list_executions() if row["name"].startswith(prefix)]


KILL = """
import os, sys
from botocore.httpsession import URLLib3Session
from tests.sdk.run_specs import build_specs
from tunestack import Tuner

point, when = sys.argv[1:]
send, sent = URLLib3Session.send, []

def killing(self, request):
    sent.append(request)
    is_point = str(len(sent)) == point or point in str(request.headers.get("X-Amz-Target"))
    if is_point and when == "before":
        os.kill(os.getpid(), 9)
    response = send(self, request)
    if is_point and when == "after":
        os.kill(os.getpid(), 9)
    return response

URLLib3Session.send = killing
print(Tuner().start_run(build_specs(2), name="killed").name, len(sent))
"""
"""Starts a run, and kills itself before or after the request with a number or an operation."""


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.campaign)])
def test_killed_start_makes_one_run(tuner, sandbox, figure, kills):
    def start(point, when):
        return subprocess.run(
            [sys.executable, "-c", KILL, str(point), when],
            env=sandbox.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    dice = random.Random(4)
    points: list[tuple[int | str, str]] = [
        ("StartExecution", "before"),
        ("StartExecution", "after"),
    ]
    points += [(dice.randint(1, 18), dice.choice(["before", "after"])) for _ in range(kills - 2)]
    for point, when in points:
        done = start(point, when)
        assert done.returncode == -signal.SIGKILL, done.stderr
    done = start("nothing", "never")
    name, requests = done.stdout.split()
    assert list_executions_named("killed-") == [name], done.stderr
    figure(
        f"start of a run killed {kills} times, at each of its {requests} requests: one execution"
    )
    run = tuner.run(name).wait()
    assert run.counts() == {"succeeded": 2}
    assert len(list(tuner.jobs())) == 2


def test_transitions_of_a_job_cost_below_one_cent(tuner, sandbox, figure):
    polls = 0

    def count(call, handler):
        nonlocal polls
        polls += call.operation.name == "GetModelCustomizationJob"
        return handler(call)

    run = tuner.start_run(build_specs(1), name="transitions")
    with sandbox.intercept_operations(count):
        while run.status() is RunState.RUNNING:
            sandbox.clock.advance(timedelta(minutes=30))
    assert run.counts() == {"succeeded": 1}
    transitions = (
        1 + 1 + 2 * polls + (polls - 1) + 1
    )  # Jobs, Submit, Get and Check, Wait, Completed
    # Source: aws.amazon.com/step-functions/pricing, read 2026-11-29: $25 for a million state transitions.
    figure(
        f"a run of one job: {polls} polls, {transitions} transitions, ${transitions * 25e-6:.4f}"
    )
    assert 10 < transitions < 200


def test_run_with_more_models_than_the_quota_warns(tuner, caplog, monkeypatch):
    monkeypatch.setattr("tunestack.runs.start._CUSTOM_MODELS", 2)
    run = tuner.start_run(build_specs(3), name="many")
    assert "the run creates 3 custom models, and Bedrock's default quota is 2" in caplog.text
    run.cancel(jobs=True)
    caplog.clear()
    tuner.start_run(build_specs(2), name="few").cancel(jobs=True)
    assert "custom models" not in caplog.text
