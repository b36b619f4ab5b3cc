"""The formats of records: each is read into a conversation, and written from one."""

from tunestack.records.formats.table import FORMATS, Format, SourceFormat, told_by

__all__ = ["FORMATS", "Format", "SourceFormat", "told_by"]
