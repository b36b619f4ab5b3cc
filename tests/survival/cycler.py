"""A process that submits and waits, over and over, while things go wrong; tells now and then what it holds."""

import gc
import json
import os
import sys
import threading
import time
import urllib.request
from pathlib import Path

from tunestack import Poll, Tuner
from tunestack.errors import TunestackError

CYCLES = int(sys.argv[1])
slept = [0.0]


def tell(path, **what):
    body = json.dumps(what).encode()
    urllib.request.urlopen(f"{os.environ['ADMIN']}/{path}", body).close()


def sleep(seconds):
    slept[0] += seconds
    tell("clock", advance=seconds)


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def held(jobs, most):
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "jobs": jobs,
        "descriptors": most,
        "threads": threading.active_count(),
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
    }


def main():
    # botocore's own retries pause on the wall's clock.
    sys.modules["botocore.endpoint"].time.sleep = lambda _: None
    poll = Poll(first=600, longest=3600, sleep=sleep, clock=lambda: time.monotonic() + slept[0])
    tuner = Tuner(poll=poll)
    for kind, operation in (
        ("throttle", "*"),
        ("error", "Get*"),
        ("lost-reply", "Create*"),
    ):
        tell("faults", kind=kind, operation=operation, rate=0.05)
    fifth, seen = CYCLES // 5, []
    for number in range(1, CYCLES + 1):
        rows = [{"prompt": f"{number}/{row}?", "completion": f"{row}."} for row in range(8)]
        while True:
            try:
                tuner.submit("nova-micro", rows).wait()
                break
            except TunestackError as error:
                sys.stderr.write(f"{error!r}\n")
        # A fault may have closed a connection that the next call opens again: the most of many times tells.
        seen.append(descriptors())
        if number in (fifth, CYCLES):
            sys.stdout.write(json.dumps(held(number, max(seen[-fifth:]))) + "\n")


main()
