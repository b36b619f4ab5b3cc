"""The AWS REST-JSON protocol: read operation calls from HTTP requests and build responses, by botocore's service model."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from botocore.loaders import Loader
from botocore.model import ServiceModel

from tunestack_sandbox import eventstream
from tunestack_sandbox.bearer_tokens import find_bearer_token, parse_short_term_key
from tunestack_sandbox.messages import (
    COMMON_ERRORS,
    OperationCall,
    OperationResult,
    Request,
    Response,
    ServiceError,
    Traffic,
)
from tunestack_sandbox.shapes import build_validation_message, violations

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from botocore.model import OperationModel, Shape

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_CREDENTIAL = re.compile(
    r"Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/"
)
_MAX_REFUSED_LENGTH, _MAX_REFUSED = 2000, 1000
"""How many refused requests are kept, and how many characters of each."""


class RestJsonProtocol:
    """Reads requests and builds responses of the given services."""

    def __init__(self, *services: str, region: str = "us-east-1") -> None:
        """Load the service models.

        Args:
            services: botocore's names of the services.
            region: The region of requests that name none: those with a long-term API key, as all regions share one
                endpoint.
        """
        self.traffic = Traffic()
        self._region = region
        self._operations = [
            operation for service in services for operation in _load_operations(service)
        ]

    def operations(self) -> Iterator[tuple[str, str, OperationModel]]:
        """Yield the HTTP method, the path with labels, and the model of each operation."""
        for operation in self._operations:
            path = operation.http["requestUri"].partition("?")[0].rstrip("/") or "/"
            # Clients escape the slashes of an ARN: a greedy label is one segment, too.
            yield operation.http["method"], path.replace("+}", "}"), operation

    def errors(self, names: Collection[str]) -> dict[str, set[str]]:
        """Return the error codes of each of the named operations."""
        return {
            operation.name: {shape.name for shape in operation.error_shapes} | COMMON_ERRORS.keys()
            for operation in self._operations
            if operation.name in names
        }

    def read_call(
        self, request: Request, operation: OperationModel, labels: Mapping[str, str]
    ) -> OperationCall:
        """Read the call of an operation from a request.

        Args:
            request: The request.
            operation: The operation that the request is routed to.
            labels: The labels of the path.

        Raises:
            ServiceError: The request has no credentials, or its parameters do not match the service model.
        """
        credential = _CREDENTIAL.search(request.headers.get("Authorization", ""))
        token = find_bearer_token(request.headers)
        if credential is None and token is None:
            raise ServiceError(
                "MissingAuthenticationTokenException", "Missing Authentication Token"
            )
        self.traffic.requests += 1
        params = _read_params(operation, labels, request)
        problems = violations(params, operation.input_shape) if operation.input_shape else []
        if problems:
            text = f"{operation.name}: {'; '.join(problems)}"
            self.traffic.refused.append(text[:_MAX_REFUSED_LENGTH])
            del self.traffic.refused[:-_MAX_REFUSED]
            raise ServiceError("ValidationException", build_validation_message(problems))
        return OperationCall(
            operation=operation,
            params=params,
            access_key=credential["key"] if credential else "",
            region=credential["region"] if credential else self._find_region(token or "", params),
            request=request,
            bearer_token=token,
        )

    def _find_region(self, token: str, params: Mapping[str, Any]) -> str:
        """Return the region of a short-term key, else of the first ARN in the parameters, else the default."""
        key = parse_short_term_key(token)
        if key is not None:
            return key.region
        arns = (value.split(":") for value in params.values() if isinstance(value, str))
        regions = (parts[3] for parts in arns if parts[0] == "arn" and len(parts) > 3 and parts[3])
        return next(regions, self._region)

    def build_response(self, operation: OperationModel, result: OperationResult) -> Response:
        """Build the response for a result; an internal error if the result does not match the service model."""
        self.traffic.answers += 1
        shape = operation.output_shape
        problems = [] if shape is None or result.ignored else _check_result(result.result, shape)
        if problems:
            self.traffic.violations.append(f"answer of {operation.name}: {'; '.join(problems)}")
            return self.build_error(
                operation, ServiceError("InternalServerException", "; ".join(problems))
            )
        headers, body, chunks = (
            ({}, b"{}", ()) if shape is None else _serialize(result.result, shape)
        )
        return Response(
            status=operation.http.get("responseCode", 200),
            headers={**headers, **result.headers},
            body=body,
            chunks=chunks,
        )

    def build_crash(self, operation: OperationModel, error: Exception) -> Response:
        """Build the response for an unexpected exception of the sandbox, and record the exception."""
        self.traffic.violations.append(f"{operation.name} broke the sandbox: {error!r}")
        message = f"The sandbox failed: {error!r}"
        return self.build_error(operation, ServiceError("InternalServerException", message))

    def build_error(self, operation: OperationModel | None, error: ServiceError) -> Response:
        """Build an error response.

        Args:
            operation: The operation, which must list the error, unless any operation may return it; `None` if the
                request was not accepted as a call of an operation.
            error: The error.
        """
        self.traffic.errors += 1
        listed = {} if operation is None else _list_errors(operation)
        status = listed.get(error.code, COMMON_ERRORS.get(error.code))
        if status is None:
            status = 500
            if operation is not None:
                self.traffic.violations.append(
                    f"error of {operation.name}: {error.code} is not in its list"
                )
        return Response(
            status=status,
            headers={"x-amzn-ErrorType": error.code},
            body=json.dumps({"message": error.message}).encode(),
        )


def _load_operations(service: str) -> list[OperationModel]:
    # Without a botocore session, which would read the user's profile.
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    return [model.operation_model(name) for name in model.operation_names]


def _list_errors(operation: OperationModel) -> dict[str, int]:
    return {
        shape.name: shape.metadata["error"]["httpStatusCode"] for shape in operation.error_shapes
    }


def _read_params(
    operation: OperationModel, labels: Mapping[str, str], request: Request
) -> dict[str, Any]:
    shape = operation.input_shape
    if shape is None:
        return {}
    payload = shape.serialization.get("payload")
    query = parse_qs(request.query, keep_blank_values=True)
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = {} if payload else _read_json_object(request.body)
    params: dict[str, Any] = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        key = member.serialization.get("name", name)
        if name == payload:
            params[name] = request.body
        elif location == "uri" and key in labels:
            params[name] = labels[key]
        elif location == "querystring" and key in query:
            params[name] = _convert_text(query[key][0], member)
        elif location == "header" and key.lower() in headers:
            params[name] = headers[key.lower()]
        elif location is None and body.get(key) is not None:
            params[name] = _decode_blobs(body[key], member)
    return params


def _decode_blobs(value: Any, shape: Any) -> Any:
    """Decode the blobs in a JSON value, which are base64 there."""
    try:
        if shape.type_name == "blob":
            return base64.b64decode(value, validate=True)
    except (TypeError, ValueError) as error:
        raise ServiceError("ValidationException", f"a blob is not base64: {error}") from error
    if shape.type_name == "structure" and isinstance(value, dict):
        return {
            name: _decode_blobs(item, shape.members[name]) if name in shape.members else item
            for name, item in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_decode_blobs(item, shape.member) for item in value]
    return value


def _read_json_object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body) if body else {}
        json.dumps(content, ensure_ascii=False).encode()  # a lone surrogate is not valid text
    except (ValueError, RecursionError) as error:
        raise ServiceError("ValidationException", f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ServiceError("ValidationException", "the body is not a JSON object")
    return content


def _convert_text(text: str, shape: Shape) -> object:
    """Convert a query parameter to the type of its shape."""
    try:
        if shape.type_name in ("integer", "long"):
            return int(text if _INTEGER.fullmatch(text) else "invalid")
        if shape.type_name == "timestamp":
            time = datetime.fromisoformat(text)
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError) as error:
        message = f"invalid {shape.type_name}: {text!r}"
        raise ServiceError("ValidationException", message) from error
    if shape.type_name == "boolean":
        return text == "true"
    return text


def _check_result(result: Mapping[str, Any], shape: Any) -> list[str]:
    """List the violations in a result; those of a stream event by event."""
    stream = _find_stream(shape)
    members = {name: value for name, value in result.items() if name != stream}
    if stream is None:
        return violations(members, shape)
    return [
        problem for event in result[stream] for problem in violations(event, shape.members[stream])
    ]


def _find_stream(shape: Any) -> str | None:
    """Return the name of the member that is an event stream, if there is one."""
    for name, member in shape.members.items():
        if member.serialization.get("eventstream"):
            return str(name)
    return None


def _serialize(
    result: Mapping[str, Any], shape: Any
) -> tuple[dict[str, str], bytes, Sequence[bytes]]:
    """Return the headers, the body and the chunks of a response; a stream has chunks instead of a body."""
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
    stream = _find_stream(shape)
    if stream is not None:
        headers["Content-Type"] = eventstream.CONTENT_TYPE
        events = [
            eventstream.build_event(kind, _dump_json(payload))
            for event in result[stream]
            for kind, payload in event.items()
        ]
        return headers, b"", events
    payload = shape.serialization.get("payload")
    if payload is not None:
        return headers, content.get(payload, b""), ()
    return headers, _dump_json(content), ()


def _dump_json(value: Any) -> bytes:
    return json.dumps(value, default=_convert_to_json).encode()


def _convert_to_json(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"can't convert {value!r} to JSON")
