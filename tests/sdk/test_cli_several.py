"""Commands for several jobs, endpoints or custom models: found first, confirmed once, and an error does not stop the others."""

import json

import pytest

from tests.sdk.terminal import open_terminal, run_in_terminal
from tunestack import NotFoundError
from tunestack.cli.identifiers import short_id


@pytest.fixture
def running(tuner, chat):
    """Return two jobs that were just submitted."""
    return [
        tuner.submit("nova-micro", chat, hyperparameters={"epochCount": epochs})
        for epochs in (1, 2)
    ]


@pytest.fixture
def succeeded(running):
    return [job.wait() for job in running]


def ids_of(out):
    return [json.loads(line)["id"] for line in out.splitlines()]


class TestShow:
    def test_several_jobs_are_shown_once_each_in_the_order_of_the_arguments(self, cli, running):
        first, second = running
        code, out, _ = cli("jobs", "show", second.id, first.name, short_id(second.id), "--json")
        assert code == 0
        assert ids_of(out) == [second.id, first.id]

    def test_empty_line_separates_items_in_text(self, cli, running):
        _, out, _ = cli("jobs", "show", *(job.id for job in running))
        first, second = out.split("\n\n")
        assert running[0].name in first
        assert running[1].name in second

    def test_endpoints_and_custom_models(self, cli, succeeded):
        endpoints = [job.start_endpoint() for job in succeeded]
        for noun, items in (
            ("endpoints", [endpoint.id for endpoint in endpoints]),
            ("custom-models", [job.model for job in succeeded]),
        ):
            code, out, _ = cli(noun, "show", *items, "--id-only")
            assert (code, out.split()) == (0, items)


class TestPlan:
    """Nothing is cancelled, stopped or deleted unless it was confirmed."""

    @pytest.mark.parametrize(
        ("command", "action"),
        [
            (["jobs", "cancel"], "the cancellation of several jobs"),
            (["endpoints", "stop"], "the deletion of several endpoints"),
            (["custom-models", "delete"], "the deletion"),
        ],
        ids=" ".join,
    )
    def test_script_needs_yes(self, cli, sandbox, command, action):
        before = sandbox.traffic.requests
        code, out, err = cli(*command, "one", "two")
        assert (code, out) == (2, "")
        assert f"standard input is not a terminal: confirm {action} with --yes" in err
        assert sandbox.traffic.requests == before

    def test_unknown_id_is_an_error_before_anything_is_cancelled(self, cli, running, tuner):
        code, _, err = cli("jobs", "cancel", running[0].id, "nothing", "--yes")
        assert code == 3
        assert "'nothing'" in err
        assert tuner.job(running[0].id).state == "pending"

    def test_jobs_are_cancelled_after_one_question(self, running, tuner):
        with open_terminal("jobs", "cancel", *(job.id for job in running)) as terminal:
            terminal.wait_for("[y/N]: ")
            text = " ".join(terminal.text.split())
            assert text.startswith(f"job {running[0].name}: pending (validation) job")
            assert "Cancel these 2 jobs? A cancelled job creates no model" in text
            assert {tuner.job(job.id).state for job in running} == {"pending"}
            terminal.type("y\n")
            assert terminal.finish() == 0, terminal.text
        assert terminal.text.count("[y/N]") == 1
        assert {tuner.job(job.id).state for job in running} <= {"stopping", "stopped"}

    @pytest.mark.parametrize("noun", ["jobs", "endpoints", "custom-models"])
    def test_nothing_is_done_without_the_confirmation(self, noun, succeeded, tuner):
        endpoints = [job.start_endpoint() for job in succeeded] if noun == "endpoints" else []
        verb, items = {
            "jobs": ("cancel", [job.id for job in succeeded]),
            "endpoints": ("stop", [endpoint.id for endpoint in endpoints]),
            "custom-models": ("delete", [job.model for job in succeeded]),
        }[noun]
        with open_terminal(noun, verb, *items) as terminal:
            terminal.wait_for("[y/N]: ")
            terminal.type("n\n")
            assert terminal.finish() == 1
        assert [endpoint.id for endpoint in endpoints] == [
            tuner.endpoint(endpoint.id).id for endpoint in endpoints
        ]
        assert all(tuner.custom_model(job.model).exists() for job in succeeded)

    def test_terminal_asks_for_one_job_too_unless_yes_is_set(self, running, tuner):
        first, second = running
        with open_terminal("jobs", "cancel", first.id) as terminal:
            terminal.wait_for("[y/N]: ")
            assert "Cancel this job?" in terminal.text
            terminal.type("n\n")
            assert terminal.finish() == 1
        assert "nothing was changed" in terminal.text
        assert tuner.job(first.id).state == "pending"
        code, terminal = run_in_terminal("jobs", "cancel", second.id, "--yes")
        assert code == 0
        assert "[y/N]" not in terminal.text

    def test_script_with_one_job_or_endpoint_needs_no_confirmation(
        self, cli, succeeded, tuner, chat
    ):
        endpoint = succeeded[0].start_endpoint()
        assert cli("endpoints", "stop", endpoint.id)[0] == 0
        job = tuner.submit("nova-micro", chat, hyperparameters={"epochCount": 3})
        assert cli("jobs", "cancel", job.id)[0] == 0


class TestErrors:
    def test_error_of_one_model_does_not_stop_the_others(self, cli, succeeded, tuner):
        served, other = succeeded
        served.start_endpoint()
        code, out, err = cli(
            "custom-models", "delete", served.model, other.model, "--yes", "--json"
        )
        assert code == 3
        assert ids_of(out) == [other.model]
        errors = [json.loads(line) for line in err.splitlines()]
        assert [row["type"] for row in errors if row["level"] == "error"] == ["ConflictError"]
        assert tuner.custom_model(served.model).exists()
        with pytest.raises(NotFoundError):
            tuner.custom_model(other.model)

    def test_every_error_is_printed(self, cli, succeeded):
        for job in succeeded:
            job.start_endpoint()
        code, out, err = cli("custom-models", "rm", *(job.model for job in succeeded), "--yes")
        assert (code, out) == (3, "")
        assert err.count("error: ") == 2
        assert all(job.name in err or job.model in err for job in succeeded)
