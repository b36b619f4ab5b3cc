"""Rows of tables as records: CSV files, and with the extra `tables` parquet, Arrow and Excel files; DataFrames.

`pip install './sdk[tables]'` installs pyarrow and openpyxl.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import orjson

from tunestack._utils.extras import missing_extra
from tunestack.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

Row = dict[str, Any]

_BATCH_ROWS = 512
_JSON_COLUMNS = ("messages", "conversations", "conversation", "tools", "chosen", "rejected")
"""Columns whose cells may be JSON text."""


def read_csv(file: BinaryIO, delimiter: str) -> Iterator[Row]:
    """Read the rows of a CSV file with a header.

    Raises:
        ValueError: the file is not CSV in UTF-8; the message has the row.
    """
    import csv  # noqa: PLC0415 - for this kind of file only

    # The default limit is 128 KiB, less than a long document.
    csv.field_size_limit(max(csv.field_size_limit(), 2**24))
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    rows = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        header = next(rows, [])
        for cells in rows:
            if len(cells) > len(header):
                raise ValueError(
                    f"row {rows.line_num} has {len(cells)} cells, and the header has {len(header)}: quote cells that contain "
                    f"{delimiter!r} or line breaks"
                )
            yield clean_row(dict(zip(header, cells, strict=False)))
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num} is not CSV: {error}") from error


def find_delimiter(head: bytes) -> str | None:
    """Return the delimiter of a CSV header, or `None` if the first line is not a header of several columns."""
    line = head.decode("utf-8-sig", "replace").partition("\n")[0]
    counts = {delimiter: line.count(delimiter) for delimiter in "\t,;|"}
    delimiter = max(counts, key=lambda known: counts[known])
    return delimiter if counts[delimiter] else None


def read_parquet(file: BinaryIO) -> Iterator[Row]:
    """Read the rows of a parquet file."""
    try:
        from pyarrow import parquet  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise missing_extra("tables", error) from error
    source = parquet.ParquetFile(_open_arrow_input(file))
    yield from _read_batches(source.iter_batches(batch_size=_BATCH_ROWS, use_threads=False))


def read_arrow(file: BinaryIO, *, is_stream: bool) -> Iterator[Row]:
    """Read the rows of an Arrow file: the stream format of Hugging Face datasets, or the file format (Feather)."""
    try:
        from pyarrow import ipc  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise missing_extra("tables", error) from error
    if is_stream:
        yield from _read_batches(ipc.open_stream(_open_arrow_input(file)))
    else:
        reader = ipc.open_file(_open_arrow_input(file))
        yield from _read_batches(map(reader.get_batch, range(reader.num_record_batches)))


def can_be_mapped(file: BinaryIO) -> bool:
    """Return whether a file is one of the operating system, and no pipe."""
    return isinstance(getattr(file, "raw", file), io.FileIO) and file.seekable()


def _open_arrow_input(file: BinaryIO) -> Any:
    """Map a file, or a copy of a stream, into memory, and return it as an input of Arrow.

    If Arrow's threads read a Python file, the process may abort or hang when it ends
    (https://github.com/apache/arrow/issues/50482 and 34314, read 2026-11-30).
    """
    import mmap  # noqa: PLC0415 - with those below, takes time to load
    import shutil  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    import pyarrow as pa  # noqa: PLC0415 - an extra

    if can_be_mapped(file):
        return pa.BufferReader(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy, 2**20)
        copy.flush()
        return _open_arrow_input(cast("BinaryIO", copy))


def _read_batches(batches: Iterable[Any]) -> Iterator[Row]:
    for batch in batches:
        # Without this, values of a damaged file are read from any memory address, and the process can crash.
        batch.validate(full=True)
        yield from map(clean_row, batch.to_pylist())


def read_excel(file: BinaryIO) -> Iterator[Row]:
    """Read the rows of the first sheet of an Excel file; the first row is the header."""
    try:
        import openpyxl  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise missing_extra("tables", error) from error
    book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    rows = book.worksheets[0].iter_rows(values_only=True)
    header = [str(cell) for cell in next(rows, ())]
    for cells in rows:
        row = clean_row(dict(zip(header, cells, strict=False)))
        if row:  # sheets often end with empty rows
            yield row


def list_arrow_files(folder: Path) -> list[Path] | None:
    """Return the Arrow files of a Hugging Face dataset that was saved with `save_to_disk`; `None` for another folder.

    Raises:
        DataError: the folder has several splits.
    """
    state = folder / "state.json"
    if (folder / "dataset_dict.json").is_file():
        splits = orjson.loads((folder / "dataset_dict.json").read_bytes()).get("splits", [])
        raise DataError(
            f"{str(folder)!r} has the splits {', '.join(splits)}: pass the folder of one, such as {folder}/{splits[0]}"
        )
    if not state.is_file():
        return None
    files = orjson.loads(state.read_bytes()).get("_data_files", [])
    return [folder / file["filename"] for file in files]


def iterate_data_frame(source: Any) -> Iterator[Row] | None:
    """Return the rows of a pandas or polars DataFrame; `None` for another object. Neither library is imported."""
    kind = type(source)
    if kind.__name__ != "DataFrame":
        return None
    library = kind.__module__.partition(".")[0]
    if library == "polars":
        return map(clean_row, source.iter_rows(named=True))
    if library == "pandas":
        return _iterate_pandas(source)
    return None


def _iterate_pandas(frame: Any) -> Iterator[Row]:
    for start in range(0, len(frame), _BATCH_ROWS):
        rows = cast("Sequence[Row]", frame.iloc[start : start + _BATCH_ROWS].to_dict("records"))
        yield from map(clean_row, rows)


def clean_row(row: Row) -> Row:
    """Return a row without missing cells; JSON text in columns of messages is decoded."""
    cleaned = _without_missing(row)
    for name in _JSON_COLUMNS:
        text = cleaned.get(name)
        if isinstance(text, str) and text.lstrip().startswith(("[", "{")):
            try:
                cleaned[name] = orjson.loads(text)
            except orjson.JSONDecodeError:
                continue
    return cast("Row", cleaned)


def _without_missing(value: Any) -> Any:
    """Remove the fields without value, which tables add to objects with different fields; convert arrays of NumPy."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {
            name: _without_missing(item) for name, item in value.items() if not _is_missing(item)
        }
    if isinstance(value, list | tuple):
        return [_without_missing(item) for item in value]
    return value


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
