"""Check training data and convert it to a model's format, in one streaming pass."""

from tunestack.records.findings import Severity
from tunestack.records.fix import Fix, fix
from tunestack.records.pipeline import Progress
from tunestack.records.prepare import Dataset, check, check_together, prepare
from tunestack.records.report import Problem, Report
from tunestack.records.rules import RULES, Rule
from tunestack.records.split import Split, split
from tunestack.records.view import RecordView, view

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
