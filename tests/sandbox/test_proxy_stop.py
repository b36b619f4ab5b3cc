"""The proxy can be stopped at any moment of its start."""

import threading

from tunestack_sandbox.proxy import Proxy


def test_stop_before_the_thread_serves_reports_no_error(monkeypatch):
    """As after an interrupt in `Thread.start`, when the thread runs but does not count as alive."""
    errors: list[object] = []
    monkeypatch.setattr(threading, "excepthook", errors.append)
    proxy = Proxy(internet=False, allowed=(), upstream={})
    proxy.stop()
    proxy.start()
    assert errors == []
