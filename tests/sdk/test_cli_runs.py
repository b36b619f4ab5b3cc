"""`tunestack runs`, and sweep files."""

import json
from datetime import timedelta

import pytest

from tests.sdk.run_specs import ROWS
from tests.sdk.terminal import open_terminal
from tunestack import ConfigError
from tunestack.runs.sweep import read_sweep

SWEEP = """
name = "cli"
max_parallel = 2

[job]
model = "nova-micro"
data = "train.jsonl"
hyperparameters = { batchSize = 1 }

[grid]
epochCount = [1, 2]
learningRate = [1e-6, 1e-5]
"""


@pytest.fixture
def sweep(tmp_path):
    """Return the path of a sweep file with four jobs."""
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP)
    for name in ("train", "other"):
        lines = [json.dumps(row) + "\n" for row in ROWS]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines[: 20 if name == "train" else 16]))
    return path


def test_run_from_start_to_end(cli, sweep, sandbox, tuner, monkeypatch):
    # That of the command would wait in real time.
    monkeypatch.setattr("tunestack.cli.options.new_tuner", lambda *_: tuner)
    code, out, err = cli("runs", "start", str(sweep), "--dry-run", "--json")
    assert (code, json.loads(out)["jobs"]) == (0, 4), err
    assert cli("runs", "show", "latest")[0] != 0 or "cli-" not in cli("runs", "list")[1]
    code, out, err = cli("runs", "start", str(sweep), "--json")
    assert code == 0, err
    name = json.loads(out)["name"]
    assert name.startswith("cli-")
    assert json.loads(cli("runs", "show", "latest", "--json")[1])["name"] == name
    code, out, err = cli("runs", "watch", name)
    assert code == 0, err
    assert out.count("succeeded") == 4
    assert err.splitlines()[-1] == "4 succeeded"
    assert name in cli("runs", "list")[1]
    code, _, err = cli("runs", "cancel", name)
    assert (code, "has ended" in err) == (1, True)


def test_cancel_with_jobs(cli, sweep, sandbox, tuner):
    code, _, err = cli("runs", "start", str(sweep), "--name", "cli-cancel", "--json")
    assert code == 0, err
    sandbox.clock.advance(timedelta(minutes=10))
    code, _, err = cli("runs", "cancel", "latest", "--jobs")
    assert (code, "confirm the cancellation of jobs with --yes" in err) == (2, True)
    with open_terminal("runs", "cancel", "latest", "--jobs") as terminal:
        terminal.wait_for("Cancel these 2 jobs?")
        terminal.type("n\n")
        assert terminal.finish() == 1
    code, _, err = cli("runs", "cancel", "latest", "--jobs", "--yes")
    assert code == 0, err
    assert "2 jobs are stopped" in err


def test_jobs_are_combined_with_the_grid(sweep):
    text = SWEEP + '\n[[jobs]]\n[[jobs]]\ndata = "other.jsonl"\nname = "other"\n'
    sweep.write_text(text)
    read = read_sweep(sweep)
    assert (read.name, read.max_parallel, read.budget) == ("cli", 2, None)
    assert [spec.name for spec in read.specs] == ["tunestack"] * 4 + ["other"] * 4
    assert read.specs[0].hyperparameters == {"batchSize": 1, "epochCount": 1, "learningRate": 1e-6}
    assert read.specs[7].data == str(sweep.parent / "other.jsonl")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[job]", "[jop]", "unknown key 'jop' of the file: did you mean 'job'"),
        ('data = "train.jsonl"', "", r"a job has no data: set it in \[job\]"),
        ("epochCount = [1, 2]", "epochCount = 1", "the grid's epochCount must be a list"),
        (
            "epochCount = [1, 2]",
            "\n".join(f"n{number} = {[0] * 99}" for number in range(9)),
            "a run has 1 to 10,000 jobs, not 1,827,034",
        ),
        ("batchSize = 1", "epochCount = 1", "epochCount is in the grid and in hyperparameters"),
        ("[grid]", "rerun = true\n[grid]", "rerun is not an argument of the jobs of a run"),
        ("[grid]", "epochs = 3\n[grid]", "unknown key 'epochs' of a job"),
        ("[job]", "[job", "is not TOML"),
        ("{ batchSize = 1 }", '"a"', "hyperparameters must be a table"),
        ("[grid]", '[evaluate]\ndata = ["a"]\n[grid]', "evaluate has no data"),
        ("max_parallel = 2", f"x = {'[' * 5000}", "sweep.toml has too many nested arrays"),
        ("max_parallel = 2", f"x = {'{a = ' * 5000}", "sweep.toml has too many nested arrays"),
        ("max_parallel = 2", f"max_parallel = {'9' * 5000}", "sweep.toml is not TOML"),
    ],
    ids=lambda text: text[:20],
)
def test_invalid_sweep_is_an_error(sweep, old, new, message):
    sweep.write_text(SWEEP.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        read_sweep(sweep)
