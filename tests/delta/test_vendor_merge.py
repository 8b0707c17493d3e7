"""Vendor bars in gold.bars: a built row stays, a vendor's row is replaced only by other values."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
from pyspark.sql import functions as F

from lakehouse.lake import Lake
from lakehouse.reference.calendar import session_arrays, sessions_for
from lakehouse.tables.gold import BARS
from lakehouse.vendor import LINE, Known, VendorBars, daily_bars, merge_vendor_bars, vendor_frame


def vendor(close: int, *days: str, at: datetime = datetime(2026, 1, 5, tzinfo=UTC)) -> VendorBars:
    sessions = session_arrays(sessions_for("XNYS", date(2015, 12, 21), date(2015, 12, 31)))
    listing = {"ticker": "X", "valid_from": date(2000, 1, 3), "valid_to": None, "instrument_id": "X-1"}
    rows = [(f"{day} 00:00", close, close, close, close, 100) for day in days]
    lines = pa.table({name: list(column) for name, column in zip(LINE, zip(*rows, strict=True), strict=True)})
    return daily_bars("X", lines, Known([listing], sessions, "America/New_York", at))


def test_built_rows_win_and_vendor_rows_change_only_with_their_values(lake: Lake) -> None:
    first = vendor_frame(lake.spark, [vendor(10_000, "20151222", "20151223"), vendor(20_000, "20151224")])
    lake.append(BARS, first.withColumn("source", F.expr("if(day(session_date) = 22, 'built', source)")))

    later = datetime(2026, 1, 6, tzinfo=UTC)
    again = [vendor(10_000, "20151223", at=later), vendor(30_000, "20151222", "20151224", "20151228", at=later)]
    effects = merge_vendor_bars(lake, vendor_frame(lake.spark, again))

    rows = lake.read(BARS).orderBy("bar_start").selectExpr("day(bar_start)", "int(close)", "source", "day(updated_at)")
    assert list(map(tuple, rows.collect())) == [
        (22, 1, "built", 5), (23, 1, "vendor", 5), (24, 3, "vendor", 6), (28, 3, "vendor", 6),
    ]  # fmt: skip
    assert effects == {"1d": {"built": 1, "unchanged": 1, "changed": 1, "added": 1}}


def test_bars_that_change_nothing_and_no_bars_at_all_are_no_commit(lake: Lake) -> None:
    lake.append(BARS, vendor_frame(lake.spark, [vendor(10_000, "20151222")]))
    before = lake.version(BARS)

    later = vendor(10_000, "20151222", at=datetime(2026, 1, 6, tzinfo=UTC))
    assert merge_vendor_bars(lake, vendor_frame(lake.spark, [later])) == {"1d": {"unchanged": 1}}
    assert merge_vendor_bars(lake, vendor_frame(lake.spark, [])) == {}

    assert lake.version(BARS) == before
