"""Processes that help with a large file: each reads pieces of it by itself, and hands back what is to be written.

They are forked where nothing else runs in this process, and started as a command where there are threads, with which forking
may hang; not by `multiprocessing`, which would run the caller's script again. What they make goes through memory that is shared as a file: a pipe would make them wait
until somebody here has the interpreter.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Self

import msgspec

# At run time: messages are decoded by their types.
from tunestack.records.chunk import Piece, Pieces
from tunestack.records.source import read_span, readable
from tunestack.records.target import Target  # noqa: TC001 - see above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tunestack.records.source import File

AHEAD = 3
"""Pieces that a helper has been given and not been relieved of: enough that it need not wait."""
SLOT = 2**28
"""Bytes between two places of the shared memory, far more than a piece can become; what is not used takes no memory."""
_NUMBER = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a piece stands in its file."""

    offset: int | None
    end: int | None


class Task(msgspec.Struct, frozen=True):
    """A piece that is to be looked at."""

    start: int
    end: int
    skim: bool
    slot: int
    """Where in the shared memory the answer goes."""


class Order(msgspec.Struct, frozen=True):
    """What a helper works on."""

    fileno: int
    size: int
    shared: int
    """The number of the shared memory's file."""
    most: int
    target: Target


class Answer(msgspec.Struct, frozen=True):
    """What became of a piece; what is to be written stands behind it."""

    offset: int | None
    piece: Piece
    written: int


def can_help() -> bool:
    """Tell whether helping processes can be started here."""
    return os.name == "posix" and bool(sys.executable)


def with_helpers(
    source: File, target: Target, most: int, count: int, enough: Callable[[], bool]
) -> Iterator[tuple[Place, Piece, bytes]]:
    """Look at all pieces of a file, together with helpers; they come back in their order.

    A helper that ends before its time is done without: its pieces are looked at here.
    """
    spans = deque(source.spans())
    own = Pieces(target, most)
    waiting: deque[_Helper | tuple[Place, Piece, bytes]] = deque()
    with contextlib.ExitStack() as stack:
        helpers: list[_Helper] = []
        # Where no more can be started, those that there are have to do.
        with contextlib.suppress(OSError):
            while len(helpers) < count:
                helpers.append(stack.enter_context(_Helper(source, target, most)))
        while spans or waiting:
            for helper in helpers:
                while spans and helper.is_free:
                    helper.give(*spans.popleft(), skim=enough())
                    waiting.append(helper)
            if spans:
                waiting.append(_looked_at(own, source, spans.popleft(), skim=enough()))
            while waiting:
                first = waiting[0]
                if not isinstance(first, _Helper):
                    yield first
                elif first.has_answer or not spans:
                    yield first.answer(own)
                else:
                    break
                waiting.popleft()
    source.check_unchanged()


def _looked_at(
    pieces: Pieces, source: File, span: tuple[int, int], *, skim: bool
) -> tuple[Place, Piece, bytes]:
    start, end = span
    with readable(source.name):
        lines = read_span(source.fileno, start, end, source.size)
    piece, out = pieces.look(lines, skim=skim)
    return Place(lines.offset, end), piece, out


class _Helper:
    """One helping process, from outside."""

    def __init__(self, source: File, target: Target, most: int) -> None:
        self._source = source
        self._shared = _shared_memory()
        self._tasks: deque[Task] = deque()
        self._given = 0
        self._has_started = self._is_gone = False
        shared = self._shared.fileno()
        self._in, self._out, self._kill = _started(source.fileno, shared)
        self._watch = select.poll()
        self._watch.register(self._out, select.POLLIN)
        order = Order(source.fileno, source.size, shared, most, target)
        self._send(msgspec.msgpack.encode(order))

    @property
    def is_free(self) -> bool:
        """Whether it works, and may be given more."""
        if not self._has_started and self._says_more():
            self._has_started = self._number() is not None
        return self._has_started and not self._is_gone and len(self._tasks) < AHEAD

    @property
    def has_answer(self) -> bool:
        """Whether an answer is here, or will never be."""
        return self._is_gone or self._says_more()

    def give(self, start: int, end: int, *, skim: bool) -> None:
        """Give it a piece to look at."""
        task = Task(start, end, skim, self._given % AHEAD)
        self._given += 1
        self._tasks.append(task)
        self._send(msgspec.msgpack.encode(task))

    def answer(self, own: Pieces) -> tuple[Place, Piece, bytes]:
        """Wait for what became of the first piece; where it does not come any more, look at it here."""
        task = self._tasks.popleft()
        length = self._number()
        if length is None:
            return _looked_at(own, self._source, (task.start, task.end), skim=task.skim)
        place = task.slot * SLOT
        shared = self._shared.fileno()
        answer = msgspec.msgpack.decode(os.pread(shared, length, place), type=Answer)
        written = os.pread(shared, answer.written, place + length)
        return Place(answer.offset, task.end), answer.piece, written

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        for file in (self._in, self._out, self._shared):
            with contextlib.suppress(OSError):
                file.close()

    def _says_more(self) -> bool:
        return bool(self._watch.poll(0))

    def _number(self) -> int | None:
        """Read the number that it says next: that it has started, or how long an answer is."""
        said = b"" if self._is_gone else read_exactly(self._out, _NUMBER)
        if len(said) < _NUMBER:
            self._is_gone = True
            return None
        return int.from_bytes(said, "big")

    def _send(self, message: bytes) -> None:
        try:
            self._in.write(number(len(message)) + message)
        except OSError:
            self._is_gone = True


def _started(*filenos: int) -> tuple[IO[bytes], IO[bytes], Callable[[], object]]:
    """Start a helper that has these files open; returns the ends of its pipes, and what ends it."""
    if sys.platform == "linux" and threading.active_count() == 1:
        return _forked()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-m", "tunestack.records.helper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env=environment,
        pass_fds=filenos,
    )
    assert process.stdin is not None  # noqa: S101 - asked for above
    assert process.stdout is not None  # noqa: S101

    def end() -> None:
        process.kill()
        process.wait()

    return process.stdin, process.stdout, end


def _forked() -> tuple[IO[bytes], IO[bytes], Callable[[], object]]:
    """Fork: nothing but this thread runs here, so nothing can be left locked, and it takes a hundredth of the time."""
    there, here_in = os.pipe()
    here_out, from_there = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.close(here_in)
            os.close(here_out)
            from tunestack.records.helper import serve  # noqa: PLC0415 - it imports this

            serve(there, from_there)
        finally:
            os._exit(0)
    os.close(there)
    os.close(from_there)

    def end() -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)

    return os.fdopen(here_in, "wb", buffering=0), os.fdopen(here_out, "rb", buffering=0), end


def _shared_memory() -> IO[bytes]:
    """Make a file that is in memory, or at least has no name."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("tunestack"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def number(value: int) -> bytes:
    """Write a number for the other side."""
    return value.to_bytes(_NUMBER, "big")


def read_exactly(pipe: IO[bytes], length: int) -> bytes:
    """Read so many bytes, or less where the other side has ended."""
    data = b""
    while len(data) < length and (more := pipe.read(length - len(data))):
        data += more
    return data


def read_message(pipe: IO[bytes]) -> bytes | None:
    """Read what the other side has sent; `None` if it has ended."""
    length = read_exactly(pipe, _NUMBER)
    if len(length) < _NUMBER:
        return None
    return read_exactly(pipe, int.from_bytes(length, "big"))
