"""Conservation: an honest lake passes, and every way to lose, double or invent a row is found."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.conservation import held_rows, mismatches, silver_history, totals
from lakehouse.lake import Lake
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.tables.silver import QUARANTINE, TRADES
from streaming.accounting import account
from streaming.consumed import NOTHING
from tests.delta.played import Played
from tests.faults.market import market


@pytest.fixture(scope="module")
def honest(spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Two batches, one of which comes again as a replay would bring it. Tests take copies."""
    found = Played.fresh(spark, tmp_path_factory.mktemp("honest"), empty_lake)
    records = market(11, 90)
    found.play(records[:20], 0, found.rules, shard="0")
    found.play(records[10:], 1, found.strict_rules, shard="1")
    return found


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


def test_an_honest_lake_has_nothing_to_complain_about_and_its_commits_add_up(honest: Played) -> None:
    sums = totals(silver_history(honest.lake).commits)

    assert complaints(honest.lake) == []
    assert sums["appended"] == honest.lake.read(TRADES).count()
    assert sums["quarantined"] == honest.lake.read(QUARANTINE).count()
    assert sums["duplicates"] > 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_row_lost_doubled_or_uncounted_is_found(honest: Played, fault: str, tmp_path: Path) -> None:
    played = honest.copy(tmp_path)
    commit, complaint = FAULTS[fault]

    commit(played.lake)

    found = complaints(played.lake)
    assert found
    assert any(re.search(complaint, one) for one in found)


def test_the_newest_commits_alone_can_be_checked(honest: Played) -> None:
    history = silver_history(honest.lake, 1)

    assert [one.batch for one in history.commits] == [1]
    assert not history.is_whole
    assert mismatches(history, held_rows(honest.lake, history)) == []


def test_every_record_of_bronze_is_found_again_and_what_is_missing_is_named(honest: Played, tmp_path: Path) -> None:
    played = honest.copy(tmp_path)
    version = played.lake.version(MARKET_EVENTS)
    whole = account(played.lake, played.rules, version)
    assert (whole.lost, whole.invented, whole.waiting) == (0, 0, 0)
    assert whole.records == played.lake.read(MARKET_EVENTS).count()

    played.take_in([one for one in market(12, 30, hostile=False) if b"ping" not in one.payload], shard="5")
    again(played.lake, 2, "x", bronze_ref="nowhere/0/1")

    assert account(played.lake, played.rules, version).waiting > 0
    found = account(played.lake, played.rules, played.lake.version(MARKET_EVENTS))
    assert found.lost > 20
    assert found.invented == 1
    assert {one.split("/")[1] for one in found.examples} == {"5", "0"}
    assert account(played.lake, played.rules, NOTHING).waiting == played.lake.read(MARKET_EVENTS).count()
