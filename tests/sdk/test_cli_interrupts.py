"""Ctrl-C at chosen requests of every command that waits: nothing is lost or paid twice, and the command can be repeated.

The process sends itself the signal before a request, after its response, or in a pause between two polls.
"""

import os
import re
import subprocess
import sys

import pytest

from tests.parameters import every
from tests.sdk.terminal import open_terminal, run_in_terminal
from tunestack import NotFoundError

INTERRUPTED = """
import os, signal, sys, time
import botocore.handlers

moment = sys.argv.pop(1)

def interrupt(*_, **__):
    os.kill(os.getpid(), signal.SIGINT)

if moment == "pause":
    time.sleep = interrupt
    moment = "before-send.sqs.ReceiveMessage"
botocore.handlers.BUILTIN_HANDLERS.append((moment, interrupt))
from tunestack.cli import main
main()
"""
CREATE, STOP = "CreateModelCustomizationJob", "StopModelCustomizationJob"
DEPLOY, DELETE = "CreateCustomModelDeployment", "DeleteCustomModelDeployment"
UPDATE = "UpdateCustomModelDeployment"


def interrupt(moment, *arguments):
    """Run a command line until it interrupts itself, and return what it printed to standard error."""
    process = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, moment, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 130, process.stderr
    assert "Traceback" not in process.stderr
    assert "submitted jobs and started endpoints continue, and may be billed" in process.stderr
    return process.stderr


@pytest.fixture
def repeat(cli, sandbox):
    """Return a function that runs a command line to its end; each poll advances the sandbox's clock."""

    def advance(request):
        if request.method == "GET":
            sandbox.clock.advance(10_000)

    def run(*arguments):
        with sandbox.intercept(advance):
            code, out, err = cli(*arguments)
        assert code == 0, err
        return out

    return run


@pytest.fixture
def submit(folder):
    return ("submit", "train.jsonl", "-m", "nova-micro")


@pytest.fixture
def running(tuner, chat):
    return tuner.submit("nova-micro", chat, hyperparameters={"epochCount": 1})


class TestSubmit:
    @pytest.mark.parametrize(
        ("moment", "jobs", "files"),
        every(
            3,
            [
                (f"after-call.bedrock.{CREATE}", 1, 1),
                ("before-send.s3.PutObject", 0, 0),
                ("after-call.s3.PutObject", 0, 1),
                (f"before-send.bedrock.{CREATE}", 0, 1),
                ("pause", 1, 1),
            ],
        ),
    )
    def test_one_job_is_created_in_all(
        self, submit, folder, tuner, repeat, list_training_files, moment, jobs, files
    ):
        # Data that no other test has uploaded.
        path = folder / "train.jsonl"
        path.write_text(path.read_text().replace("What is", f"At {moment}, what is"))
        before = list_training_files()
        interrupt(moment, *submit, "--wait")
        assert len(list(tuner.jobs())) == jobs
        assert len(list_training_files() - before) == files
        repeat(*submit, "--wait")
        (job,) = tuner.jobs()
        assert job.state == "succeeded"

    def test_queue_submits_nothing(self, submit, tuner, sandbox, cli):
        error = "ServiceQuotaExceededException"
        sandbox.faults.add("error", operation=CREATE, code=error, times=1)
        interrupt("pause", *submit, "--queue", "2h")
        assert list(tuner.jobs()) == []
        assert cli(*submit)[0] == 0

    def test_rerun_creates_at_most_one_job(self, running, tuner):
        interrupt(f"before-send.bedrock.{CREATE}", "jobs", "rerun", running.id)
        assert len(list(tuner.jobs())) == 1
        interrupt(f"after-call.bedrock.{CREATE}", "jobs", "rerun", running.id)
        assert len(list(tuner.jobs())) == 2


class TestJobs:
    @pytest.mark.parametrize("verb", every(2, ["wait", "watch"]))
    @pytest.mark.parametrize(
        "moment", every(2, ["before-send.bedrock.*", "after-call.bedrock.*", "pause"]), ids=str
    )
    @pytest.mark.parametrize("count", every(2, [2, 1]))
    def test_jobs_continue(self, tuner, chat, running, repeat, verb, moment, count):
        jobs = [running, tuner.submit("nova-micro", chat, hyperparameters={"epochCount": 2})]
        ids = [job.id for job in jobs[:count]]
        interrupt(moment, "jobs", verb, *ids)
        assert {job.status() for job in jobs} == {"pending"}
        repeat("jobs", verb, *ids)

    def test_cancelled_job_stays_cancelled(self, running, repeat):
        interrupt(f"before-send.bedrock.{STOP}", "jobs", "cancel", running.id)
        assert running.status() == "pending"
        interrupt(f"after-call.bedrock.{STOP}", "jobs", "cancel", running.id)
        assert running.status() in ("stopping", "stopped")
        repeat("jobs", "cancel", running.id)

    def test_interrupt_leaves_the_rest_of_several_jobs_unchanged(self, running, tuner, chat):
        other = tuner.submit("nova-micro", chat, hyperparameters={"epochCount": 2})
        command = ("jobs", "cancel", running.id, other.id, "--yes")
        interrupt(f"after-call.bedrock.{STOP}", *command)
        assert running.status() in ("stopping", "stopped")
        assert other.status() == "pending"


class TestEndpoints:
    @pytest.mark.parametrize(
        ("moment", "count"),
        every(
            2,
            [
                (f"after-call.bedrock.{DEPLOY}", 1),
                (f"before-send.bedrock.{DEPLOY}", 0),
                ("pause", 1),
            ],
        ),
    )
    @pytest.mark.parametrize("command", every(2, ["start", "promote"]))
    def test_one_endpoint_is_started_in_all(self, job, tuner, repeat, command, moment, count):
        arguments = {
            "start": ("endpoints", "start", job.id),
            "promote": ("promote", job.id, "--to", "interrupted-bot"),
        }[command]
        interrupt(moment, *arguments)
        assert len(list(tuner.endpoints(model=job.model))) == count
        repeat(*arguments)
        (endpoint,) = tuner.endpoints(model=job.model)
        assert endpoint.info.state == "ready"
        endpoint.stop()

    @pytest.mark.parametrize(
        "moment",
        every(3, [f"after-call.bedrock.{DELETE}", f"before-send.bedrock.{DELETE}", "pause"]),
    )
    def test_stop_can_be_repeated(self, job, tuner, cli, sandbox, moment):
        endpoint = job.start_endpoint()
        interrupt(moment, "endpoints", "stop", endpoint.id)
        code, _, err = cli("endpoints", "stop", endpoint.id)
        # Unless it is deleted already.
        assert code == 0 or "check the id and the region" in err
        with pytest.raises(NotFoundError):
            tuner.endpoint(endpoint.id)

    @pytest.mark.parametrize(
        "moment",
        every(3, [f"after-call.bedrock.{UPDATE}", f"before-send.bedrock.{UPDATE}", "pause"]),
    )
    def test_update_can_be_repeated(self, job, tuner, chat, repeat, moment):
        other = tuner.submit("nova-micro", chat, hyperparameters={"epochCount": 1}).wait()
        endpoint = job.start_endpoint()
        command = ("endpoints", "update", endpoint.id, other.model)
        interrupt(moment, *command)
        repeat(*command)
        assert tuner.endpoint(endpoint.id).info.model == other.model

    @pytest.mark.parametrize(
        ("moment", "is_requested"),
        every(
            3,
            [
                ("after-call.s3.PutObject", False),
                ("after-call.bedrock.TagResource", False),
                (f"before-send.bedrock.{UPDATE}", False),
                (f"after-call.bedrock.{UPDATE}", True),
                ("pause", True),
            ],
        ),
    )
    def test_rollback_continues_or_can_be_repeated(
        self, job, tuner, chat, sandbox, repeat, moment, is_requested
    ):
        # The records of other tests stay in the bucket.
        name = re.sub(r"\W+", "-", f"bot-{moment}").lower()
        other = tuner.submit("nova-micro", chat, hyperparameters={"epochCount": 1}).wait()
        for model in (job, other):
            tuner.promote(model.id, name)
            sandbox.clock.advance(60)
        interrupt(moment, "rollback", name)
        if is_requested:
            sandbox.clock.advance(10_000)
        else:
            repeat("rollback", name)
        endpoint = tuner.endpoint(name)
        assert endpoint.info.model == job.model
        # The next rollback returns to the other model.
        sandbox.clock.advance(60)
        assert tuner.rollback(name).model == other.model
        endpoint.stop()


class TestClosedPipe:
    """A reader that has ended, such as `head`, ends the command as SIGPIPE does, and quietly."""

    @pytest.mark.parametrize("option", [[], ["--json"]], ids=str)
    @pytest.mark.parametrize("has_output", every(2, [True, False]))
    @pytest.mark.parametrize(
        "command",
        [
            "submit train.jsonl -m nova-micro --wait",
            "jobs watch JOB",
            "jobs wait JOB --timeout 0s",
            "jobs show nothing",
            "jbos",
        ],
    )
    def test_messages(self, folder, running, command, has_output, option):
        if (has_output, option, command.split()[:2]) == (True, ["--json"], ["jobs", "watch"]):
            pytest.skip("prints no messages")
        words = [running.id if word == "JOB" else word for word in command.split()]
        reader, writer = os.pipe()
        os.close(reader)
        try:
            process = subprocess.run(
                [sys.executable, "-m", "tunestack", *words, *option],
                stdout=subprocess.PIPE if has_output else writer,
                stderr=writer,
                timeout=60,
                check=False,
            )
        finally:
            os.close(writer)
        assert process.returncode == 141

    def test_job_is_submitted_once_if_the_pipe_is_closed_later(self, submit, folder, tuner, cli):
        line = f"{sys.executable} -m tunestack {' '.join(submit)} --wait 2>&1 | head -3"
        subprocess.run(["bash", "-c", line], capture_output=True, timeout=60, check=True)
        before = [job.id for job in tuner.jobs()]
        assert cli(*submit)[0] == 0
        (job,) = tuner.jobs()
        assert before in ([], [job.id])


class TestColumns:
    """The commands that wait print complete messages in terminals of any width."""

    @pytest.mark.parametrize("columns", every(3, [40, 80, 120]))
    def test_submit_shows_the_plan_and_the_progress(self, submit, sandbox, columns):
        with open_terminal(*submit, "--yes", "--wait", columns=columns) as terminal:
            terminal.wait_for("elapsed")
            sandbox.clock.advance(10_000)
            assert terminal.finish() == 0, terminal.text
        text = " ".join(terminal.text.split())
        assert "model: nova-micro (amazon.nova-micro-v1:0:128k)" in text
        assert "is succeeded, after " in text

    @pytest.mark.parametrize("columns", every(3, [40, 80, 120]))
    def test_endpoint_is_started_and_stopped(self, job, sandbox, columns):
        def advance(request):
            if request.method == "GET":
                sandbox.clock.advance(600)

        with sandbox.intercept(advance):
            code, terminal = run_in_terminal("endpoints", "start", job.id, columns=columns)
            assert code == 0
            assert "is ready, expires: " in " ".join(terminal.text.split())
            command = ("endpoints", "stop", "latest", "--yes")
            code, terminal = run_in_terminal(*command, columns=columns)
        assert code == 0
        assert "is deleted" in " ".join(terminal.text.split())
