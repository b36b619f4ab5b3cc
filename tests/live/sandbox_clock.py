"""Runs the suite in a sandbox of another process: waiting advances the clock of the sandbox.

python -m tests.live.sandbox_clock ADMIN_URL [ARGUMENT ...]
"""

import json
import sys
import time
import urllib.request
from datetime import UTC, datetime

from tests.live.program import main


class SandboxClock:
    """The clock of a sandbox."""

    is_simulated = True

    def __init__(self, admin_url):
        """Read the clock."""
        self._url = f"{admin_url}/clock"
        self._set(self._request())

    def sleep(self, seconds, *, functions_run=False):
        self._set(self._request({"advance": seconds}))
        if functions_run:  # in real time
            time.sleep(0.2)

    def monotonic(self):
        return self.now().timestamp()

    def now(self):
        return datetime.now(UTC) + self._ahead

    def _set(self, response):
        self._ahead = datetime.fromisoformat(response["now"]) - datetime.now(UTC)

    def _request(self, body=None):
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self._url, data, timeout=60) as response:
            return json.load(response)


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], SandboxClock(sys.argv[1])))
