"""What AWS's errors are in our words."""

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
    "sign in again (`aws login`, `aws sso login`, or whatever gave you the credentials)"
)
_CLOCK = "set this machine's clock (`timedatectl set-ntp true`)"
_PERMISSION = "attach the stage's tuner policy (stack output `TunerPolicyArn`) to whoever calls"
_DEPLOY = "run `cdk deploy` in this account and region"
_KEY = "look at the key in KMS: it must be enabled, and for encryption"
_LATER = "try again later"
OTHER_QUOTA = "free some of it, or see in Service Quotas whether it can be raised"
_CERTIFICATES = "set AWS_CA_BUNDLE to the certificates of whoever signs here"
# botocore quotes what does not fit.
_VALUES = re.compile(r", value: .*?(?=, type: |, valid |\Z)", re.DOTALL)

CODES: Mapping[str, tuple[type[ProviderError], str]] = MappingProxyType(
    {
        "AccessDenied": (AccessError, _PERMISSION),
        "AccessDeniedException": (AccessError, _PERMISSION),
        "403": (AccessError, _PERMISSION),
        "KmsAccessDenied": (AccessError, _PERMISSION),
        "KmsOptInRequired": (AccessError, "sign up for KMS in this account"),
        "RegionDisabledException": (AccessError, "turn the region on in this account"),
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
        "InvalidKeyId": (InvalidRequestError, "look at the key's policy"),
        "InvalidObjectState": (InvalidRequestError, "restore the object from its archive"),
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
        "ConditionalRequestConflict": (ConflictError, "look at what is there before trying again"),
        "ConflictException": (ConflictError, "look at what is there before trying again"),
        "PreconditionFailed": (ConflictError, "look at what is there before trying again"),
        "ResourceInUseException": (ConflictError, "look at what is there before trying again"),
        "ServiceQuotaExceededException": (QuotaError, OTHER_QUOTA),
        "TooManyTagsException": (QuotaError, "use fewer tags"),
        "TooManyParts": (QuotaError, "use less data"),
        "OverLimit": (QuotaError, "read less at a time"),
        "KmsThrottled": (BusyError, _LATER),
        "RequestThrottled": (BusyError, _LATER),
        "ServiceException": (BusyError, _LATER),
        "ServiceFailure": (BusyError, _LATER),
        "InternalError": (BusyError, _LATER),
        "InternalServerError": (BusyError, _LATER),
        "InternalServerException": (BusyError, _LATER),
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
"""AWS's error codes: our class, and what to do. A code that is not here becomes `ProviderError`."""

_CREDENTIALS = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError)
_EXPIRED = (
    LoginRefreshRequired,
    LoginTokenLoadError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
# Of a server or of what is before it, whose answer says nothing that botocore could read.
_TOO_BUSY = (408, 429)
# What most services say of a signature from another time, under the code of any wrong signature.
_OF_ANOTHER_TIME = re.compile(r"Signature (expired|not yet current)")
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
    # boto3's, for an endpoint that is no URL.
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
# The one TLS error that does not pass.
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
# What botocore says, as no class of its own, of a source of credentials that gives out what has expired.
_STILL_EXPIRED = "credentials are still expired"
_KINDS: tuple[tuple[tuple[type[Exception], ...], type[TunestackError], str], ...] = (
    (_EXPIRED, CredentialsExpiredError, _SIGN_IN_AGAIN),
    (_CREDENTIALS, AccessError, _SIGN_IN),
    (_NETWORK, NetworkError, "check the network and the region"),
    (_SETTINGS, ConfigError, "check the AWS profile, region and endpoint that are set"),
)
_FINDING_CREDENTIALS = ("botocore.credentials", "botocore.tokens", "botocore.auth")
"""The modules that run programs and read files of the caller, or sign with what these returned, without a check."""
_SOURCE = (
    "check what the AWS profile gets its credentials from (credential_process, a token file): "
    "`aws sts get-caller-identity` has to succeed"
)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what AWS and boto3 raise as our own errors.

    Nothing is quoted that may hold a secret or a caller's text.

    Args:
        doing: what was being done, in the user's words: `creating job 'x'`.
    """
    try:
        yield
    except TunestackError:
        raise
    except ClientError as error:
        raise _from_client(error, doing) from error
    except ParamValidationError as error:
        report = _VALUES.sub("", str(error))
        raise ConfigError(f"{doing}: {report}") from None
    except Exception as error:
        if not isinstance(error, BotoCoreError) and _is_finding_credentials(error):
            problem = f"the AWS credentials can't be read: {type(error).__name__}: {error}"
            raise AccessError(f"{doing}: {problem}: {_SOURCE}") from error
        if not isinstance(error, BotoCoreError | RuntimeError | ValueError):
            raise
        if isinstance(error, HTTPClientError) and not isinstance(error, _NETWORK):
            # Its text holds the headers that could not be sent, credentials among them.
            raise AccessError(f"{doing}: the request could not be sent: {_SIGN_IN}") from None
        if isinstance(error, RuntimeError) and _STILL_EXPIRED not in str(error):
            raise
        raise _from_botocore(error, doing) from error


def _is_finding_credentials(error: Exception) -> bool:
    """Return whether an exception comes from where botocore finds credentials."""
    frames = traceback.walk_tb(error.__traceback__)
    modules = [frame.f_globals.get("__name__") for frame, _ in frames]
    return _STILL_EXPIRED not in str(error) and any(
        name in _FINDING_CREDENTIALS for name in modules
    )


def _line(error: Exception) -> str:
    """Return where a configuration file is invalid; never what is written there, which may be a secret."""
    problem = getattr(error, "kwargs", {}).get("error")
    lines = [number for number, _ in getattr(problem, "errors", ())]
    line = getattr(problem, "lineno", None) or (lines[0] if lines else None)
    return f", line {line}" if isinstance(line, int) else ""


def _from_botocore(error: Exception, doing: str) -> TunestackError:
    if _STILL_EXPIRED in str(error):
        return CredentialsExpiredError(f"{doing}: {error}: {_SIGN_IN_AGAIN}")
    if isinstance(error, SSLError) and _UNTRUSTED in str(error):
        return ConfigError(f"{doing}: {error}: {_CERTIFICATES}")
    for kinds, kind, remedy in _KINDS:
        if isinstance(error, kinds):
            return kind(f"{doing}: {error}{_line(error)}: {remedy}")
    return ProviderError(f"{doing}: {error}")


def _from_client(error: ClientError, doing: str) -> ProviderError:
    code = error.response.get("Error", {}).get("Code", "")
    words = error.response.get("Error", {}).get("Message", "") or str(error)
    request_id = error.response.get("ResponseMetadata", {}).get("RequestId")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    is_busy = status in _TOO_BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind, remedy = CODES.get(code, (BusyError, _LATER) if is_busy else (ProviderError, ""))
    if _OF_ANOTHER_TIME.search(words):
        kind, remedy = ClockError, _CLOCK
    message = f"{doing}: {words} ({code})"
    if kind is ClockError:
        message += _difference(error)
    return kind(f"{message}: {remedy}" if remedy else message, code=code, request_id=request_id)


def _difference(error: ClientError) -> str:
    """Tell by how much this machine's clock differs from that of the answer."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        theirs = parsedate_to_datetime(headers["date"])
        minutes = round((datetime.now(UTC) - theirs).total_seconds() / 60)
    except (KeyError, TypeError, ValueError):
        return ""
    side = "ahead of" if minutes > 0 else "behind"
    return f": this machine's clock is {abs(minutes)} minutes {side} AWS's"
