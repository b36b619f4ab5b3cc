"""Two processes that submit the same thing at the same moment submit one job; and a process that goes on and on leaks nothing."""

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
    both = [
        subprocess.Popen(
            [sys.executable, HERE / "racer.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=sandbox.environment(),
        )
        for _ in range(2)
    ]
    yield both
    for racer in both:
        racer.stdin.close()
        racer.wait()
        racer.stdout.close()


def raced(sandbox, racers, rounds):
    """Let both submit the same, again and again; returns how many jobs there are in all."""
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


def test_two_processes_at_once_submit_one_job(sandbox, racers):
    assert raced(sandbox, racers, 8) == 8


@pytest.mark.campaign
def test_two_processes_at_once_submit_one_job_two_hundred_times(sandbox, racers, figure):
    jobs = raced(sandbox, racers, 200)
    figure(f"two processes submitted the same at once, 200 times: {jobs} jobs")
    assert jobs == 200


def test_other_data_is_another_job(sandbox, racers):
    for number, racer in enumerate(racers):
        racer.stdin.write(f"{number}\n")
        racer.stdin.flush()
    assert len({json.loads(racer.stdout.readline()) for racer in racers}) == 2


def cycled(sandbox, cycles):
    """Submit and wait again and again, with faults; returns what the process has at the beginning and at the end."""
    done = subprocess.run(
        [sys.executable, HERE / "cycler.py", str(cycles)],
        env={**sandbox.environment(), "ADMIN": sandbox.admin_url},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def held(sandbox, cycles, figure):
    first, *_, last = cycled(sandbox, cycles)
    assert last["jobs"] == cycles
    assert first["descriptors"] == last["descriptors"]
    assert first["threads"] == last["threads"]
    growth = last["memory"] - first["memory"]
    figure(f"after {first['jobs']} and {cycles} submissions and waits with faults: {first}, {last}")
    return growth


def test_a_process_that_goes_on_leaks_nothing(sandbox, figure):
    held(sandbox, 30, figure)


@pytest.mark.campaign
def test_a_process_that_goes_on_for_a_thousand_jobs_leaks_nothing(count_traffic, figure):
    with Sandbox(speed=1, quotas=Quotas(custom_models=2000)) as sandbox:
        assert held(sandbox, 1000, figure) < 5 * 2**20
        count_traffic(sandbox.traffic)


@pytest.fixture
def hasty(count_traffic, monkeypatch):
    """A sandbox in which hours pass in seconds."""
    with Sandbox(speed=10_000) as sandbox:
        for name, value in sandbox.variables().items():
            monkeypatch.setenv(name, value)
        yield sandbox
        count_traffic(sandbox.traffic)


SERVING = """
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


def terminated(sandbox, how):
    """Send SIGTERM to a process that serves a model; returns its exit code, and the endpoints that are left."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVING, how],
        stdout=subprocess.PIPE,
        text=True,
        env=sandbox.environment(),
    ) as process:
        assert process.stdout.readline().startswith("tunestack-")
        process.send_signal(signal.SIGTERM)
    rows = boto3.client("bedrock").list_custom_model_deployments()["modelDeploymentSummaries"]
    return process.returncode, len(rows)


def test_a_signal_that_a_program_handles_stops_the_endpoint(hasty):
    assert terminated(hasty, "handled") == (143, 0)


def test_a_signal_that_nobody_handles_leaves_it_to_its_end(hasty):
    assert terminated(hasty, "ignored") == (-signal.SIGTERM, 1)
