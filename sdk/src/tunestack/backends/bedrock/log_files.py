"""Files of Bedrock's model invocation logs, in S3 or on disk, in the order of their names.

Source: user guide, model-invocation-logging: gzip files at
PREFIX/AWSLogs/ACCOUNT/BedrockModelInvocationLogs/REGION/YYYY/MM/DD/HH/, and bodies above 100 KB in their folder `data`.
"""

from __future__ import annotations

import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tunestack.backends.bedrock.clients import new_session
from tunestack.backends.bedrock.errors import translate_errors
from tunestack.errors import ConfigError, DataError, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tunestack.records.logs import LogFilter

_HOUR = re.compile(r"/(\d{4})/(\d\d)/(\d\d)/(\d\d)/[^/]+$")
_FOLDER_MARGIN = timedelta(days=1)
"""A file is in the folder of the hour of its delivery, which is later than its requests."""
_SUFFIXES = (".gz", ".json", ".jsonl", ".zst")
_READ_AHEAD = 8
"""Files that are read at the same time."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log file."""

    name: str
    read: Callable[[], bytes]


def read_ahead(files: Iterator[LogFile]) -> Iterator[tuple[str, bytes]]:
    """Read files in threads, and yield their names and contents in order."""
    with ThreadPoolExecutor(_READ_AHEAD, thread_name_prefix="tunestack-logs") as executor:
        waiting: deque[tuple[str, Any]] = deque()
        try:
            for file in files:
                waiting.append((file.name, executor.submit(file.read)))
                if len(waiting) == _READ_AHEAD:
                    name, content = waiting.popleft()
                    yield name, content.result()
            while waiting:
                name, content = waiting.popleft()
                yield name, content.result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


class Directory:
    """Log files in a directory, or one log file."""

    def __init__(self, path: Path) -> None:
        """Store the path.

        Raises:
            ConfigError: it does not exist.
        """
        if not path.exists():
            raise ConfigError(
                f"{str(path)!r} does not exist: use a file, a directory or s3://bucket/prefix/"
            )
        self._path = path

    fetch = None
    """Bodies above 100 KB are in S3."""

    def list(self, log_filter: LogFilter, after: str) -> Iterator[LogFile]:
        """Yield the files after a name."""
        paths = [self._path] if self._path.is_file() else sorted(self._path.rglob("*"))
        for path in paths:
            name = path.as_posix()
            is_log = path == self._path or _is_log_file(name, log_filter)
            if path.is_file() and is_log and name > after:
                yield LogFile(name, lambda path=path: _read_file(path))  # type: ignore[misc]


class Prefix:
    """Log files in S3 below a prefix."""

    def __init__(self, uri: str) -> None:
        """Create a client; no call is made here.

        Raises:
            ConfigError: the URI has no bucket.
        """
        self._bucket, _, self._prefix = uri.removeprefix("s3://").partition("/")
        if not self._bucket:
            raise ConfigError(f"invalid S3 URI {shortened(uri)}: use s3://bucket/prefix/")
        self._client = new_session().client("s3")

    def list(self, log_filter: LogFilter, after: str) -> Iterator[LogFile]:
        """Yield the files after a name.

        Raises:
            NotFoundError: the bucket does not exist.
            AccessError: the caller may not list it.
        """
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix, StartAfter=after
        )
        with translate_errors(f"listing s3://{self._bucket}/{self._prefix}"):
            for page in pages:
                for item in page.get("Contents", ()):
                    key = item["Key"]
                    if _is_log_file(f"/{key}", log_filter):
                        yield LogFile(key, lambda key=key: self._read(key))  # type: ignore[misc]

    def fetch(self, uri: str) -> bytes:
        """Read a body that is stored in an object of its own.

        Raises:
            DataError: it is in another bucket: a log should not decide what is read with the caller's credentials.
        """
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if bucket != self._bucket:
            raise DataError(f"the log's object {uri} is not in the bucket of the log")
        content = self._read(key)
        if key.endswith(".gz"):
            import gzip  # noqa: PLC0415 - for few logs

            return gzip.decompress(content)
        return content

    def _read(self, key: str) -> bytes:
        with translate_errors(f"reading s3://{self._bucket}/{key}"):
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{str(path)!r} can't be read: {error.strerror}") from error


def _is_log_file(name: str, log_filter: LogFilter) -> bool:
    """Return whether a file is a part of the log, and can have requests of the period."""
    if not name.endswith(_SUFFIXES) or "/data/" in name:
        return False
    match = _HOUR.search(name)
    if match is None:
        return True
    year, month, day, hour = map(int, match.groups())
    try:
        delivered = datetime(year, month, day, hour, tzinfo=UTC)
    except ValueError:
        return True  # the folder is no date
    return log_filter.may_contain(delivered - _FOLDER_MARGIN, delivered + _FOLDER_MARGIN)
