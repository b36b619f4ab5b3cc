"""The REST-JSON protocol: requests and responses that do not match the service model are rejected and recorded."""

import json
import urllib.error
import urllib.request
from functools import partial

import pytest

from tunestack_sandbox.messages import OperationResult, Request, ServiceError
from tunestack_sandbox.rest_json import RestJsonProtocol
from tunestack_sandbox.routing import Route, Router

AUTHORIZATION = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=123456789012/20261122/us-east-1/bedrock/aws4_request"
}


@pytest.fixture
def protocol():
    return RestJsonProtocol("bedrock", "bedrock-runtime")


@pytest.fixture
def read(protocol):
    """Return a function that routes a request and parses the call of its operation."""

    def create_handler(operation):
        return lambda request, labels: protocol.read_call(request, operation, labels)

    router = Router(
        Route(
            method=method,
            path=path,
            handle=create_handler(operation),
            handle_crash=partial(protocol.build_crash, operation),
            allows_trailing_slash=True,
        )
        for method, path, operation in protocol.operations()
    )

    def read(request):
        route, labels = router.match(request)
        return route.handle(request, labels)

    return read


def request(method, target, body=b"", headers=AUTHORIZATION):
    return Request(method=method, target=target, headers=headers, body=body)


def test_an_arn_in_the_path_keeps_its_slashes(read):
    arn = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Acustom-model-deployment%2F0123456789ab"
    call = read(request("GET", f"/model-customization/custom-model-deployments/{arn}"))
    assert call.operation.name == "GetCustomModelDeployment"
    assert call.params["customModelDeploymentIdentifier"].endswith(
        "custom-model-deployment/0123456789ab"
    )
    assert (call.access_key, call.region) == ("123456789012", "us-east-1")


def test_query_parameters_have_their_types(read):
    call = read(
        request(
            "GET",
            "/model-customization-jobs?maxResults=5&creationTimeAfter=2026-11-22T00%3A00%3A00Z",
        )
    )
    assert call.params["maxResults"] == 5
    assert call.params["creationTimeAfter"].year == 2026


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (request("GET", "/custom-models", headers={}), "MissingAuthenticationTokenException"),
        (request("POST", "/model-customization-jobs", b"{"), "ValidationException"),
        (request("POST", "/model-customization-jobs", b"{}"), "ValidationException"),
        (request("GET", "/model-customization-jobs?maxResults=x"), "ValidationException"),
        (request("GET", "/model-customization-jobs?maxResults=1001"), "ValidationException"),
    ],
)
def test_invalid_requests_are_rejected(protocol, read, bad, code):
    with pytest.raises(ServiceError) as refused:
        read(bad)
    assert code == refused.value.code
    assert protocol.traffic.violations == []


def test_a_response_that_violates_the_model_is_recorded_and_not_sent(protocol, read):
    operation = read(request("GET", "/model-customization-jobs/x")).operation
    answer = protocol.build_response(operation, OperationResult(result={"jobArn": "arn:wrong"}))
    assert answer.status == 500
    assert "answer of GetModelCustomizationJob" in protocol.traffic.violations[0]


def test_an_error_that_the_operation_does_not_list_is_recorded(protocol, read):
    operation = read(request("GET", "/model-customization-jobs/x")).operation
    assert (
        protocol.build_error(operation, ServiceError("ResourceNotFoundException", "")).status == 404
    )
    assert protocol.traffic.violations == []
    answer = protocol.build_error(operation, ServiceError("ConflictException", "busy"))
    assert json.loads(answer.body) == {"message": "busy"}
    assert "ConflictException is not in its list" in protocol.traffic.violations[0]


def test_an_unknown_path_has_no_route(read):
    with pytest.raises(LookupError, match="no route for GET /nowhere"):
        read(request("GET", "/nowhere"))


def test_an_unknown_path_is_an_unknown_operation(sandbox):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{sandbox.url}/nowhere")
    assert error.value.code == 404
    assert error.value.headers["x-amzn-ErrorType"] == "UnknownOperationException"
    error.value.close()
