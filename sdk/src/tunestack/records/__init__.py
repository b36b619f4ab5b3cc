"""Training data: read, check, convert and write, in one streaming pass."""

from tunestack.records.conversation import DataFormat
from tunestack.records.prepare import Dataset, prepare

__all__ = ["DataFormat", "Dataset", "prepare"]
