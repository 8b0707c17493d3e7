"""Files of daily closes, TICKER.csv: every whole line is read as it stands, and what is no such file is refused."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.errors import SettingsError
from lakehouse.vendor import LINE
from lakehouse.vendor_closes import read_csv_lines

HEAD = "Date,Open,High,Low,Close,Volume\n"
FIRST = date(2026, 3, 2)
TICKS = st.integers(1, 50_000_000)


@settings(max_examples=40)
@given(rows=st.lists(st.tuples(st.tuples(TICKS, TICKS, TICKS, TICKS), st.integers(0, 10**10)), min_size=1, max_size=9))
def test_prices_are_read_to_the_ten_thousandth_of_a_dollar(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[tuple[int, ...], int]]
) -> None:
    path = tmp_path_factory.mktemp("closes") / "X.csv"
    days = [FIRST + timedelta(days=at) for at in range(len(rows))]
    lines = [
        f"{day},{','.join(f'{tick / 10_000:.4f}' for tick in ticks)},{volume}\n"
        for day, (ticks, volume) in zip(days, rows, strict=True)
    ]
    path.write_text(HEAD + "".join(lines), encoding="utf-8")

    found = read_csv_lines(path)

    assert found.column_names == list(LINE)
    assert found["stamp"].to_pylist() == [f"{day:%Y%m%d} 00:00" for day in days]
    assert [tuple(row[name] for name in LINE[1:5]) for row in found.to_pylist()] == [ticks for ticks, _ in rows]
    assert found["volume"].to_pylist() == [volume for _, volume in rows]


def test_days_without_a_price_are_left_out_and_other_columns_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "X.csv"
    path.write_text(
        "Open,Date,High,Low,Close,Adj Close,Volume\n1.5,2026-03-02,2,1,1.25,9,7.0\n,2026-03-03,,,,,\n", encoding="utf-8"
    )

    assert read_csv_lines(path).to_pylist() == [
        {"stamp": "20260302 00:00", "open": 15_000, "high": 20_000, "low": 10_000, "close": 12_500, "volume": 7}
    ]


@pytest.mark.parametrize(
    "text", ["", "Date,Close\n2026-03-02,1\n", f"{HEAD}03/02/2026,1,1,1,1,1\n", f"{HEAD}2026-03-02,1,1,1,dear,1\n"]
)
def test_what_is_no_such_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "X.csv"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError, match=r"X\.csv: expected a CSV file with a line a day"):
        read_csv_lines(path)
