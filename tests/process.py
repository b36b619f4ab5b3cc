"""Settings of a process that runs tests."""

import gc
import os
import signal


def configure_process():
    """Configure the process before tests are collected."""
    # A collection of all objects takes 0.2 s with the packages that tests import; by default, there are hundreds.
    gc.set_threshold(50_000, 20, 10)
    # Without this variable, litellm downloads its price list when it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    _restore_signals()


def _restore_signals():
    """Restore the signal handlers, because processes in the background or with `nohup` ignore signals, and so do their children."""
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
