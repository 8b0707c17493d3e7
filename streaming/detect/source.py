"""What there is to look at: prints of silver.trades that a version of gold.bars holds, and the clock of the data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Row
from pyspark.sql import functions as F

from lakehouse.alerts.observations import Trade
from lakehouse.conditions import MOVES_LAST
from lakehouse.lake import Lake
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import TRADES
from streaming.detect.memory import NOTHING, Memory, Step
from streaming.progress import THROUGH

RECENT_COMMITS = 50
COLUMNS = (
    "batch", "kind", "session_date", "ref_session_date", "instrument_id", "symbol", "session", "ord",
    "unix_millis(traded_at) AS traded_ms", "unix_millis(received_at) AS received_ms",
    "CAST(price * 1000000 AS BIGINT) AS price_micros", "eligibility",
)  # fmt: skip


@dataclass(frozen=True)
class Reach:
    """How far a version of gold.bars reaches in silver, and how many prints of that last batch it holds (None: all)."""

    version: int
    through: int
    of_last: int | None


def has_version(lake: Lake, version: int) -> bool:
    """Whether gold.bars has got a version; asked far more often than there is one, so no log is read for it."""
    return lake.files.exists(f"{lake.path(BARS)}/_delta_log/{version:020d}.json")


def reach_of(lake: Lake) -> Reach:
    """The reach of the newest version, as the commits of the stream say it."""
    for commits in (RECENT_COMMITS, None):
        rows = lake.delta(BARS).history(commits).select("version", "userMetadata").collect()
        told = [one for row in rows if (one := _told(row)) is not None]
        if told:
            through = told[0][0]
            return Reach(rows[0]["version"], through, sum(count for number, count in told if number == through))
        if rows[-1]["version"] == 0:
            break
    return _reach_by_rows(lake, rows[0]["version"])


def _told(row: Row) -> tuple[int, int] | None:
    try:
        said = json.loads(row["userMetadata"] or "")
        return int(said[THROUGH]), int(said["of_last"])
    except (ValueError, TypeError, KeyError):
        return None


def _reach_by_rows(lake: Lake, version: int) -> Reach:
    """Of a table no commit of which says it, by the recomputes in it: nothing where there was none."""
    reached = lake.read(BARS, version=version).agg(F.max("through_batch")).collect()[0][0]
    return Reach(version, NOTHING if reached is None else int(reached), None)


@dataclass(frozen=True)
class Waiting:
    """Batches of silver that gold.bars holds whole and no step has taken in: the last one, and its newest receipt."""

    through: int
    newest_ms: int


def waiting(lake: Lake, memory: Memory, reach: Reach, *, prints_at_most: int) -> Waiting | None:
    """As many batches as hold so many prints, one at least; None where there is none."""
    if reach.through <= memory.through:
        return None
    behind = lake.read(TRADES).where(F.col("batch").between(memory.through + 1, reach.through))
    counted = behind.groupBy("batch").agg(F.count(F.lit(1)).alias("prints"), F.max(F.unix_millis("received_at")))
    return chosen(counted.orderBy("batch").collect(), reach, prints_at_most)


def chosen(batches: Sequence[tuple[int, int, int]], reach: Reach, prints_at_most: int) -> Waiting | None:
    """Of batches in order (number, prints, newest receipt) the first ones; the last only if gold.bars has all of it."""
    found, taken = None, 0
    for number, prints, newest_ms in batches:
        is_partly_there = number == reach.through and reach.of_last is not None and reach.of_last < prints
        if is_partly_there or (found and taken + prints > prints_at_most):
            break
        taken += prints
        found = Waiting(int(number), max(int(newest_ms), found.newest_ms if found else int(newest_ms)))
    return found


def read_prints(lake: Lake, step: Step, memory: Memory) -> pa.Table:
    """Rows of silver that a step takes in, and those before that hold trades no rule has seen."""
    since = min(memory.read_from, step.after + 1)
    rows = lake.read(TRADES).where(F.col("batch").between(since, step.through))
    return rows.selectExpr(*COLUMNS).toArrow()


def new_prints(prints: pa.Table, step: Step) -> pa.Table:
    """Those that no step before has taken in."""
    return prints.filter(pc.greater(prints["batch"], step.after))


def due_trades(prints: pa.Table, step: Step, memory: Memory) -> Iterator[Trade]:
    """Trades received before the horizon that no rule has seen, in the order of their receipt."""
    received = prints["received_ms"]
    is_waiting = pc.greater_equal(received, memory.horizon_ms)
    is_new = pc.greater(prints["batch"], step.after)
    is_due = pc.and_(pc.less(received, step.horizon_ms), pc.or_(is_waiting, is_new))
    moves_last = pc.greater(pc.bit_wise_and(prints["eligibility"], pa.scalar(MOVES_LAST, pa.int32())), 0)
    wanted = pc.and_(pc.and_(is_due, moves_last), pc.equal(prints["kind"], "trade"))
    rows = prints.filter(wanted).sort_by([("received_ms", "ascending"), ("ord", "ascending")])
    names = ("symbol", "session_date", "session", "ord", "traded_ms", "received_ms", "price_micros")
    return (Trade._make((*cells, True)) for cells in zip(*(rows[name].to_pylist() for name in names), strict=True))


def unseen_from(prints: pa.Table, step: Step) -> int:
    """The first batch with trades that were received at the horizon or later."""
    late = pc.min(prints["batch"].filter(pc.greater_equal(prints["received_ms"], step.horizon_ms))).as_py()
    return step.through + 1 if late is None else int(late)
