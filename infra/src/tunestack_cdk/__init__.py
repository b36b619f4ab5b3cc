"""AWS CDK constructs that provision fine-tuning on Amazon Bedrock: data bucket, job role, policies, endpoint guard.

```python
from aws_cdk import App
from tunestack_cdk import Stage, TunestackStack

app = App()
stage = Stage(name="dev", regions=("us-east-1",), base_models=("nova-micro",))
TunestackStack(app, "Tunestack-dev-us-east-1", stage=stage, region="us-east-1")
app.synth()
```

`Tunestack` is the same as a construct, for a stack of your own. Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunestack_cdk.stack import Tunestack, TunestackStack
    from tunestack_cdk.stage import (
        DataLocation,
        Network,
        Oidc,
        Roles,
        RunSchedule,
        Stage,
        StageError,
    )

__version__ = "0.2.0"

# Importing aws_cdk starts Node.js, which the validation of a stage does not need.
_MODULES = {
    "DataLocation": "stage",
    "Network": "stage",
    "Oidc": "stage",
    "Roles": "stage",
    "RunSchedule": "stage",
    "Stage": "stage",
    "StageError": "stage",
    "Tunestack": "stack",
    "TunestackStack": "stack",
}

__all__ = [
    "DataLocation",
    "Network",
    "Oidc",
    "Roles",
    "RunSchedule",
    "Stage",
    "StageError",
    "Tunestack",
    "TunestackStack",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'tunestack_cdk' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - not needed for `__version__`

    return getattr(import_module(f"tunestack_cdk.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
