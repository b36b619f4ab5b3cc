"""Output and exit codes of the command line."""

import dataclasses
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from dotenv import dotenv_values

from tunestack import Deployment
from tunestack.deployment import format_environment


@pytest.fixture
def file(tmp_path, chat):
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in chat))
    return str(path)


def load_rows(out):
    return [json.loads(line) for line in out.splitlines()]


def parse_deployment(variables):
    """Return the deployment in the variables, without base models: a sandbox with a simulated date allows all models."""
    deployment = Deployment.from_environment(variables)
    assert deployment is not None
    assert deployment.base_models
    assert deployment.environment().items() <= variables.items()
    return dataclasses.replace(deployment, base_models=())


class TestEnv:
    def test_output_can_be_evaluated_by_a_shell(self, cli, sandbox):
        code, out, _ = cli("env")
        assert code == 0
        process = subprocess.run(
            ["bash", "-c", f"{out}\nexec env"],
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
        )
        variables = dict(line.split("=", 1) for line in process.stdout.splitlines())
        assert parse_deployment(variables) == sandbox.deployment()

    @pytest.mark.parametrize("arguments", [("--json",), ("--format", "json")])
    def test_json_has_all_variables(self, cli, sandbox, arguments):
        _, out, _ = cli("env", "--region", "us-west-2", *arguments)
        variables = json.loads(out)
        assert parse_deployment(variables) == sandbox.deployment("us-west-2")
        assert parse_deployment(variables).environment().keys() == variables.keys()

    def test_quotes_are_escaped_for_each_format(self):
        value = """it's "x" $y"""
        assert format_environment({"A": value}, "sh") == "export A='it'\"'\"'s \"x\" $y'"
        assert format_environment({"A": value}, "powershell") == "$env:A = 'it''s \"x\" $y'"
        assert {"A": value} == dotenv_values(
            stream=io.StringIO(format_environment({"A": value}, "dotenv"))
        )

    @pytest.mark.as_root
    def test_stage_that_is_not_deployed_is_a_configuration_error(self, cli, sandbox):
        code, out, err = cli("env", "--stage", "prod")
        assert (code, out) == (2, "")
        assert "stage 'prod' is not deployed in us-east-1" in err
        assert "cdk deploy" in err


class TestModels:
    def test_models_that_can_be_fine_tuned_are_listed(self, cli):
        code, out, _ = cli("models", "list")
        assert code == 0
        assert "nova-micro" in out
        assert "claude-3-haiku" not in out
        all_models = [line.split()[:2] for line in cli("models", "list", "--all")[1].splitlines()]
        assert ["claude-3-haiku", "retired"] in all_models

    def test_json_output_has_one_object_per_line(self, cli):
        rows = load_rows(cli("models", "list", "--region", "us-west-2", "--json")[1])
        assert {"id", "state", "model"} <= rows[0].keys()
        assert all(row["id"].startswith("llama") for row in rows)

    def test_one_model_is_shown_with_its_details(self, cli):
        _, out, _ = cli("models", "show", "bedrock/us.amazon.nova-micro-v1:0")
        assert "epochCount: 1 to 5, default 2 (high confidence)" in out
        assert "batchSize: 1 to 64, default 1 (medium confidence)" in out
        (model,) = load_rows(cli("models", "show", "nova-micro", "--json")[1])
        assert model["hyperparameters"]["epochCount"]["max"] == 5
        assert (model["limits"]["max_tokens"], model["prices"]["storage"]["usd"]) == (32000, 1.95)
        assert "unknown" in cli("models", "show", "cohere-command")[1]

    def test_unknown_model_is_a_usage_error(self, cli):
        code, _, err = cli("models", "show", "gpt-9")
        assert code == 2
        assert "unknown model 'gpt-9'" in err


@pytest.fixture
def submitted(cli, sandbox, file):
    code, out, err = cli("submit", file, "-m", "nova-micro", "-p", "epochCount=3", "--json")
    assert code == 0, err
    return json.loads(out)


class TestJobs:
    def test_identical_submission_shows_the_same_job(self, cli, submitted, file):
        assert {"id", "state", "model"} <= submitted.keys()
        assert submitted["state"] == "pending"
        assert submitted["hyperparameters"] == {"epochCount": "3"}
        second_output = cli("submit", file, "-m", "nova-micro", "-p", "epochCount=3", "--json")[1]
        assert submitted["id"] == json.loads(second_output)["id"]

    def test_submitted_job_is_listed_and_shown(self, cli, submitted):
        assert submitted["name"] in cli("jobs", "list")[1]
        assert [submitted["id"]] == [
            row["id"] for row in load_rows(cli("jobs", "list", "--json")[1])
        ]
        assert submitted["id"] in cli("jobs", "show", submitted["name"])[1]
        assert "no jobs" in cli("jobs", "list", "--name-contains", "nothing")[2]

    def test_watch_returns_when_the_job_has_succeeded(self, cli, submitted, sandbox):
        sandbox.clock.advance(10_000)
        code, out, err = cli("jobs", "watch", submitted["id"])
        assert code == 0
        assert "is succeeded" in err
        assert "custom-model" in out
        rows = load_rows(cli("jobs", "watch", submitted["id"], "--json")[1])
        assert rows[-1]["state"] == "succeeded"

    def test_watch_of_a_cancelled_job_exits_with_1(self, cli, submitted, sandbox):
        assert "stopping" in cli("jobs", "cancel", submitted["id"])[1]
        sandbox.clock.advance(100)
        code, _, err = cli("jobs", "watch", submitted["id"])
        assert code == 1
        assert "was stopped" in err
        assert "had ended before" in cli("jobs", "cancel", submitted["id"])[2]

    def test_watch_that_times_out_exits_with_1(self, cli, submitted):
        code, _, err = cli("jobs", "watch", submitted["id"], "--timeout", "0s")
        assert code == 1
        assert "it continues" in err

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (("jobs", "show", "nobody"), 3, "Could not find job nobody"),
            (("submit", "{file}", "-m", "claude-3-haiku"), 2, "retired on 2026-09-10"),
            (("submit", "{file}", "-m", "nova-micro", "-p", "epochCount=99"), 2, "out of range"),
            (("submit", "{file}", "-m", "nova-micro", "-p", "epochCount"), 2, "is not NAME=VALUE"),
            (
                ("submit", "{file}", "-m", "nova-micro", "--data-format", "completion"),
                1,
                "the format of this record is 'chat', expected 'completion'",
            ),
            (("submit", "nowhere.jsonl", "-m", "nova-micro"), 2, "does not exist"),
            (("submit", "{file}"), 2, "Missing option"),
            (("dance",), 2, "no such command 'dance'"),
        ],
    )
    def test_error_has_an_exit_code(self, cli, sandbox, file, arguments, code, message):
        actual, out, err = cli(*(argument.format(file=file) for argument in arguments))
        assert (code, "") == (actual, out)
        assert message in err
        assert "Traceback" not in err

    def test_interrupted_watch_leaves_the_job_running(self, cli, submitted):
        process = start_cli("jobs", "watch", submitted["id"])
        assert "is pending" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "interrupted; submitted jobs and started endpoints continue" in err
        assert "Traceback" not in err
        assert "pending" in cli("jobs", "show", submitted["id"])[1]


class TestEndpoints:
    def test_endpoint_is_started_listed_invoked_and_stopped(self, cli, submitted, sandbox):
        sandbox.clock.advance(10_000)
        # The test creates the deployment with boto3, because the command would wait in real time.
        bedrock = boto3.client("bedrock")
        model = bedrock.get_model_customization_job(jobIdentifier=submitted["id"])["outputModelArn"]
        name = f"tunestack-{model[-12:]}-on-demand"
        bedrock.create_custom_model_deployment(modelDeploymentName=name, modelArn=model)
        sandbox.clock.advance(500)
        started = json.loads(cli("endpoints", "start", submitted["id"], "--json")[1])
        assert (name, "ready", "on-demand") == (
            started["name"],
            started["state"],
            started["serving"],
        )
        assert name in cli("endpoints", "list")[1]
        assert cli("endpoints", "invoke", name, "What is number 7?")[1] == "It is 7.\n"
        answer = json.loads(
            cli("endpoints", "invoke", name, "What is number 7?", "--system", "Be brief", "--json")[
                1
            ]
        )
        assert answer["answer"] == "It is 7."
        assert json.loads(cli("endpoints", "stop", name, "--json")[1])["state"] == "deleted"
        code, out, err = cli("endpoints", "list")
        assert (code, out, err) == (0, "", "no endpoints\n")
        assert cli("endpoints", "stop", name)[0] == 3

    def test_error_about_an_invalid_duration_has_valid_examples(self, cli, sandbox, submitted):
        code, _, err = cli("endpoints", "start", submitted["id"], "--ttl", "soon")
        assert code == 2
        assert "use 30s, 90m, 4h or 2d" in err


def start_cli(*arguments, **options):
    return subprocess.Popen(
        [Path(sys.executable).with_name("tunestack"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def read_environment(process):
    """Read the lines that a sandbox prints, until the last one."""
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if "LITELLM_LOCAL_MODEL_COST_MAP" in line:
            return lines
    pytest.fail(f"the sandbox ended: {process.communicate(timeout=60)}")


class TestSandbox:
    def test_exit_code_is_that_of_the_command(self):
        command = "import boto3, sys; print(boto3.client('sts').get_caller_identity()['Account']); sys.exit(7)"
        process = start_cli("sandbox", "--empty", "--", sys.executable, "-c", command)
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, out) == (7, "123456789012\n")

    def test_missing_command_is_a_usage_error(self):
        process = start_cli("sandbox", "--empty", "--", "no-such-command")
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "can't run 'no-such-command'" in err
        assert "Traceback" not in err

    def test_sandbox_without_a_command_prints_its_environment_and_runs_until_ctrl_c(self):
        process = start_cli("sandbox", "--json")
        text = "".join(iter(process.stdout.readline, "}\n")) + "}"
        variables = json.loads(text)
        assert variables["AWS_REGION"] == "us-east-1"
        assert variables["DSPY_BEDROCK_ROLE_ARN"].startswith("arn:aws:iam::123456789012:role/")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0

    def test_region_without_a_stage_is_a_usage_error(self, cli):
        code, _, err = cli("sandbox", "--region", "eu-west-1")
        assert code == 2
        assert "use us-east-1 or us-west-2, or an empty sandbox (--empty)" in err

    def test_aws_profile_of_the_caller_is_ignored(self):
        environment = os.environ | {"AWS_PROFILE": "nope", "AWS_CONFIG_FILE": "/nowhere"}
        process = start_cli("sandbox", "--", "env", env=environment)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "AWS_PROFILE" not in out

    @pytest.mark.parametrize(
        ("form", "unset"),
        [
            ("sh", "unset {}"),
            ("powershell", "Remove-Item Env:{} -ErrorAction SilentlyContinue"),
        ],
    )
    def test_variables_of_real_accounts_are_unset_by_a_shell(self, form, unset):
        environment = os.environ | {
            "AWS_BEARER_TOKEN_BEDROCK": "secret",
            "OPENAI_ORG_ID": "secret",
        }
        process = start_cli("sandbox", "--empty", "--format", form, env=environment)
        lines = read_environment(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert {unset.format(name) for name in ("AWS_BEARER_TOKEN_BEDROCK", "OPENAI_ORG_ID")} <= {
            *lines
        }

    def test_variables_that_a_dotenv_file_can_not_unset_are_named(self):
        environment = os.environ | {"AWS_CA_BUNDLE": "/nowhere"}
        process = start_cli("sandbox", "--empty", "--format", "dotenv", env=environment)
        lines = read_environment(process)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert "AWS_CA_BUNDLE" not in str(lines)
        assert re.search("unset these variables, .*: .*AWS_CA_BUNDLE", err)

    def test_several_signals_stop_the_sandbox_like_one(self):
        process = start_cli("sandbox", "--empty")
        read_environment(process)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode in (0, 130)

    def test_error_about_an_unknown_option_suggests_the_right_one(self, cli):
        code, _, err = cli("sandbox", "--sped", "10", "--", "true")
        assert code == 2
        assert "--speed" in err

    def test_killed_command_has_the_exit_code_of_a_shell(self):
        process = start_cli("sandbox", "--empty", "--", "bash", "-c", "kill -9 $$")
        process.communicate(timeout=60)
        assert process.returncode == 137

    def test_sigterm_is_passed_to_the_command(self):
        code = (
            "import signal, sys\n"
            "signal.signal(signal.SIGTERM, lambda *_: (print('cleaned up'), sys.exit(5)))\n"
            "print('ready', flush=True)\n"
            "signal.pause()\n"
        )
        process = start_cli("sandbox", "--empty", "--", sys.executable, "-c", code)
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, out) == (5, "cleaned up\n")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--speed", "0"], "use a number above 0"),
            (["--fault", "throtle"], "unknown fault 'throtle': use throttle, "),
            (["--fault", "throttle,rate"], "use KEY=VALUE instead of 'rate'"),
            (["--fault", "throttle, rate = 2"], "use a number above 0, up to 1"),
            (["--fault", "throttle,often=2"], "unknown argument 'often'"),
        ],
    )
    def test_invalid_options_are_usage_errors(self, cli, arguments, message):
        code, _, err = cli("sandbox", *arguments)
        assert code == 2
        assert message in err

    def test_options_set_faults_quotas_and_the_simulated_date(self):
        code = (
            "import boto3\n"
            "client = boto3.client('bedrock', 'us-west-2')\n"
            "for _ in range(2):\n"
            "    try: print('haiku' in str(client.list_foundation_models()))\n"
            "    except client.exceptions.ConflictException: print('conflict')\n"
            "    except client.exceptions.ValidationException: print('invalid')\n"
        )
        options = ["--as-of", "2026-03-01", "--no-model-units", "--empty", "--seed", "3"]
        fault = "error,code=ValidationException,operation=List*,times=1"
        process = start_cli("sandbox", *options, "--fault", fault, "--", sys.executable, "-c", code)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "invalid\nTrue\n"), err


def test_closed_pipe_is_not_an_error():
    code = f"{sys.executable} -c 'from tunestack.cli import main; main()' models list | head -1; echo ${{PIPESTATUS[0]}}"
    process = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[1] in {"0", "141"}
    assert process.stderr == ""


def test_output_that_can_not_be_written_is_a_clear_error():
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [sys.executable, "-c", "from tunestack.cli import main; main()", "models", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert process.returncode == 2
    assert process.stderr.startswith("error: standard output can't be written")


def test_duplicate_hyperparameter_is_a_usage_error(cli, sandbox, file):
    code, _, err = cli(
        "submit", file, "-m", "nova-micro", "-p", "epochCount=1", "-p", "epochCount=2"
    )
    assert code == 2
    assert "'epochCount' is given twice" in err
