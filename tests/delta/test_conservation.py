"""Conservation: an honest lake passes, and every way to lose, double or invent a row is found."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from lakehouse.compare import NOTHING
from lakehouse.conservation import held_rows, mismatches, silver_history, totals
from lakehouse.lake import Lake
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.tables.silver import QUARANTINE, TRADES
from streaming.accounting import Account, Astray, account
from tests.delta.played import Played
from tests.faults.market import market


def complaints(lake: Lake) -> list[str]:
    history = silver_history(lake)
    return mismatches(history, held_rows(lake, history))


def again(lake: Lake, batch: int, trade_id: str, bronze_ref: str | None = None) -> None:
    """Append a print under a new id, as a writer would that has never heard of conservation."""
    row = lake.read(TRADES).limit(1).withColumn("trade_id", F.lit(trade_id)).withColumn("batch", F.lit(batch))
    changed = row if bronze_ref is None else row.withColumn("bronze_ref", F.lit(bronze_ref))
    told = {"batch": batch, "decoded": 1, "undecodable": 0, "control": 0, "quarantined": 0, "duplicates": 0}
    lake.append(TRADES, changed.withColumn("batch", F.col("batch").cast("bigint")), userMetadata=json.dumps(told))


def plain_append(lake: Lake) -> None:
    lake.append(TRADES, lake.read(TRADES).limit(1).withColumn("trade_id", F.lit("x")))


def lying_append(lake: Lake) -> None:
    told = {"batch": 9, "decoded": 3, "undecodable": 0, "control": 0, "quarantined": 1, "duplicates": 0}
    row = lake.read(TRADES).limit(1).selectExpr("* EXCEPT (trade_id, batch)", "'x' AS trade_id", "9L AS batch")
    lake.append(TRADES, row, userMetadata=json.dumps(told))


def lost_refusal(lake: Lake) -> None:
    place = lake.read(QUARANTINE).where("batch = 1").select("bronze_ref").first()
    assert place is not None
    lake.delta(QUARANTINE).delete(F.col("bronze_ref") == place[0])


def settled_out_of_thin_air(lake: Lake) -> None:
    lake.delta(QUARANTINE).update("batch = 1", {"resolved_batch": "1"})


def foreign_refusal(lake: Lake) -> None:
    rows = lake.read(QUARANTINE).limit(1).withColumn("position", F.lit(99)).withColumn("batch", F.lit(0).cast("bigint"))
    lake.append(QUARANTINE, rows)


FAULTS: dict[str, tuple[Callable[[Lake], None], str]] = {
    "a write without its conservation": (plain_append, "without its conservation"),
    "an equation that does not hold": (lying_append, "1 unexplained"),
    "a refusal that vanished": (lost_refusal, "silver.quarantine says"),
    "a refusal settled by nobody": (settled_out_of_thin_air, "silver.quarantine says"),
    "a refusal nobody counted": (foreign_refusal, "g0/0.*silver.quarantine says"),
}


def test_an_honest_lake_has_nothing_to_complain_about_and_its_commits_add_up(operated: Played) -> None:
    sums = totals(silver_history(operated.lake).commits)

    assert complaints(operated.lake) == []
    assert sums["appended"] == operated.lake.read(TRADES).count()
    assert sums["quarantined"] == operated.lake.read(QUARANTINE).count()
    assert sums["duplicates"] > 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_row_lost_doubled_or_uncounted_is_found(operated: Played, fault: str, tmp_path: Path) -> None:
    played = operated.copy(tmp_path)
    commit, complaint = FAULTS[fault]

    commit(played.lake)

    found = complaints(played.lake)
    assert found
    assert any(re.search(complaint, one) for one in found)


def test_the_newest_commits_alone_can_be_checked(operated: Played) -> None:
    history = silver_history(operated.lake, 1)

    assert [one.batch for one in history.commits] == [1]
    assert not history.is_whole
    assert mismatches(history, held_rows(operated.lake, history)) == []


def test_every_record_of_bronze_is_found_again(operated: Played) -> None:
    whole = account(operated.lake, operated.rules, operated.lake.version(MARKET_EVENTS))

    assert (whole.lost, whole.invented, whole.waiting) == (Astray(0), Astray(0), 0)
    assert whole.records == operated.lake.read(MARKET_EVENTS).count()


def test_what_is_missing_and_what_comes_from_nowhere_is_named(operated: Played, tmp_path: Path) -> None:
    played = operated.copy(tmp_path)
    version = played.lake.version(MARKET_EVENTS)
    played.take_in([one for one in market(12, 30, hostile=False) if b"ping" not in one.payload], shard="5")
    again(played.lake, 2, "x", bronze_ref="nowhere/0/1")

    waiting = account(played.lake, played.rules, version)
    found = account(played.lake, played.rules, version + 1)

    assert (waiting.lost.rows, waiting.invented.rows) == (0, 1)
    assert waiting.waiting > 5
    assert (found.records, found.waiting) == (waiting.records + waiting.waiting, 0)
    assert found.lost.rows > 20
    assert str(found.lost.first).startswith("t/5/") and str(found.lost.last).startswith("t/5/")
    assert found.invented == Astray(1, "nowhere/0/1", "nowhere/0/1")


def test_before_refine_has_read_anything_every_record_waits(operated: Played) -> None:
    records = operated.lake.read(MARKET_EVENTS).count()

    assert account(operated.lake, operated.rules, NOTHING) == Account(0, records, Astray(0), Astray(0))
