"""Conservation: what every commit of silver says it did, against what silver and quarantine hold.

Decoded + undecodable = appended + quarantined + duplicates, batch by batch. A replay from quarantine counts what it
moves: rows that leave quarantine count as minus one there, so a record is counted once however often it was tried.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from lakehouse.lake import Lake
from lakehouse.tables.silver import QUARANTINE, TRADES

TERMS = ("decoded", "undecodable", "control", "quarantined", "duplicates")
GENERATION_BITS = 40
WRITES = ("WRITE", "STREAMING UPDATE", "MERGE", "DELETE", "UPDATE")


@dataclass(frozen=True)
class Commit:
    """One commit of silver.trades with the conservation it carries."""

    version: int
    batch: int
    decoded: int
    undecodable: int
    control: int
    quarantined: int
    duplicates: int
    appended: int

    @property
    def unexplained(self) -> int:
        """What went in and did not come out; 0 where the equation holds."""
        return self.decoded + self.undecodable - self.appended - self.quarantined - self.duplicates

    @property
    def label(self) -> str:
        """Generation and batch number, as people compare them with a checkpoint: `g0/57`."""
        return label_of(self.batch)


@dataclass(frozen=True)
class History:
    """The commits of silver that the log still holds, oldest first; `is_whole` where these are all there ever were."""

    commits: tuple[Commit, ...]
    foreign: tuple[int, ...]
    newest: int
    is_whole: bool


@dataclass(frozen=True)
class Held:
    """Rows the tables hold, by batch: in silver, refused into quarantine, and settled by a replay."""

    silver: dict[int, int]
    refused: dict[int, int]
    settled: dict[int, int]

    def quarantined(self, batch: int) -> int:
        """Rows a batch put into quarantine, less those it took out."""
        return self.refused.get(batch, 0) - self.settled.get(batch, 0)


def label_of(batch: int) -> str:
    """A batch number as generation and number within it."""
    return f"g{batch >> GENERATION_BITS}/{batch & ((1 << GENERATION_BITS) - 1)}"


def silver_history(lake: Lake, last: int | None = None) -> History:
    """The newest `last` commits of silver.trades, or all that the log holds."""
    wanted = ("version", "operation", "operationMetrics", "userMetadata")
    rows = sorted(lake.delta(TRADES).history(last).select(*wanted).collect(), key=lambda row: int(row["version"]))
    writes = [row for row in rows if row["operation"] in WRITES]
    commits = tuple(commit_of(row) for row in writes if row["userMetadata"])
    foreign = tuple(int(row["version"]) for row in writes if not row["userMetadata"])
    return History(commits, foreign, newest=int(rows[-1]["version"]), is_whole=int(rows[0]["version"]) == 0)


def commit_of(row: Row) -> Commit:
    """One row of a table's history as a commit."""
    said = json.loads(row["userMetadata"])
    appended = int(row["operationMetrics"].get("numOutputRows", 0))
    terms = {name: int(said[name]) for name in TERMS}
    return Commit(version=int(row["version"]), batch=int(said["batch"]), appended=appended, **terms)


def held_rows(lake: Lake, history: History) -> Held:
    """What the tables hold of the batches a history covers.

    Silver is read as of the history's version, quarantine after it: refine writes quarantine first, so every commit of
    the history finds its refusals.
    """
    oldest = -1 if history.is_whole else min((one.batch for one in history.commits), default=0)
    newest = max((one.batch for one in history.commits), default=-1)
    silver = lake.read(TRADES, version=history.newest).where(F.col("batch") >= oldest)
    quarantine = lake.read(QUARANTINE)
    refused = quarantine.where(F.col("batch").between(oldest, newest))
    settled = quarantine.where(F.col("resolved_batch").between(oldest, newest))
    return Held(_rows_by(silver, "batch"), _rows_by(refused, "batch"), _rows_by(settled, "resolved_batch"))


def _rows_by(rows: DataFrame, column: str) -> dict[int, int]:
    return {int(row[0]): int(row["count"]) for row in rows.groupBy(column).count().collect()}


def mismatches(history: History, held: Held) -> list[str]:
    """Everything that does not add up, one sentence each; empty where all is conserved."""
    found = [
        f"version {version} of silver.trades was written without its conservation: not by refine, not by reprocess"
        for version in history.foreign
    ]
    for one in history.commits:
        found += _of_commit(one, held)
    known = {one.batch for one in history.commits}
    for batch in sorted((held.silver.keys() | held.refused.keys() | held.settled.keys()) - known):
        rows = f"{held.silver.get(batch, 0)} in silver, {held.quarantined(batch)} in quarantine"
        found.append(f"batch {label_of(batch)} has rows ({rows}) but no commit of silver.trades says so")
    return found


def _of_commit(one: Commit, held: Held) -> Iterable[str]:
    where = f"batch {one.label} (version {one.version})"
    if one.unexplained:
        yield (
            f"{where}: decoded {one.decoded} + undecodable {one.undecodable} is not appended {one.appended} + "
            f"quarantined {one.quarantined} + duplicates {one.duplicates}; {one.unexplained} unexplained"
        )
    if held.silver.get(one.batch, 0) != one.appended:
        yield f"{where}: {one.appended} rows were appended, silver.trades holds {held.silver.get(one.batch, 0)}"
    if held.quarantined(one.batch) != one.quarantined:
        found = f"silver.quarantine says {held.quarantined(one.batch)}"
        hint = "; a replay broke off: run `tickhouse reprocess`" if one.quarantined < 0 else ""
        yield f"{where}: {one.quarantined} rows were quarantined on balance, {found}{hint}"


def totals(commits: Iterable[Commit]) -> dict[str, int]:
    """The terms of the equation summed over commits."""
    sums = dict.fromkeys((*TERMS, "appended"), 0)
    for one in commits:
        for name in sums:
            sums[name] += getattr(one, name)
    return sums
