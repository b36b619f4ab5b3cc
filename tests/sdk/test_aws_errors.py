"""Errors of boto3 are raised as errors of Tunestack, with a remedy and the cause."""

import pickle
import ssl
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    LoginRefreshRequired,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    ProfileNotFound,
    ProxyConnectionError,
    ResponseStreamingError,
    SSLError,
    SSOTokenLoadError,
    UnknownServiceError,
)

from tunestack.backends.bedrock.errors import translate_errors
from tunestack.errors import (
    AccessError,
    BusyError,
    ClockError,
    ConfigError,
    ConflictError,
    CredentialsExpiredError,
    DataError,
    InvalidRequestError,
    JobFailedError,
    NetworkError,
    NotFoundError,
    ProviderError,
    QuotaError,
)


def create_client_error(code, status=400):
    response: Any = {
        "Error": {"Code": code, "Message": "AWS's words"},
        "ResponseMetadata": {"RequestId": "r-1", "HTTPStatusCode": status},
    }
    return ClientError(response, "Operation")


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (create_client_error("AccessDeniedException"), AccessError, "tuner policy"),
        (create_client_error("ExpiredTokenException"), CredentialsExpiredError, "sign in again"),
        (create_client_error("RequestTimeTooSkewed"), ClockError, "set this machine's clock"),
        (create_client_error("ResourceNotFoundException"), NotFoundError, "region"),
        (create_client_error("ConflictException"), ConflictError, "check the existing resource"),
        (create_client_error("ServiceQuotaExceededException"), QuotaError, "Service Quotas"),
        (create_client_error("ThrottlingException"), BusyError, "try again later"),
        (create_client_error("SomethingNew"), ProviderError, "AWS's words"),
        (create_client_error("503", 503), BusyError, "try again later"),
        (create_client_error("SomethingNew", 500), BusyError, "try again later"),
        (create_client_error("429", 429), BusyError, "try again later"),
        (LoginRefreshRequired(), CredentialsExpiredError, "aws login"),
        (SSOTokenLoadError(error_msg="e"), CredentialsExpiredError, "aws sso login"),
        (
            RuntimeError(
                "Credentials were refreshed, but the refreshed credentials are still expired."
            ),
            CredentialsExpiredError,
            "sign in again",
        ),
        (
            SSLError(endpoint_url="https://x", error=ssl.SSLError("UNEXPECTED_EOF")),
            NetworkError,
            "network",
        ),
        (
            SSLError(endpoint_url="https://x", error=ssl.SSLError("CERTIFICATE_VERIFY_FAILED")),
            ConfigError,
            "AWS_CA_BUNDLE",
        ),
        (ProxyConnectionError(proxy_url="http://x"), NetworkError, "network"),
        (ResponseStreamingError(error="reset"), NetworkError, "network"),
        (NoCredentialsError(), AccessError, "aws sts get-caller-identity"),
        (EndpointConnectionError(endpoint_url="http://x"), NetworkError, "network"),
        (create_client_error("ValidationException"), InvalidRequestError, "AWS's words"),
        (ProfileNotFound(profile="nope"), ConfigError, "nope.*check the AWS profile"),
        (NoRegionError(), ConfigError, "region"),
        (ValueError("Invalid endpoint: x"), ConfigError, "Invalid endpoint"),
        (CredentialRetrievalError(provider="p", error_msg="e"), AccessError, "credentials"),
        (UnknownServiceError(service_name="s", known_service_names=[]), ProviderError, "s"),
    ],
)
def test_error_has_its_class_a_remedy_and_the_cause(raised, kind, message):
    with pytest.raises(kind, match=message) as error, translate_errors("doing it"):
        raise raised
    assert kind is type(error.value)
    assert raised is error.value.__cause__
    assert str(error.value).startswith("doing it: ")
    if isinstance(raised, ClientError):
        assert ("r-1", raised.response["Error"]["Code"]) == (
            error.value.request_id,
            error.value.code,
        )


def test_message_has_no_secret_and_no_text_of_the_caller():
    session = "Invalid header value b'SECRET-TOKEN'"
    with pytest.raises(AccessError) as error, translate_errors("doing it"):
        raise HTTPClientError(error=session)
    assert "SECRET" not in str(error.value)
    assert error.value.__cause__ is None
    report = "Invalid type for parameter messages[0].text, value: ['SECRET,\nmore'], type: <class 'list'>, valid types: str"
    message = r"messages\[0\].text, type: .*valid types: str"
    with pytest.raises(ConfigError, match=message) as invalid, translate_errors("doing it"):
        raise ParamValidationError(report=report)
    assert "SECRET" not in str(invalid.value)


def test_errors_can_be_pickled():
    failed = JobFailedError("it failed", job_id="j", reason="r")
    unpickled = pickle.loads(pickle.dumps(failed))
    assert (JobFailedError, "it failed", "j", "r") == (
        type(unpickled),
        str(unpickled),
        unpickled.job_id,
        unpickled.reason,
    )
    for error in (DataError("bad", ["line 1"]), AccessError("no", code="c", request_id="r")):
        unpickled = pickle.loads(pickle.dumps(error))
        assert (str(error), error.__dict__) == (str(unpickled), unpickled.__dict__)


def test_other_errors_are_not_changed():
    for raised in (ZeroDivisionError(), RuntimeError("something else")):
        with pytest.raises(type(raised)) as error, translate_errors("doing it"):
            raise raised
        assert raised is error.value
