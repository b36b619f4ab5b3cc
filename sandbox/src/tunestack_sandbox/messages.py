"""Requests, responses, operation calls and errors, as the sandbox's services exchange them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botocore.model import OperationModel

# Errors that any operation may return though none lists them, with their HTTP status.
# Source: Bedrock API reference, CommonErrors (read 2026-11-22).
COMMON_ERRORS = {
    "AccessDeniedException": 403,
    "ValidationException": 400,
    "ExpiredTokenException": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "UnknownOperationException": 404,
    "UnrecognizedClientException": 403,
}


class ServiceError(Exception):
    """An error that a service returns to its client."""

    def __init__(self, code: str, message: str) -> None:
        """Initialize the error.

        Args:
            code: The error code, one of those that the operation lists or of `COMMON_ERRORS`.
            message: The message for the client.
        """
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """An HTTP request."""

    method: str
    target: str
    """Path and query as sent: an ARN in the path keeps its escaped slashes."""
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path without the query, as sent."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query string, as sent."""
        return self.target.partition("?")[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """An HTTP response."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunks: Sequence[bytes] = ()
    """The parts of a stream, sent one by one instead of `body`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationCall:
    """A call of an AWS operation: its parameters, its region and its credentials."""

    operation: OperationModel
    params: dict[str, Any]
    access_key: str
    """The access key of the signature; empty with a bearer token."""
    region: str
    request: Request
    bearer_token: str | None = None
    """The bearer token, if the request has one instead of a signature."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Invocation:
    """What an invocation of a model was metered as."""

    account: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class OperationResult:
    """The result of an AWS operation."""

    result: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers in addition to those of the service model."""
    ignored: bool = False
    """Whether the request repeats a token and was ignored: the response is empty, against the service model."""
    invocation: Invocation | None = None
    """The invocation of a model, if the operation is one."""


@dataclass(slots=True)
class Traffic:
    """How many messages were checked against the service models, and which did not match."""

    requests: int = 0
    answers: int = 0
    errors: int = 0
    refused: list[str] = field(default_factory=list)
    """Requests that do not match the service model: errors of the client."""
    violations: list[str] = field(default_factory=list)
    """Responses that do not match it, and errors that the operation does not list: errors of the sandbox."""
