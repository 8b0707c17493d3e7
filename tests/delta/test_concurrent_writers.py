"""Two writers on one table, should a lease ever fail to keep them apart: conflicts are loud, and rows stay exact."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse import maintenance
from lakehouse.lake import Lake
from lakehouse.maintenance import LOST_RACES, pack_small_files
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import TRADES
from streaming import bars
from streaming.bars import bars_batch, first_state
from streaming.batches import BatchName
from streaming.rules import bar_rules
from tests.faults.corpus import ARRIVED_MS
from tests.faults.market import Record, raw_records
from tests.faults.pipeline import NOW, Direct, harness_lake, settings_in

PRINTS, WRITERS = 20, 3


@pytest.fixture(scope="module")
def direct(spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Direct:
    """Twenty prints of one second in silver, and no bars."""
    root = tmp_path_factory.mktemp("writers")
    found = Direct(harness_lake(spark, empty_lake, root / "lake"), settings_in(root))
    prints = [
        {"s": "AAPL", "p": 229.5, "v": 100, "id": f"k{number}", "t": ARRIVED_MS - 200, "seq": number}
        for number in range(PRINTS)
    ]
    text = json.dumps({"type": "trade", "feed": "sim", "data": prints}).encode()
    found.refine(raw_records([Record(ARRIVED_MS, text)], shard="0"), 0)
    return found


def trades_in_bars(lake: Lake) -> int:
    return sum(row[0] for row in lake.read(BARS).where("interval = '1s'").select("trades").collect())


@pytest.mark.itest
def test_of_writers_that_merge_at_once_each_is_whole_or_fails_clearly_and_may_be_repeated(
    direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(WRITERS)
    monkeypatch.setattr(bars, "crashpoint", lambda point: point == "bars.before_merge" and together.wait(60))

    def fold(writer: int) -> Exception | None:
        lake = Lake(direct.lake.spark.newSession(), direct.lake.root)
        prints, rules = lake.read(TRADES), bar_rules(direct.rules, direct.settings)
        name = BatchName(f"writer{writer}", 0, 0)
        try:
            bars_batch(lake, prints, rules, name, first_state(lake), now=NOW)
        except LOST_RACES as error:
            return error
        return None

    with ThreadPoolExecutor(WRITERS) as pool:
        errors = list(pool.map(fold, range(WRITERS)))

    done = errors.count(None)
    assert done >= 1
    assert all("[DELTA_CONCURRENT" in str(error) for error in errors if error is not None)
    assert trades_in_bars(direct.lake) == done * PRINTS

    monkeypatch.setattr(bars, "crashpoint", lambda _: None)
    assert [fold(writer) for writer in range(WRITERS)] == [None] * WRITERS
    assert trades_in_bars(direct.lake) == WRITERS * PRINTS


@pytest.mark.itest
def test_upkeep_that_loses_a_race_says_so_and_leaves_the_stream_running(
    direct: Direct, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lose(_: Lake, table: object) -> int:
        raise LOST_RACES[0]("a rival was first")

    monkeypatch.setattr(maintenance, "compact", lose)

    with caplog.at_level(logging.WARNING):
        pack_small_files(direct.lake)

    assert [record.getMessage() for record in caplog.records] == [
        "silver.trades: small files stay as they are until the next pass (a rival was first)."
    ]
