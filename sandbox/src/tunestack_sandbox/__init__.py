"""A local AWS and OpenAI on loopback, to run and test fine-tuning without an account.

```python
from tunestack_sandbox import Sandbox

with Sandbox() as sandbox:
    subprocess.run(["python", "train.py"], env=sandbox.environment())
```

In pytest, use the fixture `tunestack_sandbox`; in a shell, `tunestack sandbox`.

S3, IAM, SSM, CloudFormation and other services are MiniStack's. Bedrock and OpenAI are implemented here, from botocore's
service model and OpenAI's documentation. The SDK and the sandbox share only the catalog, the deployment and the errors, so
that each of them tests the other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunestack_sandbox.bedrock.state import Quotas
    from tunestack_sandbox.clock import Clock
    from tunestack_sandbox.faults import FaultInjector, FaultKind
    from tunestack_sandbox.sandbox import Sandbox

__version__ = "0.2.0"

# Imported on first use: pytest imports this package in every run, for the plug-in.
_MODULES = {
    "Clock": "clock",
    "FaultInjector": "faults",
    "FaultKind": "faults",
    "Quotas": "bedrock.state",
    "Sandbox": "sandbox",
}

__all__ = ["Clock", "FaultInjector", "FaultKind", "Quotas", "Sandbox"]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'tunestack_sandbox' has no attribute {name!r}")
    return getattr(import_module(f"tunestack_sandbox.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
