"""Ids that people type: short ids, names, and `latest`."""

import json

import pytest

from tunestack.cli.identifiers import short_id

GPT = "openai/gpt-4o-mini-2024-07-18"


@pytest.fixture
def jobs(tuner, chat):
    """Return two jobs that have succeeded, the older one first."""
    return [
        tuner.submit("nova-micro", chat, hyperparameters={"epochCount": epochs}).wait()
        for epochs in (1, 2)
    ]


def show(cli, *arguments):
    code, out, err = cli(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.mark.parametrize("length", [4, 8, 12])
def test_job_is_found_by_the_start_of_its_short_id(cli, jobs, length):
    assert show(cli, "jobs", "show", short_id(jobs[0].id)[:length])["id"] == jobs[0].id


def test_job_is_found_by_its_name_and_arn(cli, jobs):
    for text in (jobs[0].name, jobs[0].id):
        assert show(cli, "jobs", "show", text)["id"] == jobs[0].id


def test_name_that_looks_like_a_short_id_is_a_name(cli, jobs, sandbox):
    import boto3

    bedrock = boto3.client("bedrock")
    job = bedrock.get_model_customization_job(jobIdentifier=jobs[0].id)
    name = short_id(jobs[1].id)[:6]
    created = bedrock.create_model_customization_job(
        jobName=name,
        customModelName=name,
        roleArn=job["roleArn"],
        baseModelIdentifier=job["baseModelArn"],
        trainingDataConfig=job["trainingDataConfig"],
        outputDataConfig=job["outputDataConfig"],
        hyperParameters=job["hyperParameters"],
    )
    assert show(cli, "jobs", "show", name)["id"] == created["jobArn"]


def test_latest_is_the_newest(cli, jobs):
    assert show(cli, "jobs", "show", "latest")["id"] == jobs[1].id
    assert cli("jobs", "show", "latest", "--id-only")[1] == f"{jobs[1].id}\n"
    assert show(cli, "custom-models", "show", "latest")["id"] == jobs[1].model
    endpoint = jobs[0].start_endpoint()
    assert show(cli, "endpoints", "show", "latest")["id"] == endpoint.id
    assert show(cli, "endpoints", "show", short_id(endpoint.id)[:6])["id"] == endpoint.id


def test_latest_at_openai(cli, tuner, chat):
    job = tuner.submit(GPT, chat).wait()
    assert show(cli, "jobs", "show", "latest", "--provider", "openai")["id"] == job.id


@pytest.mark.parametrize(
    ("group", "text"),
    [("jobs", "jobs"), ("custom-models", "custom models"), ("endpoints", "endpoints")],
)
def test_latest_of_nothing_is_a_clear_error(cli, sandbox, group, text):
    code, _, err = cli(group, "show", "latest")
    assert code == 3
    assert f"`latest` not found: this region has no {text}: " in err


def test_unknown_short_id_is_looked_up_as_a_name(cli, jobs):
    code, _, err = cli("jobs", "show", "zzzzzzzz")
    assert code == 3
    assert "zzzzzzzz" in err


def test_ambiguous_short_id_names_the_candidates(cli, jobs, monkeypatch):
    monkeypatch.setattr(
        "tunestack.cli.identifiers.short_id", lambda text: f"abcd{len(text)}{text[-3:]}"
    )
    code, _, err = cli("jobs", "show", "abcd")
    assert code == 2
    assert "the short id 'abcd' is ambiguous: abcd" in err


class TestLists:
    def test_limit_sort_and_since(self, cli, jobs, sandbox):
        names = sorted(job.name for job in jobs)
        rows = [
            json.loads(row)
            for row in cli("jobs", "list", "--sort", "name", "--json")[1].splitlines()
        ]
        assert [row["name"] for row in rows] == names
        code, out, err = cli("jobs", "list", "--limit", "1")
        assert out.startswith(jobs[1].id)
        assert len(out.splitlines()) == 1
        assert "only the first 1 are shown: use --limit 10 for more" in err
        since = jobs[1].info.created.isoformat()
        for group in ("jobs", "custom-models"):
            rows = cli(group, "list", "--since", since, "--json")[1].splitlines()
            assert len(rows) == 1
        assert cli("jobs", "list", "--since", "2100-01-01")[1:] == ("", "no jobs\n")
        code, _, err = cli("jobs", "list", "--since", "yesterday")
        assert code == 2
        assert "use a duration before now (90m, 12h, 7d) or a date in UTC (2026-11-01)" in err

    @pytest.mark.filterwarnings("ignore::tunestack.EndpointCostWarning")
    def test_endpoints_are_sorted_by_their_creation(self, cli, jobs, sandbox):
        first = jobs[1].start_endpoint("provisioned")
        second = jobs[0].start_endpoint("on-demand")
        ids = cli("endpoints", "list", "--id-only")[1].split()
        assert ids == [second.id, first.id]
        rows = cli("endpoints", "list", "--sort", "state", "--since", "2100-01-01", "--json")[1]
        assert rows == ""


def test_endpoint_is_updated_to_another_custom_model(cli, jobs, poll, monkeypatch):
    endpoint = jobs[0].start_endpoint()
    monkeypatch.setattr("tunestack.tuner.Poll", lambda: poll)
    updated = show(cli, "endpoints", "update", "latest", short_id(jobs[1].model))
    assert (updated["id"], updated["model"]) == (endpoint.id, jobs[1].model)


class TestEvents:
    def test_events_of_bedrock_are_the_changes_of_phases(self, cli, jobs):
        rows = [
            json.loads(row) for row in cli("jobs", "events", "latest", "--json")[1].splitlines()
        ]
        texts = [row["text"] for row in rows]
        assert texts == [
            "the job is completed",
            "training is completed",
            "data processing is completed",
            "validation is completed",
            "the job was created",
        ]
        times = [row["time"] for row in rows]
        assert times == sorted(times, reverse=True)
        assert len(cli("jobs", "events", "latest", "--limit", "2")[1].splitlines()) == 2

    def test_events_of_openai_are_its_messages(self, cli, tuner, chat):
        job = tuner.submit(GPT, chat).wait()
        _, out, _ = cli("jobs", "events", job.id)
        assert "The job has successfully completed" in out

    def test_metrics_are_a_table_of_numbers(self, cli, jobs):
        rows = [
            json.loads(row) for row in cli("jobs", "metrics", "latest", "--json")[1].splitlines()
        ]
        assert rows == [dict(row) for row in jobs[1].metrics()]
        assert len(cli("jobs", "metrics", "latest")[1].splitlines()) == len(rows)


def test_pause_is_refused_on_bedrock_with_one_sentence(cli, jobs):
    code, _, err = cli("jobs", "pause", jobs[0].id)
    assert code == 2
    assert err.count("\n") == 1
    assert "Bedrock does not support that" in err


def test_job_of_openai_is_paused_and_resumed(cli, tuner, chat, sandbox):
    job = tuner.submit(GPT, chat)
    while job.status() != "running":
        sandbox.clock.advance(30)
    assert show(cli, "jobs", "pause", job.id)["state"] == "paused"
    assert show(cli, "jobs", "resume", job.id)["state"] != "paused"


def test_evaluate_and_promote_accept_the_latest_job(cli, tuner, jobs, chat, tmp_path):
    file = tmp_path / "test.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in chat))
    tuner.promote(jobs[1].id, "bot")  # so that the command does not wait for the endpoint
    evaluation = show(
        cli, "evaluate", str(file), "-m", "latest", "--no-store", "--cache", str(tmp_path / "cache")
    )
    assert evaluation["models"][0]["model"] in (jobs[1].id, jobs[1].model)
    assert show(cli, "promote", "latest", "--to", "bot")["model"] == jobs[1].model
