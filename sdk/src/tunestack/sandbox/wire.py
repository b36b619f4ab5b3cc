"""HTTP to and from operations of a REST-JSON service, by botocore's own model of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from botocore.loaders import Loader
from botocore.model import ServiceModel

from tunestack.sandbox.shapes import violations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel, Shape

_CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/")

# Errors from before the operation is known.
_UNROUTED = {"UnknownOperationException": 404, "MissingAuthenticationTokenException": 403}


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """An operation with its parameters, and who calls it where."""

    operation: OperationModel
    params: dict[str, Any]
    access_key: str
    region: str


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

    def __init__(self, *services: str) -> None:
        """Load the models of the services, by botocore's names."""
        self.traffic = Traffic()
        self._routes = [route for service in services for route in _routes(service)]

    def read(self, request: Request) -> Call:
        """Tell the operation and its parameters.

        Raises:
            Fault: there is no such operation, or the parameters do not fit it.
        """
        path, _, query = request.target.partition("?")
        operation, places = self._find(request.method, path)
        credential = _CREDENTIAL.search(request.headers.get("Authorization", ""))
        if credential is None:
            raise Fault("MissingAuthenticationTokenException", "Missing Authentication Token")
        self.traffic.requests += 1
        call = Call(
            operation=operation,
            params=_params(operation, places, query, request.body),
            access_key=credential["key"],
            region=credential["region"],
        )
        problems = violations(call.params, operation.input_shape)
        if problems:
            self.traffic.refused.append(f"{operation.name}: {'; '.join(problems)}")
            raise Fault("ValidationException", "; ".join(problems))
        return call

    def _find(self, method: str, path: str) -> tuple[OperationModel, dict[str, str]]:
        for wanted, pattern, operation in self._routes:
            if wanted == method and (match := pattern.fullmatch(path)):
                return operation, match.groupdict()
        raise Fault("UnknownOperationException", f"no operation {method} {path}")

    def write(
        self, operation: OperationModel, result: dict[str, Any], headers: Mapping[str, str]
    ) -> Answer:
        """Write the result of an operation, once it fits the model."""
        self.traffic.answers += 1
        shape = operation.output_shape
        if shape is not None and (problems := violations(result, shape)):
            self.traffic.violations.append(f"answer of {operation.name}: {'; '.join(problems)}")
            return self.fail(operation, Fault("InternalServerException", "; ".join(problems)))
        return Answer(
            status=operation.http.get("responseCode", 200),
            headers=headers,
            body=json.dumps(result, default=_timestamp).encode() if shape is not None else b"{}",
        )

    def fail(self, operation: OperationModel | None, fault: Fault) -> Answer:
        """Write an error, which must be one that the operation lists."""
        self.traffic.errors += 1
        status = _UNROUTED.get(fault.code, 400) if operation is None else 500
        if operation is not None:
            for shape in operation.error_shapes:
                if shape.name == fault.code:
                    status = shape.metadata["error"]["httpStatusCode"]
                    break
            else:
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
    operation: OperationModel, path: Mapping[str, str], query: str, body: bytes
) -> dict[str, Any]:
    shape = operation.input_shape
    if shape is None:
        return {}
    places = parse_qs(query, keep_blank_values=True)
    try:
        content = json.loads(body) if body else {}
    except ValueError as error:
        raise Fault("ValidationException", f"the body is not JSON: {error}") from error
    params: dict[str, Any] = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        key = member.serialization.get("name", name)
        if location == "uri" and key in path:
            params[name] = unquote(path[key])
        elif location == "querystring" and key in places:
            params[name] = _from_text(places[key][0], member)
        elif location is None and key in content:
            params[name] = content[key]
    return params


def _from_text(text: str, shape: Shape) -> object:
    try:
        if shape.type_name in ("integer", "long"):
            return int(text)
        if shape.type_name == "timestamp":
            return datetime.fromisoformat(text)
    except ValueError as error:
        raise Fault("ValidationException", f"{text!r} is no {shape.type_name}") from error
    if shape.type_name == "boolean":
        return text == "true"
    return text


def _timestamp(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
    raise TypeError(f"{value!r} has no place in an answer")
