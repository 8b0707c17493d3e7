"""Bars as people and spreadsheets see them."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import Row
from rich.console import Console

from jobs.bars import FORMULA_STARTS, HEADER, as_grid, cells, safe_cell, write_csv

NEW_YORK = ZoneInfo("America/New_York")
START_MS = 1_710_167_400_000  # 2024-03-11 14:30 UTC, 10:30 in New York: clocks went forward the day before
BAR = Row(
    symbol="BRK.B", interval="1m", session="regular", open=Decimal("100.500000"), high=Decimal("101.000000"),
    low=Decimal("100.000000"), close=None, volume=Decimal("1200.250000"), vwap=100.6123456789, trades=12, revision=0,
    source="built", start_ms=START_MS, end_ms=START_MS + 60_000, final_ms=START_MS + 70_000,
)  # fmt: skip


def test_a_bar_is_shown_in_the_exchanges_time_and_in_utc_with_its_numbers_in_full() -> None:
    now = datetime(2024, 3, 11, 14, 31, 9, tzinfo=UTC)

    found = dict(zip(HEADER, cells(BAR, NEW_YORK, now), strict=True))

    assert (found["start"], found["start_utc"]) == ("2024-03-11 10:30:00", "2024-03-11T14:30:00Z")
    assert found["end_utc"] == "2024-03-11T14:31:00Z"
    assert [found[name] for name in ("open", "high", "close", "volume", "vwap", "trades")] == [
        "100.5", "101", "", "1200.25", "100.612346", "12",
    ]  # fmt: skip
    assert found["final"] == "no"
    assert cells(BAR, NEW_YORK, datetime(2024, 3, 11, 14, 31, 10, tzinfo=UTC))[-1] == "yes"


@settings(max_examples=60)
@given(st.lists(st.text(st.characters(exclude_characters="\r"), max_size=8), min_size=1, max_size=4))
def test_no_cell_of_the_csv_can_start_a_formula_and_every_text_is_still_in_it(texts: list[str]) -> None:
    out = io.StringIO()
    write_csv([texts], out)

    header, *rows = csv.reader(io.StringIO(out.getvalue(), newline=""))

    assert header == list(HEADER)
    assert [
        cell.removeprefix("'") if cell[1:] == text else cell for cell, text in zip(rows[0], texts, strict=True)
    ] == texts
    assert not any(cell.startswith(FORMULA_STARTS) for cell in rows[0])


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_is_defused(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


def test_the_grid_holds_a_row_for_each_bar_with_times_of_day() -> None:
    drawn = io.StringIO()
    lines = [cells(BAR, NEW_YORK, datetime(2024, 3, 12, tzinfo=UTC))]

    Console(file=drawn, width=160).print(as_grid(lines, "BRK.B 1m"))

    assert "10:30:00" in drawn.getvalue()
    assert "14:30:00Z" in drawn.getvalue()
    assert "1200.25" in drawn.getvalue()
