"""`tickhouse detect`: whatever it takes in at once and wherever it dies, the tables are those of the batch builds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from lakehouse.indicators.compute import NAMES
from lakehouse.settings import Paths, Settings
from lakehouse.tables.gold import ALERTS, ANOMALIES, INDICATORS, SIGNALS
from tests.delta.detected import Exchange, contents, cut, tape


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
