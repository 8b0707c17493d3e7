"""gold.bars against silver and a vendor: silent where they agree, exact about what differs, patient with the stream."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs import build_bars, compare_bars
from lakehouse.compare import compare_with_vendor, reach_of
from lakehouse.tables.gold import BAR_DIFFERENCES, BARS
from lakehouse.tables.silver import TRADES
from streaming import consumed
from streaming.consumed import NOTHING, consumed_batch, consumed_version, fully_read
from tests.delta.played import Played, more_market
from tests.faults.harness import forget_last_commit
from tests.faults.market import market
from tests.faults.oracle import actual_bars, differences
from tests.faults.pipeline import NOW

EVER = (date.min, date.max)


@pytest.fixture(scope="module")
def folded(spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A market in two batches, both folded into bars. Tests take copies."""
    found = Played.fresh(spark, tmp_path_factory.mktemp("folded"), empty_lake)
    records = market(11, 90)
    found.play(records[:25], 0, found.rules, shard="0")
    found.play(records[25:], 1, found.rules, shard="1")
    found.direct.fold(0, silver=[0, 1])
    return found


def compare(played: Played, consumed_through: int, monkeypatch: pytest.MonkeyPatch) -> compare_bars.Report:
    """The comparison as the job runs it, with the bars query having consumed silver up to a batch."""
    monkeypatch.setattr(compare_bars, "consumed_batch", lambda *_: consumed_through)
    return compare_bars.compare(played.lake, played.settings, compare_bars.against_silver, *EVER)


def test_bars_that_equal_the_recompute_show_no_difference(folded: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    report = compare(folded, 1, monkeypatch)

    assert report.by_field == Counter()
    assert report.waiting == 0
    assert report.bars == folded.lake.read(BARS).count() > 200


def test_each_field_that_differs_is_named_and_so_is_a_bar_that_only_one_side_has(
    folded: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = folded.copy(tmp_path)
    keys = (
        played.lake.read(BARS).where("interval = '1m'").orderBy("bar_start", "instrument_id").select(*BARS.key).take(3)
    )
    of = [" AND ".join(f"{name} = '{value}'" for name, value in key.asDict().items()) for key in keys]
    bars = played.lake.delta(BARS)
    bars.update(of[0], {"volume": "volume + 1", "late_prints": "late_prints + 2", "updated_at": "bar_start"})
    bars.delete(of[1])
    bars.update(of[2], {"instrument_id": F.lit("I-NOBODY")})

    report = compare(played, 1, monkeypatch)

    assert report.by_field == Counter({"row": 3, "volume": 1, "late_prints": 1})
    stored = played.lake.read(BAR_DIFFERENCES).where("against = 'silver'")
    assert stored.where("field = 'row' AND ours IS NULL").count() == 2
    assert stored.where("field = 'row' AND theirs IS NULL AND instrument_id = 'I-NOBODY'").count() == 1
    (volume,) = stored.where("field = 'volume'").selectExpr("CAST(ours AS DOUBLE) - CAST(theirs AS DOUBLE)").collect()
    assert volume[0] == 1


def test_bars_of_prints_not_folded_yet_wait_and_are_no_differences(
    folded: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = folded.copy(tmp_path)
    calm = [one for one in more_market(12, 40) if b'"kind"' not in one.payload and b'"v"' in one.payload]
    played.play(calm, 2, played.rules, shard="2")

    patient = compare(played, 1, monkeypatch)
    mistaken = compare(played, 2, monkeypatch)

    assert patient.by_field == Counter()
    assert patient.waiting > 20
    assert patient.bars > 0
    assert mistaken.by_field["row"] > 0


def test_a_date_waits_whole_while_a_cancel_about_it_is_not_folded(
    folded: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = folded.copy(tmp_path)
    row = played.lake.read(TRADES).where("kind = 'trade' AND session = 'regular'").orderBy("trade_id").first()
    assert row is not None
    cancel = row.asDict() | {
        "kind": "cancel", "trade_id": "c1", "ref_trade_id": row["trade_id"], "ref_session_date": row["session_date"],
        "batch": 2,
    }  # fmt: skip
    played.lake.append(TRADES, played.lake.spark.createDataFrame([cancel], TRADES.schema))

    report = compare(played, 1, monkeypatch)

    of_that_date = played.lake.read(BARS).where(F.col("session_date") == F.lit(row["session_date"])).count()
    assert report.by_field == Counter()
    assert report.waiting == of_that_date > 0


def test_rebuilt_bars_equal_the_oracle_and_need_no_stream_to_be_compared(
    folded: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = folded.copy(tmp_path)
    played.lake.delta(BARS).update("interval = '1m'", {"volume": "volume + 7"})
    played.play(more_market(12, 40), 2, played.rules, shard="2")

    days = build_bars.build(played.lake, played.settings, *EVER)

    assert differences(played.expected().bars, actual_bars(played.lake.root)) == []
    assert played.lake.read(BARS).where("through_batch = 2").count() == played.lake.read(BARS).count()
    report = compare(played, NOTHING, monkeypatch)
    assert (report.by_field, report.waiting) == (Counter(), 0)
    assert len(days) > 2
    played.direct.restart_bars()
    played.direct.fold(1, silver=[2])
    assert differences(played.expected().bars, actual_bars(played.lake.root)) == []


def test_a_range_of_dates_is_rebuilt_and_the_rest_is_left_alone(folded: Played, tmp_path: Path) -> None:
    played = folded.copy(tmp_path)
    played.lake.delta(BARS).update("interval = '1m'", {"volume": "volume + 7"})
    first = played.lake.read(BARS).agg(F.min("session_date")).collect()[0][0]

    assert build_bars.build(played.lake, played.settings, first, first, dry_run=True) == [first]
    assert build_bars.build(played.lake, played.settings, first, first) == [first]

    rebuilt = {row[0] for row in played.lake.read(BARS).where("through_batch = 1").select("session_date").collect()}
    assert rebuilt == {first}
    assert reach_of(played.lake, NOTHING).rebuilt[first] == 1


def test_a_vendors_close_is_compared_on_the_days_both_have(folded: Played) -> None:
    daily = folded.lake.read(BARS).where("interval = '1d'").orderBy(*BARS.key)
    count = daily.count()
    vendor = daily.withColumn("close", F.expr("CASE WHEN instrument_id = 'I-AAPL' THEN close + 0.01 ELSE close END"))
    shifted = vendor.where("instrument_id <> 'I-BRK'").union(
        vendor.where("instrument_id = 'I-BRK'").withColumn("bar_start", F.expr("bar_start - INTERVAL 400 DAYS"))
    )

    found = compare_with_vendor(folded.lake, shifted, *EVER, now=NOW)

    brk, aapl = (daily.where(f"instrument_id = '{one}' AND close IS NOT NULL").count() for one in ("I-BRK", "I-AAPL"))
    assert found.bars == count - daily.where("instrument_id = 'I-BRK'").count() < count
    assert brk > 0 < aapl == found.differences.where("field = 'close' AND instrument_id = 'I-AAPL'").count()
    assert found.differences.count() == aapl


def test_what_a_query_has_consumed_is_read_from_its_last_committed_batch(folded: Played, tmp_path: Path) -> None:
    played = folded.copy(tmp_path)
    checkpoint = tmp_path / "checkpoint"

    def read_all() -> None:
        rows = played.lake.spark.readStream.format("delta").load(played.lake.path(TRADES))
        writer = rows.writeStream.option("checkpointLocation", str(checkpoint)).trigger(availableNow=True)
        writer.foreachBatch(lambda *_: None).start().awaitTermination()

    assert consumed_version(played.lake, str(checkpoint)) == NOTHING
    read_all()
    first = played.lake.version(TRADES)
    played.play(more_market(12, 20), 2, played.rules, shard="2")
    assert consumed_version(played.lake, str(checkpoint)) == first
    assert consumed_batch(played.lake, str(checkpoint)) == 1
    read_all()
    assert consumed_batch(played.lake, str(checkpoint)) == 2

    forget_last_commit(checkpoint)

    assert consumed_batch(played.lake, str(checkpoint)) == 1


def test_a_first_snapshot_that_is_half_read_counts_for_nothing() -> None:
    assert fully_read({"reservoirVersion": 7, "index": 3, "isStartingVersion": True}) == consumed.NOTHING
    assert fully_read({"reservoirVersion": 7, "index": 3, "isStartingVersion": False}) == 6
    assert fully_read({"reservoirVersion": 7, "index": -1, "isStartingVersion": False}) == 6
