"""Cancels and corrections: every story ends as told by hand, however the batches fall, and the oracle sees when not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakehouse import whole_days
from lakehouse.lake import Lake
from streaming import bars
from streaming.rules import bar_rules
from tests.faults import stories
from tests.faults.oracle import actual_bars
from tests.faults.pipeline import NOW, Direct, harness_lake, settings_in


@pytest.fixture(scope="module")
def silver(spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Direct:
    """All stories refined in three batches; gold is still empty. Tests take a copy."""
    root = tmp_path_factory.mktemp("stories")
    settings = settings_in(root)
    told = Direct(harness_lake(spark, empty_lake, Path(settings.paths.warehouse)), settings)
    for number, records in enumerate(stories.batches()):
        told.refine(records, number)
    return told


@pytest.fixture
def told(silver: Direct, tmp_path: Path) -> Direct:
    """A copy of the refined stories of the test's own."""
    shutil.copytree(silver.lake.root, tmp_path / "lake")
    return Direct(Lake(silver.lake.spark, str(tmp_path / "lake")), silver.settings, fed=silver.fed)


def assert_well_told(told: Direct) -> None:
    assert stories.ends(actual_bars(told.lake.root)) == stories.told()
    assert told.differences() == []


def test_every_story_ends_as_told_batch_by_batch_and_a_repeated_batch_changes_nothing(told: Direct) -> None:
    told.fold(0, silver=[0])
    told.fold(1, silver=[1])
    told.restart_bars()
    told.fold(1, silver=[1])
    told.fold(2, silver=[2])

    assert_well_told(told)


def test_every_story_ends_as_told_when_all_comes_in_one_batch(told: Direct) -> None:
    told.fold(0, silver=[0, 1, 2])

    assert_well_told(told)


@pytest.mark.itest
def test_rows_a_recompute_already_holds_are_not_counted_again_when_they_are_streamed(told: Direct) -> None:
    told.fold(0, silver=[0])
    recompute_through(told, 1)
    told.restart_bars()
    told.fold(1, silver=[1])
    told.fold(2, silver=[2])

    assert_well_told(told)


@pytest.mark.parametrize("most", [pytest.param(1, marks=pytest.mark.itest), 1_000_000])
def test_a_rebuild_alone_ends_as_told_however_many_files_a_task_opens(
    told: Direct, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_days, "PRINTS_A_TASK", most)
    told.lake.files.write_text(f"{told.lake.root}/_staging/left-by-a-dead-rebuild/own-00000", "")

    recompute_through(told, 2)

    assert_well_told(told)
    assert told.lake.files.names(f"{told.lake.root}/_staging") == []


def recompute_through(told: Direct, batch: int) -> None:
    days = [date(2024, 11, 26), date(2024, 11, 27)]
    whole_days.rebuild_bars(told.lake, days, batch, bar_rules(told.rules, told.settings), now=NOW, tasks=1)


@pytest.mark.itest
def test_cancels_merged_instead_of_recomputed_are_caught(told: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "stale_days", lambda *_: [])

    told.fold(0, silver=[0, 1, 2])

    assert any("gold.bars" in line for line in told.differences())


@pytest.mark.itest
def test_a_recompute_whose_reach_is_ignored_is_caught(told: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "held_bars", lambda *_: ())

    recompute_through(told, 2)
    told.restart_bars()
    told.fold(0, silver=[2])

    assert any("gold.bars" in line for line in told.differences())


@pytest.mark.itest
def test_bars_merged_without_a_transaction_name_are_caught(told: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "merge_bars", without_transaction(bars.merge_bars))

    told.fold(0, silver=[0])
    told.fold(0, silver=[0])

    assert any("gold.bars" in line for line in told.differences())


def without_transaction(merge: Callable[..., None]) -> Callable[..., None]:
    def merged(lake: Lake, rows: DataFrame, _transaction: object, **more: object) -> None:
        merge(lake, rows, {}, **more)

    return merged
