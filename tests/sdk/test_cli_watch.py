"""The progress of jobs: in a terminal, in a pipe, as JSON, and in `job.wait(progress=True)`."""

import json
import signal
import subprocess
import sys

import pytest

from tests.parameters import every
from tests.sdk.terminal import open_terminal, run_in_terminal
from tunestack.cli.identifiers import short_id
from tunestack_sandbox.messages import Response

GPT = "openai/gpt-4o-mini-2024-07-18"


@pytest.fixture
def earlier(tuner, chat):
    """Return a job that has succeeded, by which the remaining time is estimated."""
    return tuner.submit("nova-micro", chat, hyperparameters={"epochCount": 1}).wait()


@pytest.fixture
def jobs(earlier, tuner, chat):
    """Return two jobs that were just submitted."""
    return [
        tuner.submit("nova-micro", chat, hyperparameters={"epochCount": epochs})
        for epochs in (2, 3)
    ]


def test_each_change_is_a_message_in_a_pipe(cli, jobs, sandbox):
    sandbox.clock.advance(10_000)
    code, out, err = cli("jobs", "watch", jobs[0].id)
    assert code == 0
    lines = err.splitlines()
    assert lines[-1].startswith(f"job {jobs[0].name} is succeeded, after ")
    assert "custom-model" in out


def test_message_has_elapsed_and_remaining_time_with_its_basis(cli, jobs, sandbox):
    sandbox.clock.advance(60)
    code, _, err = cli("jobs", "watch", jobs[0].id, "--timeout", "0s")
    assert code == 1
    assert "is pending" in err
    assert " elapsed, about " in err
    assert " left (as the last job of this model)" in err


def test_json_has_one_object_per_change(cli, jobs, sandbox):
    sandbox.clock.advance(10_000)
    _, out, err = cli("jobs", "watch", *(job.id for job in jobs), "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["state"] for row in rows].count("succeeded") == 2
    states = [(row["id"], row["state"], row["phase"]) for row in rows]
    assert len(states) == len(set(states))
    assert {"elapsed", "remaining", "remaining_basis", "loss"} <= rows[0].keys()
    assert err == ""


def test_wait_prints_nothing_before_the_end(cli, jobs, sandbox):
    sandbox.clock.advance(10_000)
    code, out, err = cli("jobs", "wait", *(job.id for job in jobs), "--json")
    assert (code, err) == (0, "")
    assert [json.loads(row)["state"] for row in out.splitlines()] == ["succeeded", "succeeded"]


def test_wait_fails_if_one_job_was_stopped(cli, jobs, sandbox):
    jobs[1].cancel()
    sandbox.clock.advance(10_000)
    code, _, err = cli("jobs", "wait", *(job.id for job in jobs))
    assert code == 1
    assert "was stopped" in err


def test_loss_of_openai_is_shown_while_it_trains(cli, tuner, chat, intercept):
    job = tuner.submit(GPT, chat)
    event = {
        "id": "ftevent-1",
        "object": "fine_tuning.job.event",
        "created_at": 1,
        "level": "info",
        "message": "Step 1/30: training loss=1.25",
        "type": "metrics",
        "data": {"step": 1, "train_loss": 1.25},
    }

    def list_events(request):
        """Return the event of a step, which the sandbox creates at the end only."""
        if "/events" not in request.target:
            return None
        body = {"object": "list", "data": [event], "has_more": False}
        return Response(status=200, body=json.dumps(body).encode())

    intercept(list_events)
    code, _, err = cli("jobs", "watch", job.id, "--timeout", "0s")
    assert code == 1
    assert ", loss 1.25" in err


class TestInTerminal:
    @pytest.mark.parametrize("columns", every(3, [40, 80, 120]))
    def test_live_lines_of_several_jobs_fit(self, jobs, sandbox, columns):
        arguments = ("jobs", "watch", *(short_id(job.id) for job in jobs))
        with open_terminal(*arguments, columns=columns) as terminal:
            for job in jobs:
                terminal.wait_for(short_id(job.id))
            terminal.wait_for("elapsed")
            sandbox.clock.advance(10_000)
            assert terminal.finish() == 0, terminal.text
        for job in jobs:
            assert f"job {job.name} is succeeded, after" in terminal.text.replace("\n", " ")
        assert "Traceback" not in terminal.text

    def test_ctrl_c_leaves_the_jobs_running(self, jobs, tuner):
        with open_terminal("jobs", "watch", jobs[0].id, jobs[1].id) as terminal:
            terminal.wait_for("elapsed")
            terminal.interrupt()
            assert terminal.finish() == 130
        assert "Traceback" not in terminal.text
        assert "submitted jobs and started endpoints continue" in terminal.text
        assert tuner.job(jobs[0].id).state == "pending"

    def test_wait_with_progress_shows_a_line(self, jobs, sandbox):
        code = f"from tunestack import Tuner; Tuner().job({jobs[0].id!r}).wait(progress=True)"
        with open_terminal(command=[sys.executable, "-c", code]) as terminal:
            terminal.wait_for(f"job {jobs[0].name}: pending")
            sandbox.clock.advance(10_000)
            assert terminal.finish() == 0, terminal.text
        assert f"job {jobs[0].name}: succeeded, after" in terminal.text


def test_wait_with_progress_in_a_pipe_prints_nothing(jobs, sandbox, capsys):
    sandbox.clock.advance(10_000)
    assert jobs[0].wait(progress=True) is jobs[0]
    assert capsys.readouterr() == ("", "")


class TestTables:
    @pytest.mark.parametrize("columns", every(3, [40, 80, 120]))
    @pytest.mark.parametrize(
        "arguments",
        [("jobs", "list"), ("custom-models", "list"), ("models", "list"), ("cost", "--running")],
        ids=" ".join,
    )
    def test_table_fits_the_terminal_and_has_the_short_id(self, jobs, earlier, columns, arguments):
        code, terminal = run_in_terminal(*arguments, columns=columns)
        assert code == 0
        lines = terminal.text.splitlines()
        assert max(map(len, lines[:-1])) <= columns
        assert lines[0].startswith("ID ")
        ids = {"jobs": earlier.id, "custom-models": earlier.model, "cost": earlier.model}
        expected = short_id(ids.get(arguments[0], "nova-micro"))
        assert any(line.startswith(expected) for line in lines)

    def test_no_color_is_respected(self, earlier):
        assert "\x1b[" in run_in_terminal("jobs", "list")[1].raw
        plain = run_in_terminal("jobs", "list", NO_COLOR="1")[1].raw
        assert "\x1b[3" not in plain

    def test_list_in_a_pipe_has_tabs_and_full_ids(self, cli, earlier):
        _, out, _ = cli("jobs", "list")
        assert out.split("\t")[:3] == [earlier.id, earlier.name, "succeeded"]

    def test_yaml_is_a_document_per_item(self, cli, jobs):
        import yaml

        _, out, _ = cli("jobs", "list", "--format", "yaml")
        _, lines, _ = cli("jobs", "list", "--json")
        assert list(yaml.safe_load_all(out)) == [json.loads(line) for line in lines.splitlines()]

    @pytest.mark.parametrize("option", [[], ["--json"], ["--format", "yaml"]], ids=str)
    def test_closed_pipe_ends_quietly(self, jobs, earlier, option):
        command = " ".join(
            [
                sys.executable,
                "-m",
                "tunestack",
                "models",
                "list",
                "--all",
                "--limit",
                "999",
                *option,
            ]
        )
        process = subprocess.run(
            ["bash", "-c", f"{command} | head -1; exit ${{PIPESTATUS[0]}}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode in {0, 128 + signal.SIGPIPE}
        assert len(process.stdout.splitlines()) == 1
        assert process.stderr == ""
