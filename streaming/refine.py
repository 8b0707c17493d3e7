"""Refine: bronze records to judged, de-duplicated prints in silver.trades; what is refused to silver.quarantine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.crashpoints import crashpoint
from lakehouse.lake import Lake
from lakehouse.tables import Table
from lakehouse.tables.silver import QUARANTINE, TRADES
from streaming.batches import BatchName, Longs, in_spans, rows_in, session_for, spans_of
from streaming.judge import CONTROL, JUDGED_DDL, PRINT, UNDECODABLE, Rules, judge_batches
from streaming.progress import SKEW

REFUSALS = f"verdict NOT IN ({PRINT}, {CONTROL})"
PRINTS = f"verdict = {PRINT}"


@dataclass(frozen=True)
class Kind:
    """One of the two kinds of rows a batch yields: where they go, what makes two of them the same, which copy stays."""

    table: Table
    rows: str
    instant: str
    order: tuple[str, ...]

    @property
    def key(self) -> tuple[str, ...]:
        """The table's key."""
        return self.table.key

    @property
    def hashed(self) -> str:
        """The key as 64 bits: equal keys hash alike, and the few that only hash alike are told apart afterwards."""
        return f"xxhash64({', '.join(self.key)})"


KINDS = (
    Kind(TRADES, PRINTS, "traded_at", ("received_at", "bronze_ref", "position")),
    Kind(QUARANTINE, REFUSALS, "arrived_at", ()),
)


@dataclass(frozen=True)
class Outline:
    """What the driver knows of a judged batch: per row its number, verdict, hashed key, instant and receipt."""

    row: Longs
    verdict: Longs
    hashed: Longs
    instant_us: Longs
    received_us: Longs

    def of(self, kind: Kind) -> Outline:
        """The outline of one kind's rows."""
        at = self.verdict == PRINT if kind.table is TRADES else (self.verdict != PRINT) & (self.verdict != CONTROL)
        return Outline(self.row[at], self.verdict[at], self.hashed[at], self.instant_us[at], self.received_us[at])

    def count(self, verdict: int) -> int:
        """How many rows carry a verdict."""
        return int((self.verdict == verdict).sum())


def judge(records: DataFrame, rules: Rules) -> DataFrame:
    """Bronze records to one row per print, refusal and control frame; `row` names a row within the batch."""
    needed = records.select("stream", "shard", "sequence", "arrived_at", "payload")
    judged = needed.mapInArrow(partial(judge_batches, rules=rules), JUDGED_DDL)
    return judged.withColumn("row", F.monotonically_increasing_id())


def refine_batch(lake: Lake, records: DataFrame, rules: Rules, name: BatchName) -> dict[str, int]:
    """Write one batch of bronze records to quarantine and silver, safe to repeat; returns its conservation.

    Nothing derives from a frame that reads the table it is about to append to: Delta drops such frames from the cache
    when the append commits. Which rows are second copies is therefore settled, as plain numbers, before anything is
    written.
    """
    judged = judge(records, rules).persist()
    try:
        outline = outline_of(judged)
        second = {kind.table.full_name: second_copies(lake, judged, outline.of(kind), kind, name) for kind in KINDS}
        counts = conservation(outline, second)
        crashpoint("refine.before_quarantine")
        if counts["quarantined"]:
            append_refused(lake, judged, second[QUARANTINE.full_name], rules, name)
        crashpoint("refine.after_quarantine")
        append_prints(lake, judged, second[TRADES.full_name], name, counts)
        crashpoint("refine.after_silver")
        return counts
    finally:
        judged.unpersist()


def outline_of(judged: DataFrame) -> Outline:
    """The batch as the driver needs it to find second copies: 33 bytes a row."""
    hashed = F.expr(f"CASE WHEN {PRINTS} THEN {KINDS[0].hashed} ELSE {KINDS[1].hashed} END")
    instant = F.expr(f"unix_micros(CASE WHEN {PRINTS} THEN traded_at ELSE arrived_at END)")
    received = F.expr("unix_micros(coalesce(received_at, arrived_at))")
    columns = {"hashed": hashed, "instant": instant, "received": received}
    table = judged.select("row", "verdict", *(value.alias(name) for name, value in columns.items())).toArrow()
    names = ("row", "verdict", *columns)
    return Outline(*(table[name].fill_null(0).to_numpy().astype(np.int64) for name in names))


def second_copies(lake: Lake, judged: DataFrame, outline: Outline, kind: Kind, name: BatchName) -> Longs:
    """Row numbers that must not be appended: second copies within the batch, and copies of what the table holds."""
    held = held_keys(lake, outline, kind, name)
    values, counts = np.unique(outline.hashed, return_counts=True)
    suspicious = values[(counts > 1) | np.isin(values, np.array([one[0] for one in held], np.int64))]
    if not len(suspicious):
        return np.empty(0, np.int64)
    suspects = outline.row[np.isin(outline.hashed, suspicious)]
    wanted = judged.select("row", *kind.key, *(name for name in kind.order if name not in kind.key))
    rows = sorted(
        (tuple(row[name] for name in kind.order), row["row"], tuple(row[name] for name in kind.key))
        for row in rows_in(wanted, suspects).collect()
    )
    seen, second = {one[1:] for one in held}, []
    for _, number, key in rows:
        if key in seen:
            second.append(number)
        seen.add(key)
    return np.array(second, np.int64)


def held_keys(lake: Lake, outline: Outline, kind: Kind, name: BatchName) -> list[tuple[object, ...]]:
    """Hashed key and key of what the table held before this batch and may be a copy of what is in it.

    Only the files that overlap the batch's own times are read. `batch < this` keeps the answer the same when a batch is
    repeated after its rows were committed.
    """
    if not len(outline.row):
        return []
    spans = in_spans(kind.instant, spans_of(outline.instant_us))
    held = lake.read(kind.table).where(f"batch < {name.number} AND ({spans})")
    hashes = lake.spark.createDataFrame(pa.table({"hashed": np.unique(outline.hashed)}))
    keyed = held.select(F.expr(kind.hashed).alias("hashed"), *kind.key)
    found = keyed.join(F.broadcast(hashes), on="hashed", how="left_semi").collect()
    return [tuple(row) for row in found]


def conservation(outline: Outline, second: dict[str, Longs]) -> dict[str, int]:
    """The equation of a batch: decoded + undecodable = appended + quarantined + duplicates; control frames apart.

    `appended` is not in here: Delta counts it itself, in the operation metrics of the commit that carries the rest.
    """
    undecodable, control = outline.count(UNDECODABLE), outline.count(CONTROL)
    refused = len(outline.of(KINDS[1]).row)
    return {
        "decoded": len(outline.row) - undecodable - control,
        "undecodable": undecodable,
        "control": control,
        "quarantined": refused - len(second[QUARANTINE.full_name]),
        "duplicates": sum(len(rows) for rows in second.values()),
        "newest_ms": int(outline.received_us.max(initial=0)) // 1000,
        **skew(outline.of(KINDS[0])),
    }


def skew(prints: Outline) -> dict[str, int]:
    """The median time from trade to receipt, in ms: far from zero where the clock of a feed or of its source is off.

    Late prints do not move a median; without prints there is none.
    """
    if not len(prints.row):
        return {}
    return {SKEW: int(np.median(prints.received_us - prints.instant_us)) // 1000}


def append_refused(lake: Lake, judged: DataFrame, second: Longs, rules: Rules, name: BatchName) -> None:
    """Append the refusals of a batch to quarantine, under its transaction."""
    refused = (
        rows_in(judged.where(REFUSALS), second, keep=False)
        .withColumn("rules_version", F.lit(rules.version))
        .withColumn("batch", F.lit(name.number).cast("bigint"))
        .withColumn("resolved_batch", F.lit(None).cast("bigint"))
        .select(*QUARANTINE.column_names)
    )
    lake.append(QUARANTINE, refused, **name.transaction(QUARANTINE.full_name))


def append_prints(lake: Lake, judged: DataFrame, second: Longs, name: BatchName, counts: dict[str, int]) -> None:
    """Append the prints of a batch to silver, its conservation in the same commit."""
    fresh = (
        rows_in(judged.where(PRINTS), second, keep=False)
        .withColumn("batch", F.lit(name.number).cast("bigint"))
        .select(*TRADES.column_names)
    )
    metadata = json.dumps({"batch": name.number, **counts}, sort_keys=True)
    lake.append(TRADES, fresh, userMetadata=metadata, **name.transaction(TRADES.full_name))


def refine_writer(
    lake: Lake, rules: Callable[[], Rules], generation: int, report: Callable[[int, dict[str, int]], None]
) -> Callable[[DataFrame, int], None]:
    """The batch writer of the refine query; `rules` is asked anew for each batch, `report` hears each conservation."""

    def write(records: DataFrame, batch_id: int) -> None:
        name = BatchName("refine", generation, batch_id)
        own = Lake(session_for(records), lake.root)
        report(batch_id, refine_batch(own, records, rules(), name))

    return write
