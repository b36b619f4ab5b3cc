"""Record formats: each is read into a conversation, and written from one."""

from tunestack.records.formats.table import FORMATS, Format, detect_format

__all__ = ["FORMATS", "Format", "detect_format"]
