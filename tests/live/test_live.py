"""The whole suite in a sandbox, its budget, and the replay of what it records."""

import re

import pytest

from tests.live.assumptions import ASSUMPTIONS
from tests.live.replay import create_sandbox, replay
from tests.live.sandbox_program import ROOT
from tunestack_sandbox.messages import ServiceError

pytestmark = pytest.mark.campaign
RUN = "live-00aa00"


@pytest.fixture(scope="module")
def full_run(program, figure):
    """Run all steps, and return the output and the cassette."""
    before = program.list_resources()
    code, output = program.run("--run", RUN, "--provisioned", "20", "--budget", "25")
    assert code == 0, output
    assert program.list_resources() == before
    (path,) = (program.folder / "recorded").glob(f"*{RUN}.jsonl")
    minutes = sum(map(int, re.findall(r"^    (\d+) minutes$", output, re.MULTILINE)))
    (cost,) = re.findall("cost: .*", output)
    figure(f"live suite: {minutes} simulated minutes, {cost}")
    return output, path


def test_every_assumption_holds_in_the_sandbox_and_nothing_is_left(full_run, program):
    output, _ = full_run
    count = sum(row.on_sandbox for row in ASSUMPTIONS.values())
    assert f"{count} of {count} assumptions hold" in output
    code, output = program.run("--clean-up")
    assert code == 0
    assert "nothing is left in us-east-1, us-west-2" in output


def test_cassette_contains_no_account_principal_key_or_content(full_run):
    text = full_run[1].read_text()
    for pattern in (
        r"(?<!\d)\d{12}(?!\d)",  # digests may have longer numbers
        RUN,
        r"assumed-role",
        r"user/",
        r"ASIA|AKIA",
        r"Parcel",
        r"RequestId",
    ):
        assert not re.search(pattern, text), pattern


def test_cassette_replays_in_another_sandbox_without_differences(full_run):
    with create_sandbox(full_run[1]) as sandbox:
        assert replay(full_run[1], sandbox) == []


def test_replay_reports_a_sandbox_that_differs(full_run):
    def refuse(call, handler):
        if call.operation.name == "StopModelCustomizationJob":
            raise ServiceError("ValidationException", "The job can't be stopped.")
        return handler(call)

    with create_sandbox(full_run[1]) as sandbox, sandbox.intercept_operations(refuse):
        differences = "\n".join(replay(full_run[1], sandbox))
    assert "repeat-jobs: StopModelCustomizationJob: status: AWS 200, sandbox 400" in differences


def test_step_above_the_budget_does_not_start(program):
    before = program.list_resources()
    code, output = program.run("--only", "deploy", "--budget", "0.1")
    assert code == 1
    assert "step deploy costs up to $0.20, and $0.10 of --budget 0.1 is left" in output
    assert program.list_resources() == before


def test_later_steps_do_not_train_what_the_budget_does_not_cover(program):
    code, output = program.run("--only", "serve", "--budget", "0.1")
    assert code == 1
    assert "step train costs up to $0.13" in output


def test_nothing_is_created_without_a_yes(program):
    before = program.list_resources()
    code, output = program.run("--only", "deploy", confirm=False)
    assert code == 2
    assert "Continue? [y/N]" in output
    assert program.list_resources() == before


@pytest.mark.parametrize("path", sorted((ROOT / "tests/live/recorded").glob("*.jsonl")), ids=str)
def test_recording_of_a_real_account_replays_in_the_sandbox(path):
    with create_sandbox(path) as sandbox:
        assert replay(path, sandbox) == []
