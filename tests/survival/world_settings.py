"""The models, training data and times of the world."""

from datetime import datetime, timedelta
from typing import Any

from tests.infra.guard_account import SETTINGS
from tunestack.deployment import EXPIRES_AT_TAG

REGIONS = {"nova-micro": "us-east-1", "llama-3-1-8b": "us-west-2"}
ROWS: dict[str, list[list[dict[str, Any]]]] = {
    "nova-micro": [
        [
            {"messages": [{"role": "user", "content": f"{data}?"}, {"role": "assistant", "content": "x"}]}
            for _ in range(8)
        ]
        for data in range(2)
    ],
    "llama-3-1-8b": [
        [{"prompt": f"What is {data} + {number}?", "completion": "x"} for number in range(100)]
        for data in range(2)
    ],
}  # fmt: skip
CONTENTS = [(model, data) for model in REGIONS for data in range(2)]
"""The contents of jobs: a model and the number of a dataset."""
PERIOD = timedelta(minutes=5)
"""Time between two runs of the guard."""
CREATION_TIME = timedelta(minutes=25)
MARGIN = timedelta(minutes=1)
VISIBILITY_DELAY = timedelta(seconds=15)
"""How long Bedrock may hide a new resource; the SDK polls for 20 seconds."""
DEFAULT_LIFETIME = timedelta(hours=SETTINGS.default_endpoint_hours)
MAX_LIFETIME = timedelta(hours=SETTINGS.max_endpoint_hours)


def parse_expiry(tags):
    """Return the expiry in the tags of an endpoint, or `None`."""
    return datetime.fromisoformat(tags[EXPIRES_AT_TAG]) if EXPIRES_AT_TAG in tags else None
