"""A local AWS on loopback, so that everything runs for real without an account.

S3, IAM, SSM, CloudFormation and the like are MiniStack's; Bedrock is ours, driven by botocore's own service model.
It shares the catalog and the contract with the SDK and nothing else: it is a second opinion.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tunestack.extras import missing_extra

if TYPE_CHECKING:
    from tunestack.sandbox.bedrock.state import Quotas
    from tunestack.sandbox.clock import Clock
    from tunestack.sandbox.environment import Sandbox
    from tunestack.sandbox.faults import FaultKind, Faults

# Loaded on first use: pytest imports this package in every run, for the fixture, whether the sandbox is installed or not.
_HOMES = {
    "Clock": "clock",
    "FaultKind": "faults",
    "Faults": "faults",
    "Quotas": "bedrock.state",
    "Sandbox": "environment",
}

__all__ = ["Clock", "FaultKind", "Faults", "Quotas", "Sandbox"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tunestack.sandbox' has no attribute {name!r}")
    try:
        found = getattr(import_module(f"tunestack.sandbox.{_HOMES[name]}"), name)
        import_module("ministack")  # which is needed in another process only
    except ModuleNotFoundError as error:
        raise missing_extra("sandbox", error) from error
    return found
