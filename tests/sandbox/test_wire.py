"""HTTP by botocore's model: what does not fit is refused, and remembered."""

import json

import pytest

from tunestack_sandbox.wire import Fault, Reply, Request, Wire

AUTHORIZATION = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=123456789012/20261122/us-east-1/bedrock/aws4_request"
}


@pytest.fixture
def wire():
    return Wire("bedrock", "bedrock-runtime")


def request(method, target, body=b"", headers=AUTHORIZATION):
    return Request(method=method, target=target, headers=headers, body=body)


def test_an_arn_in_the_path_keeps_its_slashes(wire):
    arn = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Acustom-model-deployment%2F0123456789ab"
    call = wire.read(request("GET", f"/model-customization/custom-model-deployments/{arn}"))
    assert "GetCustomModelDeployment" == call.operation.name
    assert call.params["customModelDeploymentIdentifier"].endswith(
        "custom-model-deployment/0123456789ab"
    )
    assert ("123456789012", "us-east-1") == (call.access_key, call.region)


def test_query_parameters_have_their_types(wire):
    call = wire.read(
        request(
            "GET",
            "/model-customization-jobs?maxResults=5&creationTimeAfter=2026-11-22T00%3A00%3A00Z",
        )
    )
    assert 5 == call.params["maxResults"]
    assert 2026 == call.params["creationTimeAfter"].year


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (request("GET", "/nowhere"), "UnknownOperationException"),
        (request("GET", "/custom-models", headers={}), "MissingAuthenticationTokenException"),
        (request("POST", "/model-customization-jobs", b"{"), "ValidationException"),
        (request("POST", "/model-customization-jobs", b"{}"), "ValidationException"),
        (request("GET", "/model-customization-jobs?maxResults=x"), "ValidationException"),
        (request("GET", "/model-customization-jobs?maxResults=1001"), "ValidationException"),
    ],
)
def test_what_does_not_fit_is_refused(wire, bad, code):
    with pytest.raises(Fault) as refused:
        wire.read(bad)
    assert code == refused.value.code
    assert [] == wire.traffic.violations


def test_an_answer_that_breaks_the_model_is_not_sent_but_remembered(wire):
    operation = wire.read(request("GET", "/model-customization-jobs/x")).operation
    answer = wire.write(operation, Reply(result={"jobArn": "arn:wrong"}))
    assert 500 == answer.status
    assert "answer of GetModelCustomizationJob" in wire.traffic.violations[0]


def test_an_error_that_the_operation_does_not_list_is_remembered(wire):
    operation = wire.read(request("GET", "/model-customization-jobs/x")).operation
    assert 404 == wire.fail(operation, Fault("ResourceNotFoundException", "")).status
    assert [] == wire.traffic.violations
    answer = wire.fail(operation, Fault("ConflictException", "busy"))
    assert {"message": "busy"} == json.loads(answer.body)
    assert "ConflictException is not in its list" in wire.traffic.violations[0]
