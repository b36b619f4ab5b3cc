"""A cost estimate calls no service, needs no account, and has the arguments of a job."""

import inspect
import json
import os
import subprocess
import sys

import pytest

from tests.sdk.desks import GPT
from tunestack import Tuner
from tunestack.cli.commands import run
from tunestack.cli.submit import submit
from tunestack.errors import ConfigError, CostError, DataError, ModelError

ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.nova-micro-v1:0:128k/abcdefabcdef"
ENDPOINT = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abcdefabcdef"
OPTIONS = {
    "model": ["nova-micro"],
    "values": ["epochCount=2"],
    "data_format": ["chat"],
    "record_format": ["bedrock-conversation-2024"],
    "on_loss": ["report"],
    "ignore": ["duplicates"],
    "s3_path": ["s3://bucket/path/"],
    "name": ["tickets"],
    "tags": ["team=support"],
    "rerun": [],
    "method": ["supervised"],
    "max_cost": ["100"],
    "queue": ["4h"],
    "wait": [],
    "dry_run": [],
    "yes": [],
    "id_only": [],
    "stage": ["prod"],
    "region": ["us-east-1"],
    "json": [],
    "format": ["json"],
}
OPENAI = {"seed": ["7"], "suffix": ["tickets"]}


@pytest.fixture
def socket_disabled(monkeypatch):
    """Raise an error for each connection, also to loopback."""

    def raise_error(*_, **__):
        raise AssertionError("a connection was opened")

    for name in ("socket.socket.connect", "socket.socket.connect_ex", "socket.getaddrinfo"):
        monkeypatch.setattr(name, raise_error)


@pytest.fixture
def offline(monkeypatch, tmp_path, socket_disabled):
    """Remove the network, the credentials and the settings."""
    for name in os.environ:
        if name.startswith(("AWS_", "OPENAI_", "DSPY_", "TUNESTACK_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def file(tmp_path, chat):
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in chat))
    return str(path)


@pytest.fixture
def validation(tmp_path):
    row = {
        "messages": [
            {"role": "user", "content": "What is new?"},
            {"role": "assistant", "content": "Nothing."},
        ]
    }
    path = tmp_path / "validation.jsonl"
    path.write_text(json.dumps(row) + "\n")
    return str(path)


def build_options(values):
    options = {param.name: param.opts[0] for param in submit.params}
    return [part for name, arguments in values.items() for part in (options[name], *arguments)]


def test_arguments_are_those_of_submit():
    cost, submitted = (inspect.signature(call).parameters for call in (Tuner.cost, Tuner.submit))
    assert dict(submitted) == {**cost, "confirm": submitted["confirm"]}


def test_every_option_of_submit_works_offline(offline, file, capsys):
    assert run(["cost", file, *build_options(OPTIONS)]) == 0
    estimate = json.loads(capsys.readouterr().out)
    assert (estimate["model"], estimate["epochs"]) == ("nova-micro", 2)
    assert run(["cost", file, "-m", GPT, *build_options(OPENAI)]) == 0
    others = {"file", "validation_data", "rendering", "mapping", "query"}
    assert {*others, *OPTIONS, *OPENAI} == {param.name for param in submit.params}


def test_validation_data_is_checked_offline(offline, file, validation, tmp_path, capsys):
    arguments = ["cost", file, "-m", GPT, "--validation"]
    assert run([*arguments, validation]) == 0
    (tmp_path / "validation.jsonl").write_text("{}\n")
    assert run([*arguments, validation]) == 1
    assert "validation data has problems" in capsys.readouterr().err


def test_cost_of_a_custom_model_is_that_of_its_base_model(offline, chat):
    assert Tuner().cost(ARN, chat).model == "nova-micro"


def test_cost_of_a_model_of_a_compatible_server_is_unknown(offline, chat, monkeypatch):
    with pytest.raises(ModelError, match="unknown model 'qwen-9': models that can be fine-tuned"):
        Tuner().cost("openai/qwen-9", chat)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert Tuner().cost("openai/qwen-9", chat).training_usd is None


@pytest.mark.parametrize(
    ("model", "changes", "error", "text"),
    [
        ("nova-nano", {}, ModelError, "unknown model 'nova-nano': models that can be fine-tuned"),
        (ENDPOINT, {}, ModelError, "pass the custom model"),
        ("llama-3-1-8b", {"region": "us-east-1"}, ModelError, "set region="),
        ("titan-text-lite", {}, ModelError, "models that can be fine-tuned today: "),
        ("nova-micro", {"seed": 1}, ConfigError, "seed=1"),
        ("nova-micro", {"s3_path": "bucket/path"}, ConfigError, "s3://bucket/path/"),
        ("nova-micro", {"name": "a b"}, ConfigError, "name 'a b'"),
        ("nova-micro", {"tags": {"aws:x": "y"}}, ConfigError, "aws:x"),
        ("nova-micro", {"ignore": ["x"]}, ConfigError, "rule 'x'"),
        ("nova-micro", {"hyperparameters": {"epoch": 1}}, ConfigError, "epochCount"),
        ("nova-micro", {"max_cost": 0.000001}, CostError, "more than max_cost"),
        ("nova-micro", {"data": [{}]}, DataError, "training data has problems"),
        (GPT, {"s3_path": "s3://bucket/path/"}, ConfigError, "s3_path"),
        (GPT, {"tags": dict.fromkeys("abcdefghijklmnopq", "x")}, ConfigError, "too many"),
        (GPT, {"data": "s3://bucket/train.jsonl"}, ConfigError, "download it"),
    ],
)
def test_errors_are_those_of_submit(offline, chat, model, changes, error, text):
    changes = {"data": chat, **changes}
    tuner = Tuner(region=changes.pop("region", None))
    with pytest.raises(error, match=text):
        tuner.cost(model, changes.pop("data"), **changes)


def test_command_opens_no_socket(file, tmp_path):
    """An audit hook raises an error for each socket in a process without a home folder and settings."""
    code = (
        "import sys\n"
        "from datetime import date\n"
        "from tunestack._utils import clock\n"
        "from tunestack.cli.commands import run\n"
        "clock.today = lambda: date(2026, 11, 1)\n"
        "def refuse(event, _):\n"
        "    assert not event.startswith('socket.'), event\n"
        "sys.addaudithook(refuse)\n"
        f"sys.exit(run(['cost', {file!r}, '-m', sys.argv[1]]))\n"
    )
    for model in ("nova-micro", GPT):
        process = subprocess.run(
            [sys.executable, "-c", code, model],
            env={"PATH": os.environ["PATH"]},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (process.returncode, process.stderr) == (0, "")
        assert process.stdout.startswith("training: $")


def test_data_in_s3_is_read(tuner, sandbox, list_training_files, chat):
    """Data in S3 is the only case in which an estimate sends requests."""
    bucket = sandbox.deployment().data_bucket
    with pytest.raises(Exception, match="no-such-file"):
        tuner.cost("nova-micro", f"s3://{bucket}/no-such-file.jsonl")
    job = tuner.submit("nova-micro", chat).wait()
    cost = tuner.cost("nova-micro", job.info.training_data, data_format="bedrock-conversation-2024")
    before = list_training_files()
    assert cost.tokens == tuner.cost("nova-micro", chat).tokens
    assert before == list_training_files()
