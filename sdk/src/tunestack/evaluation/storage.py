"""Write the results to a folder, and store them in the account."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from tunestack.backends.inference import ResultStore
from tunestack.errors import ConfigError, TunestackError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from tunestack.backends.protocols import Backend
    from tunestack.evaluation.result import Evaluation

logger = logging.getLogger(__name__)

RESULT = "evaluation.json"


def list_files(evaluation: Evaluation) -> dict[str, bytes]:
    """Return the files of a result: the result, the table of the records as JSON Lines, and as parquet if pyarrow is installed."""
    document = orjson.dumps(
        evaluation.to_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )
    # The arguments of tools may be nested more deeply than orjson supports.
    lines = b"".join(msgspec.json.encode(row) + b"\n" for row in evaluation.rows)
    files = {RESULT: document, "records.jsonl": lines}
    parquet = _parquet(evaluation.rows)
    return files if parquet is None else files | {"records.parquet": parquet}


def _parquet(rows: Any) -> bytes | None:
    try:
        import pyarrow as pa  # noqa: PLC0415 - of the extra `tables`
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        return None
    if not rows:
        return None
    # The arguments of tools have no common type.
    flat = [{**row, "tool_calls": msgspec.json.encode(row["tool_calls"]).decode()} for row in rows]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(flat), sink)
    return sink.getvalue()


def write(files: Mapping[str, bytes], folder: str | PathLike[str]) -> None:
    """Write the files to a folder.

    Raises:
        ConfigError: it can't be written.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (path / name).write_bytes(content)
    except OSError as error:
        raise ConfigError(
            f"the results can't be written to {str(path)!r}: {error.strerror}"
        ) from error


def result_folder(model: str, evaluation_id: str) -> str:
    """Return the folder of an evaluation of a fine-tuned model, below the results."""
    return f"{model.rsplit('/', 1)[-1]}/{evaluation_id}"


def store(evaluation: Evaluation, backend: Backend, folder: str) -> Evaluation:
    """Store the files beside the output of the jobs, and return the evaluation with its URI; without, if that is not possible."""
    if not isinstance(backend, ResultStore):
        return evaluation
    files = list_files(evaluation)
    del files[RESULT]
    try:
        for name, content in files.items():
            uri = backend.put_result(f"{folder}/{name}", content).rpartition("/")[0]
        stored = replace(evaluation, uri=uri)
        backend.put_result(f"{folder}/{RESULT}", list_files(stored)[RESULT])
    except TunestackError as error:
        logger.warning("the results are not stored in the account: %s", error)
        return evaluation
    return stored
