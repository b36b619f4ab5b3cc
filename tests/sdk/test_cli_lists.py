"""Aliases of commands, filters of lists, and `--web`."""

import json
import re
import sys

import pytest

from tests.sdk.terminal import run_in_terminal
from tests.sdk.test_cli_help import COMMANDS
from tunestack import ConfigError
from tunestack.cli.groups import first_sentence
from tunestack.cli.web import page_url

GPT = "openai/gpt-4o-mini-2024-07-18"
ARN = "arn:{}:bedrock:us-west-2:123456789012:{}/amazon.nova-micro-v1:0:128k/abcdefghijkl"


def ids_of(out):
    return [json.loads(line)["id"] for line in out.splitlines()]


class TestAliases:
    @pytest.mark.parametrize(
        ("alias", "command"),
        [
            ("jobs ls", "jobs list"),
            ("jobs ps", "jobs list"),
            ("jobs logs", "jobs events"),
            ("endpoints ls", "endpoints list"),
            ("endpoints rm", "endpoints stop"),
            ("custom-models ls", "custom-models list"),
            ("custom-models rm", "custom-models delete"),
            ("models ls", "models list"),
        ],
    )
    def test_alias_has_the_help_of_its_command(self, cli, alias, command):
        code, out, _ = cli(*alias.split(), "--help")
        assert code == 0
        assert first_sentence(COMMANDS[f"tunestack {command}"][0].help) in " ".join(out.split())
        group, _, name = alias.partition(" ")
        aliases = re.findall(r"\[alias: ([^]]+)\]", " ".join(cli(group, "--help")[1].split()))
        assert name in ", ".join(aliases).split(", ")

    def test_alias_runs_the_command(self, cli, job):
        assert cli("jobs", "ls", "--json") == cli("jobs", "list", "--json")

    def test_jobs_have_no_rm_because_they_can_not_be_deleted(self, cli):
        code, _, err = cli("jobs", "rm", "x")
        assert code == 2
        assert "no such command 'rm'" in err


class TestFilters:
    @pytest.fixture
    def jobs(self, tuner, chat):
        """Return a running, a stopped and a succeeded job of Nova Micro, and a running job of Nova Lite."""
        done = tuner.submit("nova-micro", chat).wait()
        stopped, running = (
            tuner.submit("nova-micro", chat, hyperparameters={"epochCount": epochs})
            for epochs in (1, 3)
        )
        stopped.cancel()
        return running, stopped, done, tuner.submit("nova-lite", chat)

    def test_jobs_by_several_states_and_base_model(self, cli, jobs):
        running, stopped, done, lite = (job.id for job in jobs)
        states = ("--state", "stopping", "--state", "stopped", "--state", "succeeded")
        assert set(ids_of(cli("jobs", "list", *states, "--json")[1])) == {stopped, done}
        assert ids_of(cli("jobs", "list", "-m", "nova-lite", "--json")[1]) == [lite]
        micro = set(ids_of(cli("jobs", "list", "-m", "us.amazon.nova-micro-v1:0", "--json")[1]))
        assert micro == {running, stopped, done}

    def test_custom_models_and_endpoints_by_base_model_and_state(self, cli, jobs):
        done, lite = jobs[2], jobs[3].wait()
        endpoint, other = done.start_endpoint(), lite.start_endpoint()
        models = ids_of(cli("custom-models", "list", "-m", "nova-micro", "--json")[1])
        assert done.model in models
        assert lite.model not in models
        assert ids_of(cli("endpoints", "list", "-m", "nova-micro", "--json")[1]) == [endpoint.id]
        ready = ids_of(cli("endpoints", "list", "--state", "ready", "--json")[1])
        assert set(ready) == {endpoint.id, other.id}
        assert cli("endpoints", "list", "--state", "failed", "--json")[1] == ""

    def test_jobs_at_openai_by_base_model(self, cli, tuner, chat):
        job = tuner.submit(GPT, chat)
        arguments = ("jobs", "list", "--provider", "openai", "--json", "-m")
        assert ids_of(cli(*arguments, "gpt-4o-mini-2024-07-18")[1]) == [job.id]
        assert cli(*arguments, "gpt-4.1-2025-04-14")[1] == ""

    def test_unknown_base_model_gets_a_suggestion(self, cli, sandbox):
        code, _, err = cli("jobs", "list", "-m", "nova-mirco")
        assert code == 2
        assert "did you mean 'nova-micro'?" in err


class TestWeb:
    @pytest.mark.parametrize(
        ("identifier", "url"),
        [
            (
                ARN.format("aws", "model-customization-job"),
                "https://us-west-2.console.aws.amazon.com/bedrock/home?region=us-west-2#/custom-models",
            ),
            (
                ARN.format("aws", "custom-model"),
                "https://us-west-2.console.aws.amazon.com/bedrock/home?region=us-west-2#/custom-models/item?arn="
                + ARN.format("aws", "custom-model"),
            ),
            (
                "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:provisioned-model/abcdefghijkl",
                "https://us-gov-west-1.console.amazonaws-us-gov.com/bedrock/home?region=us-gov-west-1#/provisioned-throughput/details?arn=arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:provisioned-model/abcdefghijkl",
            ),
            ("ftjob-123", "https://platform.openai.com/finetune/ftjob-123"),
            ("ft:gpt-4o-mini-2024-07-18:acme::abc", "https://platform.openai.com/finetune"),
        ],
    )
    def test_address_of_each_kind(self, identifier, url):
        assert page_url(identifier) == url

    def test_address_is_printed_in_a_pipe(self, cli, job):
        code, out, err = cli("jobs", "show", "latest", "--web")
        assert (code, out, err) == (0, f"{page_url(job.model)}\n", "")
        row = json.loads(cli("custom-models", "show", job.model, "--web", "--json")[1])
        assert row == {"id": job.model, "url": page_url(job.model)}
        endpoint = job.start_endpoint()
        assert page_url(job.model) in cli("endpoints", "show", endpoint.id, "--web")[1]

    def test_running_job_opens_the_list(self, cli, tuner, chat):
        job = tuner.submit("nova-micro", chat)
        assert cli("jobs", "show", job.id, "--web")[1].endswith("#/custom-models\n")

    def test_browser_is_opened_in_a_terminal(self, job, tmp_path):
        opened = tmp_path / "opened"
        browser = tmp_path / "browser.py"
        browser.write_text(
            f"import pathlib, sys; pathlib.Path({str(opened)!r}).write_text(sys.argv[1])"
        )
        variables = {"BROWSER": f"{sys.executable} {browser} %s"}
        code, terminal = run_in_terminal("jobs", "show", job.id, "--web", columns=200, **variables)
        assert code == 0
        assert opened.read_text() == page_url(job.model)
        assert page_url(job.model) in terminal.text

    def test_missing_browser_is_a_warning(self, job, tmp_path):
        variables = {"BROWSER": "false", "PATH": str(tmp_path), "DISPLAY": ""}
        code, terminal = run_in_terminal("jobs", "show", job.id, "--web", **variables)
        assert code == 0
        assert "warning: no browser was found: open the address above" in terminal.text

    def test_job_of_another_server_has_no_page(self):
        with pytest.raises(ConfigError, match="--web works for AWS and OpenAI"):
            page_url("job-123")
