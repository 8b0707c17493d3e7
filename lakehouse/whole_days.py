"""Every bar of whole dates, by the files of silver: workers get file names, not rows, and leave Parquet for a MERGE.

Each task opens a stretch of row groups, decodes the columns a bar needs, folds them, and writes its bars beside the
tables. Stretches share few bars: daily ones, those at their edges, those late prints went into. Bars that could be
shared, by the times the other stretches hold, go into a file of their own; the hashes of their keys tell which are, and
those are combined.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import unquote, urlparse

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.arrow_frames import frame_of
from lakehouse.bars import PARTIAL, PARTIAL_DDL, PRINT_COLUMNS, BarRules
from lakehouse.clock import to_ms
from lakehouse.crashpoints import crashpoint
from lakehouse.files import on_disk
from lakehouse.fold import NAMES, Fold
from lakehouse.gold_bars import KEY, SUMS, replace_day
from lakehouse.lake import Lake
from lakehouse.rebuild import EVENTS, bars_of_days, deaths, events_about
from lakehouse.staged_bars import (
    CLEAN,
    CLEAN_DDL,
    HASH,
    OWN,
    SHARED,
    apart,
    contested_keys,
    leave,
    pieces_of,
    spelled_out,
)
from lakehouse.tables.silver import TRADES
from lakehouse.workers import in_arrow

PRINTS_A_TASK = 5_000_000
STAGING = "_staging"

FOREVER_MS = 1 << 50


@dataclass(frozen=True)
class Part:
    """A row group of a file of silver."""

    file: str
    row_group: int
    rows: int
    first_batch: int
    since_ms: int
    until_ms: int


@dataclass(frozen=True)
class Work:
    """What a task is told: which stretch of parts it folds, of which dates, up to which batch, and where bars go.

    `deaths` are the prints of these dates that an event took away.
    """

    stretches: Sequence[Sequence[Part]]
    days: tuple[date, ...]
    through_batch: int
    rules: BarRules
    deaths: pa.Table
    staging: str


@contextmanager
def bars_of_whole_days(
    lake: Lake, days: Iterable[date], through_batch: int, rules: BarRules, *, tasks: int
) -> Iterator[DataFrame]:
    """Every bar of these dates from silver up to a batch. The frame lives as long as the context.

    Workers open the files of a warehouse by themselves on a disk, not (yet) in a store (DECISIONS 15).
    """
    wanted, disk = tuple(sorted(set(days))), on_disk(lake.root)
    if disk is None:
        whole = bars_of_days(lake, wanted, through_batch, rules, instruments=None, tasks=tasks).persist()
        try:
            yield whole
        finally:
            whole.unpersist()
        return
    staging = f"{disk}/{STAGING}/bars-{uuid.uuid4().hex}"
    try:
        yield _staged(lake, wanted, through_batch, rules, staging)
    finally:
        lake.files.delete(staging)


def _staged(lake: Lake, days: tuple[date, ...], through_batch: int, rules: BarRules, staging: str) -> DataFrame:
    silver = lake.read(TRADES).where(F.col("batch") <= through_batch)
    with ThreadPoolExecutor(1) as beside:  # both wait for Delta's plans
        dead = beside.submit(deaths_of, silver, days)
        stretches = stretches_of(parts_of(_of(days, silver).inputFiles()), PRINTS_A_TASK)
        work = Work(stretches, days, through_batch, rules, dead.result(), staging)
    if not stretches:
        return lake.spark.createDataFrame([], PARTIAL_DDL)
    for folder in (CLEAN, OWN, SHARED):
        lake.files.make_folder(f"{staging}/{folder}")
    told = _run(lake, lambda number: fold_stretch(work, number), len(stretches), "number int, hashes binary").toArrow()
    hashes = {row["number"]: np.frombuffer(row["hashes"], np.int64) for row in told.to_pylist()}
    contested = contested_keys(hashes.values())
    clean = lake.spark.read.schema(CLEAN_DDL).parquet(f"{staging}/{CLEAN}").transform(spelled_out)
    own = clean.unionByName(lake.spark.read.schema(PARTIAL_DDL).parquet(f"{staging}/{OWN}"))
    shared = lake.spark.read.schema(f"{PARTIAL_DDL}, {HASH} bigint").parquet(f"{staging}/{SHARED}")
    if not len(contested):
        return own.union(shared.drop(HASH))
    pieces = _run(lake, lambda number: pieces_of(staging, number, contested), len(stretches), PARTIAL_DDL).toArrow()
    keys = F.broadcast(lake.spark.createDataFrame(pa.table({HASH: contested})))
    rest = shared.join(keys, on=HASH, how="left_anti").drop(HASH)
    return own.unionByName(rest).unionByName(combined(frame_of(lake.spark, pieces)))


def _run(lake: Lake, task: Callable[[int], Iterator[pa.RecordBatch]], count: int, ddl: str) -> DataFrame:
    """One task for each number below `count`, and the rows they give."""

    def numbered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from task(number)

    return in_arrow(lake.spark.range(0, count, 1, count), numbered, ddl)


def deaths_of(silver: DataFrame, days: tuple[date, ...]) -> pa.Table:
    """The prints of these dates that cancels and corrections took away; files without such events are not opened."""
    about = F.col("session_date").isin(list(days)) | F.col("ref_session_date").isin(list(days))
    if silver.where(EVENTS).where(about).isEmpty():
        return pa.table({"session_date": [], "trade_id": [], "dead_at": [], "fate": []})
    return _of(days, deaths(events_about(silver, days))).toArrow()


def _of(days: tuple[date, ...], rows: DataFrame) -> DataFrame:
    return rows.where(F.col("session_date").isin(list(days)))


def parts_of(files: Iterable[str]) -> list[Part]:
    """The row groups of these files (addresses as Spark gives them), in order of arrival."""
    found: list[Part] = []
    for address in files:
        path = unquote(urlparse(address).path)
        footer = pq.read_metadata(path)
        names = footer.schema.to_arrow_schema().names
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            noted = {name: group.column(names.index(name)).statistics for name in ("batch", "traded_at")}
            batch, traded = ((one.min, one.max) if one and one.has_min_max else None for one in noted.values())
            since, until = (to_ms(one) for one in traded) if traded else (0, FOREVER_MS)
            if group.num_rows:
                found.append(Part(path, number, group.num_rows, batch[0] if batch else 0, since, until))
    return sorted(found, key=lambda part: (part.first_batch, part.file, part.row_group))


def stretches_of(parts: Iterable[Part], most: int) -> list[list[Part]]:
    """Parts in a row, together, as long as they hold no more rows than `most`."""
    found: list[list[Part]] = []
    held = 0
    for part in parts:
        if found and held + part.rows <= most:
            found[-1].append(part)
            held += part.rows
        else:
            found.append([part])
            held = part.rows
    return found


def fold_stretch(work: Work, number: int) -> Iterator[pa.RecordBatch]:
    """Fold one stretch, leave its bars as files, and say the hashes of the keys others may hold too, in their order."""
    columns = [name for name in PRINT_COLUMNS if name != "trade_id" or work.deaths.num_rows]
    fold = Fold(work.rules)
    for part in work.stretches[number]:
        fold.add(with_fates(_wanted(_read(part, columns), work), work.deaths))
    others = apart(span_of(one) for at, one in enumerate(work.stretches) if at != number)
    hashes = leave(fold.finish(), others, work.rules.sessions, work.staging, number)
    yield pa.record_batch({"number": pa.array([number], pa.int32()), "hashes": pa.array([hashes.tobytes()])})


def span_of(parts: Sequence[Part]) -> tuple[int, int]:
    """When the prints of a stretch were traded: the first and the last ms."""
    return min(one.since_ms for one in parts), max(one.until_ms for one in parts)


def _read(part: Part, columns: list[str]) -> pa.Table:
    with pq.ParquetFile(part.file, read_dictionary=list(NAMES)) as file:
        return file.read_row_group(part.row_group, columns=columns, use_threads=False)


def _wanted(rows: pa.Table, work: Work) -> pa.Table:
    """The rows of the wanted dates and batches; most files hold no others."""
    newest, span = pc.max(rows["batch"]).as_py(), pc.min_max(rows["session_date"]).as_py()
    if newest <= work.through_batch and span["min"] == span["max"] and span["min"] in work.days:
        return rows
    of_days = pc.is_in(rows["session_date"], value_set=pa.array(work.days, pa.date32()))
    return rows.filter(pc.and_(of_days, pc.less_equal(rows["batch"], work.through_batch)))


def with_fates(prints: pa.Table, dead: pa.Table) -> pa.Table:
    """Prints with FATE_COLUMNS, where anything died at all."""
    if not dead.num_rows:
        return prints
    fates = {(row["session_date"], row["trade_id"]): row for row in dead.to_pylist()}
    suspects = np.flatnonzero(pc.is_in(prints["trade_id"], value_set=pc.unique(dead["trade_id"])).to_numpy())
    fate, dead_at = np.zeros(prints.num_rows, np.int32), np.zeros(prints.num_rows, np.int64)
    keys = prints.select(["session_date", "trade_id"]).take(suspects).to_pylist()
    for place, key in zip(suspects, keys, strict=True):
        found = fates.get((key["session_date"], key["trade_id"]))
        if found is not None:
            fate[place], dead_at[place] = found["fate"], round(found["dead_at"].timestamp() * 1_000_000)
    instants = pa.array(dead_at, mask=fate == 0).cast(pa.timestamp("us", "UTC"))
    return prints.append_column("dead_at", instants).append_column("fate", pa.array(fate))


def combined(parts: DataFrame) -> DataFrame:
    """Partial bars of one key as one bar: the same monoid the stream merges by."""
    values = {name: f"sum({name})" for name in (*SUMS, "touched")}
    values |= {name: f"min({name})" for name in ("bar_end", "session_date", "session", "symbol", "min_batch")}
    for prefix in ("", "first_"):
        for price, order, end in (("open", "open_ord", "min"), ("close", "close_ord", "max")):
            word = f"struct({prefix}{order}, {prefix}{price})"
            found = f"{end}(CASE WHEN {prefix}{order} IS NOT NULL THEN {word} END)"
            values |= {f"{prefix}{name}": f"{found}.{prefix}{name}" for name in (price, order)}
        values |= {f"{prefix}high": f"max({prefix}high)", f"{prefix}low": f"min({prefix}low)"}
    types = {field.name: field.dataType.simpleString() for field in parts.schema}
    cast = (F.expr(f"CAST({value} AS {types[name]}) AS {name}") for name, value in values.items())
    return parts.groupBy(*KEY).agg(*cast).select(*PARTIAL.names)


def rebuild_bars(
    lake: Lake, days: Iterable[date], through_batch: int, rules: BarRules, *, now: datetime, tasks: int
) -> int:
    """Replace the built bars of these dates by what silver says up to a batch, one commit a date; counts the dates.

    The caller holds the owner's lease, so nothing merges into these bars meanwhile, and what lies in staging was left
    by a rebuild that died.
    """
    lake.files.delete(f"{lake.root}/{STAGING}")
    done = 0
    for day in sorted(set(days)):
        with bars_of_whole_days(lake, [day], through_batch, rules, tasks=tasks) as whole:
            replace_day(lake, day, whole, through_batch, grace_ms=rules.grace_ms, now=now)
        crashpoint("rebuild.after_day")
        done += 1
    return done
