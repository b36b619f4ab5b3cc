"""The bytes that Bedrock reads and writes, in S3."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from tunestack.backends.bedrock import multipart
from tunestack.backends.bedrock.errors import translated
from tunestack.errors import (
    AccessError,
    ConfigError,
    ConflictError,
    NotFoundError,
    shortened,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from types_boto3_s3 import S3Client

# Bedrock's own pattern for an S3 URI is narrower than S3's: no `=`, no space, no `//`.
_URI = re.compile(
    r"s3://(?P<bucket>[a-z0-9][-.a-z0-9]{1,61}[a-z0-9])(?P<key>(?:/[-!_*'().a-z0-9A-Z]+)*/?)"
)


@dataclass(frozen=True, slots=True)
class Location:
    """A bucket and a key or key prefix."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Location:
        """Read an S3 URI that Bedrock takes.

        Raises:
            ConfigError: it is none.
        """
        match = _URI.fullmatch(uri)
        if match is None or len(uri) > 1024:
            raise ConfigError(
                f"{shortened(uri)} is no S3 location that Bedrock takes: use s3://bucket/path/ "
                "with letters, digits and -!_*'(). in the path (no '=', no spaces, no '//')"
            )
        return cls(match["bucket"], match["key"].removeprefix("/"))

    def __str__(self) -> str:
        """Write the S3 URI."""
        return f"s3://{self.bucket}/{self.key}"


class Store:
    """Reads and writes objects; refuses a bucket that another account owns."""

    def __init__(self, client: S3Client, owner: str) -> None:
        """Take the client and the account that must own every bucket.

        Args:
            client: boto3's, in the region of the buckets.
            owner: an account id, sent along with every call: a bucket's name can be taken by a stranger once it is deleted.
        """
        self._client = client
        self._owner = owner

    def put(self, path: Path, place: Location, *, sha256: str) -> None:
        """Upload a file unless it is there already; S3 checks the checksum.

        Raises:
            ConflictError: there is something else at that place.
        """
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        in_parts = path.stat().st_size > multipart.PART
        known = {checksum, multipart.checksum(path)} if in_parts else {checksum}
        if self._has(place, known):
            return
        where: dict[str, Any] = {
            "Bucket": place.bucket,
            "Key": place.key,
            "ExpectedBucketOwner": self._owner,
        }
        try:
            if in_parts:
                multipart.upload(self._client, path, where)
            else:
                with translated(f"uploading {place}"), path.open("rb") as body:
                    self._client.put_object(
                        **where, Body=body, ChecksumSHA256=checksum, IfNoneMatch="*"
                    )
        except ConflictError:
            # Another process was faster: fine, if it brought the same.
            if not self._has(place, known):
                raise

    def _has(self, place: Location, checksums: Collection[str]) -> bool:
        try:
            with translated(f"looking for {place}"):
                found = self._client.head_object(
                    Bucket=place.bucket,
                    Key=place.key,
                    ChecksumMode="ENABLED",
                    ExpectedBucketOwner=self._owner,
                )
        except (NotFoundError, AccessError):
            # S3 answers 403 for what is not there, too, when the caller may list only some prefixes.
            return False
        if found.get("ChecksumSHA256") not in checksums:
            raise ConflictError(
                f"{place} holds other data: choose another s3_path, or delete it there"
            )
        return True

    def keys(self, place: Location) -> Iterator[str]:
        """List the keys below a place."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=place.bucket, Prefix=place.key, ExpectedBucketOwner=self._owner
        )
        with translated(f"listing {place}"):
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield entry["Key"]

    def rows(self, place: Location) -> Iterator[dict[str, float]]:
        """Read a CSV file of numbers; a cell that holds none is left out."""
        with translated(f"reading {place}"):
            answer = self._client.get_object(
                Bucket=place.bucket, Key=place.key, ExpectedBucketOwner=self._owner
            )
            text = answer["Body"].read().decode("utf-8-sig", errors="replace")
        # No cell of numbers is long or quoted: what is, is not to stop the rest.
        for row in csv.DictReader(text.splitlines(), quoting=csv.QUOTE_NONE):
            numbers = {name: _number(cell) for name, cell in row.items()}
            yield {name: number for name, number in numbers.items() if number is not None}


class _Object(io.RawIOBase):
    """The bytes of an object, as they come; what goes wrong is said as everything else of AWS."""

    def __init__(self, body: Any, uri: str) -> None:
        super().__init__()
        self._body = body
        self._uri = uri

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with translated(f"reading {self._uri}"):
            data: bytes = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def open_object(client: S3Client, uri: str, *, owner: str | None = None) -> BinaryIO:
    """Open an object for reading from its beginning; one whose name ends in `.gz` is unzipped.

    Args:
        client: boto3's.
        uri: `s3://bucket/key`.
        owner: the account that must own the bucket, if that is known.

    Raises:
        ConfigError: the URI is none.
        NotFoundError: there is no such object.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise ConfigError(f"{shortened(uri)} names no object: use s3://bucket/key")
    request: dict[str, Any] = {"Bucket": bucket, "Key": key}
    if owner is not None:
        request["ExpectedBucketOwner"] = owner
    with translated(f"reading {uri}"):
        file = io.BufferedReader(_Object(client.get_object(**request)["Body"], uri), 2**20)
    return cast("BinaryIO", gzip.GzipFile(fileobj=file) if key.endswith(".gz") else file)


def _number(cell: str | list[str] | None) -> float | None:
    try:
        return float(cell) if isinstance(cell, str) else None
    except ValueError:
        return None
