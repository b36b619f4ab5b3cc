"""What a run that evaluates and promotes does if a task fails, or if it is cancelled: nothing billed is left.

Every test runs the state machine of the stage. The table of outcomes is a part of docs/runs.md.
"""

import itertools
import json
import threading
import time
from collections import Counter
from datetime import timedelta

import boto3
import pytest

from tests.sdk.run_specs import ROWS, build_specs
from tunestack import RunEvaluation, RunState
from tunestack_sandbox import Quotas

SUBMIT, GET = "CreateModelCustomizationJob", "GetModelCustomizationJob"
START, LOOK, ASK = "CreateCustomModelDeployment", "GetCustomModelDeployment", "Converse"
MINUTE = timedelta(minutes=1)
PASSES, STAYS = 5, None
"""How often a service answers with the error."""

TRAINED, PROMOTED = {"succeeded": 2}, "promoted"
FAULTS = {
    # operation, code, times: state of the run, states of the jobs, what is served, a part of the reason
    (SUBMIT, "ThrottlingException", PASSES): (RunState.SUCCEEDED, TRAINED, PROMOTED, ""),
    (SUBMIT, "ServiceQuotaExceededException", PASSES): (RunState.SUCCEEDED, TRAINED, PROMOTED, ""),
    (SUBMIT, "InternalServerException", PASSES): (RunState.SUCCEEDED, TRAINED, PROMOTED, ""),
    (SUBMIT, "InternalServerException", STAYS): (
        *(RunState.SUCCEEDED, {"failed": 2}, None),
        "InternalServerException",
    ),
    (SUBMIT, "ValidationException", STAYS): (
        *(RunState.SUCCEEDED, {"failed": 2}, None),
        "ValidationException",
    ),
    (SUBMIT, "AccessDeniedException", STAYS): (
        *(RunState.SUCCEEDED, {"failed": 2}, None),
        "AccessDeniedException",
    ),
    (GET, "ThrottlingException", PASSES): (RunState.SUCCEEDED, TRAINED, PROMOTED, ""),
    (GET, "InternalServerException", PASSES): (RunState.SUCCEEDED, TRAINED, PROMOTED, ""),
    (START, "ThrottlingException", PASSES): (RunState.SUCCEEDED, TRAINED, PROMOTED, ""),
    (START, "ServiceQuotaExceededException", PASSES): (RunState.SUCCEEDED, TRAINED, PROMOTED, ""),
    (START, "InternalServerException", PASSES): (RunState.SUCCEEDED, TRAINED, PROMOTED, ""),
    (START, "ValidationException", STAYS): (RunState.SUCCEEDED, TRAINED, None, ""),
    (START, "AccessDeniedException", STAYS): (
        *(RunState.FAILED, TRAINED, None),
        "AccessDeniedException",
    ),
    (LOOK, "ThrottlingException", PASSES): (RunState.SUCCEEDED, TRAINED, PROMOTED, ""),
    (LOOK, "InternalServerException", PASSES): (RunState.SUCCEEDED, TRAINED, PROMOTED, ""),
    (ASK, "ThrottlingException", PASSES): (RunState.SUCCEEDED, TRAINED, PROMOTED, ""),
    (ASK, "InternalServerException", PASSES): (RunState.SUCCEEDED, TRAINED, PROMOTED, ""),
    (ASK, "ModelErrorException", PASSES): (RunState.SUCCEEDED, TRAINED, PROMOTED, ""),
    (ASK, "ValidationException", STAYS): (RunState.SUCCEEDED, TRAINED, None, ""),
    (ASK, "AccessDeniedException", STAYS): (
        *(RunState.FAILED, TRAINED, None),
        "AccessDeniedException",
    ),
}


@pytest.fixture
def sandbox(evaluating_sandbox):
    return evaluating_sandbox


@pytest.fixture
def start(evaluating):
    """Return a function that starts a run of two jobs; no answer is stored for its held-out set."""

    def start_run(name):
        rows = json.loads(json.dumps(ROWS[:4]).replace("number", name))
        evaluation = RunEvaluation(data=rows, metrics=["token_f1"])
        return evaluating.start_run(
            build_specs(2), name=name, evaluate=evaluation, promote=PROMOTED, max_parallel=2
        )

    return start_run


def list_endpoints(tuner):
    return [endpoint.name for endpoint in tuner.endpoints()]


def describe(run):
    reasons = [job.reason or "" for job in run.jobs()]
    return f"{run.info.failure or ''} {' '.join(reasons)}"


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("fault", "outcome"),
    FAULTS.items(),
    ids=[f"{operation}-{code}-{times or 'always'}" for operation, code, times in FAULTS],
)
def test_task_that_fails_leaves_nothing_billed(evaluating, sandbox, start, figure, fault, outcome):
    (operation, code, times), (state, jobs, served, reason) = fault, outcome
    run = start(f"{operation[:9]}-{code[:9]}-{times or 'always'}")
    sandbox.faults.add(
        "error", operation=operation, code=code, **({} if times is None else {"times": times})
    )
    run.wait()
    sandbox.faults.clear()
    sandbox.clock.advance(MINUTE)
    figure(f"{operation}, {code}, {times or 'always'}: {run.state}, {run.counts()}, {served}")
    assert (run.state, run.counts()) == (state, jobs), describe(run)
    assert list_endpoints(evaluating) == ([] if served is None else [served])
    assert reason in describe(run)
    assert Counter(job.info.state.is_terminal for job in evaluating.jobs())[False] == 0


@pytest.mark.campaign
def test_endpoint_that_fails_is_a_result(evaluating, sandbox, start):
    run = start("endpoint")
    sandbox.faults.add("endpoint-failure")
    run.wait()
    sandbox.faults.clear()
    sandbox.clock.advance(MINUTE)
    assert run.state is RunState.SUCCEEDED, describe(run)
    result = run.evaluation()
    assert [bool(model.error) for model in result.models] == [True, True]
    assert result.promotion is None
    assert [name for name in list_endpoints(evaluating) if name == PROMOTED] == []


@pytest.mark.campaign
def test_endpoint_whose_lease_ends_is_started_again(evaluating, sandbox, start):
    run = start("lease")
    deleted: list[str] = []

    def delete_once(call, handler):
        model = call.params.get("modelId", "")
        if call.operation.name == ASK and ":custom-model-deployment/" in model and not deleted:
            deleted.append(model)
            client = boto3.client("bedrock")  # as the guard does at the end of the lease
            client.delete_custom_model_deployment(customModelDeploymentIdentifier=model)
        return handler(call)

    with sandbox.intercept_operations(delete_once):
        run.wait()
    sandbox.clock.advance(MINUTE)
    assert deleted
    assert run.state is RunState.SUCCEEDED, describe(run)
    assert [model.error for model in run.evaluation().models] == [None, None]
    assert list_endpoints(evaluating) == [PROMOTED]


CANCELLATIONS = {
    "a job waits for a slot": (SUBMIT, 5),
    "a job is trained": (GET, 3),
    "the first endpoint starts": (START, 1),
    "an endpoint is waited for": (LOOK, 2),
    "a model is evaluated": (ASK, 3),
    "the best one is promoted": (START, 3),
}
"""At which request of an operation a run is cancelled."""


@pytest.mark.campaign
@pytest.mark.parametrize("moment", CANCELLATIONS)
def test_cancelled_run_leaves_nothing_billed(evaluating, sandbox, start, moment):
    operation, number = CANCELLATIONS[moment]
    if "slot" in moment:
        sandbox.quotas = Quotas(jobs=0)
    requests = itertools.count(1)
    reached = threading.Event()

    def notice(call, handler):
        if call.operation.name == operation and next(requests) == number:
            reached.set()
            cancelled.wait(30)
        return handler(call)

    def cancel():
        if reached.wait(120):
            found.append(run.cancel(jobs=True))
        cancelled.set()

    cancelled = threading.Event()
    found: list[list[str]] = []
    run = start(f"cancel-{moment.replace(' ', '-')}"[:38])
    thread = threading.Thread(target=cancel)
    thread.start()
    with sandbox.intercept_operations(notice):
        for _ in range(500):
            if reached.is_set():
                break
            sandbox.clock.advance(MINUTE)
        thread.join()
    assert found
    assert run.status() is RunState.CANCELLED
    wait_until(
        lambda: [name for name in list_endpoints(evaluating) if name != PROMOTED] == [], sandbox
    )
    assert Counter(job.info.state.is_terminal for job in evaluating.jobs())[False] == 0


def wait_until(condition, sandbox):
    """Wait for the guard, which deletes what was being created; its function runs in real time."""
    for _ in range(60):
        sandbox.clock.advance(timedelta(minutes=5))
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("an endpoint is left")
