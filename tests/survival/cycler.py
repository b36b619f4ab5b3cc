"""A process that submits jobs and waits for them, with injected faults, and prints the resources that it uses."""

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
simulated_seconds = [0.0]


def post(path, **body):
    data = json.dumps(body).encode()
    urllib.request.urlopen(f"{os.environ['ADMIN']}/{path}", data).close()


def sleep(seconds):
    simulated_seconds[0] += seconds
    post("clock", advance=seconds)


def count_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def measure(jobs, descriptors):
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "jobs": jobs,
        "descriptors": descriptors,
        "threads": threading.active_count(),
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
    }


def main():
    # botocore's retries wait in real time.
    sys.modules["botocore.endpoint"].time.sleep = lambda _: None
    poll = Poll(
        first=600, longest=3600, sleep=sleep, clock=lambda: time.monotonic() + simulated_seconds[0]
    )
    tuner = Tuner(poll=poll)
    for kind, operation in (
        ("throttle", "*"),
        ("error", "Get*"),
        ("lost-reply", "Create*"),
    ):
        post("faults", kind=kind, operation=operation, rate=0.05)
    fifth, samples = CYCLES // 5, []
    for number in range(1, CYCLES + 1):
        rows = [{"prompt": f"{number}/{row}?", "completion": f"{row}."} for row in range(8)]
        while True:
            try:
                tuner.submit("nova-micro", rows).wait()
                break
            except TunestackError as error:
                sys.stderr.write(f"{error!r}\n")
        # A fault may close a connection that the next request opens again, so the maximum of many samples counts.
        samples.append(count_descriptors())
        if number in (fifth, CYCLES):
            sys.stdout.write(json.dumps(measure(number, max(samples[-fifth:]))) + "\n")


main()
