"""Two processes that submit the same data at the same time create one job; a long-running process leaks nothing."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tunestack_sandbox import Quotas, Sandbox

HERE = Path(__file__).parent


@pytest.fixture
def racers(sandbox):
    """Two processes, ready to submit."""
    processes = [
        subprocess.Popen(
            [sys.executable, HERE / "racer.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=sandbox.environment(),
        )
        for _ in range(2)
    ]
    yield processes
    for racer in processes:
        assert racer.stdin is not None
        assert racer.stdout is not None
        racer.stdin.close()
        racer.wait()
        racer.stdout.close()


def submit_concurrently(sandbox, racers, rounds):
    """Submit the same data in both processes, once per round; return the total number of jobs."""
    client, count = boto3.client("bedrock"), 0
    for number in range(rounds):
        for racer in racers:
            racer.stdin.write(f"{number}\n")
        for racer in racers:
            racer.stdin.flush()
        first, second = (json.loads(racer.stdout.readline()) for racer in racers)
        assert first == second
        assert first.startswith("arn:"), first
        rows = client.list_model_customization_jobs()["modelCustomizationJobSummaries"]
        assert first in {row["jobArn"] for row in rows}
        if number % 8 == 7 or number == rounds - 1:
            count += len(rows)
            sandbox.reset()
    return count


def test_two_processes_create_one_job(sandbox, racers):
    assert submit_concurrently(sandbox, racers, 8) == 8


@pytest.mark.campaign
def test_two_processes_create_one_job_in_each_of_200_rounds(sandbox, racers, figure):
    jobs = submit_concurrently(sandbox, racers, 200)
    figure(f"two processes submitted the same at once, 200 times: {jobs} jobs")
    assert jobs == 200


def test_other_data_creates_another_job(sandbox, racers):
    for number, racer in enumerate(racers):
        racer.stdin.write(f"{number}\n")
        racer.stdin.flush()
    assert len({json.loads(racer.stdout.readline()) for racer in racers}) == 2


def run_cycles(sandbox, cycles):
    """Submit and wait in a process with faults; return its resources after a fifth of the cycles and at the end."""
    completed = subprocess.run(
        [sys.executable, HERE / "cycler.py", str(cycles)],
        env={**sandbox.environment(), "ADMIN": sandbox.admin_url},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in completed.stdout.splitlines()]


def check_for_leaks(sandbox, cycles, figure):
    first, *_, last = run_cycles(sandbox, cycles)
    assert last["jobs"] == cycles
    assert last["descriptors"] == first["descriptors"]
    assert last["threads"] == first["threads"]
    growth = last["memory"] - first["memory"]
    figure(f"after {first['jobs']} and {cycles} submissions and waits with faults: {first}, {last}")
    return growth


def test_process_leaks_nothing(sandbox, figure):
    check_for_leaks(sandbox, 15, figure)


@pytest.mark.campaign
def test_process_leaks_nothing_in_a_thousand_jobs(count_traffic, figure):
    with Sandbox(speed=1, quotas=Quotas(custom_models=2000)) as sandbox:
        assert check_for_leaks(sandbox, 1000, figure) < 5 * 2**20
        count_traffic(sandbox.traffic)


@pytest.fixture
def fast_sandbox(count_traffic, monkeypatch):
    """A sandbox in which hours pass in seconds."""
    with Sandbox(speed=10_000) as sandbox:
        for name, value in sandbox.variables().items():
            monkeypatch.setenv(name, value)
        yield sandbox
        count_traffic(sandbox.traffic)


SERVER = """
import signal, sys, time
from tunestack import Tuner

if sys.argv[1] == "handled":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
rows = [{"prompt": f"{row}?", "completion": "x"} for row in range(8)]
job = Tuner().submit("nova-micro", rows).wait()
job.start_endpoint()
with job.endpoint() as endpoint:
    print(endpoint.name, flush=True)
    time.sleep(600)
"""


def terminate_server(sandbox, mode):
    """Send SIGTERM to a process that serves a model; return its exit code and the number of its endpoints."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, mode],
        stdout=subprocess.PIPE,
        text=True,
        env=sandbox.environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("tunestack-")
        process.send_signal(signal.SIGTERM)
    rows = boto3.client("bedrock").list_custom_model_deployments()["modelDeploymentSummaries"]
    return process.returncode, len(rows)


def test_handled_signal_deletes_the_endpoint(fast_sandbox):
    assert terminate_server(fast_sandbox, "handled") == (143, 0)


def test_unhandled_signal_keeps_the_endpoint(fast_sandbox):
    assert terminate_server(fast_sandbox, "ignored") == (-signal.SIGTERM, 1)
