"""Every record of bronze accounted for: judged again and looked up in silver and quarantine, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.compare import NOTHING
from lakehouse.lake import Lake
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.tables.silver import QUARANTINE, TRADES
from streaming.judge import CONTROL, Rules
from streaming.refine import judge

KEY, PLACE = TRADES.key, QUARANTINE.key
REF = "concat_ws('/', stream, shard, sequence) AS bronze_ref"


@dataclass(frozen=True)
class Astray:
    """Rows that are missing or that come from nowhere: how many, and the records of the first and the last."""

    rows: int
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True)
class Account:
    """Records looked at, records refine has not surely read yet, what is lost and what came from nowhere."""

    records: int
    waiting: int
    lost: Astray
    invented: Astray


def account(lake: Lake, rules: Rules, consumed_version: int, *, since: datetime | None = None) -> Account:
    """Judge every bronze record that refine has read, and find each of its prints and refusals in the tables."""
    everything = _since(lake.read(MARKET_EVENTS), since).count()
    if consumed_version == NOTHING:
        return Account(0, everything, Astray(0), Astray(0))
    records = _since(lake.read(MARKET_EVENTS, version=consumed_version), since)
    looked_at = records.count()
    return Account(
        records=looked_at,
        waiting=everything - looked_at,
        lost=_astray(lost_places(lake, records, rules)),
        invented=_astray(invented_rows(lake)),
    )


def _since(records: DataFrame, since: datetime | None) -> DataFrame:
    return records if since is None else records.where(F.col("arrived_at") >= F.lit(since))


def _astray(rows: DataFrame) -> Astray:
    found = rows.agg(F.count(F.lit(1)), F.min("bronze_ref"), F.max("bronze_ref")).collect()[0]
    return Astray(*found)


def lost_places(lake: Lake, records: DataFrame, rules: Rules) -> DataFrame:
    """Prints and refusals of these records that no table knows.

    A print is known by its place or, where it is a second copy, by its key. Rules may have changed since a record was
    judged, so a place in either table will do.
    """
    judged = judge(records, rules).where(F.col("verdict") != CONTROL).select(*KEY, *PLACE)
    places = lake.read(TRADES).select(*PLACE).union(lake.read(QUARANTINE).select(*PLACE))
    unplaced = judged.join(places, on=list(PLACE), how="left_anti")
    whole = lake.read(QUARANTINE).where("position = -1 AND resolved_batch IS NULL").select("bronze_ref")
    left = unplaced.join(whole, on="bronze_ref", how="left_anti")
    return left.join(lake.read(TRADES).select(*KEY), on=list(KEY), how="left_anti")


def invented_rows(lake: Lake) -> DataFrame:
    """References of silver rows to records that bronze does not hold."""
    records = lake.read(MARKET_EVENTS).selectExpr(REF)
    return lake.read(TRADES).select("bronze_ref").join(records, on="bronze_ref", how="left_anti")
