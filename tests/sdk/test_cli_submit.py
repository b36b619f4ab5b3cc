"""What the command line shows before anything is billed, and what it asks."""

import json
import re

import boto3
import pytest

from tests.sdk.terminal import open_terminal, run_in_terminal
from tunestack import EndpointFailedError, EndpointState


@pytest.fixture
def file(tmp_path, chat):
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in chat))
    return str(path)


@pytest.fixture
def submit(file):
    return ("submit", file, "-m", "nova-micro", "-p", "epochCount=2")


@pytest.fixture
def many():
    return [{"prompt": f"Where is parcel {n}?", "completion": f"In depot {n}."} for n in range(100)]


def test_plan_has_records_price_duration_and_quota(cli, submit, tuner, chat):
    tuner.submit("nova-micro", chat, hyperparameters={"epochCount": 1}).wait()
    code, out, err = cli(*submit)
    assert code == 0
    assert "model: nova-micro (amazon.nova-micro-v1:0:128k)" in err
    assert f"data: {len(chat)} records" in err
    assert " tokens (estimated) x 2 epochs at $" in err
    assert " to $0.0" in err
    assert "duration: about " in err
    assert "(as the last job of this model)" in err
    assert "quota: 0 jobs are running, at most 10 by quota" in err
    assert "pending" in out


def test_duration_without_history_is_unknown(cli, submit, sandbox):
    assert "duration: unknown: the account has no succeeded job of this model" in cli(*submit)[2]


def test_duration_is_the_median_of_several_jobs(cli, submit, tuner, chat):
    for epochs in (1, 3, 5):
        tuner.submit("nova-micro", chat, hyperparameters={"epochCount": epochs}).wait()
    assert "(the median of 3 jobs of this model: " in cli(*submit)[2]


def test_dry_run_uploads_and_creates_nothing(cli, submit, tuner, list_training_files):
    before = list_training_files()
    code, out, err = cli(*submit, "--dry-run")
    assert code == 0
    assert "training: $" in out
    assert err == "dry run: nothing was uploaded or created\n"
    plan = json.loads(cli(*submit, "--dry-run", "--json")[1])
    assert (plan["records"], plan["cost"]["epochs"], plan["existing"]) == (20, 2, None)
    assert before == list_training_files()
    assert list(tuner.jobs()) == []


def test_dry_run_reports_the_errors_of_submit(cli, submit, tmp_path, sandbox):
    assert "more than max_cost" in cli(*submit, "--dry-run", "--max-cost", "0.000001")[2]
    (tmp_path / "train.jsonl").write_text("{}\n")
    code, _, err = cli(*submit, "--dry-run")
    assert code == 1
    assert "training data has problems" in err


def test_reused_job_is_named_with_its_creation_and_tags(cli, submit, sandbox):
    _, first, _ = cli(*submit, "--tag", "owner=ada", "--json")
    code, second, err = cli(*submit)
    created = json.loads(first)
    assert code == 0
    assert f"job {created['name']} has the same content: pending" in err
    assert f"created {created['created'][:10]}" in err
    assert "owner=ada" in err
    assert "nothing is billed; rerun=True (--rerun) trains again" in err
    assert created["id"] in second
    assert "has the same content" not in cli(*submit, "--rerun")[2]


def test_messages_of_json_output_are_objects(cli, submit, sandbox):
    _, out, err = cli(*submit, "--json")
    messages = [json.loads(line) for line in err.splitlines()]
    assert messages[0]["plan"]["cost"]["model"] == "nova-micro"
    assert json.loads(out)["state"] == "pending"


class TestInTerminal:
    def test_job_is_submitted_after_a_confirmation(self, submit, tuner):
        with open_terminal(*submit) as terminal:
            terminal.wait_for("Submit this job? [y/N]: ")
            assert "training: $" in terminal.text
            assert list(tuner.jobs()) == []
            terminal.type("y\n")
            assert terminal.finish() == 0, terminal.text
        assert len(list(tuner.jobs())) == 1
        # An equal job is not billed, so nothing is asked.
        code, terminal = run_in_terminal(*submit)
        assert code == 0
        assert "has the same content" in terminal.text

    def test_declined_job_is_not_submitted(self, submit, tuner, list_training_files):
        before = list_training_files()
        with open_terminal(*submit) as terminal:
            terminal.wait_for("Submit this job? [y/N]: ")
            terminal.type("n\n")
            assert terminal.finish() == 1
        assert "nothing was submitted" in terminal.text
        assert list(tuner.jobs()) == []
        assert before == list_training_files()

    def test_ctrl_c_at_the_question_submits_nothing(self, submit, tuner):
        with open_terminal(*submit) as terminal:
            terminal.wait_for("Submit this job? [y/N]: ")
            terminal.interrupt()
            assert terminal.finish() == 130
        assert "Traceback" not in terminal.text
        assert list(tuner.jobs()) == []

    def test_nothing_is_asked_with_yes(self, submit, tuner):
        code, terminal = run_in_terminal(*submit, "--yes")
        assert code == 0
        assert "Submit this job?" not in terminal.text
        assert len(list(tuner.jobs())) == 1

    def test_hourly_endpoint_needs_a_confirmation_with_its_price(self, west, many):
        job = west.submit("llama-3-1-8b", many).wait()
        with open_terminal("endpoints", "start", job.id, "--region", "us-west-2") as terminal:
            terminal.wait_for("Start it? [y/N]: ")
            terminal.type("n\n")
            assert terminal.finish() == 1
        text = " ".join(terminal.text.split())
        assert "Provisioned throughput is billed by the hour, at $" in text
        assert "for each of 1 model units" in text
        assert list(west.endpoints()) == []


class TestRunningCosts:
    @pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
    def test_endpoints_models_and_data_are_listed_with_prices_and_ends(
        self, cli, west, many, request
    ):
        endpoint = west.submit("llama-3-1-8b", many).wait().start_endpoint()
        code, out, err = cli("cost", "--running")
        assert code == 0
        rows = [line.split("\t") for line in out.splitlines()]
        (row,) = [row for row in rows if row[1] == "endpoint"]
        assert row[0] == endpoint.id
        assert re.fullmatch(r"\$[\d.]+ per hour", row[2])
        assert row[3].endswith(" UTC")
        assert {row[1] for row in rows} == {"endpoint", "custom model", "stored data"}
        # The tuner policy does not allow listing datasets.
        unknown = {row[0].rpartition("/tunestack/")[2] for row in rows if "unknown" in row[2]}
        assert unknown == ({"datasets/"} if request.config.option.as_tuner else set())
        more = " and 2 unknown prices" if unknown else ""
        assert re.search(
            rf"in total: \$[\d.]+ per hour, \$[\d.]+ per month{more}, by list prices", err
        )
        objects = [json.loads(line) for line in cli("cost", "--running", "--json")[1].splitlines()]
        assert [item["id"] for item in objects] == [row[0] for row in rows]
        assert objects[0].keys() >= {"usd", "per", "expires_at", "region", "source"}

    @pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
    def test_endpoint_that_failed_is_not_billed(self, cli, west, many, sandbox):
        sandbox.faults.add("endpoint-failure", times=1)
        job = west.submit("llama-3-1-8b", many).wait()
        with pytest.raises(EndpointFailedError):
            job.start_endpoint()
        (endpoint,) = west.endpoints()
        assert endpoint.state is EndpointState.FAILED
        assert endpoint.id not in cli("cost", "--running")[1]
        endpoint.stop()

    @pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
    def test_price_with_a_commitment_is_not_known(self, cli, west, many):
        model = west.submit("llama-3-1-8b", many).wait().model
        arn = boto3.client("bedrock", "us-west-2").create_provisioned_model_throughput(
            provisionedModelName="committed",
            modelId=model,
            modelUnits=1,
            commitmentDuration="OneMonth",
        )["provisionedModelArn"]
        lines = cli("cost", "--running", "--json")[1].splitlines()
        (row,) = [row for row in map(json.loads, lines) if row["id"] == arn]
        assert row["usd"] is None

    def test_region_limits_the_list(self, cli, west, many):
        west.submit("llama-3-1-8b", many).wait()
        kinds = {
            line.split("\t")[1]
            for line in cli("cost", "--running", "--region", "us-east-1")[1].splitlines()
        }
        assert "custom model" not in kinds

    def test_file_and_model_are_needed_for_an_estimate(self, cli, file):
        assert "missing argument FILE; or use --running" in cli("cost")[2]
        assert "missing option --model; or use --running" in cli("cost", file)[2]
