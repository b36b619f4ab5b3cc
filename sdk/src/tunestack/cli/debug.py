"""`tunestack --debug`: print each request that is sent."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING

from botocore.model import OperationModel

from tunestack.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPERATIONS, _RESPONSES = "botocore.endpoint", "urllib3.connectionpool"
_LEVELS = {
    _OPERATIONS: logging.DEBUG,
    _RESPONSES: logging.DEBUG,
    "httpx": logging.INFO,
    "tunestack": logging.DEBUG,
}


class _Handler(logging.Handler):
    """Prints records as messages."""

    def __init__(self) -> None:
        super().__init__()
        # The threads of the SDK have contexts of their own, without the form of messages.
        self._context = copy_context()

    def emit(self, record: logging.LogRecord) -> None:
        text = _describe(record)
        if text:
            is_warning = record.levelno >= logging.WARNING
            level = record.levelname.lower() if is_warning else "debug"
            self._context.run(note, text, level=level)


def _describe(record: logging.LogRecord) -> str:
    """Return the message to print: no headers, no bodies and no credentials of a request."""
    if record.name == _OPERATIONS:
        # botocore logs the whole request, with the operation as the first argument.
        operation = record.args[0] if isinstance(record.args, tuple) and record.args else None
        return f"AWS operation {operation.name}" if isinstance(operation, OperationModel) else ""
    text = record.getMessage()
    return "" if record.name == _RESPONSES and " HTTP/" not in text else text


@contextmanager
def print_requests() -> Iterator[None]:
    """Print the requests, and what the SDK logs, to standard error."""
    handler = _Handler()
    before = {name: logging.getLogger(name).level for name in _LEVELS}
    for name, level in _LEVELS.items():
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.addHandler(handler)
    try:
        yield
    finally:
        for name, level in before.items():
            logger = logging.getLogger(name)
            logger.setLevel(level)
            logger.removeHandler(handler)
