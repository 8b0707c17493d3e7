"""Judged rows in parcels: what became of one Arrow batch of records, as bytes Spark keeps and moves but never unpacks.

A row of a parcel frame holds an outline for the driver and the rows for the two tables. Keeping the rows themselves
in Spark's cache would take each of them apart into columns and together again, twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark import TaskContext
from pyspark.sql import DataFrame

from lakehouse.kernels.fingerprints import Points
from lakehouse.workers import in_arrow
from streaming.batches import Longs
from streaming.judge import CONTROL, JUDGED_DDL, PRINT, Rules, judge_pairs
from streaming.outline import PRINTS, REFUSALS, Kind, Outline, outline_of

PARCEL_DDL = "outline binary, prints binary, refusals binary"
TASK_BITS, PARCEL_BITS = 44, 28  # a row's number is task, parcel of the task, row of the parcel
NEEDED = ("stream", "shard", "sequence", "arrived_at", "payload")
TYPES = dict(one.split(" ", 1) for one in JUDGED_DDL.split(", "))
COLUMN = {PRINTS: "prints", REFUSALS: "refusals"}


def parcels_of(records: DataFrame, rules: Rules, points: Points) -> DataFrame:
    """Judge bronze records where they are read."""
    return in_arrow(records.select(*NEEDED), partial(pack, rules=rules, points=points), PARCEL_DDL)


def pack(batches: Iterable[pa.RecordBatch], rules: Rules, points: Points) -> Iterator[pa.RecordBatch]:
    """Judge batches of records; one parcel each. A task that is run again gives the same parcels."""
    context = TaskContext.get()
    task = context.partitionId() if context else 0
    for count, (prints, others) in enumerate(judge_pairs(batches, rules)):
        rows = pa.Table.from_batches([prints, others])
        numbers = (task << TASK_BITS) + (count << PARCEL_BITS) + np.arange(rows.num_rows)
        numbered = rows.append_column("row", pa.array(numbers))
        refused = numbered.filter(pa.array(_is_refused(numbered)))
        parcel = {
            "outline": outline_of(numbered, points),
            "prints": numbered.slice(0, prints.num_rows).select(["row", *carried(PRINTS)]),
            "refusals": refused.select(["row", *carried(REFUSALS)]),
        }
        yield pa.record_batch({name: pa.array([_bytes(table)], pa.binary()) for name, table in parcel.items()})


def carried(kind: Kind) -> list[str]:
    """The columns of a table that judgement fills."""
    return [name for name in kind.table.column_names if name in TYPES]


def outline_of_parcels(parcels: DataFrame) -> Outline:
    """What the driver needs to know of a batch; the rows stay where they are."""
    told = parcels.select("outline").toArrow()["outline"]
    return Outline.of_tables(_table(one) for one in told)


def rows_of(parcels: DataFrame, kind: Kind, second: Longs) -> DataFrame:
    """The rows for one table, without those whose numbers are in `second`."""
    ddl = ", ".join(f"{name} {TYPES[name]}" for name in carried(kind))
    return in_arrow(parcels.select(COLUMN[kind]), partial(unpack, second=second), ddl)


def unpack(batches: Iterable[pa.RecordBatch], second: Longs) -> Iterator[pa.RecordBatch]:
    """The rows of parcels, but for those whose numbers are in `second`."""
    unwanted = pa.array(second, pa.int64())
    for batch in batches:
        for parcel in batch.column(0):
            rows = _table(parcel)
            fresh = rows.filter(pc.invert(pc.is_in(rows["row"], value_set=unwanted))) if len(second) else rows
            yield from fresh.drop_columns("row").to_batches()


def _is_refused(rows: pa.Table) -> NDArray[np.bool_]:
    verdict: NDArray[np.int8] = rows["verdict"].to_numpy()
    refused: NDArray[np.bool_] = (verdict != PRINT) & (verdict != CONTROL)
    return refused


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _table(parcel: pa.BinaryScalar) -> pa.Table:
    with pa.ipc.open_stream(parcel.as_buffer()) as stream:
        return stream.read_all()
