"""What AWS raises is raised as ours, with what to do, and the cause kept."""

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


def client_error(code, status=400):
    response: Any = {
        "Error": {"Code": code, "Message": "AWS's words"},
        "ResponseMetadata": {"RequestId": "r-1", "HTTPStatusCode": status},
    }
    return ClientError(response, "Operation")


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (client_error("AccessDeniedException"), AccessError, "tuner policy"),
        (client_error("ExpiredTokenException"), CredentialsExpiredError, "sign in again"),
        (client_error("RequestTimeTooSkewed"), ClockError, "set this machine's clock"),
        (client_error("ResourceNotFoundException"), NotFoundError, "region"),
        (client_error("ConflictException"), ConflictError, "check the existing resource"),
        (client_error("ServiceQuotaExceededException"), QuotaError, "Service Quotas"),
        (client_error("ThrottlingException"), BusyError, "try again later"),
        (client_error("SomethingNew"), ProviderError, "AWS's words"),
        (client_error("503", 503), BusyError, "try again later"),
        (client_error("SomethingNew", 500), BusyError, "try again later"),
        (client_error("429", 429), BusyError, "try again later"),
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
        (client_error("ValidationException"), InvalidRequestError, "AWS's words"),
        (ProfileNotFound(profile="nope"), ConfigError, "nope.*check the AWS profile"),
        (NoRegionError(), ConfigError, "region"),
        (ValueError("Invalid endpoint: x"), ConfigError, "Invalid endpoint"),
        (CredentialRetrievalError(provider="p", error_msg="e"), AccessError, "credentials"),
        (UnknownServiceError(service_name="s", known_service_names=[]), ProviderError, "s"),
    ],
)
def test_each_error_has_a_class_a_remedy_and_its_cause(raised, kind, words):
    with pytest.raises(kind, match=words) as error, translate_errors("doing it"):
        raise raised
    assert kind is type(error.value)
    assert raised is error.value.__cause__
    assert str(error.value).startswith("doing it: ")
    if isinstance(raised, ClientError):
        assert ("r-1", raised.response["Error"]["Code"]) == (
            error.value.request_id,
            error.value.code,
        )


def test_no_secret_and_no_text_of_a_caller_is_quoted():
    session = "Invalid header value b'SECRET-TOKEN'"
    with pytest.raises(AccessError) as error, translate_errors("doing it"):
        raise HTTPClientError(error=session)
    assert "SECRET" not in str(error.value)
    assert error.value.__cause__ is None
    report = "Invalid type for parameter messages[0].text, value: ['SECRET,\nmore'], type: <class 'list'>, valid types: str"
    words = r"messages\[0\].text, type: .*valid types: str"
    with pytest.raises(ConfigError, match=words) as invalid, translate_errors("doing it"):
        raise ParamValidationError(report=report)
    assert "SECRET" not in str(invalid.value)


def test_errors_cross_processes():
    failed = JobFailedError("it failed", job_id="j", reason="r")
    again = pickle.loads(pickle.dumps(failed))
    assert (JobFailedError, "it failed", "j", "r") == (
        type(again),
        str(again),
        again.job_id,
        again.reason,
    )
    for error in (DataError("bad", ["line 1"]), AccessError("no", code="c", request_id="r")):
        again = pickle.loads(pickle.dumps(error))
        assert (str(error), error.__dict__) == (str(again), again.__dict__)


def test_what_is_not_awss_passes_untouched():
    for raised in (ZeroDivisionError(), RuntimeError("something else")):
        with pytest.raises(type(raised)) as error, translate_errors("doing it"):
            raise raised
        assert raised is error.value
