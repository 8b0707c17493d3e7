"""gold.bars against silver and a vendor: silent where they agree, exact about what differs, patient with the stream."""

from __future__ import annotations

import zipfile
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from jobs import build_bars, compare_bars
from lakehouse.compare import NOTHING, PRINTS_AT_ONCE, Reach, compare_with_vendor, differences_in, reach_of
from lakehouse.tables.gold import BAR_DIFFERENCES, BARS
from lakehouse.tables.silver import TRADES
from streaming.consumed import consumed_batch, consumed_version, fully_read
from tests.delta.played import Played, more_market
from tests.faults.harness import forget_last_commit
from tests.faults.oracle import actual_bars, differences
from tests.faults.pipeline import NOW

EVER = (date.min, date.max)


def compare(played: Played, consumed_through: int, monkeypatch: pytest.MonkeyPatch) -> compare_bars.Report:
    """The comparison as the job runs it, with the bars query having consumed silver up to a batch."""
    monkeypatch.setattr(compare_bars, "consumed_batch", lambda *_: consumed_through)
    return compare_bars.compare(played.lake, played.settings, "silver", *EVER)


def test_bars_that_equal_the_recompute_show_no_difference(operated: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    report = compare(operated, 1, monkeypatch)

    assert report.by_field == Counter()
    assert report.waiting == 0
    assert report.bars == operated.lake.read(BARS).count() > 50


@pytest.mark.itest
def test_each_field_that_differs_is_named_and_so_is_a_bar_that_only_one_side_has(
    operated: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = operated.copy(tmp_path)
    minutes = played.lake.read(BARS).where("interval = '1m'").orderBy(*BARS.key).select(*BARS.key).take(2)
    changed, renamed = (" AND ".join(f"{name} = '{value}'" for name, value in one.asDict().items()) for one in minutes)
    bars = played.lake.delta(BARS)
    bars.update(changed, {"volume": "volume + 1", "late_prints": "late_prints + 2", "updated_at": "bar_start"})
    bars.update(renamed, {"instrument_id": F.lit("I-NOBODY")})

    report = compare(played, 1, monkeypatch)

    assert report.by_field == Counter({"row": 2, "volume": 1, "late_prints": 1})
    stored = {(row["field"], row["instrument_id"]): row for row in played.lake.read(BAR_DIFFERENCES).collect()}
    assert {row["against"] for row in stored.values()} == {"silver"}
    assert stored["row", "I-NOBODY"]["theirs"] is None
    assert stored["row", minutes[1]["instrument_id"]]["ours"] is None
    volume = stored["volume", minutes[0]["instrument_id"]]
    assert Decimal(volume["ours"]) - Decimal(volume["theirs"]) == 1
    assert len(report.examples) == 4


@pytest.mark.itest
def test_bars_of_prints_not_folded_yet_wait_and_are_no_differences(
    operated: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = operated.copy(tmp_path)
    calm = [one for one in more_market(12, 40) if b'"kind"' not in one.payload and b'"v"' in one.payload]
    played.play(calm, 2, played.strict_rules, shard="2")

    patient = compare(played, 1, monkeypatch)
    mistaken = compare(played, 2, monkeypatch)

    assert patient.by_field == Counter()
    assert patient.waiting > 5
    assert patient.bars > 0
    assert mistaken.by_field["row"] > 0


@pytest.mark.itest
def test_a_date_waits_whole_while_a_cancel_about_it_is_not_folded(
    operated: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = operated.copy(tmp_path)
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


@pytest.mark.itest
def test_rebuilt_bars_equal_the_oracle_and_need_no_stream_to_be_compared(
    operated: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = operated.copy(tmp_path)
    played.lake.delta(BARS).update("interval = '1m'", {"volume": "volume + 7"})
    played.play(more_market(12, 40), 2, played.strict_rules, shard="2")

    days = build_bars.build(played.lake, played.settings, *EVER)

    assert differences(played.expected_strictly().bars, actual_bars(played.lake.root)) == []
    assert played.lake.read(BARS).where("through_batch = 2").count() == played.lake.read(BARS).count()
    report = compare(played, NOTHING, monkeypatch)
    assert (report.by_field, report.waiting) == (Counter(), 0)
    assert len(days) > 2
    played.fold(1, silver=[2])
    assert differences(played.expected_strictly().bars, actual_bars(played.lake.root)) == []


@pytest.mark.itest
def test_a_range_of_dates_is_rebuilt_and_the_rest_is_left_alone(operated: Played, tmp_path: Path) -> None:
    played = operated.copy(tmp_path)
    played.lake.delta(BARS).update("interval = '1m'", {"volume": "volume + 7"})
    first = played.lake.read(BARS).agg(F.min("session_date")).collect()[0][0]

    assert build_bars.build(played.lake, played.settings, first, first, dry_run=True) == [first]
    assert build_bars.build(played.lake, played.settings, first, first) == [first]

    rebuilt = {row[0] for row in played.lake.read(BARS).where("through_batch = 1").select("session_date").collect()}
    assert rebuilt == {first}
    assert reach_of(played.lake, NOTHING).rebuilt[first] == 1


def test_a_vendors_close_is_compared_on_the_days_both_have(operated: Played) -> None:
    rows = operated.lake.read(BARS).where("interval = '1d' AND close IS NOT NULL").orderBy(*BARS.key).collect()
    other, missing = rows[0], rows[1]
    dearer = [row.asDict() | {"close": row["close"] + (row is other)} for row in rows if row is not missing]
    elsewhere = missing.asDict() | {"bar_start": missing["bar_start"] - timedelta(days=400)}
    vendor = operated.lake.spark.createDataFrame([*dearer, elsewhere], BARS.schema)

    compared = compare_with_vendor(operated.lake, vendor, *EVER)

    assert compared.count() == len(rows) - 1
    (found,) = differences_in(compared, against="vendor", now=NOW).collect()
    assert (found["field"], found["instrument_id"], found["bar_start"]) == ("close", other[0], other["bar_start"])


def test_the_job_reads_the_vendors_closes_from_his_files_and_reports_what_differs(
    operated: Played, tmp_path: Path
) -> None:
    played = operated.copy(tmp_path)
    ours = played.lake.read(BARS).where("interval = '1d' AND symbol = 'BRK.B' AND close IS NOT NULL").first()
    assert ours is not None
    dearer = int((ours["close"] + 1) * 10_000)
    (tmp_path / "lean" / "daily").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "lean" / "daily" / "brk.b.zip", "w") as archive:
        archive.writestr("brk.b.csv", f"{ours['session_date']:%Y%m%d} 00:00,{','.join([str(dearer)] * 4)},100\n")
    given = played.settings.reference.model_copy(update={"lean_folder": str(tmp_path / "lean")})
    settings = played.settings.model_copy(update={"reference": given})

    report = compare_bars.compare(played.lake, settings, "vendor", *EVER)

    assert (report.bars, report.by_field) == (1, Counter({"close": 1}))
    (stored,) = played.lake.read(BAR_DIFFERENCES).collect()
    assert (stored["against"], Decimal(stored["theirs"])) == ("vendor", Decimal(dearer) / 10_000)


def test_what_a_query_has_consumed_is_read_from_its_last_committed_batch(operated: Played, tmp_path: Path) -> None:
    played = operated.copy(tmp_path)
    checkpoint = tmp_path / "checkpoint"

    def read_all() -> None:
        rows = played.lake.spark.readStream.format("delta").load(played.lake.path(TRADES))
        writer = rows.writeStream.option("checkpointLocation", str(checkpoint)).trigger(availableNow=True)
        writer.foreachBatch(lambda *_: None).start().awaitTermination()

    assert consumed_version(played.lake, str(checkpoint)) == NOTHING
    read_all()
    first = played.lake.version(TRADES)
    played.play(more_market(12, 20), 2, played.strict_rules, shard="2")
    assert consumed_version(played.lake, str(checkpoint)) == first
    assert consumed_batch(played.lake, str(checkpoint)) == 1
    read_all()
    assert consumed_batch(played.lake, str(checkpoint)) == 2

    forget_last_commit(checkpoint)

    assert consumed_batch(played.lake, str(checkpoint)) == 1


def test_a_first_snapshot_that_is_half_read_counts_for_nothing() -> None:
    assert fully_read({"reservoirVersion": 7, "index": 3, "isStartingVersion": True}) == NOTHING
    assert fully_read({"reservoirVersion": 7, "index": 3, "isStartingVersion": False}) == 6
    assert fully_read({"reservoirVersion": 7, "index": -1, "isStartingVersion": False}) == 6


def test_dates_are_recomputed_together_where_they_are_equally_far_folded_and_small_enough() -> None:
    days = [date(2024, 3, number) for number in range(1, 7)]
    half = PRINTS_AT_ONCE // 2
    reach = Reach(
        gold_version=0, consumed=4, reached=9, rebuilt={days[1]: 9, days[4]: 20, days[5]: 3},
        prints={days[0]: half, days[1]: 1, days[2]: half, days[3]: 1, days[4]: 2 * PRINTS_AT_ONCE},
    )  # fmt: skip

    found = reach.stretches(reach.dates(days[0], date.max))

    assert found == [[days[0], days[2]], [days[3], days[5]], [days[1]], [days[4]]]
    assert reach.dates(days[1], days[2]) == days[1:3]
