"""Fixtures for the tests of the SDK: LMs of both providers, and requests to OpenAI."""

import json
import shutil
from contextlib import ExitStack
from datetime import UTC, datetime

import dspy
import pytest

from tests.day import AS_OF
from tests.parameters import every
from tests.sdk.desks import GPT, NOVA
from tunestack import Tuner
from tunestack.cli.commands import run
from tunestack.dspy import BedrockProvider, OpenAIProvider
from tunestack_sandbox import Sandbox
from tunestack_sandbox.openai.files import parse_form


@pytest.fixture(autouse=True)
def _simulated_date(monkeypatch):
    """Use the sandbox's date for estimates, which read the date of this machine."""
    monkeypatch.setattr("tunestack._utils.clock.today", AS_OF.date)


@pytest.fixture(autouse=True)
def _no_aliases(monkeypatch, tmp_path_factory):
    """Use a folder without aliases, instead of that of the user who runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "config"))


@pytest.fixture(scope="module")
def evaluating_sandbox_process(count_traffic, sweep_rules):
    """Run a sandbox for the stage that evaluates: other tests expect that `dev` is the only one."""
    with Sandbox(speed=1, as_of=AS_OF) as sandbox:
        for client, rule in sweep_rules(sandbox):
            client.disable_rule(Name=rule)
        yield sandbox
    count_traffic(sandbox.traffic)


@pytest.fixture
def evaluating_sandbox(evaluating_sandbox_process, monkeypatch):
    """Return that sandbox without jobs and endpoints, with its environment variables set."""
    for name, value in evaluating_sandbox_process.variables().items():
        monkeypatch.setenv(name, value)
    yield evaluating_sandbox_process
    evaluating_sandbox_process.reset()


@pytest.fixture
def evaluating(sandbox, poll, monkeypatch):
    """Return a tuner of a stage that evaluates."""
    from tests.sdk.evaluation_stage import deploy_stage  # starts Node

    deploy_stage()
    for name in ("TUNESTACK_DEPLOYMENT", "DSPY_BEDROCK_S3_BUCKET", "DSPY_BEDROCK_ROLE_ARN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TUNESTACK_STAGE", "eval")
    return Tuner(stage="eval", poll=poll)


@pytest.fixture
def cli(capsys):
    """Return a function that runs a command line in this process and returns the exit code, stdout and stderr."""

    def call(*arguments):
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(params=every(2, ["bedrock", "openai"]))
def provider(request):
    return request.param


@pytest.fixture
def lm(provider, tuner):
    model, dspy_provider = (
        (NOVA, BedrockProvider(tuner)) if provider == "bedrock" else (GPT, OpenAIProvider(tuner))
    )
    return dspy.LM(model, provider=dspy_provider, cache=False)


@pytest.fixture
def configured(lm):
    with dspy.context(lm=lm):
        yield lm


@pytest.fixture
def real_date(sandbox):
    """Set the sandbox's clock to the time of this machine."""
    sandbox.clock.advance((datetime.now(UTC) - sandbox.clock.now()).total_seconds())


@pytest.fixture
def no_retry_delays(monkeypatch):
    """Remove the delays between retries of the openai package, which use the real clock."""
    monkeypatch.setattr("openai._base_client.time.sleep", lambda _: None)


@pytest.fixture
def intercept(sandbox):
    """Return a function that registers a handler to run before, or instead of, the sandbox's handler of OpenAI requests."""
    with ExitStack() as stack:
        yield lambda handle: stack.enter_context(sandbox.intercept(handle))


@pytest.fixture
def sent_requests(intercept):
    """Return a list that records the method, path and body of each request to OpenAI."""
    requests = []

    def record(request):
        if request.target.startswith("/v1/"):
            kind = request.headers.get("Content-Type", "")
            if kind.startswith("multipart"):
                fields, files = parse_form(request.body, kind)
                body = fields | {name: file[0] for name, file in files.items()}
            else:
                body = json.loads(request.body or b"null")
            requests.append((request.method, request.target.removeprefix("/v1"), body))

    intercept(record)
    return requests


@pytest.fixture
def folder(tmp_path, monkeypatch, sandbox, chat):
    """Change to a folder with training data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chat))
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "folder").mkdir()
    shutil.copy(tmp_path / "train.jsonl", tmp_path / "folder")
    (tmp_path / "text.jsonl").write_text("hello\n" * 20)
    question = {"messages": [{"role": "user", "content": "Who?"}]}
    (tmp_path / "questions.jsonl").write_text(f"{json.dumps(question)}\n" * 20)
    return tmp_path
