"""What AWS raises is raised as ours, with what to do, and the cause kept."""

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

from tunestack.errors import (
    AccessError,
    BusyError,
    ConfigError,
    ConflictError,
    NotFoundError,
    ProviderError,
    QuotaError,
)
from tunestack.providers.aws_errors import translated


def client_error(code):
    return ClientError(
        {
            "Error": {"Code": code, "Message": "AWS's words"},
            "ResponseMetadata": {"RequestId": "r-1"},
        },
        "Operation",
    )


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (client_error("AccessDeniedException"), AccessError, "tuner policy"),
        (client_error("ExpiredTokenException"), AccessError, "credentials"),
        (client_error("ResourceNotFoundException"), NotFoundError, "region"),
        (client_error("ConflictException"), ConflictError, "look at what is there"),
        (client_error("ServiceQuotaExceededException"), QuotaError, "Service Quotas"),
        (client_error("ThrottlingException"), BusyError, "try again later"),
        (client_error("SomethingNew"), ProviderError, "AWS's words"),
        (NoCredentialsError(), AccessError, "aws sts get-caller-identity"),
        (EndpointConnectionError(endpoint_url="http://x"), BusyError, "network"),
        (ParamValidationError(report="no bucket"), ConfigError, "no bucket"),
    ],
)
def test_each_error_has_a_class_a_remedy_and_its_cause(raised, kind, words):
    with pytest.raises(kind, match=words) as error, translated("doing it"):
        raise raised
    assert kind is type(error.value)
    assert raised is error.value.__cause__
    assert str(error.value).startswith("doing it: ")
    if isinstance(raised, ClientError):
        assert ("r-1", raised.response["Error"]["Code"]) == (
            error.value.request_id,
            error.value.code,
        )


def test_what_is_not_awss_passes_untouched():
    with pytest.raises(ZeroDivisionError), translated("doing it"):
        raise ZeroDivisionError
