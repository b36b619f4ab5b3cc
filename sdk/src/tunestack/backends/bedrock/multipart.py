"""Multipart upload to S3, so that only one part of a large file is sent again after a network error.

boto3's own (s3transfer) has no option to fail if the object exists.
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunestack.backends.bedrock.errors import translate_errors
from tunestack.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from types_boto3_s3 import S3Client

PART_BYTES = 64 * 2**20
"""The size of a part; S3 accepts at most 10,000 parts, and at most 5 GiB in one request."""


def composite_checksum(path: Path) -> str:
    """Compute S3's checksum of an object that was uploaded in parts: the SHA-256 of the parts' digests, and their number."""
    digests = [hashlib.sha256(part).digest() for part in _read_parts(path)]
    return f"{_base64(hashlib.sha256(b''.join(digests)).digest())}-{len(digests)}"


def upload_in_parts(client: S3Client, path: Path, target: dict[str, Any]) -> None:
    """Upload a file in parts, each with a checksum that S3 verifies; fails if the object exists.

    An upload that fails or is interrupted creates no object. It deletes its parts, if the caller has the permission; the
    stage's bucket deletes remaining parts after a day.

    Args:
        client: a boto3 client.
        path: the file.
        target: `Bucket`, `Key` and `ExpectedBucketOwner`.

    Raises:
        ConflictError: the object exists.
    """
    with translate_errors("starting the upload"):
        upload_id = client.create_multipart_upload(**target, ChecksumAlgorithm="SHA256")["UploadId"]
    upload: dict[str, Any] = {**target, "UploadId": upload_id}
    try:
        parts = []
        for number, part in enumerate(_read_parts(path), start=1):
            digest = _base64(hashlib.sha256(part).digest())
            with translate_errors(f"uploading part {number}"):
                response = client.upload_part(
                    **upload, PartNumber=number, Body=part, ChecksumSHA256=digest
                )
            parts.append({"PartNumber": number, "ETag": response["ETag"], "ChecksumSHA256": digest})
        with translate_errors("completing the upload"):
            client.complete_multipart_upload(
                **upload,
                MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item]
                IfNoneMatch="*",
            )
    except BaseException:
        with suppress(ProviderError), translate_errors("aborting the upload"):
            client.abort_multipart_upload(**upload)
        raise


def _read_parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(PART_BYTES):
            yield part


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
