"""The operations of OpenAI's API, by the names in openai-openapi."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from tunestack_sandbox.messages import Request, Response
from tunestack_sandbox.openai import files, jobs, models
from tunestack_sandbox.openai.state import ApiError, Project


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiRequest:
    """A request to an operation."""

    id: str
    """The id in the path, if there is one."""
    request: Request

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query."""
        return dict(parse_qsl(self.request.query))

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object of the body."""
        try:
            content = json.loads(self.request.body) if self.request.body else {}
        except (ValueError, RecursionError) as error:
            message = f"We could not parse the JSON body of your request: {error}"
            raise ApiError(message) from error
        if not isinstance(content, dict):
            raise ApiError("The JSON body of the request is not an object.")
        return content

    @property
    def form(self) -> tuple[dict[str, str], dict[str, tuple[str, bytes]]]:
        """The fields and files of a multipart body."""
        return files.parse_form(self.request.body, self.request.headers.get("Content-Type", ""))


Handler = Callable[[Project, ApiRequest], Mapping[str, Any] | Response]


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """An operation: its name, its route and its handler, which returns a response or its JSON content."""

    name: str
    method: str
    path: str
    handle: Handler


def _create_file(project: Project, request: ApiRequest) -> Mapping[str, Any]:
    fields, contents = request.form
    return files.create_file(project, fields, contents)


def _add_upload_part(project: Project, request: ApiRequest) -> Mapping[str, Any]:
    _, contents = request.form
    return files.add_upload_part(project, request.id, contents)


def _download_file(project: Project, request: ApiRequest) -> Response:
    return Response(
        status=200,
        headers={"Content-Type": "application/octet-stream"},
        body=files.read_content(project, request.id),
    )


def _create_chat_completion(project: Project, request: ApiRequest) -> Response:
    body = request.body
    completion, headers = models.create_chat_completion(project, body)
    if not body.get("stream"):
        return Response(status=200, headers=headers, body=json.dumps(completion).encode())
    options = body.get("stream_options") or {}
    return Response(
        status=200,
        headers={"Content-Type": "text/event-stream", **headers},
        chunks=models.build_stream(completion, has_usage=bool(options.get("include_usage"))),
    )


_JOBS, _JOB = "/fine_tuning/jobs", "/fine_tuning/jobs/{id}"
_ROUTES: Mapping[str, tuple[str, str, Handler]] = {
    "createFile": ("POST", "/files", _create_file),
    "listFiles": (
        "GET",
        "/files",
        lambda project, request: files.list_files(project, request.query),
    ),
    "retrieveFile": (
        "GET",
        "/files/{id}",
        lambda project, request: files.retrieve_file(project, request.id),
    ),
    "deleteFile": (
        "DELETE",
        "/files/{id}",
        lambda project, request: files.delete_file(project, request.id),
    ),
    "downloadFile": ("GET", "/files/{id}/content", _download_file),
    "createUpload": (
        "POST",
        "/uploads",
        lambda project, request: files.create_upload(project, request.body),
    ),
    "addUploadPart": ("POST", "/uploads/{id}/parts", _add_upload_part),
    "completeUpload": (
        "POST",
        "/uploads/{id}/complete",
        lambda project, request: files.complete_upload(project, request.id, request.body),
    ),
    "cancelUpload": (
        "POST",
        "/uploads/{id}/cancel",
        lambda project, request: files.cancel_upload(project, request.id),
    ),
    "createFineTuningJob": (
        "POST",
        _JOBS,
        lambda project, request: jobs.create_job(project, request.body),
    ),
    "listPaginatedFineTuningJobs": (
        "GET",
        _JOBS,
        lambda project, request: jobs.list_jobs(project, request.query),
    ),
    "retrieveFineTuningJob": (
        "GET",
        _JOB,
        lambda project, request: jobs.retrieve_job(project, request.id),
    ),
    "cancelFineTuningJob": (
        "POST",
        f"{_JOB}/cancel",
        lambda project, request: jobs.cancel_job(project, request.id),
    ),
    "pauseFineTuningJob": (
        "POST",
        f"{_JOB}/pause",
        lambda project, request: jobs.pause_job(project, request.id),
    ),
    "resumeFineTuningJob": (
        "POST",
        f"{_JOB}/resume",
        lambda project, request: jobs.resume_job(project, request.id),
    ),
    "listFineTuningEvents": (
        "GET",
        f"{_JOB}/events",
        lambda project, request: jobs.list_events(project, request.id, request.query),
    ),
    "listFineTuningJobCheckpoints": (
        "GET",
        f"{_JOB}/checkpoints",
        lambda project, request: jobs.list_checkpoints(project, request.id, request.query),
    ),
    "listModels": ("GET", "/models", lambda project, _: models.list_models(project)),
    "retrieveModel": (
        "GET",
        "/models/{id}",
        lambda project, request: models.retrieve_model(project, request.id),
    ),
    "deleteModel": (
        "DELETE",
        "/models/{id}",
        lambda project, request: models.delete_model(project, request.id),
    ),
    "createChatCompletion": ("POST", "/chat/completions", _create_chat_completion),
}
OPERATIONS = tuple(
    Operation(name=name, method=method, path=path, handle=handle)
    for name, (method, path, handle) in _ROUTES.items()
)
"""The operations that the sandbox implements."""
