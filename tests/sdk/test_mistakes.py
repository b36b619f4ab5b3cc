"""The likeliest mistakes on the command line: each message names the value, what is wrong, and a fix that works."""

import json
import os
import re
import shlex

import pytest

from tests.sdk.terminal import run_in_terminal
from tunestack_sandbox import Quotas

GPT = "openai/gpt-4o-mini-2024-07-18"
JOB_ARN = "arn:aws:bedrock:{}:{}:model-customization-job/amazon.nova-micro-v1:0:128k/abcdefghijkl"
SUBMIT = "submit train.jsonl -m nova-micro"
LIST_JOBS = "`tunestack jobs list` lists those that exist in this region, and --region another one"

# Each row: the command line, the exit code, and parts of the message.
MISTAKES = {
    "misspelt model": (
        "submit train.jsonl -m nova-mirco",
        2,
        ["unknown model 'nova-mirco': did you mean 'nova-micro'?"],
    ),
    "unknown model": (
        "submit train.jsonl -m gpt-9",
        2,
        ["unknown model 'gpt-9': models that can be fine-tuned today: nova-micro,"],
    ),
    "retired model": (
        "submit train.jsonl -m claude-3-haiku",
        2,
        ["it was retired on 2026-09-10; models that can be fine-tuned today: nova-micro"],
    ),
    "swapped arguments": (
        "submit nova-micro train.jsonl",
        2,
        [
            "'nova-micro' is a base model, not a file",
            "pass the file first, and the model as --model nova-micro",
        ],
    ),
    "no model": (
        "submit train.jsonl",
        2,
        ["Missing option '--model'", "such as --model nova-micro", "`tunestack models list`"],
    ),
    "misspelt file": (
        "submit trian.jsonl -m nova-micro",
        2,
        ["'trian.jsonl' does not exist: did you mean 'train.jsonl'?"],
    ),
    "missing folder": (
        "submit data/train.jsonl -m nova-micro",
        2,
        ["'data/train.jsonl' does not exist: the folder 'data' can't be read"],
    ),
    "folder": ("submit folder -m nova-micro", 1, ["'folder' is a folder: pass a file"]),
    "empty file": (
        "submit empty.jsonl -m nova-micro",
        1,
        ["training data has 0 records, the minimum of Nova Micro is 8"],
    ),
    "not JSON": (
        "submit text.jsonl -m nova-micro",
        1,
        ["invalid JSON", "`tunestack data report FILE --model MODEL` shows all problems"],
    ),
    "no answer to learn": (
        "submit questions.jsonl -m nova-micro",
        1,
        ["the last message must be the assistant message that the model learns"],
    ),
    "stage that is not deployed": (
        f"{SUBMIT} --stage prod",
        2,
        ["stage 'prod' is not deployed in us-east-1", "only dev (--stage)", "run `cdk deploy`"],
    ),
    "misspelt stage": (f"{SUBMIT} --stage dve", 2, ["did you mean 'dev'?"]),
    "region without the model": (
        f"{SUBMIT} --region us-west-2",
        2,
        ["can't be fine-tuned in us-west-2, only in us-east-1", "--region us-east-1"],
    ),
    "invalid region": (
        f"{SUBMIT} --region useast1",
        2,
        ["invalid region 'useast1'", "such as us-east-1"],
    ),
    "misspelt hyperparameter": (
        f"{SUBMIT} -p epochs=3",
        2,
        ["unknown hyperparameter 'epochs': did you mean 'epochCount'?"],
    ),
    "hyperparameter out of range": (
        f"{SUBMIT} -p epochCount=99",
        2,
        ["epochCount='99' is out of range: use an integer from 1 to 5 (default 2)"],
    ),
    "hyperparameter that is no number": (
        f"{SUBMIT} -p epochCount=three",
        2,
        ["epochCount='three' is not a number: use an integer from 1 to 5"],
    ),
    "cost above the limit": (
        f"{SUBMIT} --max-cost 0.0001",
        2,
        ["more than max_cost $0.0001: use fewer epochs or less data, or raise max_cost"],
    ),
    "unknown job": ("jobs show tickets-123", 3, ["'tickets-123'", LIST_JOBS]),
    "job of another region": (
        f"jobs show {JOB_ARN.format('us-west-2', '123456789012')}",
        3,
        ["us-west-2", LIST_JOBS],
    ),
    "job of another account": (
        f"jobs show {JOB_ARN.format('us-east-1', '999999999999')}",
        3,
        ["belongs to account 999999999999, the credentials to account 123456789012", "AWS_PROFILE"],
    ),
    "job id of the wrong kind": (
        f"jobs show {JOB_ARN.format('us-east-1', '123456789012').replace('model-customization-job', 'custom-model')}",
        2,
        ["it is the ARN of a fine-tuned model: expected the ARN or name of a fine-tuning job"],
    ),
    "unknown job at OpenAI": ("jobs show ftjob-abc", 3, ["'ftjob-abc'", "check the id"]),
    "unknown endpoint": (
        "endpoints invoke nothing hello",
        3,
        ["'nothing'", "`tunestack endpoints list` lists those that exist"],
    ),
    "invoke without an endpoint": (
        "endpoints invoke latest hello",
        3,
        ["this region has no endpoints: start one with `tunestack endpoints start JOB`"],
    ),
    "start without a job": (
        "endpoints start latest",
        3,
        ["this region has no jobs: submit one with `tunestack submit FILE --model MODEL`"],
    ),
    "duration without a unit": (
        "endpoints start latest --ttl 4",
        2,
        ["'4' is not a duration: use 30s, 90m, 4h or 2d"],
    ),
    "unknown state": ("jobs list --state done", 2, ["'done' is not one of 'pending', 'running'"]),
    "misspelt option": ("jobs list --jsno", 2, ["No such option '--jsno'", "'--json'"]),
    "misspelt command": (
        "jbos list",
        2,
        ["no such command 'jbos': did you mean 'tunestack jobs'?"],
    ),
    "misspelt subcommand": ("jobs lsit", 2, ["did you mean 'tunestack jobs list'?"]),
    "tag without a value": (f"{SUBMIT} --tag team", 2, ["'team' is not NAME=VALUE"]),
    "deletion in a script": (
        "custom-models delete m",
        2,
        ["standard input is not a terminal: confirm the deletion with --yes"],
    ),
}


@pytest.fixture
def folder(tmp_path, monkeypatch, sandbox, chat):
    """Change to a folder with training data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chat))
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.jsonl").write_text("hello\n" * 20)
    question = {"messages": [{"role": "user", "content": "Who?"}]}
    (tmp_path / "questions.jsonl").write_text(f"{json.dumps(question)}\n" * 20)
    return tmp_path


@pytest.mark.as_root
@pytest.mark.parametrize("name", MISTAKES)
def test_message_names_the_mistake_and_the_fix(cli, folder, name):
    line, expected, parts = MISTAKES[name]
    code, out, err = cli(*shlex.split(line))
    assert (code, out) == (expected, ""), err
    assert err.startswith("error: ")
    assert "Traceback" not in err
    for part in parts:
        assert part in err
    # With --json, the same message is in an object.
    _, _, err = cli(*shlex.split(line), "--json")
    (error,) = [row for row in map(json.loads, err.splitlines()) if row["level"] == "error"]
    assert (error["exit_code"], bool(error["type"])) == (expected, True)
    for part in parts[:1]:
        assert part in error["message"]


class TestFixes:
    """The fix of a message works."""

    @pytest.mark.as_root
    @pytest.mark.parametrize(
        "line",
        [
            "submit train.jsonl -m nova-micro",
            "submit train.jsonl -m nova-micro --stage dev",
            "submit train.jsonl -m nova-micro --region us-east-1",
            "submit train.jsonl --model nova-micro -p epochCount=3",
            "jobs list",
            "models list",
            "endpoints list",
        ],
    )
    def test_corrected_command_succeeds(self, cli, folder, line):
        assert cli(*shlex.split(line))[0] == 0

    @pytest.mark.as_root
    def test_data_report_shows_all_problems(self, cli, folder):
        code, out, _ = cli("data", "report", "text.jsonl", "--model", "nova-micro")
        assert code == 0
        assert "invalid JSON" in out


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
        assert "`tunestack endpoints list` lists those that exist" in err

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
