"""Creates training data from Bedrock's model invocation logs."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tunestack.backends.bedrock.log_files import Directory, Prefix, read_ahead
from tunestack.errors import ConfigError, DataError, shortened
from tunestack.records.logs import LogConverter, LogFilter, Unique
from tunestack.records.resumable import ResumableFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from tunestack.records.logs import Hook

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogDataset:
    """Training data that was created from logs."""

    path: Path
    files: int
    """Log files that were read."""
    entries: int
    """Log entries that were read."""
    records: int
    models: Mapping[str, int]
    """Records by model id."""
    skipped: Mapping[str, int]
    """Entries that were left out, by the reason."""


def collect_logs(
    source: str | PathLike[str],
    path: str | PathLike[str],
    *,
    log_filter: LogFilter | None = None,
    unique: Unique = "record",
    hook: Hook | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LogDataset:
    """Create training data in the chat format from Bedrock's model invocation logs.

    Reading is billed as requests to S3 only. After a kill, the same call continues after the last complete log file.

    ```python
    since = datetime(2026, 11, 1, tzinfo=UTC)
    dataset = collect_logs("s3://my-logs/prefix/", "traffic.jsonl", log_filter=LogFilter(models=("claude-sonnet",), since=since))
    print(dataset.records, dataset.skipped)
    ```

    Args:
        source: `s3://bucket/prefix/`, a directory or a file.
        path: the JSON Lines file to write, with a record for each answer.
        log_filter: the log entries to use; by default all with an answer that is complete.
        unique: what is written once: equal records (`record`), records with an equal prompt (`prompt`), or nothing (`none`).
        hook: is called with each record and its log entry, and returns the record to write, or `None` to leave it out: for
            example to remove personal data. With a hook, an interrupted call starts again if the hook has another name.
        progress: called after each log file with the number of files and records.

    Raises:
        ConfigError: an argument is invalid, or the file can't be written.
        DataError: a log file can't be read, no record is left, or the hook fails.
        AccessError: the caller may not list or read the logs.
        NotFoundError: the bucket does not exist.
    """
    if unique not in get_args(Unique):
        raise ConfigError(f"invalid unique {shortened(unique)}: use {', '.join(get_args(Unique))}")
    chosen = log_filter or LogFilter()
    location = Prefix(str(source)) if str(source).startswith("s3://") else Directory(Path(source))
    converter = LogConverter(chosen, unique=unique, hook=hook, fetch=location.fetch)
    settings = {
        "source": str(source),
        "filter": repr(chosen),
        "unique": unique,
        "hook": None if hook is None else f"{hook.__module__}:{hook.__qualname__}",
    }
    with ResumableFile(Path(path), settings) as output:
        if output.has_other_settings:
            _log.warning(
                "%s starts again, because the interrupted call had other arguments (a duration such as 7d changes with the time)",
                path,
            )
        files = _restore(converter, output)
        for name, content in read_ahead(location.list(chosen, output.state.get("last", ""))):
            lines = list(converter.convert(content, name))
            files += 1
            output.write_part(lines, _save(converter, name, files))
            if progress is not None:
                progress(files, converter.records)
        if not converter.records:
            output.discard()
            raise DataError(_explain_empty(source, files, converter))
        output.finish()
    return LogDataset(
        path=Path(path),
        files=files,
        entries=converter.entries,
        records=converter.records,
        models=dict(converter.models.most_common()),
        skipped=dict(converter.skipped.most_common()),
    )


def _restore(converter: LogConverter, output: ResumableFile) -> int:
    """Continue with what was saved; return the number of files that were read."""
    state = output.state
    if not state:
        return 0
    converter.entries, converter.records = state["entries"], state["records"]
    converter.skipped, converter.models = Counter(state["skipped"]), Counter(state["models"])
    for line in output.lines():
        converter.remember(line)
    return int(state["files"])


def _save(converter: LogConverter, last: str, files: int) -> dict[str, Any]:
    return {
        "last": last,
        "files": files,
        "entries": converter.entries,
        "records": converter.records,
        "skipped": converter.skipped,
        "models": converter.models,
    }


def _explain_empty(source: object, files: int, converter: LogConverter) -> str:
    if not files:
        return f"{str(source)!r} has no log files: expected names that end in .json.gz, as model invocation logging writes them"
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in converter.skipped.most_common(5))
    return f"no record is left of {converter.entries:,} log entries in {files:,} files: {reasons}"
