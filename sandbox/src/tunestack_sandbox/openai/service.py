"""The routes of the API, who calls them, and what goes wrong on request."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from tunestack_sandbox.openai import files, jobs, models
from tunestack_sandbox.openai.shapes import Shapes
from tunestack_sandbox.openai.state import Project, Refusal
from tunestack_sandbox.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunestack_sandbox.clock import Clock
    from tunestack_sandbox.faults import Faults
    from tunestack_sandbox.wire import Request, Traffic

KEY = "sk-tunestack-sandbox"
"""The key that is handed out; others that begin so have a project each."""
_PREFIX = "/v1"
_JOB = "/fine_tuning/jobs/(?P<id>[^/]+)"

# By OpenAI's own names of its operations (openai-openapi).
_ROUTES: Mapping[str, tuple[str, str]] = {
    "createFile": ("POST", "/files"),
    "listFiles": ("GET", "/files"),
    "retrieveFile": ("GET", "/files/(?P<id>[^/]+)"),
    "deleteFile": ("DELETE", "/files/(?P<id>[^/]+)"),
    "downloadFile": ("GET", "/files/(?P<id>[^/]+)/content"),
    "createUpload": ("POST", "/uploads"),
    "addUploadPart": ("POST", "/uploads/(?P<id>[^/]+)/parts"),
    "completeUpload": ("POST", "/uploads/(?P<id>[^/]+)/complete"),
    "cancelUpload": ("POST", "/uploads/(?P<id>[^/]+)/cancel"),
    "createFineTuningJob": ("POST", "/fine_tuning/jobs"),
    "listPaginatedFineTuningJobs": ("GET", "/fine_tuning/jobs"),
    "retrieveFineTuningJob": ("GET", _JOB),
    "cancelFineTuningJob": ("POST", f"{_JOB}/cancel"),
    "pauseFineTuningJob": ("POST", f"{_JOB}/pause"),
    "resumeFineTuningJob": ("POST", f"{_JOB}/resume"),
    "listFineTuningEvents": ("GET", f"{_JOB}/events"),
    "listFineTuningJobCheckpoints": ("GET", f"{_JOB}/checkpoints"),
    "listModels": ("GET", "/models"),
    "retrieveModel": ("GET", "/models/(?P<id>[^/]+)"),
    "deleteModel": ("DELETE", "/models/(?P<id>[^/]+)"),
    "createChatCompletion": ("POST", "/chat/completions"),
}
OPERATIONS = frozenset(_ROUTES)
"""The operations that the sandbox plays."""

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
"""What can go wrong on request, by the codes that faults take; AWS's names of the same things are taken too."""
_OPENAIS_NAMES = {
    "InternalServerException": "server_error",
    "ThrottlingException": "rate_limit_exceeded",
    "ExpiredTokenException": "invalid_api_key",
}


def errors() -> dict[str, set[str]]:
    """List the errors of operations, by name: any may answer any."""
    return {name: set(ERRORS) for name in OPERATIONS}


class OpenAI:
    """OpenAI, with a project for each key."""

    def __init__(self, *, clock: Clock, faults: Faults, traffic: Traffic) -> None:
        """Take what it stands on: its time, what goes wrong, and where its answers are counted."""
        self._clock = clock
        self._faults = faults
        self._traffic = traffic
        self._shapes = Shapes()
        self._projects: dict[str, Project] = {}
        self._routes = [
            (method, re.compile(_PREFIX + path), name) for name, (method, path) in _ROUTES.items()
        ]

    def __call__(self, request: Request) -> Answer | None:
        """Answer; `None` what is not for OpenAI.

        Raises:
            LostReplyError: the connection is to be closed without an answer.
        """
        path, _, query = request.target.partition("?")
        if not path.startswith(f"{_PREFIX}/"):
            return None
        name = ""
        try:
            name, identifier = self._find(request.method, path)
            self._traffic.requests += 1
            project = self._project(request)
            self._go_wrong(name)
            with self._clock.lock:
                self._clock.settle()
                project.settle()
                answer = _do(project, name, identifier, dict(parse_qsl(query)), request)
            self._traffic.answers += 1
            self._traffic.violations += self._shapes.violations(name, answer)
        except Refusal as refusal:
            self._traffic.errors += 1
            answer = Answer(
                status=refusal.status, body=json.dumps({"error": refusal.error}).encode()
            )
        except Exception as error:  # noqa: BLE001 - the client gets an answer, and whoever tests a finding
            self._traffic.violations.append(f"{name} broke the sandbox: {error!r}")
            failed = {"message": f"The sandbox failed: {error!r}", "type": "server_error"}
            answer = Answer(status=500, body=json.dumps({"error": failed}).encode())
        if name:
            self._faults.after(name)
        return answer

    def _find(self, method: str, path: str) -> tuple[str, str]:
        for wanted, pattern, name in self._routes:
            match = pattern.fullmatch(path)
            if wanted == method and match:
                return name, unquote(match.groupdict().get("id", ""))
        raise Refusal(f"Invalid URL ({method} {path})", status=404)

    def _project(self, request: Request) -> Project:
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or not key.startswith("sk-"):
            raise Refusal("Incorrect API key provided.", status=401, code="invalid_api_key")
        if key not in self._projects:
            self._projects[key] = Project(clock=self._clock, faults=self._faults)
        return self._projects[key]

    def _go_wrong(self, name: str) -> None:
        code = self._faults.code(name, ERRORS)
        if code is not None:
            status, message = ERRORS[code]
            kind = HTTPStatus(status).phrase.lower().replace(" ", "_")
            raise Refusal(message, status=status, code=_OPENAIS_NAMES.get(code, code), kind=kind)

    def reset(self) -> None:
        """Forget everything."""
        with self._clock.lock:
            self._projects.clear()

    def state(self) -> list[dict[str, Any]]:
        """Dump everything that it remembers, without the files' contents."""
        with self._clock.lock:
            self._clock.settle()
            return [
                {
                    "key": key,
                    "files": [file.answer() for file in project.files.values()],
                    "jobs": [jobs.answer(job) for job in project.jobs.values()],
                    "models": sorted(project.models),
                }
                for key, project in self._projects.items()
            ]


def _do(
    project: Project, name: str, identifier: str, query: Mapping[str, str], request: Request
) -> Answer:
    """Do an operation."""
    if name in _FORMS:
        fields, content = files.form(request.body, request.headers.get("Content-Type", ""))
        return _json(_FORMS[name](project, identifier, fields, content))
    if name == "downloadFile":
        return Answer(
            status=200,
            headers={"Content-Type": "application/octet-stream"},
            body=files.content(project, identifier),
        )
    asked = _object(request.body)
    if name == "createChatCompletion":
        answer, headers = models.chat(project, asked)
        if asked.get("stream"):
            stream = {"Content-Type": "text/event-stream", **headers}
            options = asked.get("stream_options") or {}
            events = models.streamed(answer, has_usage=bool(options.get("include_usage")))
            return Answer(status=200, headers=stream, chunks=events)
        return Answer(status=200, headers=headers, body=json.dumps(answer).encode())
    return _json(_PLAIN[name](project, identifier, query, asked))


_FORMS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "createFile": lambda project, _, fields, content: files.create(project, fields, content),
    "addUploadPart": lambda project, name, _, content: files.add_part(project, name, content),
}
_PLAIN: Mapping[str, Callable[..., dict[str, Any]]] = {
    "listFiles": lambda project, _, query, __: files.list_files(project, query),
    "retrieveFile": lambda project, name, *_: files.retrieve(project, name),
    "deleteFile": lambda project, name, *_: files.delete(project, name),
    "createUpload": lambda project, _, __, asked: files.create_upload(project, asked),
    "completeUpload": lambda project, name, _, asked: files.complete(project, name, asked),
    "cancelUpload": lambda project, name, *_: files.cancel_upload(project, name),
    "createFineTuningJob": lambda project, _, __, asked: jobs.create(project, asked),
    "listPaginatedFineTuningJobs": lambda project, _, query, __: jobs.list_jobs(project, query),
    "retrieveFineTuningJob": lambda project, name, *_: jobs.retrieve(project, name),
    "cancelFineTuningJob": lambda project, name, *_: jobs.cancel(project, name),
    "pauseFineTuningJob": lambda project, name, *_: jobs.pause(project, name),
    "resumeFineTuningJob": lambda project, name, *_: jobs.resume(project, name),
    "listFineTuningEvents": lambda project, name, query, _: jobs.events(project, name, query),
    "listFineTuningJobCheckpoints": lambda project, name, query, _: jobs.checkpoints(
        project, name, query
    ),
    "listModels": lambda project, *_: models.list_models(project),
    "retrieveModel": lambda project, name, *_: models.retrieve(project, name),
    "deleteModel": lambda project, name, *_: models.delete(project, name),
}


def _json(content: Mapping[str, Any]) -> Answer:
    return Answer(status=200, body=json.dumps(content).encode())


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body) if body else {}
    except (ValueError, RecursionError) as error:
        raise Refusal(f"We could not parse the JSON body of your request: {error}") from error
    if not isinstance(content, dict):
        raise Refusal("The JSON body of the request is not an object.")
    return content
