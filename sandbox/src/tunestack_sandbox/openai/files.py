"""Files, whole and in parts."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from tunestack_sandbox.openai.state import File, Project, Refusal, Upload, found, new_id, page

if TYPE_CHECKING:
    from collections.abc import Mapping

_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_LARGEST = 512_000_000
_LARGEST_UPLOAD = 8 * 2**30
_LARGEST_PART = 64 * 2**20
_MOST_FILES = 10_000
_UPLOAD_LIVES = timedelta(hours=1)
_KEPT = range(3600, 2_592_001)


def form(body: bytes, content_type: str) -> tuple[dict[str, str], dict[str, tuple[str, bytes]]]:
    """Read a multipart body: its fields, and its files by field, name and content.

    Raises:
        Refusal: it is none.
    """
    mimetype, options = parse_options_header(content_type)
    if mimetype != "multipart/form-data" or "boundary" not in options:
        raise Refusal(f"Invalid Content-Type header ({content_type!r}), expected multipart form.")
    _, fields, files = FormDataParser(max_form_memory_size=None).parse(
        BytesIO(body), mimetype, len(body), options
    )
    found = {}
    for name, file in files.items():
        with file.stream as stream:
            found[name] = (file.filename or "", stream.read())
    return {name: fields[name] for name in fields}, found


def _purpose(value: object) -> str:
    if value not in _PURPOSES:
        raise Refusal(f"{value!r} is not one of {list(_PURPOSES)} - 'purpose'", param="purpose")
    return str(value)


def _lives(anchor: object, seconds: object) -> int | None:
    if anchor is None and seconds is None:
        return None
    number = int(str(seconds)) if str(seconds).isdecimal() else 0
    if anchor != "created_at" or number not in _KEPT:
        raise Refusal(
            f"Invalid 'expires_after': {anchor!r}, {seconds!r}; use created_at and "
            f"{_KEPT.start} to {_KEPT.stop - 1} seconds.",
            param="expires_after",
        )
    return number


def _add(project: Project, name: str, purpose: str, content: bytes, lives: int | None) -> File:
    now = project.clock.now()
    file = File(
        id=new_id("file"),
        name=name,
        purpose=purpose,
        content=content,
        created=now,
        expires=None if lives is None else now + timedelta(seconds=lives),
    )
    project.files[file.id] = file
    return file


def add_result(project: Project, name: str, content: bytes) -> File:
    """Keep what a job has written."""
    return _add(project, name, "fine-tune-results", content, None)


def create(
    project: Project, fields: Mapping[str, str], files: Mapping[str, tuple[str, bytes]]
) -> dict[str, Any]:
    """Take a file."""
    if "file" not in files:
        raise Refusal("'file' is a required property", param="file")
    name, content = files["file"]
    purpose = _purpose(fields.get("purpose"))
    lives = _lives(fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]"))
    if len(content) > _LARGEST:
        raise Refusal("Files larger than 512 MB are not supported.", status=413, param="file")
    if purpose == "fine-tune" and not name.endswith(".jsonl"):
        raise Refusal("Invalid file format. .jsonl is supported for fine-tuning.", param="file")
    return _add(project, name, purpose, content, lives).answer()


def list_files(project: Project, query: Mapping[str, str]) -> dict[str, Any]:
    """List files, the newest first unless told otherwise."""
    wanted = query.get("purpose")
    files = [file for file in project.files.values() if wanted in (None, file.purpose)]
    if query.get("order", "desc") == "desc":
        files.reverse()
    return page([file.answer() for file in files], query, most=_MOST_FILES, usual=_MOST_FILES)


def retrieve(project: Project, file_id: str) -> dict[str, Any]:
    """Describe a file."""
    return found(project.files, file_id, "File object").answer()


def delete(project: Project, file_id: str) -> dict[str, Any]:
    """Forget a file."""
    found(project.files, file_id, "File object")
    del project.files[file_id]
    return {"id": file_id, "object": "file", "deleted": True}


def content(project: Project, file_id: str) -> bytes:
    """Give a file back."""
    return found(project.files, file_id, "File object").content


def create_upload(project: Project, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Begin to take a file in parts."""
    size = asked.get("bytes")
    if not isinstance(size, int) or not 0 < size <= _LARGEST_UPLOAD:
        raise Refusal(f"Invalid 'bytes': {size!r}; at most 8 GB are supported.", param="bytes")
    expiry = asked.get("expires_after") or {}
    upload = Upload(
        id=new_id("upload"),
        name=str(asked.get("filename")),
        purpose=_purpose(asked.get("purpose")),
        size=size,
        created=project.clock.now(),
        lives=_lives(expiry.get("anchor"), expiry.get("seconds")),
    )
    project.uploads[upload.id] = upload
    return _described(upload)


def add_part(
    project: Project, upload_id: str, files: Mapping[str, tuple[str, bytes]]
) -> dict[str, Any]:
    """Take a part."""
    upload = _open(project, upload_id)
    data = files.get("data", ("", b""))[1]
    if not 0 < len(data) <= _LARGEST_PART:
        raise Refusal(f"A part has 1 to {_LARGEST_PART} bytes, not {len(data)}.", param="data")
    part_id = new_id("part")
    upload.parts[part_id] = data
    return {
        "id": part_id,
        "object": "upload.part",
        "created_at": int(project.clock.now().timestamp()),
        "upload_id": upload_id,
    }


def complete(project: Project, upload_id: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Make a file of the parts, in the order that is asked for."""
    upload = _open(project, upload_id)
    whole = b"".join(found(upload.parts, part, "Part") for part in asked.get("part_ids", ()))
    if len(whole) != upload.size:
        raise Refusal(f"The parts have {len(whole)} bytes, and {upload.size} were announced.")
    md5 = asked.get("md5")
    if md5 is not None and hashlib.md5(whole, usedforsecurity=False).hexdigest() != md5:
        raise Refusal("The md5 of the parts is not the one that was sent.", param="md5")
    upload.status = "completed"
    upload.file = _add(project, upload.name, upload.purpose, whole, upload.lives)
    return _described(upload)


def cancel_upload(project: Project, upload_id: str) -> dict[str, Any]:
    """Forget an upload."""
    upload = _open(project, upload_id)
    upload.status = "cancelled"
    return _described(upload)


def _open(project: Project, upload_id: str) -> Upload:
    upload = found(project.uploads, upload_id, "Upload")
    if upload.status == "pending" and project.clock.now() > upload.created + _UPLOAD_LIVES:
        upload.status = "expired"
    if upload.status != "pending":
        raise Refusal(f"Upload {upload_id} is {upload.status}.")
    return upload


def _described(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.size,
        "created_at": int(upload.created.timestamp()),
        "expires_at": int((upload.created + _UPLOAD_LIVES).timestamp()),
        "filename": upload.name,
        "purpose": upload.purpose,
        "status": upload.status,
        "file": None if upload.file is None else upload.file.answer(),
    }
