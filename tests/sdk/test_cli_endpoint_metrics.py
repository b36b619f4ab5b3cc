"""`tunestack endpoints metrics`."""

import json

import pytest


@pytest.fixture
def endpoint(job, sandbox):
    """Return an endpoint with invocations in two periods."""
    job.start_endpoint()
    endpoint = job.endpoint()
    endpoint.invoke("What is number 7?")
    sandbox.clock.advance(600)
    endpoint.invoke("What is number 7?")
    endpoint.invoke("What is number 8?")
    return endpoint


def test_table_has_a_line_for_each_period_and_messages_have_the_total(endpoint, cli):
    code, out, err = cli("endpoints", "metrics", "latest")
    assert code == 0
    rows = [line.split("\t") for line in out.splitlines()]
    first, second = endpoint.metrics()
    assert [row[0] for row in rows] == [
        f"{row.start:%Y-%m-%d %H:%M:%S} UTC" for row in (first, second)
    ]
    assert [row[1:7] for row in rows] == [
        ["1", "1", "1", "0", "0", "0"],
        ["2", "1", "1", "0", "0", "0"],
    ]
    tokens = first.input_tokens + second.input_tokens
    assert err.startswith(
        "total: 3 invocations, 0 client errors, 0 server errors, 0 throttled requests, "
        f"{tokens} input tokens, "
    )


def test_json_has_an_object_for_each_period(endpoint, cli):
    code, out, _ = cli("endpoints", "metrics", endpoint.name, "--period", "1h", "--json")
    assert code == 0
    rows = list(map(json.loads, out.splitlines()))
    assert sum(row["invocations"] for row in rows) == 3
    assert {row["period"] for row in rows} == {3600}
    _, out, _ = cli("endpoints", "metrics", endpoint.id, "--period", "1d", "--query", "invocations")
    assert sum(map(int, out.splitlines())) == 3


def test_since_is_a_date_or_a_duration(endpoint, cli):
    """The duration is before the time of the service, which is another than that of this machine here."""
    _, out, _ = cli(
        "endpoints", "metrics", endpoint.id, "--since", "1d", "--period", "5m", "--json"
    )
    assert len(out.splitlines()) == 2
    code, _, err = cli("endpoints", "metrics", endpoint.id, "--since", "2001-01-01")
    assert (code, "CloudWatch keeps metrics for 455 days" in err) == (2, True)


def test_endpoint_without_invocations_has_a_message(job, cli):
    job.start_endpoint()
    code, out, err = cli("endpoints", "metrics", "latest")
    assert (code, out) == (0, "")
    assert "in the last 3 hours: CloudWatch has them some minutes after the invocations" in err


def test_invalid_period_is_invalid_usage(endpoint, cli):
    code, _, err = cli("endpoints", "metrics", "latest", "--period", "90s")
    assert (code, "use a multiple of 1 minute, up to 1 day" in err) == (2, True)


def test_model_at_openai_has_no_metrics(tuner, chat, cli):
    job = tuner.submit("gpt-4.1-mini", chat).wait()
    code, _, err = cli("endpoints", "metrics", job.model)
    assert (code, "no API for the metrics of a model" in err) == (2, True)
    job.backend.delete_custom_model(job.model)


def test_help_has_the_default_period(cli):
    _, out, _ = cli("endpoints", "metrics", "--help")
    assert "at most 40 periods, or 1d for a longer time" in " ".join(out.split())
