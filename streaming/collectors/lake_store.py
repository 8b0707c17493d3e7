"""Documents in the lake: what is known of them, appending new ones, and merging what was read from them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.arrow_frames import frame_of
from lakehouse.errors import LeaseError
from lakehouse.lake import Lake
from lakehouse.quality.rules import broken, gate
from lakehouse.tables import Table
from lakehouse.tables.bronze import REFUSED_DOCUMENTS
from streaming.collectors.documents import STATE, TABLE_OF, Document, known_from, rows_of, tables_of
from streaming.collectors.latest import FIRST_HAD, HASH, REVISED
from streaming.collectors.request import Known, Request
from streaming.collectors.values import Read

OVERLAP_US = 86_400_000_000  # a day is longer than a run keeps a document before it is stored
PORTION_BYTES, PORTION_DOCUMENTS = 64 << 20, 2000
Reader = Callable[[pa.Table], Read]


@dataclass(frozen=True)
class LakeStore:
    """Bronze as a collector uses it; where the lease is lost, somebody else may write, and nothing is appended."""

    lake: Lake
    lost: threading.Event = field(default_factory=threading.Event)

    def known(self, kinds: Sequence[str]) -> tuple[Known, Known]:
        """What is stored of such kinds of documents, and what was refused before; bodies are not read."""
        found = [self._state(table) for table in tables_of(kinds) if table is not REFUSED_DOCUMENTS]
        return reduce(_merged, found, Known()), self._state(REFUSED_DOCUMENTS)

    def append(self, documents: Sequence[Document]) -> None:
        """Append documents to the tables they belong to, one commit each."""
        if self.lost.is_set():
            raise LeaseError(
                f"{self.lake.root}: the lease of this collector's tables was lost. {len(documents)} documents were not "
                f"stored; those before them are. Run it again: it fetches what is missing."
            )
        for table in tables_of({document.request.kind for document in documents}):
            rows = rows_of(table, documents)
            if rows.num_rows:
                self.lake.append(table, frame_of(self.lake.spark, rows, table.schema))

    def body(self, request: Request) -> bytes | None:
        """The newest stored version of a document."""
        mine = (F.col("source") == request.source) & (F.col("document_id") == request.document_id)
        versions = self.lake.read(TABLE_OF[request.kind]).where(mine)
        rows = versions.orderBy(F.desc("fetched_at"), F.desc("content_hash")).select("body").take(1)
        return bytes(rows[0][0]) if rows else None

    def _state(self, table: Table) -> Known:
        return known_from(self.lake.read(table).select(*STATE).toArrow())


def refine(lake: Lake, documents: Table, into: Table, read: Reader) -> Read:
    """Read what was fetched since the last time, and merge it. Repeating it changes nothing.

    What it looks at again, because it came shortly before the newest row, costs time and nothing else.
    """
    told = Read(pa.schema([]).empty_table())
    newest_us: int | None = lake.read(into).agg(F.unix_micros(F.max(REVISED))).collect()[0][0]
    for portion in _portions(lake, documents, newest_us):
        found = read(portion)
        kept, refused = gated(lake, into, found.rows)
        merge_latest(lake, into, kept)
        told.left_out += found.left_out + refused
        told.warnings += found.warnings
        told.unfinished += found.unfinished
    return told


def gated(lake: Lake, table: Table, rows: pa.Table) -> tuple[pa.Table, list[str]]:
    """The rows that may enter a table, and of each other one its key and the rules it breaks.

    One such row would else end the whole merge, in this run and every later one.
    """
    if not rows.num_rows:
        return rows, []
    frame = frame_of(lake.spark, rows, table.schema).where(~gate(table))
    refused = frame.select(*table.key, broken(table).alias("rules")).collect()
    if not refused:
        return rows, []
    lost = {tuple(row[:-1]) for row in refused}
    keys = zip(*(rows[name].to_pylist() for name in table.key), strict=True)
    kept = rows.filter(pa.array([key not in lost for key in keys], pa.bool_()))
    return kept, [f"{', '.join(map(str, row[:-1]))}: breaks {row['rules']}" for row in refused]


def merge_latest(lake: Lake, table: Table, rows: pa.Table) -> None:
    """Upsert by key: what was fetched later counts, then the higher hash; when it was first had only moves back."""
    if not rows.num_rows:
        return
    same = " AND ".join(f"old.{name} = new.{name}" for name in table.key)
    later = f"struct(new.{REVISED}, new.{HASH}) > struct(old.{REVISED}, old.{HASH})"
    first_had = f"least(old.{FIRST_HAD}, new.{FIRST_HAD})"
    newer = {name: f"new.{name}" for name in table.column_names} | {FIRST_HAD: first_had}
    (
        lake.delta(table)
        .alias("old")
        .merge(frame_of(lake.spark, rows, table.schema).alias("new"), same)
        .whenMatchedUpdate(condition=later, set=dict(newer))
        .whenMatchedUpdate(condition=f"new.{FIRST_HAD} < old.{FIRST_HAD}", set={FIRST_HAD: f"new.{FIRST_HAD}"})
        .whenNotMatchedInsertAll()
        .execute()
    )


def _portions(lake: Lake, documents: Table, newest_us: int | None) -> Iterator[pa.Table]:
    """The documents fetched since shortly before an instant, in the order they were, a memory's worth at a time."""
    stored = lake.read(documents)
    since = None if newest_us is None else F.timestamp_micros(F.lit(newest_us - OVERLAP_US))
    fresh = stored if since is None else stored.where(F.col("fetched_at") >= since)
    sizes = fresh.select("content_hash", F.length("body").alias("size"), "fetched_at")
    hashes: set[str] = set()
    held = 0
    for row in sizes.orderBy("fetched_at", "content_hash").collect():
        hashes.add(row["content_hash"])
        held += row["size"]
        if held >= PORTION_BYTES or len(hashes) >= PORTION_DOCUMENTS:
            yield _of_hashes(fresh, hashes)
            hashes, held = set(), 0
    if hashes:
        yield _of_hashes(fresh, hashes)


def _of_hashes(fresh: DataFrame, hashes: set[str]) -> pa.Table:
    return fresh.where(F.col("content_hash").isin(sorted(hashes))).toArrow()


def _merged(one: Known, other: Known) -> Known:
    one.merge(other)
    return one
