"""HTTP to and from operations of a REST-JSON service, by botocore's own model of it."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from botocore.loaders import Loader
from botocore.model import ServiceModel

from tunestack_sandbox import eventstream
from tunestack_sandbox.bearer import bearer_token, short_term_key
from tunestack_sandbox.shapes import refusal, violations

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from botocore.model import OperationModel, Shape

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_CREDENTIAL = re.compile(
    r"Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/"
)

# How much is remembered of what was refused, and how many.
_SHOWN, _KEPT = 2000, 1000

# Errors that any operation may answer though none lists them, with their status.
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


class Fault(Exception):  # noqa: N818 - AWS's word
    """An error that the service answers with."""

    def __init__(self, code: str, message: str) -> None:
        """Take the error's code, one of those that the operation lists, and its text."""
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What came in."""

    method: str
    target: str
    """Path and query as sent: an ARN in the path keeps its escaped slashes."""
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What goes out."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunks: Sequence[bytes] = ()
    """The parts of a stream, sent one by one instead of `body`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """An operation with its parameters, and who calls it where."""

    operation: OperationModel
    params: dict[str, Any]
    access_key: str
    """Of the signature; empty with a bearer token."""
    region: str
    request: Request
    bearer: str | None = None
    """The bearer token, where there is no signature."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What an operation answers."""

    result: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside those of the model."""
    ignored: bool = False
    """The request repeats a token and is ignored: the answer is empty, whatever the model requires."""


@dataclass(slots=True)
class Traffic:
    """How much was checked against the model, and what did not fit."""

    requests: int = 0
    answers: int = 0
    errors: int = 0
    refused: list[str] = field(default_factory=list)
    """Requests that break the model: the client's fault."""
    violations: list[str] = field(default_factory=list)
    """Answers that do, and errors that the operation does not list: the sandbox's."""


class Wire:
    """Reads requests and writes answers of the given services."""

    def __init__(self, *services: str, region: str = "us-east-1") -> None:
        """Load the models of services.

        Args:
            services: botocore's names of the services.
            region: the region of requests that name none: those with a long-term API key, as all regions share one endpoint.
        """
        self.traffic = Traffic()
        self._region = region
        self._routes = [route for service in services for route in _routes(service)]

    def errors(self, operations: Collection[str]) -> dict[str, set[str]]:
        """List the errors of operations, by name."""
        return {
            operation.name: {shape.name for shape in operation.error_shapes} | COMMON_ERRORS.keys()
            for _, _, operation in self._routes
            if operation.name in operations
        }

    def read(self, request: Request) -> Call:
        """Tell the operation and its parameters.

        Raises:
            Fault: there is no such operation, or the parameters do not fit it.
        """
        path, _, query = request.target.partition("?")
        operation, places = self._find(request.method, path)
        credential = _CREDENTIAL.search(request.headers.get("Authorization", ""))
        bearer = bearer_token(request.headers)
        if credential is None and bearer is None:
            raise Fault("MissingAuthenticationTokenException", "Missing Authentication Token")
        self.traffic.requests += 1
        params = _params(operation, places, query, request)
        call = Call(
            operation=operation,
            params=params,
            access_key=credential["key"] if credential else "",
            region=credential["region"] if credential else self._region_of(bearer or "", params),
            request=request,
            bearer=bearer,
        )
        problems = violations(call.params, operation.input_shape) if operation.input_shape else []
        if problems:
            self.traffic.refused.append(f"{operation.name}: {'; '.join(problems)}"[:_SHOWN])
            del self.traffic.refused[:-_KEPT]
            raise Fault("ValidationException", refusal(problems))
        return call

    def _region_of(self, token: str, params: Mapping[str, Any]) -> str:
        """Return the region of a short-term key, else that of the first ARN, else the default."""
        key = short_term_key(token)
        if key is not None:
            return key.region
        arns = (value.split(":") for value in params.values() if isinstance(value, str))
        named = (parts[3] for parts in arns if parts[0] == "arn" and len(parts) > 3 and parts[3])
        return next(named, self._region)

    def _find(self, method: str, path: str) -> tuple[OperationModel, dict[str, str]]:
        for wanted, pattern, operation in self._routes:
            if wanted == method and (match := pattern.fullmatch(path)):
                return operation, match.groupdict()
        raise Fault("UnknownOperationException", f"no operation {method} {path}")

    def write(self, operation: OperationModel, reply: Reply) -> Answer:
        """Write what an operation answers, once it fits the model."""
        self.traffic.answers += 1
        shape = operation.output_shape
        problems = [] if shape is None or reply.ignored else _broken(reply.result, shape)
        if problems:
            self.traffic.violations.append(f"answer of {operation.name}: {'; '.join(problems)}")
            return self.fail(operation, Fault("InternalServerException", "; ".join(problems)))
        headers, body, chunks = ({}, b"{}", ()) if shape is None else _written(reply.result, shape)
        return Answer(
            status=operation.http.get("responseCode", 200),
            headers={**headers, **reply.headers},
            body=body,
            chunks=chunks,
        )

    def crashed(self, operation: OperationModel | None, error: Exception) -> Answer:
        """Answer for a fault of the sandbox's own, and remember it as one."""
        name = "a request" if operation is None else operation.name
        self.traffic.violations.append(f"{name} broke the sandbox: {error!r}")
        message = f"The sandbox failed: {error!r}"
        return self.fail(operation, Fault("InternalServerException", message))

    def fail(self, operation: OperationModel | None, fault: Fault) -> Answer:
        """Write an error, which must be one that the operation lists, or one that any may answer."""
        self.traffic.errors += 1
        listed = (
            {}
            if operation is None
            else {
                shape.name: shape.metadata["error"]["httpStatusCode"]
                for shape in operation.error_shapes
            }
        )
        status = listed.get(fault.code, COMMON_ERRORS.get(fault.code))
        if status is None:
            status = 400 if operation is None and fault.code == "ValidationException" else 500
            if operation is not None:
                self.traffic.violations.append(
                    f"error of {operation.name}: {fault.code} is not in its list"
                )
        return Answer(
            status=status,
            headers={"x-amzn-ErrorType": fault.code},
            body=json.dumps({"message": fault.message}).encode(),
        )


def _routes(service: str) -> list[tuple[str, re.Pattern[str], OperationModel]]:
    # Without a session, which would look for the caller's profile.
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    routes = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        uri = operation.http["requestUri"].partition("?")[0].rstrip("/") or "/"
        pattern = re.sub(r"\\\{(\w+)(?:\\\+)?\\\}", r"(?P<\1>[^/]+)", re.escape(uri))
        routes.append((operation.http["method"], re.compile(pattern + "/?"), operation))
    # The more a route spells out, the earlier it is tried.
    return sorted(routes, key=lambda route: route[1].pattern.count("(?P<"))


def _params(
    operation: OperationModel, path: Mapping[str, str], query: str, request: Request
) -> dict[str, Any]:
    shape = operation.input_shape
    if shape is None:
        return {}
    payload = shape.serialization.get("payload")
    places = parse_qs(query, keep_blank_values=True)
    headers = {name.lower(): value for name, value in request.headers.items()}
    content = {} if payload else _object(request.body)
    params: dict[str, Any] = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        key = member.serialization.get("name", name)
        if name == payload:
            params[name] = request.body
        elif location == "uri" and key in path:
            params[name] = unquote(path[key])
        elif location == "querystring" and key in places:
            params[name] = _from_text(places[key][0], member)
        elif location == "header" and key.lower() in headers:
            params[name] = headers[key.lower()]
        elif location is None and content.get(key) is not None:
            params[name] = _with_blobs(content[key], member)
    return params


def _with_blobs(value: Any, shape: Any) -> Any:
    """Read the blobs inside a JSON value, which are base64 there."""
    try:
        if shape.type_name == "blob":
            return base64.b64decode(value, validate=True)
    except (TypeError, ValueError) as error:
        raise Fault("ValidationException", f"a blob is not base64: {error}") from error
    if shape.type_name == "structure" and isinstance(value, dict):
        return {
            name: _with_blobs(item, shape.members[name]) if name in shape.members else item
            for name, item in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_with_blobs(item, shape.member) for item in value]
    return value


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body) if body else {}
        json.dumps(content, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise Fault("ValidationException", f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise Fault("ValidationException", "the body is not a JSON object")
    return content


def _from_text(text: str, shape: Shape) -> object:
    try:
        if shape.type_name in ("integer", "long"):
            return int(text if _WHOLE.fullmatch(text) else "no number")
        if shape.type_name == "timestamp":
            found = datetime.fromisoformat(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise Fault("ValidationException", f"{text!r} is no {shape.type_name}") from error
    if shape.type_name == "boolean":
        return text == "true"
    return text


def _broken(result: Mapping[str, Any], shape: Any) -> list[str]:
    """List what of an answer breaks the model; of a stream, event by event."""
    stream = _stream(shape)
    plain = {name: value for name, value in result.items() if name != stream}
    if stream is None:
        return violations(plain, shape)
    return [
        problem for event in result[stream] for problem in violations(event, shape.members[stream])
    ]


def _stream(shape: Any) -> str | None:
    for name, member in shape.members.items():
        if member.serialization.get("eventstream"):
            return str(name)
    return None


def _written(
    result: Mapping[str, Any], shape: Any
) -> tuple[dict[str, str], bytes, Sequence[bytes]]:
    """Return the headers and the body of an answer; of a stream, its events instead of the body."""
    headers = {
        member.serialization["name"]: str(result[name])
        for name, member in shape.members.items()
        if member.serialization.get("location") == "header" and name in result
    }
    content = {
        name: value
        for name, value in result.items()
        if shape.members[name].serialization.get("location") is None
    }
    stream = _stream(shape)
    if stream is not None:
        headers["Content-Type"] = eventstream.CONTENT_TYPE
        events = [
            eventstream.event(kind, _json(payload))
            for event in result[stream]
            for kind, payload in event.items()
        ]
        return headers, b"", events
    payload = shape.serialization.get("payload")
    if payload is not None:
        return headers, content.get(payload, b""), ()
    return headers, _json(content), ()


def _json(value: Any) -> bytes:
    return json.dumps(value, default=_plain).encode()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{value!r} has no place in an answer")
