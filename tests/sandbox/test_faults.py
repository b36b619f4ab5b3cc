"""Fault injection, from Python and over HTTP."""

import json
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from tests.sandbox.samples import A_DEPLOYMENT, A_JOB
from tunestack.errors import ConfigError
from tunestack_sandbox import FaultInjector, FaultKind, Quotas, Sandbox


@pytest.fixture
def once(sandbox):
    """Return a Bedrock client without botocore's retries."""
    return boto3.client("bedrock", config=Config(retries={"total_max_attempts": 1}))


def codes(call, count):
    found = []
    for _ in range(count):
        try:
            call()
            found.append("")
        except ClientError as error:
            found.append(error.response["Error"]["Code"])
    return found


def test_a_fault_occurs_the_requested_number_of_times(sandbox, once):
    rule = sandbox.faults.add("throttle", operation="List*", times=2)
    assert codes(once.list_custom_models, 3) == ["ThrottlingException", "ThrottlingException", ""]
    assert rule.injected_count == 2
    sandbox.faults.add("throttle", operation="Get*")
    assert codes(once.list_custom_models, 1) == [""]


def test_an_error_is_returned_only_by_operations_that_list_it(sandbox, once):
    sandbox.faults.add("error", code="ConflictException")
    assert codes(once.list_custom_models, 1) == [""]
    stop = lambda: once.stop_model_customization_job(jobIdentifier="nobody")  # noqa: E731
    assert codes(stop, 1) == ["ConflictException"]


def test_a_rate_is_the_same_for_the_same_seed():
    def struck(seed):
        faults = FaultInjector(seed)
        faults.add("slow", rate=0.3, seconds=1)
        return [bool(faults.trigger(FaultKind.SLOW)) for _ in range(200)]

    assert struck(1) == struck(1) != struck(2)
    assert 30 < sum(struck(1)) < 90


def test_lost_reply_closes_the_connection_after_the_effect(sandbox, once, job_request, bedrock):
    sandbox.faults.add("lost-reply", operation="CreateModelCustomizationJob", times=1)
    with pytest.raises(ConnectionClosedError):
        once.create_model_customization_job(**job_request())
    (row,) = bedrock.list_model_customization_jobs()["modelCustomizationJobSummaries"]
    assert row["jobName"] == "job"


def test_a_lost_reply_and_the_retry_of_botocore_create_one_job(sandbox, bedrock, job_request):
    sandbox.faults.add("lost-reply", operation="CreateModelCustomizationJob", times=1)
    arn = bedrock.create_model_customization_job(**job_request())["jobArn"]
    (row,) = bedrock.list_model_customization_jobs()["modelCustomizationJobSummaries"]
    assert arn == row["jobArn"]


def test_slow_delays_a_response(sandbox, once):
    sandbox.faults.add("slow", seconds=0.6, times=1)
    impatient = boto3.client(
        "bedrock", config=Config(retries={"total_max_attempts": 1}, read_timeout=0.3)
    )
    with pytest.raises(ReadTimeoutError):
        impatient.list_custom_models()
    once.list_custom_models()


def test_a_job_stalls_for_days_without_a_message(sandbox, bedrock, create):
    sandbox.faults.add("stall", phase="training")
    arn = create()
    sandbox.clock.advance(3 * 86_400)
    job = bedrock.get_model_customization_job(jobIdentifier=arn)
    assert job["status"] == "InProgress"
    assert [details["status"] for details in job["statusDetails"].values()] == [
        "Completed",
        "Completed",
        "NotStarted",
    ]
    assert "failureMessage" not in job


def test_slow_phase_delays_a_phase(sandbox, bedrock, create):
    sandbox.faults.add("slow-phase", phase="data-processing", seconds=10_000)
    arn = create()
    status = lambda: bedrock.get_model_customization_job(jobIdentifier=arn)["status"]  # noqa: E731
    sandbox.clock.advance(A_JOB)
    assert status() == "InProgress"
    sandbox.clock.advance(10_000)
    assert status() == "Completed"


@pytest.mark.parametrize("phase", ["validation", "data-processing", "training"])
def test_internal_failure_fails_a_job(sandbox, bedrock, create, phase):
    sandbox.faults.add("internal-failure", phase=phase)
    arn = create()
    sandbox.clock.advance(A_JOB)
    job = bedrock.get_model_customization_job(jobIdentifier=arn)
    assert (
        job["status"],
        job["failureMessage"],
    ) == (
        "Failed",
        "Encountered an unexpected error when processing the request, please try again",
    )


def test_endpoint_failure_fails_creation_and_update(sandbox, bedrock, model):
    sandbox.faults.add("endpoint-failure", times=1)
    bedrock.create_custom_model_deployment(modelDeploymentName="d", modelArn=model)
    sandbox.clock.advance(A_DEPLOYMENT)
    described = bedrock.get_custom_model_deployment(customModelDeploymentIdentifier="d")
    assert (described["status"], "failureMessage" in described) == ("Failed", True)
    bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier="d")
    bedrock.create_custom_model_deployment(modelDeploymentName="e", modelArn=model)
    sandbox.clock.advance(A_DEPLOYMENT)
    sandbox.faults.add("endpoint-failure", times=1)
    bedrock.update_custom_model_deployment(customModelDeploymentIdentifier="e", modelArn=model)
    sandbox.clock.advance(A_DEPLOYMENT)
    described = bedrock.get_custom_model_deployment(customModelDeploymentIdentifier="e")
    assert (
        described["status"],
        described["updateDetails"]["updateStatus"],
    ) == ("Active", "UpdateFailed")


@pytest.mark.parametrize(
    ("kind", "how", "words"),
    [
        ("throtle", {}, "unknown fault 'throtle': use throttle, "),
        (
            "throttle",
            {"operations": "x"},
            "unknown argument 'operations' of fault 'throttle': use operation, times, rate",
        ),
        ("throttle", {"rate": 2}, "rate=2 .* use a number above 0, up to 1"),
        ("stall", {"phase": "trainingDetails"}, "use validation, data-processing, training"),
        ("throttle", {"times": 0}, "use an integer from 1"),
        ("throttle", {"rate": 0}, "use a number above 0, up to 1"),
        (
            "lost-reply",
            {"phase": "training"},
            "unknown argument 'phase' of fault 'lost-reply': use operation, times",
        ),
        (
            "stall",
            {"operation": "List*"},
            "unknown argument 'operation' of fault 'stall': use phase, times",
        ),
        ("throttle", {"times": "x"}, "use an integer from 1"),
        ("throttle", {"operation": 5}, "use the name of an operation"),
        ("slow", {}, "use a number above 0"),
        ("slow", {"seconds": -1}, "use a number from 0 to a year"),
        ("slow", {"seconds": float("nan")}, "use a number from 0 to a year"),
        (
            "throttle",
            {"operation": "list_custom_models"},
            "for example 'ListCustomModels'",
        ),
        ("throttle", {"operation": "PutObject"}, "unknown operation 'PutObject'"),
        ("error", {"code": "Nope"}, "\\* never returns it; use AccessDenied"),
        ("error", {"code": "ConflictException", "operation": "List*"}, "List\\* never returns it"),
    ],
)
def test_an_impossible_fault_is_rejected(sandbox, kind, how, words):
    with pytest.raises(ConfigError, match=words):
        sandbox.faults.add(kind, **how)
    assert sandbox.faults.listed() == []


@pytest.fixture
def call_http_api(sandbox):
    """Return a function that calls the sandbox's HTTP API."""

    def call(method, path, content=None):
        request = urllib.request.Request(
            f"{sandbox.admin_url}/{path}",
            data=None if content is None else json.dumps(content).encode(),
            method=method,
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    return call


def test_faults_are_managed_over_http(sandbox, call_http_api, once):
    call_http_api(
        "POST", "faults", [{"kind": "throttle", "times": 1}, {"kind": "stall", "rate": 0.5}]
    )
    assert codes(once.list_custom_models, 2) == ["ThrottlingException", ""]
    status, listed = call_http_api("GET", "faults")
    assert (
        status,
        [(rule["kind"], rule["injected_count"]) for rule in listed],
    ) == (200, [("throttle", 1), ("stall", 0)])
    call_http_api("DELETE", "faults")
    assert call_http_api("GET", "faults") == (200, [])


def test_the_clock_and_the_state_are_available_over_http(sandbox, call_http_api, create):
    create()
    _, before = call_http_api("GET", "clock")
    _, after = call_http_api("POST", "clock", {"advance": A_JOB})
    assert before["now"] < after["now"]
    _, state = call_http_api("GET", "state")
    (region,) = state["regions"]
    assert (region["account"], region["region"]) == ("123456789012", "us-east-1")
    assert [job["status"] for job in region["jobs"]] == ["Completed"]
    assert [model["modelName"] for model in region["models"]] == ["job"]
    call_http_api("POST", "reset")
    assert call_http_api("GET", "state")[1]["regions"] == []


@pytest.mark.parametrize(
    ("method", "path", "content", "code", "words"),
    [
        ("GET", "nothing", None, 404, "use GET /_tunestack/state"),
        ("POST", "faults", {"kind": "magic"}, 400, "unknown fault 'magic'"),
        ("POST", "faults", {"times": 1}, 400, "use an object with a kind"),
        ("POST", "faults", ["throttle"], 400, "use an object with a kind"),
        ("POST", "clock", {"advance": "x"}, 400, 'use {"advance": <seconds>}'),
        ("POST", "clock", {}, 400, 'use {"advance": <seconds>}'),
        ("POST", "clock", [], 400, 'use {"advance": <seconds>}'),
        ("POST", "clock", {"advance": -1}, 400, "the clock can't be advanced by"),
        ("POST", "clock", {"advance": 1e12}, 400, "the clock can't be advanced by"),
    ],
)
def test_invalid_control_requests_are_rejected(call_http_api, method, path, content, code, words):
    status, answer = call_http_api(method, path, content)
    assert code == status
    assert words in answer["error"]


def test_both_interpretations_of_a_repeated_token(monkeypatch, count_traffic):
    """AWS "ignores the request, but does not return an error": no job is created, and the response may be empty."""
    with Sandbox(speed=1, ignores_repeats=True, quotas=Quotas(model_units=0)) as sandbox:
        for name, value in sandbox.variables().items():
            monkeypatch.setenv(name, value)
        from tunestack import EndpointCostWarning, Poll, Tuner

        poll = Poll(sleep=sandbox.clock.advance, clock=sandbox.clock.monotonic)
        rows = [{"prompt": f"number {n}?", "completion": str(n)} for n in range(100)]
        tuner = Tuner(region="us-west-2", poll=poll, session=boto3.Session())
        sandbox.faults.add("lost-reply", operation="CreateModelCustomizationJob", times=1)
        job = tuner.submit("llama-3-1-8b", rows)
        assert len(list(tuner.jobs())) == 1
        assert tuner.submit("llama-3-1-8b", rows).id == job.id
        assert job.wait().model
        with (
            pytest.raises(Exception, match="no commitment model units"),
            pytest.warns(EndpointCostWarning),
        ):
            job.start_endpoint()
        assert sandbox.traffic.violations == []
    count_traffic(sandbox.traffic)
