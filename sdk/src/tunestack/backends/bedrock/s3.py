"""Objects in S3: training files and the results of jobs."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from botocore.exceptions import ClientError

from tunestack.backends.bedrock import multipart
from tunestack.backends.bedrock.errors import translate_errors
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

# Bedrock's pattern for an S3 URI is stricter than S3's: no `=`, no spaces, no `//`.
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
        """Parse an S3 URI.

        Raises:
            ConfigError: Bedrock does not accept it.
        """
        match = _URI.fullmatch(uri)
        if match is None or len(uri) > 1024:
            raise ConfigError(
                f"invalid S3 location {shortened(uri)}: Bedrock accepts s3://bucket/path/ "
                "with letters, digits and -!_*'(). in the path (no '=', no spaces, no '//')"
            )
        return cls(match["bucket"], match["key"].removeprefix("/"))

    def __str__(self) -> str:
        """Return the S3 URI."""
        return f"s3://{self.bucket}/{self.key}"


def find_bucket_region(client: S3Client, bucket: str, owner: str) -> str | None:
    """Return the region of a bucket; `None` if S3 does not return it. A response that denies access has it, too."""
    try:
        response: Any = client.head_bucket(Bucket=bucket, ExpectedBucketOwner=owner)
    except ClientError as error:
        response = error.response
    headers: dict[str, str] = response["ResponseMetadata"].get("HTTPHeaders", {})
    return headers.get("x-amz-bucket-region")


def require_region(client: S3Client, location: Location, owner: str, region: str) -> None:
    """Check that a bucket is in the region of the job, as far as S3 returns it.

    Raises:
        ConfigError: it is in another region: S3 would redirect the upload, and the job could not read the data.
    """
    with translate_errors(f"getting the region of bucket {location.bucket!r}"):
        found = find_bucket_region(client, location.bucket, owner)
    if found not in (None, region):
        raise ConfigError(
            f"bucket {location.bucket!r} is in {found}, and the job in {region}, where Bedrock can't read it: "
            f"use a bucket in {region}"
        )


class Store:
    """Reads and writes objects in buckets of one account."""

    def __init__(self, client: S3Client, owner: str) -> None:
        """Store the arguments; no call is made here.

        Args:
            client: a boto3 client in the region of the buckets.
            owner: the id of the account that must own the buckets. It is sent with every call, because another account can
                create a bucket with the name of a deleted one.
        """
        self._client = client
        self._owner = owner

    def put(self, path: Path, location: Location, *, sha256: str) -> None:
        """Upload a file, unless the object exists with the same content; S3 verifies the checksum.

        Raises:
            ConflictError: the object exists with other content.
        """
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        is_multipart = path.stat().st_size > multipart.PART_BYTES
        checksums = {checksum, multipart.composite_checksum(path)} if is_multipart else {checksum}
        if self._has_content(location, checksums):
            return
        target: dict[str, Any] = {
            "Bucket": location.bucket,
            "Key": location.key,
            "ExpectedBucketOwner": self._owner,
        }
        try:
            if is_multipart:
                multipart.upload_in_parts(self._client, path, target)
            else:
                with translate_errors(f"uploading {location}"), path.open("rb") as body:
                    self._client.put_object(
                        **target, Body=body, ChecksumSHA256=checksum, IfNoneMatch="*"
                    )
        except ConflictError:
            # Another process created the object in the meantime.
            if not self._has_content(location, checksums):
                raise

    def _has_content(self, location: Location, checksums: Collection[str]) -> bool:
        """Return whether an object exists with one of these checksums; raise `ConflictError` if it has another one."""
        try:
            with translate_errors(f"checking whether {location} exists"):
                metadata = self._client.head_object(
                    Bucket=location.bucket,
                    Key=location.key,
                    ChecksumMode="ENABLED",
                    ExpectedBucketOwner=self._owner,
                )
        except (NotFoundError, AccessError):
            # S3 also returns 403 for an object that does not exist, if the caller may list only some prefixes.
            return False
        if metadata.get("ChecksumSHA256") not in checksums:
            raise ConflictError(
                f"{location} contains other data: choose another s3_path, or delete the object"
            )
        return True

    def list_keys(self, location: Location) -> Iterator[str]:
        """List the keys that start with a location's key."""
        return (entry["Key"] for entry in self._list(location))

    def list_sizes(self, location: Location) -> Iterator[int]:
        """List the sizes of the objects whose keys start with a location's key."""
        return (entry["Size"] for entry in self._list(location))

    def _list(self, location: Location) -> Iterator[Any]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=location.bucket, Prefix=location.key, ExpectedBucketOwner=self._owner
        )
        with translate_errors(f"listing {location}"):
            for page in pages:
                yield from page.get("Contents", ())

    def write(self, location: Location, content: bytes, **conditions: Any) -> None:
        """Write a small object, under conditions of PutObject."""
        with translate_errors(f"storing {location}"):
            self._client.put_object(
                Bucket=location.bucket,
                Key=location.key,
                ExpectedBucketOwner=self._owner,
                Body=content,
                ChecksumAlgorithm="SHA256",
                **conditions,
            )

    def create(self, location: Location, content: bytes) -> bool:
        """Write a small object, and return whether it did not exist; an existing object is kept."""
        try:
            self.write(location, content, IfNoneMatch="*")
        except ConflictError:
            return False
        return True

    def read(self, location: Location) -> bytes:
        """Read a small object."""
        with translate_errors(f"reading {location}"):
            response = self._client.get_object(
                Bucket=location.bucket, Key=location.key, ExpectedBucketOwner=self._owner
            )
            return response["Body"].read()

    def read_rows(self, location: Location) -> Iterator[dict[str, float]]:
        """Read a CSV file of numbers; cells that are not numbers are left out."""
        text = self.read(location).decode("utf-8-sig", errors="replace")
        # Numbers are not quoted; with quoting, one stray quote would hide the rows that follow.
        for row in csv.DictReader(text.splitlines(), quoting=csv.QUOTE_NONE):
            numbers = {name: _parse_number(cell) for name, cell in row.items()}
            yield {name: number for name, number in numbers.items() if number is not None}


class _ObjectReader(io.RawIOBase):
    """Reads the content of an object as a stream; errors are translated."""

    def __init__(self, body: Any, uri: str) -> None:
        super().__init__()
        self._body = body
        self._uri = uri

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with translate_errors(f"reading {self._uri}"):
            data: bytes = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def open_object(client: S3Client, uri: str, *, owner: str | None = None) -> BinaryIO:
    """Open an object for reading; an object whose key ends in `.gz` is decompressed.

    Args:
        client: a boto3 client.
        uri: `s3://bucket/key`.
        owner: the id of the account that must own the bucket; not checked if not given.

    Raises:
        ConfigError: the URI has no bucket or no key.
        NotFoundError: the object does not exist.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise ConfigError(f"invalid S3 URI {shortened(uri)}: use s3://bucket/key")
    request: dict[str, Any] = {"Bucket": bucket, "Key": key}
    if owner is not None:
        request["ExpectedBucketOwner"] = owner
    with translate_errors(f"reading {uri}"):
        file = io.BufferedReader(_ObjectReader(client.get_object(**request)["Body"], uri), 2**20)
    return cast("BinaryIO", gzip.GzipFile(fileobj=file) if key.endswith(".gz") else file)


def _parse_number(cell: str | list[str] | None) -> float | None:
    try:
        return float(cell) if isinstance(cell, str) else None
    except ValueError:
        return None
