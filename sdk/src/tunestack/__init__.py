"""Fine-tune language models on Amazon Bedrock and at OpenAI: submit, track, serve and stop.

```python
from tunestack import Tuner

job = Tuner().submit("nova-micro", "train.jsonl", hyperparameters={"epochCount": 3}).wait()
job.start_endpoint()
print(job.endpoint().invoke("Where is my parcel?"))
job.stop_endpoint()
```

From DSPy: `tunestack.dspy.BedrockProvider` and `OpenAIProvider`. From a shell: `tunestack --help`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's, which takes longer to load than all of this
if TYPE_CHECKING:
    from tunestack.backends.base import (
        CustomModelInfo,
        EndpointInfo,
        EndpointState,
        Expiry,
        JobInfo,
        JobState,
    )
    from tunestack.custom_models import CustomModel
    from tunestack.deployment import Deployment
    from tunestack.endpoints.endpoint import Endpoint
    from tunestack.endpoints.start import EndpointCostWarning
    from tunestack.errors import TunestackError
    from tunestack.jobs.job import Job
    from tunestack.polling import Poll
    from tunestack.tuner import Tuner

__version__ = "0.2.0"

# Loaded on first use: importing the deployment or the catalog, as the stacks do, must not load boto3.
_HOMES = {
    "CustomModel": "custom_models",
    "CustomModelInfo": "backends.base",
    "Deployment": "deployment",
    "Endpoint": "endpoints.endpoint",
    "EndpointCostWarning": "endpoints.start",
    "EndpointInfo": "backends.base",
    "EndpointState": "backends.base",
    "Expiry": "backends.base",
    "Job": "jobs.job",
    "JobInfo": "backends.base",
    "JobState": "backends.base",
    "Poll": "polling",
    "Tuner": "tuner",
    "TunestackError": "errors",
}

__all__ = [
    "CustomModel",
    "CustomModelInfo",
    "Deployment",
    "Endpoint",
    "EndpointCostWarning",
    "EndpointInfo",
    "EndpointState",
    "Expiry",
    "Job",
    "JobInfo",
    "JobState",
    "Poll",
    "Tuner",
    "TunestackError",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tunestack' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - the same

    return getattr(import_module(f"tunestack.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
