"""The command line rejects invalid arguments before it calls AWS."""

import pytest

from tests.live.live_run import Budget, LiveRun, Step
from tests.live.program import _run_steps, main
from tests.live.recorder import Recorder, Redactor
from tunestack.catalog import CATALOG


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--budget", "nan"), "invalid --budget nan: use US dollars above 0"),
        (("--budget", "-1"), "invalid --budget -1"),
        (("--provisioned", "0"), "invalid --provisioned 0"),
        (("--run", "mine"), "invalid --run mine: use an ID such as live-1a2b3c"),
        (("--run", "mine", "--clean-up"), "invalid --run mine"),
        (("--model", "llama-3-1-8b"), "invalid --model llama-3-1-8b: use nova-micro or"),
        (("--only", "read,sing"), "unknown step sing: use deploy, "),
    ],
)
def test_invalid_arguments_are_rejected(arguments, message, capsys):
    assert main([*arguments]) == 2
    assert message in capsys.readouterr().err


def test_without_credentials_the_error_says_what_has_to_succeed(capsys, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    assert main([]) == 2
    assert "`aws sts get-caller-identity` has to succeed" in capsys.readouterr().err


def test_step_with_an_unexpected_response_does_not_stop_the_run(tmp_path, capsys):
    """Otherwise, a difference between AWS and botocore's model would leave everything in the account."""
    done: list[LiveRun] = []
    response: dict[str, str] = {}
    run = LiveRun("live-abcdef", "us-east-1", CATALOG["nova-micro"], Budget(1.0))
    run.recorder = Recorder(tmp_path / "a.jsonl", Redactor(), {})
    steps = [
        Step(name=name, run=action, settles=(), usd=lambda _: 0.0, duration="a minute")
        for name, action in (("first", lambda _: response["status"]), ("remove", done.append))
    ]
    assert [*_run_steps(run, steps)] == ["first"]
    assert done == [run]
    assert "error: KeyError: 'status' (test_program.py, line " in capsys.readouterr().out
