"""Compiles a program through a run, in a process that kills itself at a point; prints the models and the number of LM calls."""

import json
import os
import re
import sys
import time
import urllib.request
import uuid

import dspy
from botocore.httpsession import URLLib3Session

from tests.sdk.desks import NOVA, TRAIN, Desk
from tunestack import Poll, Tuner
from tunestack.dspy import BedrockProvider, BootstrapFinetune


class TwoSteps(dspy.Module):
    """Has two predictors. Their inputs, and so the records, differ in each process if `is_random`."""

    def __init__(self, *, is_random=True):
        super().__init__()
        self.topic = dspy.Predict("ticket -> topic")
        self.desk = dspy.Predict(Desk)
        self.is_random = is_random

    def forward(self, ticket):
        """Call both predictors."""
        CALLS.append(ticket)
        kill_at(f"call {len(CALLS)}.", "before")
        if self.is_random:
            ticket = f"{ticket} {uuid.uuid4()}"
        self.topic(ticket=ticket)
        return self.desk(ticket=ticket)


CALLS: list[str] = []
KILL = ["nothing", "never"]
"""A pattern of the description of a request or call, and `before` or `after` it."""


def accept_all(example, prediction, trace=None):
    """Accept all runs of the program."""
    return True


def kill_at(description, when):
    """End the process, if this is the point."""
    if re.search(KILL[0], description) and KILL[1] == when:
        os.kill(os.getpid(), 9)


def main():
    """Compile the program; the arguments are the name of the run, the point, and `before` or `after`."""
    global KILL
    name, *KILL = sys.argv[1:]
    simulated = [0.0]
    send = URLLib3Session.send

    def send_or_kill(self, request):
        target = request.headers.get("X-Amz-Target")
        description = f"{request.method} {request.url} {target}"
        kill_at(description, "before")
        response = send(self, request)
        kill_at(description, "after")
        return response

    def advance(seconds):
        simulated[0] += seconds
        body = json.dumps({"advance": seconds}).encode()
        urllib.request.urlopen(f"{os.environ['ADMIN']}/clock", body).close()

    URLLib3Session.send = send_or_kill  # type: ignore[method-assign]
    poll = Poll(longest=240, sleep=advance, clock=lambda: time.monotonic() + simulated[0])
    program = TwoSteps()
    program.set_lm(dspy.LM(NOVA, provider=BedrockProvider(Tuner(poll=poll)), cache=False))
    optimizer = BootstrapFinetune(
        metric=accept_all, multitask=False, run=name, train_kwargs={"epochCount": 1}
    )
    compiled = optimizer.compile(program, trainset=TRAIN[:10])
    models = [predictor.lm.model for predictor in compiled.predictors()]
    sys.stdout.write(json.dumps({"models": models, "calls": len(CALLS)}))


if __name__ == "__main__":
    main()
