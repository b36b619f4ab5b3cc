"""A helping process, from inside: what is to be done comes on standard input, that it is done goes to standard output."""

from __future__ import annotations

import os
import signal

import msgspec

from tunestack.records.chunk import Pieces
from tunestack.records.helpers import SLOT, Answer, Order, Task, number, read_message
from tunestack.records.source import read_span


def serve(given_fileno: int, out_fileno: int) -> None:
    """Look at one piece after the other, until there are no more."""
    # Ctrl-C is for who started this; it ends this too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    given = os.fdopen(given_fileno, "rb", buffering=0)
    out = os.fdopen(out_fileno, "wb", buffering=0)
    message = read_message(given)
    if message is None:
        return
    order = msgspec.msgpack.decode(message, type=Order)
    pieces = Pieces(order.target, order.most)
    out.write(number(0))
    while (message := read_message(given)) is not None:
        task = msgspec.msgpack.decode(message, type=Task)
        lines = read_span(order.fileno, task.start, task.end, order.size)
        piece, written = pieces.look(lines, skim=task.skim)
        answer = msgspec.msgpack.encode(Answer(lines.offset, piece, len(written)))
        place = task.slot * SLOT
        _write(order.shared, answer, place)
        _write(order.shared, written, place + len(answer))
        out.write(number(len(answer)))


def _write(fileno: int, data: bytes, place: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(fileno, view, place)
        view, place = view[done:], place + done


if __name__ == "__main__":
    serve(0, 1)
