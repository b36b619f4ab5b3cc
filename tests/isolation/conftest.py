"""Exclude the files in `escapes` from collection: tests run them in separate projects."""

collect_ignore = ["escapes"]
