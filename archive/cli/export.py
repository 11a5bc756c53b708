"""Rows for other programs: CSV that a spreadsheet opens safely, JSON, and Parquet. Each streams; none holds all rows.

CSV is UTF-8 (a file begins with a byte order mark, without which Excel takes it for another character set; standard
output does not, for the sake of pipes), quoted as RFC 4180 has it, lines end in LF. Text that a spreadsheet would take
for a formula gets an apostrophe in front, also behind what some take for the end of a cell: where the decimal sign is a
comma, Excel cuts cells at semicolons and knows no quotes in the middle of them. Some of that text came from peers.
"""

import csv
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

from archive.cli import output
from archive.errors import DiskFailed, Misconfigured

# What begins a formula, or in some programs a cell that becomes one (https://owasp.org/www-community/attacks/CSV_Injection).
_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

# The same in the middle of a text, where a cell or a line may end for such a program.
_CELL_WITH_FORMULA = re.compile(r"([;\t\r\n][ \"]*)(?=[=+\-@])")

_BYTE_ORDER_MARK = "\ufeff"

# Rows of one row group; pyarrow holds them twice.
_PARQUET_ROWS = 50_000

Rows = Iterable[Sequence[Any]]


@contextmanager
def destination(file: Path | None, *, is_binary: bool = False) -> Iterator[IO[Any]]:
    """Standard output, or a file that appears, whole, under its name when all is written; raises DiskFailed."""
    if file is None:
        yield sys.stdout.buffer if is_binary else sys.stdout
        sys.stdout.flush()
        return
    try:
        descriptor, unfinished = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    except OSError as error:
        raise _failed(file, error) from error
    try:
        mode, encoding = ("wb", None) if is_binary else ("w", "utf-8")
        with os.fdopen(descriptor, mode, encoding=encoding, newline=None if is_binary else "") as opened:
            yield opened
        mask = os.umask(0)
        os.umask(mask)
        Path(unfinished).chmod(0o666 & ~mask)  # as any program makes a file; a temporary one is for its owner only
        Path(unfinished).replace(file)
    except BaseException as error:
        Path(unfinished).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _failed(file, error) from error
        raise


def _failed(file: Path, error: OSError) -> DiskFailed:
    return DiskFailed("The file cannot be written", path=str(file), reason=error.strerror)


def write_csv(columns: Sequence[str], rows: Rows, file: Path | None) -> None:
    """Write rows below a line of names."""
    with destination(file) as out:
        if file is not None:
            out.write(_BYTE_ORDER_MARK)
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(map(_csv_cell, row) for row in rows)


def _csv_cell(value: object) -> object:
    match value:
        case str():
            text = _CELL_WITH_FORMULA.sub(r"\1'", value)
            return f"'{text}" if value.startswith(_BEGINS_FORMULA) else text
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case _:
            return value


def write_json(columns: Sequence[str], rows: Rows, file: Path | None) -> None:
    """Write rows as an array of objects."""
    with destination(file) as out:
        separator = "[\n"
        for row in rows:
            values = {name: output.json_value(value) for name, value in zip(columns, row, strict=True)}
            out.write(f"{separator}  {json.dumps(values, ensure_ascii=False)}")
            separator = ",\n"
        out.write("[]\n" if separator == "[\n" else "\n]\n")


def write_parquet(kinds: Mapping[str, str], rows: Rows, file: Path | None) -> None:
    """Write rows of these columns, each with its kind (see `index.report_rows.kind`), compressed by zstd."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise Misconfigured("Parquet needs pyarrow: pip install 'pacs-archive[parquet]'") from error
    if file is None and sys.stdout.isatty():
        raise Misconfigured("Parquet is nothing for a terminal; add --output FILE")
    types = {
        "flag": pyarrow.bool_(),
        "integer": pyarrow.int64(),
        "number": pyarrow.float64(),
        "date": pyarrow.date32(),
        "moment": pyarrow.timestamp("us", tz="UTC"),
        "text": pyarrow.string(),
    }
    schema = pyarrow.schema([(name, types[kind]) for name, kind in kinds.items()])
    waiting = iter(rows)
    with (
        destination(file, is_binary=True) as out,
        parquet.ParquetWriter(cast(Any, out), schema, compression="zstd") as writer,
    ):
        while chunk := list(islice(waiting, _PARQUET_ROWS)):
            columns = zip(*chunk, strict=True)
            arrays = [pyarrow.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))
