"""A lake that several modules look at and copy: playing and folding it takes many seconds, copying it none."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.lake import Lake
from lakehouse.reference.calendar import sessions_for
from lakehouse.reference.load import reference_frame
from lakehouse.tables.silver import INSTRUMENTS, SESSIONS
from tests.conftest import made_once
from tests.delta.played import Played
from tests.faults.market import market

FIRST, LAST = date(2013, 10, 7), date(2013, 10, 8)


@pytest.fixture(scope="session")
def operated(spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A market in two batches that share some records, judged while AAPL was unknown and long records were too large,
    and folded into bars. Made once a run; tests change copies only.
    """
    template = made_once(empty_lake.with_name("operated"), lambda aside: _operate(spark, empty_lake, aside))
    return Played(spark, shutil.copytree(template, tmp_path_factory.mktemp("operated") / "own"))


def _operate(spark: SparkSession, empty_lake: Path, root: Path) -> None:
    made = Played.fresh(spark, root, empty_lake)
    records = market(11, 90)
    made.play(records[:30], 0, made.strict_rules, shard="0")
    made.play(records[20:], 1, made.strict_rules, shard="1")
    made.fold(0, silver=[0, 1])


@pytest.fixture
def listed(lake: Lake) -> Lake:
    """A lake that knows the calendar and one instrument, X."""
    x = dict.fromkeys(INSTRUMENTS.column_names) | {
        "instrument_id": "X-1", "ticker": "X", "valid_from": date(2010, 1, 4), "exchange": "XNYS", "currency": "USD",
        "origin": "test", "sequence": 1,
    }  # fmt: skip
    for table, rows in ((INSTRUMENTS, [x]), (SESSIONS, sessions_for("XNYS", FIRST, LAST))):
        lake.append(table, reference_frame(lake.spark, table, rows))
    return lake
