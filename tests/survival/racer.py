"""A process that reads one number per line, submits the data of that number, and prints the ID of the job."""

import json
import sys

from tunestack import Tuner
from tunestack.errors import TunestackError


def build_rows(number):
    return [
        {"prompt": f"{number}: what is {row}?", "completion": f"It is {row}."} for row in range(8)
    ]


tuner = Tuner()
for line in sys.stdin:
    try:
        result = tuner.submit("nova-micro", build_rows(int(line))).id
    except TunestackError as error:
        result = repr(error)
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
