"""The evaluation and promotion of the models of a run in the account, without a client."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import boto3
import pytest

from tests.parameters import every
from tests.sdk.run_specs import ROWS, build_specs
from tests.sdk.test_cli_schema import check
from tunestack import RunEvaluation, RunState
from tunestack_sandbox import Quotas

SWEEP = """
name = "nightly"
max_parallel = 2
promote = "nightly-tickets"

[job]
model = "nova-micro"
data = "train.jsonl"

[grid]
epochCount = [1, 2, 3]

[evaluate]
data = "train.jsonl"
metrics = ["token_f1"]
require = ["token_f1>=base+0.05"]
"""


@pytest.fixture
def sandbox(evaluating_sandbox):
    return evaluating_sandbox


@pytest.fixture(autouse=True)
def _no_executions_of_other_tests(sandbox):
    """Stop the runs of a test."""
    yield
    states = boto3.client("stepfunctions")
    for machine in states.list_state_machines()["stateMachines"]:
        rows = states.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
        for row in rows:
            if row["status"] == "RUNNING":
                states.stop_execution(executionArn=row["executionArn"])


@pytest.fixture
def asked(sandbox):
    """Return the number of answered requests, by model and content."""
    counts: Counter[tuple[str, str]] = Counter()

    def count(call, handler):
        response = handler(call)
        if call.operation.name == "Converse":
            counts[call.params["modelId"], str(call.params["messages"])] += 1
        return response

    with sandbox.intercept_operations(count):
        yield counts


def build_evaluation(**arguments):
    return RunEvaluation(
        **{"data": ROWS, "metrics": ["token_f1"], "require": ["token_f1>=base"], **arguments}
    )


def list_endpoints(tuner):
    return [(endpoint.name, endpoint.info.model) for endpoint in tuner.endpoints()]


def test_run_needs_no_client_after_its_start(evaluating, sandbox, tmp_path, asked, figure):
    (tmp_path / "sweep.toml").write_text(SWEEP)
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    command = [sys.executable, "-m", "tunestack", "runs", "start", str(tmp_path / "sweep.toml")]
    dry = subprocess.run(
        [*command, "--dry-run"], env=os.environ, capture_output=True, text=True, check=True
    )
    assert "evaluation: 20 held-out records, token_f1" in dry.stdout
    assert "promotion: endpoint nightly-tickets serves the best model" in dry.stdout
    subprocess.run([*command, "--json"], env=os.environ, check=True)
    sandbox.clock.advance(timedelta(days=1))
    figure(f"memory of the function that evaluates: {measure_memory(sandbox)}")

    (run,) = evaluating.runs()
    assert run.status() is RunState.SUCCEEDED
    result = run.evaluation()
    assert result is not None
    best, *others = result.models
    assert len(others) == 2
    assert all(row.passed and row.values["token_f1"] == 1 for row in result.models)
    assert best.others["base"]["token_f1"] < 0.95
    assert result.best == best.job, "of equal models, the one with the cheapest training"
    assert result.promotion is not None
    assert "RunEvaluatorRole" in result.promotion["by"]
    assert list_endpoints(evaluating) == [("nightly-tickets", best.model)]
    assert set(asked.values()) == {1}, "no request was sent twice, nor for each model to the base"
    assert len(asked) == 4 * len(ROWS)

    shown = subprocess.run(
        [sys.executable, "-m", "tunestack", "runs", "show", "latest"],
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "promoted: endpoint nightly-tickets" in shown
    assert "passed: token_f1>=base+0.05" in shown
    document = json.loads(
        subprocess.run(
            [sys.executable, "-m", "tunestack", "runs", "show", "latest", "--json"],
            env=os.environ,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    check(document, "run-details")
    assert document["evaluation"]["best"] == best.job


def test_evaluation_is_a_part_of_the_run(evaluating, sandbox):
    arguments = {"name": "again", "evaluate": build_evaluation(), "promote": "again"}
    first = evaluating.start_run(build_specs(1), **arguments)
    assert evaluating.start_run(build_specs(1), **arguments).id == first.id
    other = build_evaluation(require=["token_f1>=0.1"])
    second = evaluating.start_run(build_specs(1), **{**arguments, "evaluate": other})
    assert second.id != first.id


def list_function_processes(sandbox):
    """Return the processes that run functions of the stage in a sandbox, not those of other sandboxes on this machine."""
    address = sandbox.variables()["AWS_ENDPOINT_URL"]
    expected = {f"AWS_ENDPOINT_URL={address}".encode(), b"TUNESTACK_STAGE=eval"}
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = file.read_bytes().split(b"\0")
        except OSError:
            continue
        is_function = any(row.startswith(b"AWS_LAMBDA_FUNCTION_NAME=") for row in variables)
        if is_function and expected <= {*variables}:
            found.append(int(file.parent.name))
    return found


def measure_memory(sandbox):
    """Return the highest memory of the processes that run functions."""
    texts = []
    for pid in list_function_processes(sandbox):
        with suppress(FileNotFoundError):  # it has ended
            texts.append(Path(f"/proc/{pid}/status").read_text())
    return [
        line.split(":")[1].strip()
        for text in texts
        for line in text.splitlines()
        if "VmHWM" in line
    ]


@pytest.mark.parametrize("operation", every(2, ["Converse", "CreateCustomModelDeployment"]))
def test_killed_function_continues(evaluating, sandbox, asked, operation):
    kills, killed = 0, []

    def kill(call, handler):
        nonlocal kills
        if call.operation.name == operation and kills < 2:
            kills += 1
            response = handler(call)
            for pid in list_function_processes(sandbox):
                with suppress(ProcessLookupError):  # it has ended
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
            return response
        return handler(call)

    run = evaluating.start_run(
        build_specs(2), name=f"killed-{operation}"[:40], evaluate=build_evaluation(), promote="kill"
    )
    with sandbox.intercept_operations(kill):
        run.wait()
    assert kills == 2
    assert killed
    assert run.state is RunState.SUCCEEDED, run.info.failure
    assert [name for name, _ in list_endpoints(evaluating)] == ["kill"]
    repeated = sum(asked.values()) - len(asked)
    assert repeated <= 4 * kills, "only requests in progress, of which no answer was stored"


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("operation", "code", "times"),
    [
        ("Converse", "ThrottlingException", 3),
        ("CreateCustomModelDeployment", "ThrottlingException", 8),
        ("GetCustomModelDeployment", "InternalServerException", 20),
    ],
)
def test_service_errors_that_pass_are_waited_for(evaluating, sandbox, operation, code, times):
    name = f"{code}-{operation}"[:40]
    run = evaluating.start_run(
        build_specs(1), name=name, evaluate=build_evaluation(), promote=f"p-{operation}"
    )
    sandbox.faults.add("error", operation=operation, code=code, times=times)
    run.wait()
    assert run.state is RunState.SUCCEEDED, run.info.failure
    assert [name for name, _ in list_endpoints(evaluating)] == [f"p-{operation}"]


@pytest.mark.campaign
def test_sixty_jobs_in_two_slots_are_evaluated(evaluating, sandbox, figure, asked):
    sandbox.quotas = Quotas(jobs=2)
    run = evaluating.start_run(
        build_specs(60), name="sixty", evaluate=build_evaluation(), promote="sixty"
    ).wait()
    assert run.state is RunState.SUCCEEDED, run.info.failure
    assert run.counts() == {"succeeded": 60}
    result = run.evaluation()
    assert result is not None
    assert len(result.models) == 60
    assert [name for name, _ in list_endpoints(evaluating)] == ["sixty"]
    assert set(asked.values()) == {1}
    duration = (run.info.ended or run.info.created) - run.info.created
    figure(f"60 jobs in 2 slots, evaluated and the best promoted, in {duration}, without a client")
