"""Training data: read, check, convert and write, in one streaming pass."""

from tunestack.records.conversation import DataFormat
from tunestack.records.prepare import Dataset, check_together, prepare

__all__ = ["DataFormat", "Dataset", "check_together", "prepare"]
