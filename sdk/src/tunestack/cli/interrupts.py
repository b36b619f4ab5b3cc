"""End the process at Ctrl-C while modules are loaded."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

TYPE_CHECKING = False  # typing's, which takes longer to load
if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def exit_at_interrupt() -> Iterator[None]:
    """Exit with code 130 at Ctrl-C: a `KeyboardInterrupt` in the middle of an import could get lost, or leave it half done."""

    def interrupt(*_: object) -> None:
        os.write(2, b"interrupted\n")
        os._exit(130)

    if (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):  # ignored, as `nohup` does
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
