"""Check training data and convert it to a model's format, in one streaming pass."""

from tunestack.records.findings import Severity
from tunestack.records.pipeline import Progress
from tunestack.records.prepare import Dataset, check, check_together, prepare
from tunestack.records.report import Problem, Report
from tunestack.records.rules import RULES, Rule
from tunestack.records.split import Split, split

__all__ = [
    "RULES",
    "Dataset",
    "Problem",
    "Progress",
    "Report",
    "Rule",
    "Severity",
    "Split",
    "check",
    "check_together",
    "prepare",
    "split",
]
