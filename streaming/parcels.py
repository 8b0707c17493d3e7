"""A batch of bronze records, judged twice: first for what the driver must know of it, then for the rows of silver.

Between the two it is settled which prints are second copies. Judging costs less than keeping the rows meanwhile: as
bytes in Spark's cache they crossed from Python to the JVM and back before they were written (DECISIONS 27). A row's
number says in which Arrow batch of which task it stands; the second time must find what the first one counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import TaskContext
from pyspark.sql import DataFrame

from lakehouse.arrow_frames import frame_of
from lakehouse.errors import SourceError
from lakehouse.kernels.fingerprints import Points
from lakehouse.tables import Table
from lakehouse.tables.silver import QUARANTINE, TRADES
from lakehouse.workers import in_arrow
from streaming.batches import Longs
from streaming.judge import CONTROL, JUDGED, Judged, Rules, judge_records
from streaming.outline import Outline, outline_of, outline_of_prints

TOLD_DDL = "outline binary, refusals binary, records bigint"
REFUSALS_AT_MOST = 1 << 20  # bytes of a parcel's refusals that are told to the driver; more stay where they are
TASK_BITS, PARCEL_BITS = 44, 28  # a row's number is task, Arrow batch of the task, row of the batch
NEEDED = ("stream", "shard", "sequence", "arrived_at", "payload")


Mark = tuple[int, str, str]  # how many rows of one kind a parcel holds, and the records of the first and the last


@dataclass(frozen=True)
class Wanted:
    """Which of the numbered rows of one kind are wanted: all but `second`. `marks` tell the parcels that hold any."""

    second: Longs
    marks: Mapping[int, Mark]

    @classmethod
    def of(cls, rows: Outline, second: Longs) -> Wanted:
        """All of these rows but for the ones at the places in `second`."""
        parcels, first, counts = np.unique(rows["row"] >> PARCEL_BITS, return_index=True, return_counts=True)
        marks = {
            parcel: (count, rows.record(at), rows.record(at + count - 1))
            for parcel, at, count in zip(parcels.tolist(), first.tolist(), counts.tolist(), strict=True)
        }
        return cls(np.sort(rows["row"][second]), marks)


NO_REFUSALS = pa.schema(
    [("row", pa.int64()), *((one.name, one.type) for one in JUDGED if one.name in QUARANTINE.column_names)]
).empty_table()


@dataclass(frozen=True)
class Told:
    """What the driver was told of a batch: how many records it holds, an outline of all its rows, and its refusals.

    The refusals are None where they are many.
    """

    records: int
    outline: Outline
    refusals: pa.Table | None


def told_of(records: DataFrame, rules: Rules, points: Points) -> Told:
    """Judge bronze records where they are read, and hear what the driver must know."""
    return heard(in_arrow(records.select(*NEEDED), partial(tell, rules=rules, points=points), TOLD_DDL).toArrow())


def heard(told: pa.Table) -> Told:
    """What was told of each parcel, together."""
    refusals, records = told["refusals"], pc.sum(told["records"]).as_py() or 0
    outline = Outline.of_tables(map(_table, told["outline"]))
    return Told(
        records,
        outline,
        None if refusals.null_count else pa.concat_tables([NO_REFUSALS, *map(_table, refusals)]),
    )


def tell(batches: Iterable[pa.RecordBatch], rules: Rules, points: Points) -> Iterator[pa.RecordBatch]:
    """Judge batches of records, and say what the driver must know; one row for each."""
    for parcel, judged in _judged(batches, rules):
        others = _numbered_others(parcel, judged)
        first = parcel << PARCEL_BITS
        outline = pa.concat_tables([outline_of_prints(judged, first, points), outline_of(others, points)])
        refusals = _bytes(_only_refusals(others))
        told = _bytes(outline), refusals if len(refusals) <= REFUSALS_AT_MOST else None
        yield pa.record_batch(
            [*(pa.array([one], pa.binary()) for one in told), pa.array([len(judged.arrived_ms)])],
            names=["outline", "refusals", "records"],
        )


def refusals_of(records: DataFrame, told: Told, rules: Rules, wanted: Wanted, *, batch: int) -> DataFrame:
    """The rows for quarantine: those the driver was told of, else judged again."""
    if told.refusals is not None:
        rows = _for_quarantine(told.refusals, wanted, rules, batch)
        return frame_of(records.sparkSession, rows)
    shaped = partial(refuse_again, rules=rules, wanted=wanted, batch=batch)
    return in_arrow(records.select(*NEEDED), shaped, plain_ddl(QUARANTINE))


def refuse_again(
    batches: Iterable[pa.RecordBatch], rules: Rules, wanted: Wanted, batch: int
) -> Iterator[pa.RecordBatch]:
    """The refusals of batches of records as rows of quarantine, but for those that are not wanted."""
    for parcel, judged in _judged(batches, rules):
        refused = _only_refusals(_numbered_others(parcel, judged))
        require_as_before("refusals", parcel, refused["bronze_ref"], wanted, batch)
        yield from _for_quarantine(refused, wanted, rules, batch).to_batches()


def prints_of(records: DataFrame, rules: Rules, wanted: Wanted, *, batch: int) -> DataFrame:
    """The rows for silver, judged again."""
    shaped = partial(judge_again, rules=rules, wanted=wanted, batch=batch)
    return in_arrow(records.select(*NEEDED), shaped, plain_ddl(TRADES))


def judge_again(
    batches: Iterable[pa.RecordBatch], rules: Rules, wanted: Wanted, batch: int
) -> Iterator[pa.RecordBatch]:
    """The accepted prints of batches of records as rows of silver, but for those that are not wanted."""
    for parcel, judged in _judged(batches, rules):
        first, count = parcel << PARCEL_BITS, len(judged.prints)
        rows = pa.Table.from_batches([judged.print_rows()])
        require_as_before("prints", parcel, rows["bronze_ref"], wanted, batch)
        since, until = np.searchsorted(wanted.second, [first, first + count])
        if until > since:
            fresh = np.ones(count, bool)
            fresh[wanted.second[since:until] - first] = False
            rows = rows.filter(pa.array(fresh))
        yield from _completed(rows, TRADES, batch=pa.repeat(pa.scalar(batch, pa.int64()), rows.num_rows)).to_batches()


def require_as_before(what: str, parcel: int, records: pa.ChunkedArray, wanted: Wanted, batch: int) -> None:
    """Refuse a parcel that does not hold what it held when it was judged first."""
    held, count = wanted.marks.get(parcel), len(records)
    found = (count, records[0].as_py(), records[-1].as_py()) if count else None
    if found != held:
        raise SourceError(
            f"refine: part {parcel} of batch {batch} held {held} when it was judged first (the number of {what}, their "
            f"first and last record), and {found} when they were to be written. Nothing of them was written. Its "
            f"records came in another order: start the stream again, and report it where it happens twice."
        )


def plain_ddl(table: Table) -> str:
    """The columns of a table as Python workers give them."""
    return ", ".join(f"{one.name} {one.type}" for one in table.columns)


def _judged(batches: Iterable[pa.RecordBatch], rules: Rules) -> Iterator[tuple[int, Judged]]:
    """What judgement makes of each batch, and the number of its parcel."""
    context = TaskContext.get()
    task = context.partitionId() if context else 0
    for count, batch in enumerate(batches):
        yield (task << TASK_BITS - PARCEL_BITS) + count, judge_records(batch, rules)


def _numbered_others(parcel: int, judged: Judged) -> pa.Table:
    """Refusals and control frames with their numbers, which follow those of the prints."""
    others = pa.Table.from_batches([judged.other_rows()])
    first = (parcel << PARCEL_BITS) + len(judged.prints)
    return others.append_column("row", pa.array(first + np.arange(others.num_rows)))


def _only_refusals(others: pa.Table) -> pa.Table:
    refused = others.filter(pc.not_equal(others["verdict"], CONTROL))
    return refused.select(NO_REFUSALS.column_names)


def _for_quarantine(refused: pa.Table, wanted: Wanted, rules: Rules, batch: int) -> pa.Table:
    unwanted = pa.array(wanted.second, pa.int64())
    fresh = refused.filter(pc.invert(pc.is_in(refused["row"], value_set=unwanted)))
    count = fresh.num_rows
    return _completed(
        fresh, QUARANTINE, batch=pa.repeat(pa.scalar(batch, pa.int64()), count),
        rules_version=pa.repeat(pa.scalar(rules.version, pa.int32()), count),
        resolved_batch=pa.nulls(count, pa.int64()),
    )  # fmt: skip


def _completed(rows: pa.Table, table: Table, **columns: pa.Array) -> pa.Table:
    """The columns of a table: those given, and the others from judged rows."""
    return pa.table({name: columns[name] if name in columns else rows[name] for name in table.column_names})


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _table(parcel: pa.BinaryScalar) -> pa.Table:
    with pa.ipc.open_stream(parcel.as_buffer()) as stream:
        return stream.read_all()
