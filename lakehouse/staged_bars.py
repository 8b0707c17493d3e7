"""Bars of a stretch of prints, left as Parquet beside the tables until a MERGE reads them, and what others may share.

Clean bars that are the stretch's own are left as whole numbers, without what follows from them; bars that another
stretch may hold parts of lie apart, with the hashes of their keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.bar_columns import CLEAN_NUMBERS, Bars, takes_one_limb, widened
from lakehouse.bars import PARTIAL
from lakehouse.kernels import bars as kernel
from lakehouse.reference.calendar import SessionArrays

Longs = NDArray[np.int64]

NAME_COLUMNS = ["instrument_id", "interval", "session", "symbol"]
NAME_DDL = (
    "instrument_id string, interval string, bar_start timestamp, bar_end timestamp, session_date date, session string, "
    "symbol string"
)
CLEAN_DDL = ", ".join([NAME_DDL, *(f"{name} bigint" for name in CLEAN_NUMBERS)])
HASH = "key_hash"
CLEAN, OWN, SHARED = "clean", "own", "shared"
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def leave(bars: Bars, others: tuple[Longs, Longs], sessions: SessionArrays, staging: str, number: int) -> Longs:
    """Write the bars of a stretch: clean ones of its own, others of its own, and those others may hold parts of.

    Returns the hashes of the keys of the last, in their order.
    """
    may_be_shared = within_reach(bars.other, others, sessions)
    own, shared = [bars.other[:, ~may_be_shared]], [bars.other[:, may_be_shared]]
    first = bars.clean_numbers(np.empty((kernel.CLEAN_WIDTH, 0), np.int64))
    with _written(_file_of(staging, CLEAN, number), first.schema) as write:
        for rows in bars.clean:
            may_be_shared, is_narrow = within_reach(rows, others, sessions), takes_one_limb(rows)
            write(bars.clean_numbers(_those(rows, ~may_be_shared & is_narrow)))
            own.append(widened(_those(rows, ~may_be_shared & ~is_narrow)))
            shared.append(widened(_those(rows, may_be_shared)))
    with _written(_file_of(staging, OWN, number), bars.partial(own[0][:, :0]).schema) as write:
        write(bars.partial(np.concatenate(own, axis=1)))
    told = bars.partial(np.concatenate(shared, axis=1))
    hashes = key_hashes(told)
    told = told.append_column(HASH, pa.array(hashes))
    with _written(_file_of(staging, SHARED, number), told.schema) as write:
        write(told)
    return hashes


def _those(rows: Longs, wanted: NDArray[np.bool_]) -> Longs:
    return rows if wanted.all() else rows[:, wanted]


def pieces_of(staging: str, number: int, contested: Longs) -> Iterator[pa.RecordBatch]:
    """The bars of one stretch that another stretch holds parts of as well."""
    with pq.ParquetFile(_file_of(staging, SHARED, number)) as file:
        found = np.flatnonzero(np.isin(file.read([HASH], use_threads=False)[HASH].to_numpy(), contested))
        if len(found):
            yield from file.read(PARTIAL.names, use_threads=False).take(found).cast(PARTIAL).to_batches()


def _file_of(staging: str, folder: str, number: int) -> str:
    return f"{staging}/{folder}/{number:05d}.parquet"


@contextmanager
def _written(path: str, schema: pa.Schema) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """A Parquet file that lives for a moment, and a function that adds a row group to it."""
    with pq.ParquetWriter(
        path, schema, compression="none", use_dictionary=NAME_COLUMNS, write_statistics=False,
        store_decimal_as_integer=True,
    ) as writer:  # fmt: skip
        yield writer.write_batch


def spelled_out(clean: DataFrame) -> DataFrame:
    """Clean bars as they were left, whole numbers, with the columns of PARTIAL."""
    values = {name: F.col(name) for name in clean.columns}
    for name in ("open", "high", "low", "close"):
        values[name] = F.expr(f"CAST(CAST(nullif({name}, -1) AS DECIMAL(18,0)) * 0.000001BD AS DECIMAL(18,6))")
    for name in ("open_ord", "close_ord"):
        values[name] = F.expr(f"nullif({name}, -1)")
    for name in ("volume", "notional", "vwap_volume"):
        values[name] = F.expr(f"CAST(CAST({name} AS DECIMAL(19,0)) * 0.000001BD AS DECIMAL(28,6))")
    for name in ("open", "high", "low", "close", "volume", "trades", "open_ord", "close_ord"):
        values[f"first_{name}"] = values[name]
    for name in ("late_prints", "cancelled_prints", "corrected_prints", "touched"):
        values[name] = F.lit(0).cast("bigint")
    return clean.select(*(values[name].alias(name) for name in PARTIAL.names))


def apart(spans: Iterable[tuple[int, int]]) -> tuple[Longs, Longs]:
    """Spans of time, from when until when, those that meet together, in order."""
    since, until = list[int](), list[int]()
    for first, last in sorted(spans):
        if until and first <= until[-1]:
            until[-1] = max(until[-1], last)
        else:
            since.append(first)
            until.append(last)
    return np.array(since, np.int64), np.array(until, np.int64)


def within_reach(rows: Longs, spans: tuple[Longs, Longs], sessions: SessionArrays) -> NDArray[np.bool_]:
    """Whether another stretch may hold prints of a bar: its time meets any of the spans, or it begins or ends its
    session. Opening and closing prints from outside a session count for its first and last bar (DECISIONS 8).
    """
    since, until = spans
    if not len(since):
        return np.zeros(rows.shape[1], np.bool_)
    keys, place = np.unique(rows[kernel.DAY_KEY], return_inverse=True)
    opens, closes = sessions.bounds(keys // 3, keys % 3)
    start, end = rows[kernel.START], rows[kernel.END]
    next_span = np.searchsorted(until, start)
    reached = np.append(since, kernel.NEVER)[next_span] < end
    found: NDArray[np.bool_] = reached | (start == opens[place]) | (end == closes[place])
    return found


def key_hashes(bars: pa.RecordBatch) -> Longs:
    """A number of 64 bits for each bar's key, the same in every process."""
    hashed = {}
    for name in ("instrument_id", "interval"):
        texts = bars[name].dictionary.to_pylist()
        words = [int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) for text in texts]
        hashed[name] = np.array(words, np.uint64)[bars[name].indices.to_numpy()]
    mixed = bars["bar_start"].cast(pa.int64()).to_numpy().view(np.uint64) * GOLDEN
    for part in (hashed["instrument_id"], hashed["interval"] * GOLDEN):
        mixed = (mixed ^ (mixed >> np.uint64(29)) ^ part) * GOLDEN
    found: Longs = (mixed ^ (mixed >> np.uint64(32))).view(np.int64)
    return found


def contested_keys(hashes: Iterable[Longs]) -> Longs:
    """The hashes that were reported more than once, each once."""
    every = np.sort(np.concatenate([np.empty(0, np.int64), *hashes]))
    return np.unique(every[1:][every[1:] == every[:-1]])
