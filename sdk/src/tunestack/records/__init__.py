"""Check training data and convert it to a model's format, in one streaming pass."""

from typing import TYPE_CHECKING

from tunestack.records.findings import Severity
from tunestack.records.pipeline import Progress
from tunestack.records.prepare import Dataset, check, check_together, prepare
from tunestack.records.report import Problem, Report
from tunestack.records.rules import RULES, Rule
from tunestack.records.split import Split, split

if TYPE_CHECKING:
    from tunestack.records.record_views import RecordView, view
    from tunestack.records.repair import Fix, fix

_MODULES = {"Fix": "repair", "RecordView": "record_views", "fix": "repair", "view": "record_views"}
"""The modules of names that are loaded when they are used, because most programs do not need them."""

__all__ = [
    "RULES",
    "Dataset",
    "Fix",
    "Problem",
    "Progress",
    "RecordView",
    "Report",
    "Rule",
    "Severity",
    "Split",
    "check",
    "check_together",
    "fix",
    "prepare",
    "split",
    "view",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'tunestack.records' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only for names that are used

    return getattr(import_module(f"tunestack.records.{_MODULES[name]}"), name)
