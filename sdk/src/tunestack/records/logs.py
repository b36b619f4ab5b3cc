"""Turns Bedrock's model invocation logs into training data in the chat format.

Source of the log format: user guide, model-invocation-logging.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import orjson
import xxhash

from tunestack.errors import ConfigError, DataError, TunestackError
from tunestack.records.findings import Findings
from tunestack.records.jsonline import decode, encode_or_explain
from tunestack.records.shapes import ShapeError
from tunestack.records.shapes.requests import INVOCATION_LOG
from tunestack.records.source import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator

Log = Mapping[str, Any]
"""An entry of the log, as Bedrock writes it."""
Hook = Callable[[dict[str, Any], Log], dict[str, Any] | None]
"""Gets a record in the chat format and its log entry; returns the record to write, or `None` to leave it out."""
Unique = Literal["record", "prompt", "none"]
"""What is written once: equal records, records with an equal prompt (the first answer), or nothing."""

_INCOMPLETE = {
    "max_tokens", "length", "guardrail_intervened", "content_filtered", "model_context_window_exceeded",
    "malformed_model_output", "malformed_tool_use",
}  # fmt: skip
"""Stop reasons of an answer that is truncated or blocked, in lower case."""


class LogFilter(msgspec.Struct, frozen=True, kw_only=True):
    """The log entries to use.

    ```python
    LogFilter(models=("claude-sonnet-4",), since=datetime(2026, 11, 1, tzinfo=UTC), metadata={"app": "support"})
    ```
    """

    models: tuple[str, ...] = ()
    """Parts of model ids: `claude-sonnet-4` is every version and inference profile. Empty for all models."""
    since: datetime | None = None
    """The earliest time; UTC if it has no time zone."""
    until: datetime | None = None
    """The time before which the request was made; UTC if it has no time zone."""
    metadata: Mapping[str, str] = msgspec.field(default_factory=dict)
    """The request metadata that an entry must have."""
    min_output_tokens: int = 0
    """Answers with fewer tokens are left out."""
    keep_incomplete: bool = False
    """Whether truncated and blocked answers are used."""

    def __post_init__(self) -> None:
        """Check that the period is not empty."""
        if (
            self.since is not None
            and self.until is not None
            and _utc(self.since) >= _utc(self.until)
        ):
            raise ConfigError("invalid period: since must be before until")

    def may_contain(self, start: datetime, end: datetime) -> bool:
        """Return whether a period overlaps with the time of this filter."""
        return not (
            (self.since is not None and end < _utc(self.since))
            or (self.until is not None and start >= _utc(self.until))
        )

    def reject(self, log: Log) -> str | None:
        """Return why an entry is not used; `None` if it is."""
        model = str(log.get("modelId", "")).lower()
        if self.models and not any(name.lower() in model for name in self.models):
            return "other models"
        if not self._is_in_period(log):
            return "other times"
        metadata = log.get("requestMetadata") or {}
        if any(metadata.get(name) != value for name, value in self.metadata.items()):
            return "other request metadata"
        if log.get("errorCode"):
            return "failed requests"
        return None

    def _is_in_period(self, log: Log) -> bool:
        if self.since is None and self.until is None:
            return True
        try:
            time = _utc(datetime.fromisoformat(str(log.get("timestamp"))))
        except ValueError:
            return False
        is_early = self.since is not None and time < _utc(self.since)
        return not is_early and (self.until is None or time < _utc(self.until))

    def reject_answer(self, log: Log) -> str | None:
        """Return the reason to skip the answer of an entry, or `None`. The bodies of the entry must have been read."""
        output = log.get("output")
        output = output if isinstance(output, dict) else {}
        count = output.get("outputTokenCount")
        if self.min_output_tokens and (
            not isinstance(count, int) or count < self.min_output_tokens
        ):
            return "answers with fewer tokens"
        if not self.keep_incomplete and _stop_reasons(output.get("outputBodyJson")) & _INCOMPLETE:
            return "truncated or blocked answers"
        return None


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _stop_reasons(body: Any) -> set[str]:
    """Return the stop reasons in a response, or in the events of a stream, by the names of all model families."""
    names = ("stopReason", "stop_reason", "completionReason", "finish_reason")
    found = set()
    for event in body if isinstance(body, list) else [body]:
        for part in _dicts(event):
            found |= {part[name].lower() for name in names if isinstance(part.get(name), str)}
    return found


def _dicts(event: Any) -> Iterator[dict[str, Any]]:
    """Yield a response, and the objects in it that can have a stop reason."""
    if not isinstance(event, dict):
        return
    yield event
    for name in ("messageStop", "delta"):
        if isinstance(event.get(name), dict):
            yield event[name]
    for name in ("results", "generations", "choices"):
        if isinstance(event.get(name), list):
            yield from (part for part in event[name] if isinstance(part, dict))


class LogConverter:
    """Converts the entries of log files, and counts those that are left out."""

    def __init__(
        self,
        log_filter: LogFilter,
        *,
        unique: Unique = "record",
        hook: Hook | None = None,
        fetch: Callable[[str], bytes] | None = None,
    ) -> None:
        """Store the options.

        Args:
            log_filter: the entries to use.
            unique: what is written once.
            hook: changes or removes records, for example personal data.
            fetch: reads the object at an S3 URI, for bodies above 100 KB, which the log stores in objects of their own.
        """
        self._filter = log_filter
        self._unique = unique
        self._hook = hook
        self._fetch = fetch
        self._keys: set[int] = set()
        self.entries = 0
        self.records = 0
        self.skipped: Counter[str] = Counter()
        self.models: Counter[str] = Counter()
        """Records by model id."""

    def convert(self, content: bytes, name: str) -> Iterator[bytes]:
        """Yield the records of a log file as JSON lines.

        Raises:
            DataError: the file can't be read, or the hook fails.
        """
        with open_source(io.BytesIO(content), name) as reader:
            for chunk in reader.chunks():
                for line in chunk.lines:
                    entry = decode(line.rstrip(b"\r\n"), Findings())
                    if entry is None:
                        self.skipped["lines that are not JSON"] += bool(line.strip())
                        continue
                    self.entries += 1
                    converted = self._convert(entry, name)
                    if isinstance(converted, str):
                        self.skipped[converted] += 1
                    else:
                        self.records += 1
                        self.models[str(entry.get("modelId"))] += 1
                        yield converted

    def remember(self, line: bytes) -> None:
        """Remember a record that was written before, so that it is not written again."""
        if self._unique != "none":
            self._keys.add(self._key(orjson.loads(line)))

    def _convert(self, log: dict[str, Any], name: str) -> bytes | str:
        """Return the record of an entry as a line, or why there is none."""
        if not INVOCATION_LOG.matches(log):
            return "entries that are no invocations"
        reason = self._filter.reject(log)
        if reason is not None:
            return reason
        log = self._with_bodies(log)
        reason = self._filter.reject_answer(log)
        if reason is not None:
            return reason
        try:
            record = INVOCATION_LOG.convert(log)
        except ShapeError as error:
            return f"{error.path}: {error.message}"
        return self._finish(record, log, name)

    def _finish(self, record: dict[str, Any], log: Log, name: str) -> bytes | str:
        if self._hook is not None:
            changed = self._call_hook(record, log, name)
            if changed is None:
                return "records that the filter left out"
            record = changed
        line = encode_or_explain(record)
        if not isinstance(line, bytes):
            return line.message
        if self._unique != "none":
            key = self._key(record)
            if key in self._keys:
                return "duplicates"
            self._keys.add(key)
        return line

    def _call_hook(self, record: dict[str, Any], log: Log, name: str) -> dict[str, Any] | None:
        assert self._hook is not None  # noqa: S101 - for the type checker
        try:
            changed = self._hook(record, log)
        except TunestackError:
            raise
        except Exception as error:
            request = log.get("requestId")
            raise DataError(
                f"the filter failed for request {request} in {name}: {error!r}"
            ) from error
        if changed is not None and not isinstance(changed, dict):
            raise DataError(
                f"the filter returned a value of type {type(changed).__name__}: return the record, or None to leave it out"
            )
        return changed

    def _key(self, record: Mapping[str, Any]) -> int:
        messages = record.get("messages")
        if self._unique == "prompt" and isinstance(messages, list):
            record = {"messages": messages[:-1], "tools": record.get("tools")}
        return xxhash.xxh3_64_intdigest(orjson.dumps(record, option=orjson.OPT_SORT_KEYS))

    def _with_bodies(self, log: dict[str, Any]) -> dict[str, Any]:
        """Read the bodies that are stored in objects of their own."""
        for part in ("input", "output"):
            body = log.get(part)
            if self._fetch is None or not isinstance(body, dict) or body.get(f"{part}BodyJson"):
                continue
            uri = body.get(f"{part}BodyS3Path")
            if isinstance(uri, str):
                log = {**log, part: {**body, f"{part}BodyJson": self._read_body(uri)}}
        return log

    def _read_body(self, uri: str) -> Any:
        assert self._fetch is not None  # noqa: S101 - for the type checker
        content = self._fetch(uri)
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            # The answer of a stream is one event per line.
            try:
                return [orjson.loads(line) for line in content.splitlines() if line.strip()]
            except orjson.JSONDecodeError as error:
                raise DataError(f"the log's object {uri} is not JSON: {error}") from error
