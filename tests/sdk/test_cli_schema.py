"""The JSON output of every command matches docs/cli-schema.json."""

import functools
import json
from pathlib import Path

import jsonschema
import pytest

from tests.records.log_samples import converse_entry, pack
from tests.sdk.test_cli_help import COMMANDS

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "cli-schema.json").read_text())
WITHOUT_OBJECTS = {"completion", "man", "sandbox"}
"""Commands without objects: scripts, files, and the environment of another process."""


@pytest.fixture
def run_json(cli):
    """Return a function that runs a command with --json and returns its objects, after checking them."""

    def call(*arguments, kind=None, expected=0):
        code, out, err = cli(*arguments, "--json")
        assert code == expected, err
        texts = [out] if arguments[0] == "env" else out.splitlines()
        rows = [json.loads(text) for text in texts]
        assert rows
        name = kind or " ".join(arguments[: 1 if arguments[0] in SCHEMA["commands"] else 2])
        for row in rows:
            check(row, SCHEMA["commands"][name])
        for line in err.splitlines():
            check(json.loads(line), "message")
        return rows

    return call


def check(row, definition):
    validator(definition).validate(row)


@functools.cache  # `jsonschema.validate` would check the whole schema again for each row
def validator(definition):
    schema = {"$ref": f"#/$defs/{definition}", "$defs": SCHEMA["$defs"]}
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def test_every_command_has_a_definition():
    leaves = {
        path.removeprefix("tunestack ")
        for path, (command, _) in COMMANDS.items()
        if not hasattr(command, "commands") and path != "tunestack"
    }
    named = {name for name in SCHEMA["commands"] if " --" not in name} - {"messages"}
    assert leaves - WITHOUT_OBJECTS == named
    assert set(SCHEMA["commands"].values()) == SCHEMA["$defs"].keys()


def test_jobs_custom_models_and_costs(run_json, cli, tmp_path, tuner, chat, sandbox):
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in chat))
    submit = ("submit", str(file), "-m", "nova-micro")
    run_json(*submit, "--dry-run", kind="submit --dry-run")
    (job,) = run_json(*submit)
    run_json("jobs", *submit)
    sandbox.clock.advance(10_000)
    for command in ("watch", "wait", "show", "events", "metrics", "report", "cancel"):
        run_json("jobs", command, job["id"])
    run_json(*submit, "--dry-run", kind="submit --dry-run")
    run_json("jobs", "rerun", job["id"], "--dry-run", kind="jobs rerun --dry-run")
    run_json("jobs", "show", job["id"], "--web", kind="jobs show --web")
    run_json("jobs", "list")
    run_json("cost", str(file), "-m", "nova-micro")
    run_json("cost", "--running", kind="cost --running")
    run_json("custom-models", "list")
    run_json("custom-models", "show", "latest")
    run_json("custom-models", "show", "latest", "--web", kind="custom-models show --web")
    endpoint = tuner.job(job["id"]).start_endpoint(ttl=3600)
    run_json("endpoints", "start", job["id"])
    run_json("endpoints", "list")
    run_json("endpoints", "show", endpoint.id)
    run_json("endpoints", "show", endpoint.id, "--web", kind="endpoints show --web")
    run_json("endpoints", "extend", endpoint.id, "--ttl", "2h")
    run_json("endpoints", "update", endpoint.id, "latest")
    run_json("endpoints", "invoke", endpoint.id, "What is number 7?")
    run_json("endpoints", "metrics", endpoint.id)
    run_json("evaluate", str(file), "-m", job["id"], "--limit", "2", "--no-store")
    endpoint.stop()
    tuner.promote(job["id"], "support-bot")
    run_json("promote", job["id"], "--to", "support-bot")
    run_json("endpoints", "history", "support-bot")
    code, _, err = cli("rollback", "support-bot", "--json")
    assert (code, json.loads(err)["type"]) == (1, "StateError")
    cli("endpoints", "stop", "support-bot")
    run_json("custom-models", "delete", "latest", "--yes")


@pytest.mark.as_root
def test_bill(run_json, job):
    run_json("cost", "--billed", kind="cost --billed")


def test_job_is_submitted_again(run_json, job):
    run_json("jobs", "rerun", job.id)


def test_runs(run_json, tmp_path, chat, sandbox):
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chat))
    file = tmp_path / "sweep.toml"
    file.write_text('[job]\nmodel = "nova-micro"\ndata = "train.jsonl"\nname = "schema"\n')
    run_json("runs", "start", str(file), "--dry-run", kind="runs start --dry-run")
    run_json("runs", "start", str(file))
    run_json("runs", "list", "--limit", "3")
    sandbox.clock.advance(50_000)
    run_json("runs", "watch", "latest")
    run_json("runs", "show", "latest")
    run_json("runs", "start", str(file))
    run_json("runs", "cancel", "latest", "--jobs", "--yes")


def test_endpoint_is_stopped(run_json, tuner, chat):
    endpoint = tuner.submit("nova-micro", chat).wait().start_endpoint()
    run_json("endpoints", "stop", endpoint.id)


def test_jobs_of_openai(run_json, tuner, chat, sandbox):
    job = tuner.submit("openai/gpt-4o-mini-2024-07-18", chat)
    while job.status() != "running":
        sandbox.clock.advance(30)
    run_json("jobs", "pause", job.id)
    run_json("jobs", "resume", job.id)
    run_json("jobs", "list", "--provider", "openai")
    sandbox.clock.advance(10_000)
    run_json("jobs", "checkpoints", job.id)


def test_commands_without_jobs(run_json, tmp_path, chat, sandbox):
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in chat))
    model = ("-m", "nova-micro")
    run_json("models", "list")
    run_json("models", "show", "nova-micro")
    run_json("env")
    run_json("alias", "set", "failed", "jobs list --state failed")
    run_json("alias", "list")
    run_json("alias", "delete", "failed")
    run_json("doctor", "--stage", "nothing", expected=1)
    run_json("data", "check", str(file), *model)
    run_json("data", "report", str(file), *model)
    run_json("data", "convert", str(file), *model, "-o", str(tmp_path / "out.jsonl"))
    parts = ("-t", str(tmp_path / "t.jsonl"), "-v", str(tmp_path / "v.jsonl"))
    run_json("data", "split", str(file), *parts)
    run_json("data", "fix", str(file), "-o", str(tmp_path / "fixed.jsonl"))
    run_json("data", "show", str(file), "1", *model)
    run_json("data", "sample", str(file), *model)
    (tmp_path / "part.json.gz").write_bytes(pack([converse_entry(1)]))
    logs = ("data", "from-logs", str(tmp_path / "part.json.gz"))
    run_json(*logs, "-o", str(tmp_path / "traffic.jsonl"))


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [(("jobs", "show", "nothing"), "NotFoundError"), (("jobs", "show"), "MissingParameter")],
)
def test_error_is_a_message_with_its_type(cli, sandbox, arguments, kind):
    code, out, err = cli(*arguments, "--json")
    assert out == ""
    error = json.loads(err)
    check(error, "message")
    assert (error["level"], error["type"], error["exit_code"]) == ("error", kind, code)
