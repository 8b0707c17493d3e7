"""`tickhouse detect`: whatever it takes in at once and wherever it dies, the tables are those of the batch builds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from lakehouse import crashpoints
from lakehouse.errors import CheckpointError
from lakehouse.indicators.compute import NAMES
from lakehouse.settings import Paths, Settings
from lakehouse.tables.gold import ALERTS, ANOMALIES, INDICATORS, SIGNALS
from streaming.detect import flags, series, step, watch
from tests.alert_doubles import an_alert
from tests.delta.detected import Exchange, a_print, contents, cut, tape
from tests.faults.pipeline import Crash

pytestmark = pytest.mark.itest
CRASHES = [point for point in crashpoints.POINTS if point.startswith("detect.")]


def settings_below(root: Path) -> Settings:
    """Settings whose every path lies below a folder."""
    return Settings.model_validate({"paths": {name: str(root / name) for name in Paths.model_fields}})


@pytest.fixture(scope="module")
def played(spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Exchange:
    """An exchange whose last session has come to gold.bars in eight batches."""
    made = Exchange.fresh(spark, empty_lake, settings_below(tmp_path_factory.mktemp("played")))
    made.play(cut(tape(), 180))
    return made


@pytest.fixture(scope="module")
def in_batch(played: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Exchange:
    """The same after the batch builds."""
    made = played.copy(tmp_path_factory.mktemp("batch"))
    made.build_in_batch()
    return made


def assert_same_tables(one: Exchange, other: Exchange) -> None:
    ours, theirs = (contents(each.lake, INDICATORS, without=["computed_at"]) for each in (one, other))
    assert ours.num_rows == theirs.num_rows > 0
    plain = [name for name in ours.column_names if name not in NAMES]
    assert ours.select(plain).equals(theirs.select(plain))
    for name in NAMES:
        np.testing.assert_allclose(ours[name].to_numpy(), theirs[name].to_numpy(), rtol=1e-9, atol=1e-9, err_msg=name)
    ours, theirs = (contents(each.lake, SIGNALS) for each in (one, other))
    assert ours.select([*SIGNALS.key, "direction"]).equals(theirs.select([*SIGNALS.key, "direction"]))
    assert theirs.num_rows > 0
    ours, theirs = (contents(each.lake, ANOMALIES) for each in (one, other))
    assert ours.equals(theirs)
    assert theirs.num_rows > 0


def alerts_of(exchange: Exchange) -> set[tuple[str, str, str]]:
    rows = exchange.lake.read(ALERTS).select("alert_id", "rule", "text").collect()
    return {tuple(row) for row in rows}


def test_one_step_gives_what_the_batch_builds_give(played: Exchange, in_batch: Exchange, tmp_path: Path) -> None:
    live = played.copy(tmp_path)

    live.detect()

    assert_same_tables(live, in_batch)
    expected = {(alert.alert_id, alert.rule, alert.text) for alert in in_batch.dry_run()}
    assert {rule for _, rule, _ in expected} == {"jump", "surge", "cross", "odd", "loss"}
    assert alerts_of(live) == expected
    assert sorted(alert.alert_id for alert in live.told) == sorted(one for one, _, _ in expected)


@pytest.mark.nightly
def test_any_steps_and_restarts_give_the_same(
    spark: SparkSession, empty_lake: Path, in_batch: Exchange, tmp_path: Path
) -> None:
    live = Exchange.fresh(spark, empty_lake, settings_below(tmp_path))
    batches = cut(tape(), 180)

    for number, rows in enumerate(batches):
        live.play([rows], first=number)
        if number % 3 != 2:
            live.detect(prints=1, keep_open=True)
    live.detect(prints=1)

    assert_same_tables(live, in_batch)
    assert alerts_of(live) == {(alert.alert_id, alert.rule, alert.text) for alert in in_batch.dry_run()}
    assert len(live.told) == len(alerts_of(live))


@contextmanager
def death_at(point: str) -> Iterator[None]:
    """The process dies when it passes this crash point."""

    def die(name: str) -> None:
        if name == point:
            raise Crash(name)

    with pytest.MonkeyPatch.context() as patch:
        for module in (flags, series, step, watch):
            patch.setattr(module, "crashpoint", die)
        with pytest.raises(Crash):
            yield


def test_a_detector_that_dies_at_every_point_loses_nothing_and_tells_nothing_twice(
    played: Exchange, in_batch: Exchange, tmp_path: Path
) -> None:
    live = played.copy(tmp_path)

    for point in CRASHES:
        with death_at(point):
            live.detect(prints=1)
    live.detect()

    assert_same_tables(live, in_batch)
    ids = {alert.alert_id for alert in in_batch.dry_run()}
    assert {one for one, _, _ in alerts_of(live)} == ids == {alert.alert_id for alert in live.told}


def test_late_prints_and_cancels_bring_older_rows_up_to_date(
    spark: SparkSession, empty_lake: Path, tmp_path: Path
) -> None:
    live = Exchange.fresh(spark, empty_lake, settings_below(tmp_path / "live"))
    rows = tape()
    early = next(row for row in rows if row["symbol"] == "A" and row["traded_at"].minute == 3)
    started_ms = round(rows[0]["traded_at"].timestamp() * 1000)
    late = [
        a_print("I-A", started_ms + 610_000, 120.0, 5.0, trade_id="late", delay_ms=2_400_000),
        a_print("I-D", started_ms + 660_000, 50.0, 900.0, trade_id="late-d", delay_ms=2_400_000),
        a_print(
            "I-A", started_ms + 3_000_000, 1.0, 1.0, trade_id="off", delay_ms=10, kind="cancel", ref=early["trade_id"]
        ),
    ]

    live.play([rows[:1200]])
    live.detect(keep_open=True)
    live.play([[*late, *rows[1200:]]], first=1)
    live.detect()

    batch = live.copy(tmp_path / "batch")
    batch.build_in_batch()
    assert_same_tables(live, batch)


def test_a_lost_checkpoint_is_refused_and_a_replay_tells_nothing_anew(played: Exchange, tmp_path: Path) -> None:
    live = played.copy(tmp_path)
    live.detect()
    told, tables = len(live.told), [contents(live.lake, table) for table in (INDICATORS, ANOMALIES)]
    shutil.rmtree(live.settings.paths.checkpoints)

    with pytest.raises(CheckpointError, match="detect"):
        live.detect()
    live.detect(allow_replay=True, told=lambda: [an_alert(1)])  # the fast lane's

    assert {alert.alert_id for alert in live.told[told:]} == {alert.alert_id for alert in live.told[:told]}
    assert len(alerts_of(live)) == told + 1
    assert [contents(live.lake, table).num_rows for table in (INDICATORS, ANOMALIES)] == [
        one.num_rows for one in tables
    ]
