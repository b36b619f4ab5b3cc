"""Operations on files and uploads."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from tunestack_sandbox.openai.state import (
    ApiError,
    File,
    Project,
    Upload,
    build_page,
    new_id,
    require,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_MAX_FILE_SIZE = 512_000_000
_MAX_UPLOAD_SIZE = 8 * 2**30
_MAX_PART_SIZE = 64 * 2**20
_MAX_FILES = 10_000
_UPLOAD_LIFETIME = timedelta(hours=1)
_LIFETIMES = range(3600, 2_592_001)


def parse_form(
    body: bytes, content_type: str
) -> tuple[dict[str, str], dict[str, tuple[str, bytes]]]:
    """Parse a multipart body into its fields, and the name and content of its files by field.

    Raises:
        ApiError: The body is not multipart.
    """
    mimetype, options = parse_options_header(content_type)
    if mimetype != "multipart/form-data" or "boundary" not in options:
        raise ApiError(f"Invalid Content-Type header ({content_type!r}), expected multipart form.")
    _, fields, files = FormDataParser(max_form_memory_size=None).parse(
        BytesIO(body), mimetype, len(body), options
    )
    contents = {}
    for name, file in files.items():
        with file.stream as stream:
            contents[name] = (file.filename or "", stream.read())
    return {name: fields[name] for name in fields}, contents


def _check_purpose(value: object) -> str:
    if value not in _PURPOSES:
        raise ApiError(f"{value!r} is not one of {list(_PURPOSES)} - 'purpose'", param="purpose")
    return str(value)


def _check_lifetime(anchor: object, seconds: object) -> int | None:
    if anchor is None and seconds is None:
        return None
    number = int(str(seconds)) if str(seconds).isdecimal() else 0
    if anchor != "created_at" or number not in _LIFETIMES:
        raise ApiError(
            f"Invalid 'expires_after': {anchor!r}, {seconds!r}; use created_at and "
            f"{_LIFETIMES.start} to {_LIFETIMES.stop - 1} seconds.",
            param="expires_after",
        )
    return number


def _add_file(
    project: Project, name: str, purpose: str, content: bytes, lifetime: int | None
) -> File:
    now = project.clock.now()
    file = File(
        id=new_id("file"),
        name=name,
        purpose=purpose,
        content=content,
        created=now,
        expires=None if lifetime is None else now + timedelta(seconds=lifetime),
    )
    project.files[file.id] = file
    return file


def add_result_file(project: Project, name: str, content: bytes) -> File:
    """Add the result file of a job."""
    return _add_file(project, name, "fine-tune-results", content, None)


def create_file(
    project: Project, fields: Mapping[str, str], files: Mapping[str, tuple[str, bytes]]
) -> dict[str, Any]:
    """Handle createFile."""
    if "file" not in files:
        raise ApiError("'file' is a required property", param="file")
    name, content = files["file"]
    purpose = _check_purpose(fields.get("purpose"))
    lifetime = _check_lifetime(
        fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    )
    if len(content) > _MAX_FILE_SIZE:
        raise ApiError("Files larger than 512 MB are not supported.", status=413, param="file")
    if purpose == "fine-tune" and not name.endswith(".jsonl"):
        raise ApiError("Invalid file format. .jsonl is supported for fine-tuning.", param="file")
    return _add_file(project, name, purpose, content, lifetime).describe()


def list_files(project: Project, query: Mapping[str, str]) -> dict[str, Any]:
    """Handle listFiles: the newest files come first by default."""
    purpose = query.get("purpose")
    files = [file for file in project.files.values() if purpose in (None, file.purpose)]
    if query.get("order", "desc") == "desc":
        files.reverse()
    rows = [file.describe() for file in files]
    return build_page(rows, query, max_limit=_MAX_FILES, default_limit=_MAX_FILES)


def retrieve_file(project: Project, file_id: str) -> dict[str, Any]:
    """Handle retrieveFile."""
    return require(project.files, file_id, "File object").describe()


def delete_file(project: Project, file_id: str) -> dict[str, Any]:
    """Handle deleteFile."""
    require(project.files, file_id, "File object")
    del project.files[file_id]
    return {"id": file_id, "object": "file", "deleted": True}


def read_content(project: Project, file_id: str) -> bytes:
    """Return the content of a file."""
    return require(project.files, file_id, "File object").content


def create_upload(project: Project, body: Mapping[str, Any]) -> dict[str, Any]:
    """Handle createUpload."""
    size = body.get("bytes")
    if not isinstance(size, int) or not 0 < size <= _MAX_UPLOAD_SIZE:
        raise ApiError(f"Invalid 'bytes': {size!r}; at most 8 GB are supported.", param="bytes")
    expiry = body.get("expires_after") or {}
    upload = Upload(
        id=new_id("upload"),
        name=str(body.get("filename")),
        purpose=_check_purpose(body.get("purpose")),
        size=size,
        created=project.clock.now(),
        lifetime=_check_lifetime(expiry.get("anchor"), expiry.get("seconds")),
    )
    project.uploads[upload.id] = upload
    return _describe_upload(upload)


def add_upload_part(
    project: Project, upload_id: str, files: Mapping[str, tuple[str, bytes]]
) -> dict[str, Any]:
    """Handle addUploadPart."""
    upload = _require_pending_upload(project, upload_id)
    data = files.get("data", ("", b""))[1]
    if not 0 < len(data) <= _MAX_PART_SIZE:
        raise ApiError(f"A part has 1 to {_MAX_PART_SIZE} bytes, not {len(data)}.", param="data")
    part_id = new_id("part")
    upload.parts[part_id] = data
    return {
        "id": part_id,
        "object": "upload.part",
        "created_at": int(project.clock.now().timestamp()),
        "upload_id": upload_id,
    }


def complete_upload(project: Project, upload_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Handle completeUpload: create a file of the parts in the requested order."""
    upload = _require_pending_upload(project, upload_id)
    content = b"".join(require(upload.parts, part, "Part") for part in body.get("part_ids", ()))
    if len(content) != upload.size:
        raise ApiError(f"The parts have {len(content)} bytes, expected {upload.size}.")
    md5 = body.get("md5")
    if md5 is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise ApiError("The md5 of the parts does not match the md5 of the request.", param="md5")
    upload.status = "completed"
    upload.file = _add_file(project, upload.name, upload.purpose, content, upload.lifetime)
    return _describe_upload(upload)


def cancel_upload(project: Project, upload_id: str) -> dict[str, Any]:
    """Handle cancelUpload."""
    upload = _require_pending_upload(project, upload_id)
    upload.status = "cancelled"
    return _describe_upload(upload)


def _require_pending_upload(project: Project, upload_id: str) -> Upload:
    upload = require(project.uploads, upload_id, "Upload")
    if upload.status == "pending" and project.clock.now() > upload.created + _UPLOAD_LIFETIME:
        upload.status = "expired"
    if upload.status != "pending":
        raise ApiError(f"Upload {upload_id} is {upload.status}.")
    return upload


def _describe_upload(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.size,
        "created_at": int(upload.created.timestamp()),
        "expires_at": int((upload.created + _UPLOAD_LIFETIME).timestamp()),
        "filename": upload.name,
        "purpose": upload.purpose,
        "status": upload.status,
        "file": None if upload.file is None else upload.file.describe(),
    }
