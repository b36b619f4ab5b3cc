"""Translate the errors of AWS and botocore to those of `tunestack.errors`."""

from __future__ import annotations

import re
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    InfiniteLoopConfigError,
    InvalidChecksumConfigError,
    InvalidConfigError,
    InvalidDefaultsMode,
    InvalidRegionError,
    LoginRefreshRequired,
    LoginTokenLoadError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
    UnknownCredentialError,
)

from tunestack.backends.bedrock.known_messages import find_refusal
from tunestack.errors import (
    AccessError,
    BusyError,
    ClockError,
    ConfigError,
    ConflictError,
    CredentialsExpiredError,
    InvalidRequestError,
    NetworkError,
    NotFoundError,
    ProviderError,
    QuotaError,
    TunestackError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SIGN_IN = "check the credentials (`aws sts get-caller-identity` shows who you are)"
_SIGN_IN_AGAIN = (
    "sign in again (`aws login`, `aws sso login`, or the tool that issued the credentials)"
)
_CLOCK = "set this machine's clock (`timedatectl set-ntp true`)"
_PERMISSION = "attach the stage's tuner policy (stack output `TunerPolicyArn`, and for runs `RunnerPolicyArn`) to the caller's user or role"
_DEPLOY = "run `cdk deploy` in this account and region"
_KEY = "check the key in KMS: it must be enabled, and its key usage must be encryption"
_LATER = "try again later"
_CONFLICT = "check the existing resource before you try again"
OTHER_QUOTA = "delete resources that are not used any more, or check in Service Quotas whether the quota can be raised"
_CERTIFICATES = "set AWS_CA_BUNDLE to the CA certificates of your network or proxy"
# botocore quotes invalid values, which may be training data.
_VALUES = re.compile(r", value: .*?(?=, type: |, valid |\Z)", re.DOTALL)

CODES: Mapping[str, tuple[type[ProviderError], str]] = MappingProxyType(
    {
        "AccessDenied": (AccessError, _PERMISSION),
        "AccessDeniedException": (AccessError, _PERMISSION),
        "403": (AccessError, _PERMISSION),
        "KmsAccessDenied": (AccessError, _PERMISSION),
        "KmsOptInRequired": (AccessError, "sign up for KMS in this account"),
        "RegionDisabledException": (AccessError, "enable the region in this account"),
        "ExpiredToken": (CredentialsExpiredError, _SIGN_IN_AGAIN),
        "ExpiredTokenException": (CredentialsExpiredError, _SIGN_IN_AGAIN),
        "InvalidAccessKeyId": (AccessError, _SIGN_IN),
        "InvalidClientTokenId": (AccessError, _SIGN_IN),
        "InvalidSignatureException": (AccessError, _SIGN_IN),
        "RequestExpired": (ClockError, _CLOCK),
        "RequestTimeTooSkewed": (ClockError, _CLOCK),
        "SignatureDoesNotMatch": (AccessError, _SIGN_IN),
        "UnrecognizedClientException": (AccessError, _SIGN_IN),
        "404": (NotFoundError, "check the name and the region"),
        "NoSuchBucket": (NotFoundError, "check the name and the region"),
        "NoSuchKey": (NotFoundError, "check the name"),
        "ParameterNotFound": (NotFoundError, _DEPLOY),
        "ExecutionAlreadyExists": (ConflictError, _CONFLICT),
        "ExecutionDoesNotExist": (NotFoundError, "check the name and the region"),
        "InvalidArn": (NotFoundError, "check the ARN"),
        "StateMachineDoesNotExist": (NotFoundError, _DEPLOY),
        "ResourceNotFoundException": (NotFoundError, "check the id and the region"),
        "AWS.SimpleQueueService.NonExistentQueue": (NotFoundError, _DEPLOY),
        "NoSuchEntity": (NotFoundError, _DEPLOY),
        "NoSuchResourceException": (NotFoundError, "check the region"),
        "QueueDoesNotExist": (NotFoundError, _DEPLOY),
        "ParameterVersionNotFound": (NotFoundError, _DEPLOY),
        "KmsNotFound": (NotFoundError, _DEPLOY),
        "IllegalArgumentException": (InvalidRequestError, ""),
        "IllegalLocationConstraintException": (InvalidRequestError, "use the bucket's region"),
        "InvalidAddress": (InvalidRequestError, ""),
        "InvalidIdFormat": (InvalidRequestError, ""),
        "InvalidKeyId": (InvalidRequestError, "check the key's policy"),
        "InvalidObjectState": (InvalidRequestError, "restore the object from its archive"),
        "InvalidParameterException": (InvalidRequestError, ""),
        "BillExpirationException": (InvalidRequestError, "use another period"),
        "BillingViewHealthStatusException": (BusyError, _LATER),
        "DataUnavailableException": (
            NotFoundError,
            "if Cost Explorer was enabled less than 24 hours ago, try again later; else use a later first day",
        ),
        "LimitExceededException": (BusyError, _LATER),
        "RequestChangedException": (InvalidRequestError, ""),
        "ExpiredNextTokenException": (InvalidRequestError, ""),
        "InvalidFilterKey": (InvalidRequestError, ""),
        "InvalidFilterOption": (InvalidRequestError, ""),
        "InvalidFilterValue": (InvalidRequestError, ""),
        "InvalidNextToken": (InvalidRequestError, ""),
        "InvalidNextTokenException": (InvalidRequestError, ""),
        "NotFoundException": (NotFoundError, ""),
        "InvalidRequest": (InvalidRequestError, ""),
        "InvalidSecurity": (InvalidRequestError, ""),
        "InvalidWriteOffset": (InvalidRequestError, ""),
        "EncryptionTypeMismatch": (InvalidRequestError, ""),
        "KmsInvalidKeyUsage": (InvalidRequestError, _KEY),
        "KmsInvalidState": (InvalidRequestError, _KEY),
        "KmsDisabled": (InvalidRequestError, _KEY),
        "PermanentRedirect": (InvalidRequestError, "use the bucket's region"),
        "ReceiptHandleIsInvalid": (InvalidRequestError, ""),
        "UnsupportedOperation": (InvalidRequestError, ""),
        "ValidationException": (InvalidRequestError, ""),
        "ConditionalRequestConflict": (ConflictError, _CONFLICT),
        "ConflictException": (ConflictError, _CONFLICT),
        "PreconditionFailed": (ConflictError, _CONFLICT),
        "ResourceInUseException": (ConflictError, _CONFLICT),
        "ServiceQuotaExceededException": (QuotaError, OTHER_QUOTA),
        "TooManyTagsException": (QuotaError, "use fewer tags"),
        "TooManyParts": (QuotaError, "use less data"),
        "OverLimit": (QuotaError, "read less at a time"),
        "KmsThrottled": (BusyError, _LATER),
        "RequestThrottled": (BusyError, _LATER),
        "ServiceException": (BusyError, _LATER),
        "ServiceFailure": (BusyError, _LATER),
        "InternalErrorException": (BusyError, _LATER),
        "InternalError": (BusyError, _LATER),
        "InternalServerError": (BusyError, _LATER),
        "InternalServerException": (BusyError, _LATER),
        # Source: API reference, Converse: an error while processing the model, with a status of its own.
        "ModelErrorException": (BusyError, _LATER),
        "ModelNotReadyException": (BusyError, "wait until the endpoint is ready"),
        "ModelTimeoutException": (BusyError, _LATER),
        "RequestTimeout": (BusyError, _LATER),
        "ServiceUnavailable": (BusyError, _LATER),
        "ServiceUnavailableException": (BusyError, _LATER),
        "SlowDown": (BusyError, _LATER),
        "Throttling": (BusyError, _LATER),
        "ThrottlingException": (BusyError, _LATER),
        "TooManyRequestsException": (BusyError, _LATER),
    }
)
"""AWS's error codes: the class of the error, and what to do. Other codes become `ProviderError`."""

_NO_CREDENTIALS = (
    "sign in (`aws login`, `aws sso login`), or set AWS_PROFILE, until `aws sts get-caller-identity` succeeds; to try Tunestack "
    "without an account, run the command in the sandbox (`tunestack sandbox -- COMMAND`)"
)
_CREDENTIALS = (CredentialRetrievalError, PartialCredentialsError)
_EXPIRED = (
    LoginRefreshRequired,
    LoginTokenLoadError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
# Statuses of a busy server or proxy whose response has no error code.
_BUSY_STATUSES = (408, 429)
# Codes of many causes, which their messages tell apart.
_CODES_OF_MANY = ("AccessDeniedException", "ValidationException")
# Most services use the code of any invalid signature if the clocks differ; only the message tells.
_CLOCK_SKEW = re.compile(r"Signature (expired|not yet current)")
_SETTINGS = (
    ConfigNotFound,
    ConfigParseError,
    InfiniteLoopConfigError,
    InvalidChecksumConfigError,
    InvalidConfigError,
    InvalidDefaultsMode,
    InvalidRegionError,
    NoRegionError,
    ProfileNotFound,
    UnknownCredentialError,
    # boto3 raises it for an endpoint that is not a URL.
    ValueError,
)
_NETWORK = (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)
# The TLS error that is not temporary.
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
# botocore raises a `RuntimeError` with this text if a source of credentials returns expired ones.
_STILL_EXPIRED = "credentials are still expired"
_KINDS: tuple[tuple[tuple[type[Exception], ...], type[TunestackError], str], ...] = (
    (_EXPIRED, CredentialsExpiredError, _SIGN_IN_AGAIN),
    ((NoCredentialsError,), AccessError, _NO_CREDENTIALS),
    (_CREDENTIALS, AccessError, _SIGN_IN),
    (_NETWORK, NetworkError, "check the network and the region"),
    (_SETTINGS, ConfigError, "check the AWS profile, region and endpoint that are set"),
)
_CREDENTIAL_MODULES = ("botocore.credentials", "botocore.tokens", "botocore.auth")
"""The modules that run programs and read files of the caller, or sign with their unchecked output."""
_SOURCE = (
    "check where the AWS profile gets its credentials from (credential_process, a token file): "
    "`aws sts get-caller-identity` has to succeed"
)


@contextmanager
def translate_errors(operation: str) -> Iterator[None]:
    """Translate errors of AWS and boto3 to `TunestackError`; messages contain no secrets and no training data.

    Args:
        operation: what is being done, for the messages: `creating job 'x'`.

    Raises:
        ProviderError: AWS refused the call or can't be reached.
        ConfigError: an argument or a setting of the AWS profile is invalid.
    """
    try:
        yield
    except TunestackError:
        raise
    except ClientError as error:
        raise _translate_client_error(error, operation) from error
    except ParamValidationError as error:
        report = _VALUES.sub("", str(error))
        raise ConfigError(f"{operation}: {report}") from None
    except Exception as error:
        if not isinstance(error, BotoCoreError) and _is_from_credentials(error):
            problem = f"the AWS credentials can't be read: {type(error).__name__}: {error}"
            raise AccessError(f"{operation}: {problem}: {_SOURCE}") from error
        if not isinstance(error, BotoCoreError | RuntimeError | ValueError):
            raise
        if isinstance(error, HTTPClientError) and not isinstance(error, _NETWORK):
            # Its text contains the headers that could not be sent, including credentials.
            raise AccessError(f"{operation}: the request could not be sent: {_SIGN_IN}") from None
        if isinstance(error, RuntimeError) and _STILL_EXPIRED not in str(error):
            raise
        raise _translate_botocore_error(error, operation) from error


def _is_from_credentials(error: Exception) -> bool:
    """Return whether botocore raised an exception while it read or used credentials."""
    frames = traceback.walk_tb(error.__traceback__)
    modules = [frame.f_globals.get("__name__") for frame, _ in frames]
    return _STILL_EXPIRED not in str(error) and any(name in _CREDENTIAL_MODULES for name in modules)


def _line_number(error: Exception) -> str:
    """Return the line at which a configuration file is invalid, without its content, which may be a secret."""
    problem = getattr(error, "kwargs", {}).get("error")
    lines = [number for number, _ in getattr(problem, "errors", ())]
    line = getattr(problem, "lineno", None) or (lines[0] if lines else None)
    return f", line {line}" if isinstance(line, int) else ""


def _translate_botocore_error(error: Exception, operation: str) -> TunestackError:
    if _STILL_EXPIRED in str(error):
        return CredentialsExpiredError(f"{operation}: {error}: {_SIGN_IN_AGAIN}")
    if isinstance(error, SSLError) and _UNTRUSTED in str(error):
        return ConfigError(f"{operation}: {error}: {_CERTIFICATES}")
    for kinds, kind, remedy in _KINDS:
        if isinstance(error, kinds):
            return kind(f"{operation}: {error}{_line_number(error)}: {remedy}")
    return ProviderError(f"{operation}: {error}")


def _translate_client_error(error: ClientError, operation: str) -> ProviderError:
    code = error.response.get("Error", {}).get("Code", "")
    text = error.response.get("Error", {}).get("Message", "") or str(error)
    request_id = error.response.get("ResponseMetadata", {}).get("RequestId")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    is_busy = status in _BUSY_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind, remedy = CODES.get(code, (BusyError, _LATER) if is_busy else (ProviderError, ""))
    if code in _CODES_OF_MANY and (known := find_refusal(text)):
        kind, remedy = known.kind, known.remedy
    if _CLOCK_SKEW.search(text):
        kind, remedy = ClockError, _CLOCK
    message = f"{operation}: {text} ({code})"
    if kind is ClockError:
        message += _clock_difference(error)
    return kind(f"{message}: {remedy}" if remedy else message, code=code, request_id=request_id)


def _clock_difference(error: ClientError) -> str:
    """Return by how much this machine's clock differs from AWS's, as of the response."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        aws_time = parsedate_to_datetime(headers["date"])
        minutes = round((datetime.now(UTC) - aws_time).total_seconds() / 60)
    except (KeyError, TypeError, ValueError):
        return ""
    side = "ahead of" if minutes > 0 else "behind"
    return f": this machine's clock is {abs(minutes)} minutes {side} AWS's"
