"""The journal of answers in the account, for evaluations without a disk of their own.

Each answer is an object, which is written before the answer is used. One object with all answers of a model, which is written
when the journal is closed, makes reading them fast.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from tunestack.errors import NotFoundError
from tunestack.evaluation.journal import Answer, journal_name

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from tunestack.backends.inference import ResultStore

_FOLDER = "answers"
_READERS = 16


class StoredJournal:
    """The answers of one model, below the results of the stage."""

    def __init__(self, store: ResultStore, model: str) -> None:
        """Read the answers that were stored."""
        self._store = store
        self._folder = f"{_FOLDER}/{journal_name(model)}"
        self._lock = threading.Lock()
        self._answers: dict[str, Answer] = {}
        with suppress(NotFoundError):
            content = store.read_result(f"{self._folder}.json")
            self._answers = msgspec.json.decode(content, type=dict[str, Answer])
        names = (name.rpartition("/")[2] for name in store.list_results(f"{self._folder}/"))
        missing = [name for name in names if name not in self._answers]
        with ThreadPoolExecutor(_READERS) as pool:
            self._answers.update(zip(missing, pool.map(self._read, missing), strict=True))
        self._has_new = bool(missing)

    def _read(self, key: str) -> Answer:
        return msgspec.json.decode(self._store.read_result(f"{self._folder}/{key}"), type=Answer)

    def get(self, key: str) -> Answer | None:
        """Return the stored answer of a request."""
        return self._answers.get(key)

    def put(self, key: str, answer: Answer) -> None:
        """Store an answer durably."""
        self._store.put_result(f"{self._folder}/{key}", msgspec.json.encode(answer))
        with self._lock:
            self._answers[key] = answer
            self._has_new = True

    def __enter__(self) -> Self:
        """Return the journal."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Write all answers to one object."""
        with self._lock:
            answers = dict(self._answers)
        if self._has_new:
            self._store.put_result(f"{self._folder}.json", msgspec.json.encode(answers))
