"""One Financial Statement Data Set of the SEC: a quarter's filings with their Eastern acceptance, and their numbers.

A data set is a zip of tab-separated files without quoting. Issues differ: newer ones name `segments` and `coreg`, older
ones `coreg` alone; a number of the whole consolidated company has neither. Period ends are rounded to the nearest end
of a month, durations to whole quarters, and a unit per share is named without its share. A filer's own tags carry the
accession as their version; `tag.txt` marks exactly these as custom (of all 8,477 tags of 2010q2), so it is not read.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BufferedIOBase

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from lakehouse.errors import DocumentError
from lakehouse.filings.columns import (
    SAFE_DIGITS,
    accession,
    compact_day,
    converted,
    exact_number,
)
from lakehouse.filings.shapes import INSTANT, READ_FILINGS, SUBMISSIONS, VALUES

BLOCK_BYTES = 8 << 20
SUBMISSION_FIELDS = ("adsh", "cik", "form", "period", "fy", "fp", "filed", "accepted")
VALUE_FIELDS = ("adsh", "tag", "version", "ddate", "qtrs", "uom", "value")
PARTS_OF_A_COMPANY = ("segments", "coreg")
NUMBER = r"^-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?$"
Lines = Iterator[pa.Table]


@dataclass(frozen=True)
class DataSet:
    """A quarter's submissions and the consolidated values in them. Shapes: SUBMISSIONS and VALUES.

    `left_out` counts by reason the lines that became no row: every line is a row or counted there.
    """

    submissions: pa.Table
    values: pa.Table
    left_out: Counter[str]


def data_set_of(archive: BufferedIOBase, name: str, *, fetched_at: datetime) -> DataSet:
    """The data set in a zip archive. `name` stands in errors, such as 2010q2.zip."""
    left_out: Counter[str] = Counter()
    digest = hashlib.file_digest(archive, "sha256").digest()
    source = (fetched_at, int.from_bytes(digest[:8], "big", signed=True))
    try:
        with zipfile.ZipFile(archive) as files:
            submissions = [
                _submissions(lines, source, left_out) for lines in _lines(files, "sub.txt", SUBMISSION_FIELDS, left_out)
            ]
            fields = (*VALUE_FIELDS, *PARTS_OF_A_COMPANY)
            values = [_values(lines, left_out) for lines in _lines(files, "num.txt", fields, left_out)]
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise DocumentError(
            f"{name}: expected a zip with sub.txt and num.txt of a Financial Statement Data Set, found: {error}. "
            f"Nothing of it was kept. Fetch it again; if the SEC has changed its columns, the reader must follow."
        ) from error
    return DataSet(
        pa.concat_tables([SUBMISSIONS.empty_table(), *submissions]),
        pa.concat_tables([VALUES.empty_table(), *values]),
        left_out,
    )


def filings_of_data_set(submissions: pa.Table) -> pa.Table:
    """Submissions as filings; what the Data Sets do not say, or only rounded, is NULL. Shape: READ_FILINGS."""
    count = submissions.num_rows
    columns = {name: submissions[name] for name in submissions.column_names if name in READ_FILINGS.names}
    columns["is_amendment"] = pc.ends_with(submissions["form"], "/A")
    return pa.Table.from_arrays(
        [columns.get(each.name, pa.nulls(count, each.type)) for each in READ_FILINGS], schema=READ_FILINGS
    )


def _lines(files: zipfile.ZipFile, member: str, fields: tuple[str, ...], left_out: Counter[str]) -> Lines:
    """The wanted columns of a member as text, some thousand lines at a time; a part of a company may be unnamed."""
    with files.open(member) as header:
        named = header.readline().decode("utf-8", "replace").rstrip("\r\n").split("\t")
    missing = set(fields) - set(named) - set(PARTS_OF_A_COMPANY)
    if missing:
        raise KeyError(f"{member} without the columns {sorted(missing)}")
    wanted = [field for field in fields if field in named]

    def skip(_line: object) -> str:
        left_out[f"{member}: line_malformed"] += 1
        return "skip"

    parse = csv.ParseOptions(delimiter="\t", quote_char=False, escape_char=False, invalid_row_handler=skip)
    convert = csv.ConvertOptions(
        include_columns=wanted, strings_can_be_null=True, null_values=[""],
        column_types={field: pa.binary() if field in PARTS_OF_A_COMPANY else pa.string() for field in wanted},
    )  # fmt: skip
    read = csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    with files.open(member) as lines, csv.open_csv(lines, read, parse, convert) as batches:
        for batch in batches:
            yield pa.Table.from_batches([batch])


def _submissions(lines: pa.Table, source: tuple[datetime, int], left_out: Counter[str]) -> pa.Table:
    text = {name: lines[name].combine_chunks() for name in SUBMISSION_FIELDS}
    columns = {
        "accession": converted(text["adsh"], accession, pa.string()),
        "cik": converted(text["cik"], _whole, pa.int64()),
        "form": text["form"],
        "filed_date": converted(text["filed"], compact_day, pa.date32()),
        "accepted_text": text["accepted"],
        "period_end": converted(text["period"], compact_day, pa.date32()),
        "fiscal_year": converted(text["fy"], _small, pa.int32()),
        "fiscal_period": text["fp"],
        "fetched_at": pa.repeat(pa.scalar(source[0], INSTANT), len(lines)),
        "content_hash": pa.repeat(pa.scalar(source[1], pa.int64()), len(lines)),
    }
    rows = pa.Table.from_arrays([columns[name] for name in SUBMISSIONS.names], schema=SUBMISSIONS)
    return _complete(rows, ("accession", "cik", "form", "filed_date"), "sub.txt", left_out)


def _values(lines: pa.Table, left_out: Counter[str]) -> pa.Table:
    for part in PARTS_OF_A_COMPANY:
        if part in lines.column_names:
            is_whole = lines[part].is_null()
            left_out[f"num.txt: {part}"] += len(lines) - pc.sum(is_whole, min_count=0).as_py()
            lines = lines.filter(is_whole)
    is_nil = lines["value"].is_null()
    left_out["num.txt: value_missing"] += pc.sum(is_nil, min_count=0).as_py()
    lines = lines.filter(pc.invert(is_nil))
    text = {name: lines[name].combine_chunks() for name in VALUE_FIELDS}
    columns = {
        "accession": converted(text["adsh"], accession, pa.string()),
        "tag": text["tag"],
        "version": text["version"],
        "month_end": converted(text["ddate"], compact_day, pa.date32()),
        "quarters": converted(text["qtrs"], _small, pa.int32()),
        "unit": text["uom"],
        "value": _numbers(text["value"]),
    }
    rows = pa.Table.from_arrays([columns[name] for name in VALUES.names], schema=VALUES)
    return _complete(rows, VALUES.names, "num.txt", left_out)


def _complete(rows: pa.Table, names: tuple[str, ...] | list[str], member: str, left_out: Counter[str]) -> pa.Table:
    """The rows that have a value in each of these columns; another counts under the first that lacks one."""
    for name in names:
        is_there = rows[name].is_valid()
        left_out[f"{member}: {name}_malformed"] += len(rows) - pc.sum(is_there, min_count=0).as_py()
        rows = rows.filter(is_there)
    return rows


def _numbers(column: pa.Array) -> pa.Array:
    """Numbers written as text; NULL where a text is none, or none that a double holds."""
    is_number = pc.match_substring_regex(column, NUMBER)
    digits = pc.utf8_length(pc.utf8_trim(column, "-0."))
    has_exponent = pc.match_substring_regex(column, "[eE]")
    is_safe = pc.and_(is_number, pc.and_(pc.less_equal(digits, SAFE_DIGITS), pc.invert(has_exponent)))
    found = np.array(pc.if_else(is_safe, column, "nan").cast(pa.float64()))
    for at in np.flatnonzero(pc.and_not(is_number, is_safe).to_numpy(zero_copy_only=False)):
        exact = exact_number(column[at].as_py())
        found[at] = np.nan if exact is None else exact
    return pa.array(found, mask=np.isnan(found))


def _whole(text: str) -> int | None:
    """A whole number of at most ten digits; Data Sets kept as parquet write some with a point and a zero."""
    digits = text.removesuffix(".0")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else None


def _small(text: str) -> int | None:
    number = _whole(text)
    return number if number is not None and number < 2**31 else None
