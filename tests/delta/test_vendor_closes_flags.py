"""Daily closes of ours and of two vendors, each against each: flagged where they are apart, never repaired."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from jobs import check_quality
from lakehouse.lake import Lake
from lakehouse.quality.days import Days
from lakehouse.quality.verdicts import Verdict
from lakehouse.settings import Settings
from lakehouse.tables.gold import BARS
from tests.view_rows import bar

pytestmark = pytest.mark.itest

DAYS = tuple(date(2013, 10, day) for day in (7, 8))
OURS = (10.00, 11.00)


@pytest.fixture
def traded(listed: Lake, settings: Settings, tmp_path: Path) -> Settings:
    """Two days of X in gold.bars, and the same two days in the folders of two vendors."""
    bars = [
        bar(datetime(day.year, day.month, day.day, 13, 30, tzinfo=UTC), 390, close, interval="1d",
            bar_end=datetime(day.year, day.month, day.day, 20, tzinfo=UTC))
        for day, close in zip(DAYS, OURS, strict=True)
    ]  # fmt: skip
    listed.append(BARS, listed.spark.createDataFrame(bars, BARS.schema))
    given = {"lean_folder": str(tmp_path / "lean"), "closes_folder": str(tmp_path / "csv")}
    return settings.model_copy(update={"reference": settings.reference.model_copy(update=given)})


def lean(folder: Path, *closes: float) -> None:
    (folder / "lean" / "daily").mkdir(parents=True)
    lines = [
        f"{day:%Y%m%d} 00:00,{','.join([str(round(close * 10_000))] * 4)},100\n"
        for day, close in zip(DAYS, closes, strict=False)
    ]
    with zipfile.ZipFile(folder / "lean" / "daily" / "x.zip", "w") as archive:
        archive.writestr("x.csv", "".join(lines))


def second(folder: Path, *closes: float) -> None:
    (folder / "csv").mkdir()
    lines = [f"{day},{close},{close},{close},{close},100\n" for day, close in zip(DAYS, closes, strict=False)]
    (folder / "csv" / "X.csv").write_text("Date,Open,High,Low,Close,Volume\n" + "".join(lines), encoding="utf-8")


def flags(lake: Lake, settings: Settings, days: Days | None = None) -> dict[str, Verdict]:
    return {one.expectation: one for one in check_quality.closes(lake, settings, days or Days())}


def test_each_source_is_held_against_each_other_one_within_a_cent(
    listed: Lake, traded: Settings, tmp_path: Path
) -> None:
    lean(tmp_path, 10.01, 11.50)
    second(tmp_path, 10.02, 11.50)

    found = flags(listed, traded)

    assert {name: one.unexpected for name, one in found.items()} == {
        "closes_equal_vendor": 1, "closes_equal_second_vendor": 2, "vendors_have_equal_closes": 0,
    }  # fmt: skip
    ours = found["closes_equal_vendor"]
    assert ours.observed == "1 of 2 days disagree: X-1 on 2013-10-08 11.000000 against 11.500000"
    assert (ours.version, ours.scope, ours.blocks) == (listed.version(BARS), "whole", False)
    rows = listed.read(BARS).select("close").collect()
    assert sorted(row[0] for row in rows) == [Decimal("10"), Decimal("11")]


def test_only_days_that_both_have_and_that_were_asked_for_are_compared(
    listed: Lake, traded: Settings, tmp_path: Path
) -> None:
    lean(tmp_path, 12.00)
    second(tmp_path, 10.00, 12.00)

    found = flags(listed, traded, Days(first=DAYS[1], last=DAYS[1] + timedelta(days=9)))

    assert {name: (one.unexpected, one.observed[:11]) for name, one in found.items()} == {
        "closes_equal_vendor": (0, "0 of 0 days"), "closes_equal_second_vendor": (1, "1 of 1 days"),
        "vendors_have_equal_closes": (0, "0 of 0 days"),
    }  # fmt: skip
    assert {one.scope for one in found.values()} == {"2013-10-08 to 2013-10-17"}


def test_a_close_of_ours_without_a_price_and_a_vendor_that_is_not_set(
    listed: Lake, traded: Settings, tmp_path: Path
) -> None:
    second(tmp_path, *OURS)
    listed.delta(BARS).update("session_date = DATE '2013-10-07'", {"close": "NULL"})
    alone = traded.model_copy(update={"reference": traded.reference.model_copy(update={"lean_folder": None})})

    (found,) = flags(listed, alone).values()

    assert found.observed == "1 of 2 days disagree: X-1 on 2013-10-07 nothing against 10.000000"
