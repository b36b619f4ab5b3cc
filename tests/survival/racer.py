"""A process that submits what it is told to, as soon as it is told: a number a line, for which it answers with the job."""

import json
import sys

from tunestack import Tuner
from tunestack.errors import TunestackError


def data(number):
    return [
        {"prompt": f"{number}: what is {row}?", "completion": f"It is {row}."} for row in range(8)
    ]


tuner = Tuner()
for line in sys.stdin:
    try:
        said = tuner.submit("nova-micro", data(int(line))).id
    except TunestackError as error:
        said = repr(error)
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
