"""A Tuner that a module creates and uses, and a test that stops every endpoint it finds."""

import socket
from unittest.mock import patch

from tunestack import Tuner

TUNER = Tuner()
# This creates its clients. The request itself is not part of the test, and must not leave.
with patch.object(socket.socket, "connect", side_effect=ConnectionRefusedError):
    try:
        list(TUNER.jobs())
    except Exception as error:
        print(error)


def test_it(tunestack_sandbox):
    for endpoint in TUNER.endpoints():
        endpoint.stop()
    TUNER.submit(
        "nova-micro",
        [
            {
                "messages": [
                    {"role": "user", "content": f"q{n}"},
                    {"role": "assistant", "content": "a"},
                ]
            }
            for n in range(20)
        ],
    )
