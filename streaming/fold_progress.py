"""Fold the lines of the stream's log into gold.stream_progress: every line once, however often this runs or breaks off.

The table itself says what it has: the highest line of each run. Rows are appended in one commit, so a fold that breaks
off has folded nothing. Lines of a run are numbered without a gap, and files are read until none was rotated meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import functions as F

from lakehouse.files import Files
from lakehouse.lake import Lake
from lakehouse.tables.gold import STREAM_PROGRESS

Row = dict[str, Any]
SAME = (
    "run", "line", "event", "query", "batch", "rows", "rows_per_second", "batch_ms", "lag_ms", "refused", "late",
    "duplicates", "state_rows", "state_bytes", "skew_ms",
)  # fmt: skip
READS_AT_MOST = 5


def fold_progress(lake: Lake, folder: str) -> int:
    """Append every line of a log folder that the table does not have; returns how many. The caller holds the lease."""
    known = known_lines(lake)
    rows = list(new_rows(read_lines(lake.files, folder), known))
    if rows:
        values = [tuple(row[name] for name in STREAM_PROGRESS.column_names) for row in rows]
        lake.append(STREAM_PROGRESS, lake.spark.createDataFrame(values, STREAM_PROGRESS.schema))
    return len(rows)


def known_lines(lake: Lake) -> dict[str, int]:
    """The highest line of each run that the table holds."""
    found = lake.read(STREAM_PROGRESS).groupBy("run").agg(F.max("line").alias("line")).collect()
    return {row["run"]: int(row["line"]) for row in found}


def read_lines(files: Files, folder: str) -> list[str]:
    """All lines of the log's files. A file that is rotated while we read would hide its lines: then we read again."""
    root = folder.rstrip("/")
    names = log_names(files, root)
    for _ in range(READS_AT_MOST):
        texts = [files.read_text(f"{root}/{name}") for name in names]
        before, names = names, log_names(files, root)
        if names == before:
            return [line for text in texts for line in text.splitlines()]
    return []  # the log is rotated faster than it can be read: the next fold has another try


def log_names(files: Files, folder: str) -> list[str]:
    """The log's files, in which lines of one run come in order."""
    return [name for name in files.names(folder) if name.startswith("stream") and name.endswith(".jsonl")]


def new_rows(lines: Iterable[str], known: dict[str, int]) -> Iterator[Row]:
    """Rows for the lines above what is known, each once: a copy of a file may repeat them."""
    reached = dict(known)
    for row in sorted(filter(None, map(row_of, lines)), key=lambda row: (row["run"], row["line"])):
        if row["line"] > reached.get(row["run"], 0):
            reached[row["run"]] = row["line"]
            yield row


def row_of(line: str) -> Row | None:
    """One line as a row; None for the torn line of a process that was killed."""
    try:
        said = json.loads(line)
        at = datetime.fromisoformat(said["at"]).astimezone(UTC)
        detail = said.get("error") or (json.dumps(said["milliseconds"]) if "milliseconds" in said else None)
        common = {name: said.get(name) for name in SAME}
    except (ValueError, TypeError, KeyError):
        return None
    if not isinstance(common["run"], str) or not isinstance(common["line"], int):
        return None
    return {**common, "at": at.replace(microsecond=at.microsecond // 1000 * 1000), "detail": detail}
