"""The files in `escapes` are run in projects of their own."""

collect_ignore = ["escapes"]
