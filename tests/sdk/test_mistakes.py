"""The likeliest mistakes on the command line: each message names the value, what is wrong, and a fix that works."""

import json
import os
import re
import shlex

import pytest

from tests.sdk.mistakes import MISTAKES, SUBMIT
from tests.sdk.terminal import run_in_terminal
from tunestack_sandbox import Quotas

GPT = "openai/gpt-4o-mini-2024-07-18"


@pytest.mark.as_root
@pytest.mark.parametrize("name", MISTAKES)
def test_message_names_the_mistake_and_the_fix(cli, folder, name):
    mistake = MISTAKES[name]
    words = shlex.split(mistake.line)
    code, out, err = cli(*words)
    assert (code, out) == (mistake.code, ""), err
    assert err.startswith("error: ")
    assert "Traceback" not in err
    for part in mistake.parts:
        assert part in err
    # With --json, the same message is in an object.
    _, _, err = cli(*words, "--json")
    (error,) = [row for row in map(json.loads, err.splitlines()) if row["level"] == "error"]
    assert (error["exit_code"], bool(error["type"])) == (mistake.code, True)
    for part in mistake.parts[:1]:
        assert part in error["message"]


@pytest.mark.as_root
class TestCredentials:
    def test_misspelt_profile_lists_those_that_are_configured(
        self, cli, sandbox, tmp_path, monkeypatch
    ):
        (tmp_path / "config").write_text("[profile staging]\nregion = us-east-1\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_PROFILE", "stagign")
        code, _, err = cli("jobs", "list")
        assert code == 2
        assert "the AWS profile 'stagign' is not configured" in err
        assert "set AWS_PROFILE to one of those that are (" in err
        assert "staging" in err

    def test_missing_credentials(self, cli, sandbox, tmp_path, monkeypatch):
        for name in list(os.environ):
            if re.fullmatch("AWS_(ACCESS|SECRET|SESSION|SHARED|CONFIG|PROFILE).*", name):
                monkeypatch.delenv(name)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        code, _, err = cli("jobs", "list")
        assert code == 3
        assert (
            "Unable to locate credentials: sign in (`aws login`, `aws sso login`), or set AWS_PROFILE"
            in err
        )
        assert "`tunestack sandbox -- COMMAND`" in err

    def test_expired_credentials(self, cli, inject_error):
        inject_error("ListModelCustomizationJobs", "ExpiredTokenException")
        code, _, err = cli("jobs", "list")
        assert code == 3
        assert "sign in again (`aws login`, `aws sso login`" in err

    def test_missing_key_of_openai(self, cli, folder, monkeypatch):
        monkeypatch.delenv("OPENAI_API_KEY")
        code, _, err = cli("submit", "train.jsonl", "-m", GPT)
        assert code == 3
        assert "no key for OpenAI: set OPENAI_API_KEY" in err


class TestStates:
    def test_quota_of_jobs_is_named_with_the_ways_out(self, cli, folder, inject_error):
        inject_error("CreateModelCustomizationJob", "ServiceQuotaExceededException")
        code, _, err = cli(*shlex.split(SUBMIT))
        assert code == 3
        assert "L-0406044C" in err
        assert "--queue" in err

    def test_job_that_has_ended_can_be_cancelled_twice(self, cli, tuner, chat):
        job = tuner.submit("nova-micro", chat).wait()
        for _ in range(2):
            code, out, err = cli("jobs", "cancel", job.id)
            assert code == 0
            assert "had ended before" in err
            assert "succeeded" in out

    def test_endpoint_that_was_stopped_is_not_found(self, cli, tuner, chat):
        name = tuner.submit("nova-micro", chat).wait().start_endpoint().name
        tuner.endpoint(name).stop()
        code, _, err = cli("endpoints", "stop", name)
        assert code == 3
        assert "`tunestack endpoints list` lists the endpoints" in err

    def test_endpoint_of_a_running_job_says_to_wait(self, cli, tuner, chat):
        job = tuner.submit("nova-micro", chat)
        code, _, err = cli("endpoints", "start", job.id)
        assert code == 1
        assert "has no model" in err


@pytest.mark.as_root
class TestDoctor:
    @pytest.mark.parametrize(
        ("arguments", "variables", "detail"),
        [
            (["--model", "nova-mirco"], {}, "did you mean 'nova-micro'?"),
            ([], {"AWS_PROFILE": "nope"}, "the AWS profile 'nope' is not configured"),
            (["--stage", "prod"], {}, "stage 'prod' is not deployed"),
            (["--region", "mars"], {}, "invalid region 'mars'"),
        ],
    )
    def test_error_is_a_check_that_fails(
        self, cli, sandbox, monkeypatch, arguments, variables, detail
    ):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        code, out, err = cli("doctor", *arguments)
        assert (code, err) == (1, "")
        assert "FAILS" in out
        assert detail in out
        rows = [json.loads(row) for row in cli("doctor", *arguments, "--json")[1].splitlines()]
        assert {row["verdict"] for row in rows} <= {"pass", "fail", "unknown"}
        assert all(row["fix"] for row in rows if row["verdict"] == "fail")

    def test_quota_that_fails_has_the_command_and_the_page_of_the_console(self, cli, sandbox):
        sandbox.quotas = Quotas(model_units=0, model_units_per_model=0)
        _, out, _ = cli("doctor", "--model", "llama-3-1-8b", "--region", "us-west-2")
        command = re.search(r"`(aws service-quotas request-service-quota-increase [^`]*)`", out)
        assert command
        assert "--quota-code L-BE77399C --desired-value 1 --region us-west-2" in command[1]
        assert "https://us-west-2.console.aws.amazon.com/servicequotas/home/services/bedrock" in out


def test_error_in_a_terminal_of_40_columns_is_complete(folder):
    code, terminal = run_in_terminal("jobs", "lsit", columns=40)
    assert code == 2
    assert "did you mean 'tunestack jobs list'?" in terminal.text
