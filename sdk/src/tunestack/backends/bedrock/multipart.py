"""An upload in parts: a file that is too large to send again as a whole when the network fails.

boto3's own (s3transfer) can't refuse to overwrite what is there.
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tunestack.backends.bedrock.errors import translated
from tunestack.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from types_boto3_s3 import S3Client

PART = 64 * 2**20
"""Bytes of a part; S3 takes 10,000 of them, and a whole object of at most 5 GiB at once."""


def checksum(path: Path) -> str:
    """Compute what S3 says of an object that was uploaded in parts: the SHA-256 of those of its parts, and their number."""
    digests = [hashlib.sha256(part).digest() for part in _parts(path)]
    return f"{_base64(hashlib.sha256(b''.join(digests)).digest())}-{len(digests)}"


def upload(client: S3Client, path: Path, where: dict[str, Any]) -> None:
    """Upload a file in parts, each checked by S3, unless there is something at its place by then.

    What fails or is interrupted leaves no object, and, as far as the caller may, no parts; the stage's bucket removes those
    that are left after a day.

    Args:
        client: boto3's.
        path: the file.
        where: `Bucket`, `Key` and `ExpectedBucketOwner`.

    Raises:
        ConflictError: there is something at that place.
    """
    with translated("beginning the upload"):
        begun = client.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")
    which: dict[str, Any] = {**where, "UploadId": begun["UploadId"]}
    try:
        sent = []
        for number, part in enumerate(_parts(path), start=1):
            digest = _base64(hashlib.sha256(part).digest())
            with translated(f"uploading part {number}"):
                answer = client.upload_part(
                    **which, PartNumber=number, Body=part, ChecksumSHA256=digest
                )
            sent.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": digest})
        with translated("ending the upload"):
            client.complete_multipart_upload(
                **which,
                MultipartUpload={"Parts": sent},  # type: ignore[typeddict-item]
                IfNoneMatch="*",
            )
    except BaseException:
        with suppress(ProviderError), translated("aborting the upload"):
            client.abort_multipart_upload(**which)
        raise


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(PART):
            yield part


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
