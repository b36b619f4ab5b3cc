"""`tunestack --debug` prints each request, and no credentials or texts."""

import json
import logging


def test_requests_to_aws_are_printed(cli, tuner, chat, sandbox, folder):
    code, out, err = cli("--debug", "submit", "train.jsonl", "-m", "nova-micro", "--json")
    assert code == 0, err
    messages = [json.loads(line) for line in err.splitlines()]
    requests = [row["message"] for row in messages if row["level"] == "debug"]
    assert "AWS operation CreateModelCustomizationJob" in requests
    assert any('"POST /model-customization-jobs HTTP/1.1" 201' in text for text in requests)
    assert json.loads(out)["state"] == "pending"
    secret = sandbox.variables()["AWS_SECRET_ACCESS_KEY"]
    for private in (secret, "Authorization", "Signature", "It is 7."):
        assert private not in err


def test_requests_to_openai_are_printed(cli, tuner, chat):
    tuner.submit("openai/gpt-4o-mini-2024-07-18", chat)
    code, out, err = cli("--debug", "jobs", "list", "--provider", "openai", "--id-only")
    assert code == 0, err
    assert out.startswith("ftjob-")
    assert "debug: HTTP Request: GET http" in err
    assert "/v1/fine_tuning/jobs?limit=100" in err


def test_requests_are_not_printed_without_the_option(cli, tuner, chat):
    job = tuner.submit("nova-micro", chat)
    assert "debug" in cli("--debug", "jobs", "show", job.id)[2]
    assert cli("jobs", "show", job.id)[2] == ""
    assert logging.getLogger("urllib3.connectionpool").handlers == []
