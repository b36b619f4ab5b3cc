"""OpenAI's API: its routes, its projects and its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tunestack_sandbox.messages import Response
from tunestack_sandbox.openai import jobs
from tunestack_sandbox.openai.operations import OPERATIONS, ApiRequest, Operation
from tunestack_sandbox.openai.response_types import ResponseTypes
from tunestack_sandbox.openai.state import ApiError, Project
from tunestack_sandbox.routing import ANY_METHOD, Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunestack_sandbox.clock import Clock
    from tunestack_sandbox.faults import FaultInjector
    from tunestack_sandbox.messages import Request, Traffic

API_KEY = "sk-tunestack-sandbox"
"""The API key in the environment. Each other key that begins with `sk-` has a project of its own."""
_PREFIX = "/v1"

ERRORS: Mapping[str, tuple[int, str]] = {
    "InternalServerException": (500, "The server had an error while processing your request."),
    "server_error": (500, "The server had an error while processing your request."),
    "overloaded": (503, "The engine is currently overloaded, please try again later."),
    "ThrottlingException": (429, "Rate limit reached for requests."),
    "rate_limit_exceeded": (429, "Rate limit reached for requests."),
    "insufficient_quota": (429, "You exceeded your current quota, please check your plan."),
    "ExpiredTokenException": (401, "Incorrect API key provided."),
    "invalid_api_key": (401, "Incorrect API key provided."),
    "permission_denied": (403, "Your organization is not allowed to do this."),
    "model_not_found": (404, "The model does not exist or you do not have access to it."),
    "conflict": (409, "The resource was changed by another request."),
}
"""The status and message of the errors that can be injected, by `code`; AWS's codes for the same errors are accepted, too."""
_HEADERS = {
    "openai-organization": "tunestack-sandbox",
    "openai-processing-ms": "1",
    "openai-version": "2020-10-01",
}
"""Headers of all responses (API reference, "Debugging requests")."""
_CODES_FOR_AWS_CODES = {
    "InternalServerException": "server_error",
    "ThrottlingException": "rate_limit_exceeded",
    "ExpiredTokenException": "invalid_api_key",
}


def list_errors() -> dict[str, set[str]]:
    """Return the error codes of each operation: all operations can return all errors."""
    return {operation.name: set(ERRORS) for operation in OPERATIONS}


class OpenAI:
    """OpenAI's API, with a project for each API key."""

    def __init__(self, *, clock: Clock, faults: FaultInjector, traffic: Traffic) -> None:
        """Initialize the service.

        Args:
            clock: The sandbox's clock.
            faults: Injects faults.
            traffic: Counts the requests and responses.
        """
        self._clock = clock
        self._faults = faults
        self._traffic = traffic
        self.response_types = ResponseTypes()
        self._projects: dict[str, Project] = {}

    def routes(self) -> list[Route]:
        """Return a route for each operation, and one for all other requests below the prefix."""
        routes = [
            Route(
                method=operation.method,
                path=_PREFIX + operation.path,
                handle=partial(self._handle_request, operation),
                handle_crash=partial(self._handle_crash, operation.name),
            )
            for operation in OPERATIONS
        ]
        unknown = Route(
            method=ANY_METHOD,
            path=f"{_PREFIX}/{{path+}}",
            handle=self._handle_unknown,
            handle_crash=partial(self._handle_crash, ""),
        )
        return [*routes, unknown]

    def _handle_request(
        self, operation: Operation, request: Request, labels: Mapping[str, str]
    ) -> Response:
        self._traffic.requests += 1
        try:
            response = self._run_operation(operation, request, labels.get("id", ""))
        except ApiError as error:
            response = self._build_error(error)
        self._faults.delay_or_lose_reply(operation.name)
        return replace(response, headers={**_HEADERS, **response.headers})

    def _run_operation(self, operation: Operation, request: Request, identifier: str) -> Response:
        project = self._find_project(request)
        self._raise_injected_error(operation.name)
        with self._clock.lock:
            self._clock.settle()
            project.delete_expired_files()
            result = operation.handle(project, ApiRequest(id=identifier, request=request))
        response = (
            result
            if isinstance(result, Response)
            else Response(status=200, body=json.dumps(result).encode())
        )
        self._traffic.answers += 1
        self._traffic.violations += self.response_types.validate(operation.name, response)
        return response

    def _handle_unknown(self, request: Request, _: Mapping[str, str]) -> Response:
        message = f"Invalid URL ({request.method} {request.path})"
        return self._build_error(ApiError(message, status=404))

    def _handle_crash(self, name: str, error: Exception) -> Response:
        """Record an unexpected exception of the sandbox, and build the response for it."""
        self._traffic.violations.append(f"{name} broke the sandbox: {error!r}")
        content = {"message": f"The sandbox failed: {error!r}", "type": "server_error"}
        if name:
            self._faults.delay_or_lose_reply(name)
        return Response(status=500, body=json.dumps({"error": content}).encode())

    def _build_error(self, error: ApiError) -> Response:
        self._traffic.errors += 1
        return Response(status=error.status, body=json.dumps({"error": error.content}).encode())

    def _find_project(self, request: Request) -> Project:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key.startswith("sk-"):
            raise ApiError("Incorrect API key provided.", status=401, code="invalid_api_key")
        if key not in self._projects:
            self._projects[key] = Project(clock=self._clock, faults=self._faults)
        return self._projects[key]

    def _raise_injected_error(self, operation: str) -> None:
        code = self._faults.trigger_error(operation, ERRORS)
        if code is not None:
            status, message = ERRORS[code]
            kind = HTTPStatus(status).phrase.lower().replace(" ", "_")
            code = _CODES_FOR_AWS_CODES.get(code, code)
            raise ApiError(message, status=status, code=code, kind=kind)

    def reset(self) -> None:
        """Delete all projects."""
        with self._clock.lock:
            self._projects.clear()

    def state(self) -> list[dict[str, Any]]:
        """Return the state of each project, without the contents of files."""
        with self._clock.lock:
            self._clock.settle()
            return [
                {
                    "key": key,
                    "files": [file.describe() for file in project.files.values()],
                    "jobs": [jobs.describe_job(job) for job in project.jobs.values()],
                    "models": sorted(project.models),
                }
                for key, project in self._projects.items()
            ]
