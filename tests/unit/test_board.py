"""The board of `tickhouse watch`: last price, change over splits, shares, and what the page shows of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from jobs import watch
from jobs.cli import OK
from lakehouse.arrow_frames import ARROW_TYPES
from lakehouse.errors import TableError
from lakehouse.tables import Table
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import CORPORATE_ACTIONS
from serving.board import SPARK_LINE, read_board, sparkline

DAY, BEFORE = date(2014, 6, 9), date(2014, 6, 6)
OPENS = datetime(2014, 6, 9, 13, 30, tzinfo=UTC)
ZEROS = {"string": "", "bigint": 0, "int": 0, "boolean": False, "double": 0.0, "date": DAY, "timestamp": OPENS}


def write(root: Path, table: Table, rows: list[dict[str, Any]]) -> None:
    """Rows of a table, columns not given at nothing."""
    nothing = {column.name: None if column.nullable else ZEROS.get(column.type, Decimal(0)) for column in table.columns}
    schema = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in table.columns])
    filled = [nothing | row for row in rows]
    write_deltalake(f"{root}/{table.layer.value}/{table.name}", pa.Table.from_pylist(filled, schema), mode="append")


def bar(interval: str, minute: int, close: float | None, *, symbol: str = "AAPL", **more: Any) -> dict[str, Any]:
    start = OPENS + timedelta(minutes=minute)
    length = timedelta(seconds=1 if interval == "1s" else 60)
    price = None if close is None else Decimal(str(close))
    given = {
        "instrument_id": f"{symbol}-1", "symbol": symbol, "interval": interval, "bar_start": start,
        "bar_end": start + length, "session_date": DAY, "open": price, "close": price, "volume": Decimal(100),
        "trades": 2,
    }  # fmt: skip
    return given | more


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Two minutes of AAPL on the day of its 7:1 split and one of IBM, whose day before is not known."""
    rows = [
        bar("1d", 0, 700.0, session_date=BEFORE), bar("1m", 0, 98.0, late_prints=1), bar("1m", 1, 101.0),
        bar("1m", 2, None), bar("1s", 1, 102.0), bar("1m", 0, 180.0, symbol="IBM"),
        bar("1m", 1, 171.0, symbol="IBM"),
    ]  # fmt: skip
    write(tmp_path, BARS, rows)
    split = {"instrument_id": "AAPL-1", "action": "split", "effective_date": DAY, "ratio": Decimal(7)}
    old = split | {"effective_date": date(2005, 2, 28), "ratio": Decimal(2)}
    write(tmp_path, CORPORATE_ACTIONS, [split, old])
    return tmp_path


def test_a_line_has_the_last_price_and_the_change_since_the_close_before_restated_by_the_split(lake: Path) -> None:
    board = read_board(str(lake))

    aapl, ibm = board.lines
    assert board.session_date == DAY
    assert (aapl.symbol, aapl.last, aapl.volume, aapl.trades, aapl.late) == ("AAPL", 101.0, 300.0, 6, 1)
    assert aapl.change_pct == pytest.approx(1.0)
    assert aapl.closes == (98.0, 101.0)
    assert aapl.newest_at == OPENS + timedelta(minutes=1, seconds=1)
    assert ibm.change_pct == pytest.approx(-5.0)


def test_only_the_symbols_that_are_asked_for_are_shown(lake: Path) -> None:
    assert [line.symbol for line in read_board(str(lake), ["IBM"]).lines] == ["IBM"]
    with pytest.raises(TableError, match="expected bars of NOPE on 2014-06-09"):
        read_board(str(lake), ["NOPE"])


def test_the_board_is_printed_for_people_and_for_programs(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--set", f"paths.warehouse={lake}"]

    assert watch.main(["--once", *given]) == OK
    shown = capsys.readouterr().out
    assert watch.main(["aapl", "--json", *given]) == OK
    told = capsys.readouterr().out

    assert "+1.00 %" in shown
    assert "-5.00 %" in shown
    assert "AAPL" in told
    assert "IBM" not in told


def test_an_old_bar_is_said_to_be_old(lake: Path) -> None:
    grid = watch.as_grid(read_board(str(lake)), OPENS + timedelta(minutes=10))

    assert grid.columns[-1]._cells[0].style == "yellow"
    assert grid.columns[-1]._cells[0].plain == "539 s"


def test_a_lake_without_bars_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"gold.bars: there is no table at .* `tickhouse tables create`"):
        read_board(str(tmp_path))
    write(tmp_path, BARS, [bar("1d", 0, 1.0)])
    write(tmp_path, CORPORATE_ACTIONS, [])
    with pytest.raises(TableError, match="there is no bar .* `tickhouse demo`"):
        read_board(str(tmp_path))


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=40))
def test_a_spark_line_has_a_block_for_each_value_and_rises_with_them(values: list[float]) -> None:
    drawn = sparkline(values)

    heights = [SPARK_LINE.index(one) for one in drawn]
    assert len(drawn) == len(values)
    order = sorted(range(len(values)), key=lambda at: values[at])
    assert [heights[at] for at in order] == sorted(heights)
    if min(values) < max(values):
        assert {SPARK_LINE[0], SPARK_LINE[-1]} <= set(drawn)
