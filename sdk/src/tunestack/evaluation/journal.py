"""The journal of answers: each answer of a model is stored at once, so that no request is sent twice.

A line is one answer. It is written with one call and synced to the disk before the answer is used. A line that a crash cut off is
ignored. Each model has its own file; several processes can append to it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from tunestack.backends.base import ToolCall
from tunestack.errors import ConfigError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from tunestack.backends.base import InferenceSettings
    from tunestack.records.conversation import Conversation

logger = logging.getLogger(__name__)


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer of a model to one request."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    seconds: float = 0.0
    """The time from the request to the response, without retries."""
    error: str | None = None
    """Why the model did not answer: the provider refused this request."""


class AnswerStore(Protocol):
    """The stored answers of one model."""

    def get(self, key: str) -> Answer | None:
        """Return the stored answer of a request."""
        ...

    def put(self, key: str, answer: Answer) -> None:
        """Store an answer durably."""
        ...

    def __enter__(self) -> Self:
        """Return the store."""
        ...

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Close the store."""
        ...


class _Line(msgspec.Struct, frozen=True):
    key: str
    answer: Answer


def default_cache() -> Path:
    """Return the folder of the answers: `tunestack/evaluations` in `XDG_CACHE_HOME`, by default `~/.cache`."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "tunestack" / "evaluations"


def request_key(
    model: str, conversation: Conversation, settings: InferenceSettings, rendering: str | None
) -> str:
    """Return the key of a request: equal for equal content, model and settings."""
    turns = [(turn.role, msgspec.to_builtins(turn.blocks)) for turn in conversation.turns]
    content = (model, turns, msgspec.to_builtins(conversation.tools), settings, rendering)
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def journal_name(model: str) -> str:
    """Return the name of the journal of a model, without a folder and suffix."""
    return hashlib.sha256(model.encode()).hexdigest()[:24]


class Journal:
    """The answers of one model."""

    def __init__(self, folder: Path, model: str) -> None:
        """Read the answers that were stored.

        Raises:
            ConfigError: the folder can't be read or written.
        """
        self._path = folder / f"{journal_name(model)}.jsonl"
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(
                self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600
            )
            self._answers = self._read()
        except OSError as error:
            raise ConfigError(
                f"the cache folder {str(folder)!r} can't be used: {error.strerror}: specify another with cache= (--cache)"
            ) from error

    def _read(self) -> dict[str, Answer]:
        content = self._path.read_bytes()
        if content and not content.endswith(b"\n"):
            os.write(self._file, b"\n")  # after a line that was cut off
        answers, ignored = {}, 0
        for line in content.splitlines():
            try:
                stored = msgspec.json.decode(line, type=_Line)
            except msgspec.DecodeError:
                ignored += bool(line)
                continue
            answers[stored.key] = stored.answer
        if ignored:
            logger.info("%d incomplete lines of %s were ignored", ignored, self._path)
        return answers

    def get(self, key: str) -> Answer | None:
        """Return the stored answer of a request."""
        return self._answers.get(key)

    def put(self, key: str, answer: Answer) -> None:
        """Store an answer durably.

        Raises:
            ConfigError: the disk is full, or fails.
        """
        line = msgspec.json.encode(_Line(key, answer)) + b"\n"
        with self._lock:
            try:
                written = os.write(self._file, line)
                os.fsync(self._file)
            except OSError as error:
                raise ConfigError(
                    f"{str(self._path)!r} can't be written: {error.strerror}"
                ) from error
            if written != len(line):
                raise ConfigError(f"{str(self._path)!r} can't be written: the disk is full")
            self._answers[key] = answer

    def close(self) -> None:
        """Close the file; a thread that still waits for an answer can't store it any more."""
        with self._lock:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        """Return the journal."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()
