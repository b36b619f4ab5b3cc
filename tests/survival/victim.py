"""The script to be killed: it submits, waits, starts and stops. Each order on standard input runs it in a new fork.

The process that forks has imported everything, so a run starts like a new process after its imports.
The child talks to its parent with readv and writev, which are not among the system calls to kill at.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
import warnings
from datetime import timedelta
from typing import Any

from tunestack import Poll, Tuner
from tunestack.backends.bedrock.backend import BedrockBackend
from tunestack.backends.bedrock.guard import ScheduledGuard
from tunestack.endpoints import start as serving
from tunestack.jobs import submit as submitting

KINDS = {"on-demand": ("nova-micro", "us-east-1"), "provisioned": ("llama-3-1-8b", "us-west-2")}


def arm_late():
    """Create the schedule only after the endpoint."""
    pending: list[tuple[Any, ...]] = []
    guard: Any = ScheduledGuard
    backend: Any = BedrockBackend
    arm, create = ScheduledGuard.arm, BedrockBackend.create_endpoint

    def create_and_arm(self, request):
        made = create(self, request)
        while pending:
            arm(*pending.pop())
        return made

    guard.arm = lambda *what: pending.append(what)
    backend.create_endpoint = create_and_arm


def name_at_random():
    """Use random names and tokens instead of names that are derived from the content."""
    submitting._digest = lambda *_: uuid.uuid4().hex[:16]
    serving.name_of = lambda *_: f"tunestack-{uuid.uuid4().hex[:12]}"


MUTANTS = {"arms-late": arm_late, "random": name_at_random, "": lambda: None}


class Script:
    """The script, step by step."""

    def __init__(self, order, tell):
        model, region = KINDS[order["kind"]]
        data = [
            {"prompt": f"{order['seed']}: what is {number}?", "completion": f"It is {number}."}
            for number in range(100)
        ]
        slept = [0.0]

        def sleep(seconds):
            slept[0] += seconds
            tell(f"sleep {seconds}")

        # Always the same few polls, so that a point is the same system call in every run.
        clock: dict[str, Any] = {"sleep": sleep, "clock": lambda: time.monotonic() + slept[0]}
        tuner = Tuner(
            region=region, poll=Poll(first=30, factor=10, longest=3600, jitter=0, **clock)
        )
        self.submit = lambda: tuner.submit(model, data)
        self.wait = lambda: self.job.wait()  # noqa: PLW0108 - there is a job once it is submitted
        self.start = lambda: self.job.start_endpoint(ttl=timedelta(hours=order["hours"])).name
        self.stop = lambda: self.job.stop_endpoint()  # noqa: PLW0108

    def run(self, step):
        done = getattr(self, step)()
        if step == "submit":
            self.job = done


def child(order, read, write):
    """Run the steps; the parent attaches strace before the last one."""

    def tell(text):
        os.writev(write, [text.encode() + b"\n"])
        os.readv(read, [bytearray(1)])

    try:
        warnings.simplefilter("ignore")
        MUTANTS[order["mutant"]]()
        script = Script(order, tell)
        *before, last = order["steps"]
        for step in before:
            script.run(step)
        if order["strace"]:
            tell("attach")
        script.run(last)
        tell("done")
    except BaseException as error:  # noqa: BLE001
        tell(f"failed {error!r}")


def attach_strace(pid, options):
    """Attach strace to a waiting process."""
    strace = subprocess.Popen(
        ["strace", "-f", "-p", str(pid), *options], stderr=subprocess.PIPE, text=True
    )
    assert strace.stderr is not None
    assert "attached" in strace.stderr.readline()
    return strace


def run(order):
    """Fork, serve the child until it ends, and return its last message."""
    (to_read, child_write), (child_read, to_write) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(to_read)
        os.close(to_write)
        child(order, child_read, child_write)
        os._exit(0)
    os.close(child_read)
    os.close(child_write)
    word, strace = "", None
    with os.fdopen(to_read) as lines:
        for line in lines:
            word, _, text = line.strip().partition(" ")
            if word == "attach":
                strace = attach_strace(pid, order["strace"])
            elif word == "sleep":
                turn = json.dumps({"advance": float(text)}).encode()
                urllib.request.urlopen(f"{os.environ['ADMIN']}/clock", turn).close()
            elif word == "failed":
                word = line.strip()
            os.write(to_write, b".")
    os.close(to_write)
    _, status = os.waitpid(pid, 0)
    if strace is not None:
        strace.stderr.read()
        strace.wait()
    return "killed" if os.WIFSIGNALED(status) else word


if __name__ == "__main__":
    tempfile.gettempdir()  # Creates a test file, once in each process.
    for line in sys.stdin:
        sys.stdout.write(json.dumps(run(json.loads(line))) + "\n")
        sys.stdout.flush()
