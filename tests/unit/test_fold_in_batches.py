"""Prints that come batch by batch make the bars they would make together, whatever is set aside on the way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse import fold
from lakehouse.bars import BarRules
from lakehouse.fold import Fold, as_plain, fold_table
from tests.unit.test_bars_fold import DAY, RULES, Given, one_print, plain_bars, prints_of_a_half_day, table

KEY = ("instrument_id", "interval", "bar_start")
NOON = datetime(2024, 7, 3, 16, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def little_room(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Room for so few bars and prints that it is full again and again."""
    monkeypatch.setattr(fold, "OUT_BARS", 13)
    monkeypatch.setattr(fold, "ASIDE_PRINTS", 2)
    yield


def folded(*tables: pa.Table, rules: BarRules = RULES) -> dict[tuple[Any, ...], dict[str, Any]]:
    whole = Fold(rules)
    for one in tables:
        whole.add(one)
    rows = as_plain(whole.finish().whole()).to_pylist()
    found = {tuple(row[name] for name in KEY): row for row in rows}
    assert len(found) == len(rows), "one bar must come out once"
    return found


def living(*prints: Given) -> pa.Table:
    return table(prints).drop_columns(["fate", "dead_at"])


@settings(max_examples=150, deadline=None)
@given(prints_of_a_half_day(), st.lists(st.integers(0, 40), max_size=4))
def test_bars_do_not_depend_on_where_batches_end(prints: list[Given], cuts: list[int]) -> None:
    edges = sorted({0, len(prints), *(cut for cut in cuts if cut < len(prints))})

    bars = folded(*(table(prints[since:until]) for since, until in pairwise(edges)))

    expected = plain_bars(prints)
    assert bars.keys() == expected.keys()
    for key, bar in expected.items():
        assert {name: bars[key][name] for name in bar} == bar


def test_days_follow_one_another_in_any_order_and_never_mix() -> None:
    prints = [one_print(NOON + timedelta(seconds=shift), seq=shift) for shift in (0, 1, 70)]
    today, symbols = living(*prints), []
    days = []
    for back in (2, 1, 0, 1):
        shift = pa.scalar(timedelta(days=back))
        moved = today
        for name in ("traded_at", "received_at"):
            moved = moved.set_column(moved.column_names.index(name), name, pa.compute.subtract(moved[name], shift))
        at = moved.column_names.index("session_date")
        days.append(moved.set_column(at, "session_date", pa.array([DAY - timedelta(days=back)] * 3)))
        symbols.append(back)

    bars = folded(*days)

    one_day = folded(today)
    assert len(bars) == 3 * len(one_day)
    twice = {key: row for key, row in bars.items() if row["session_date"] == DAY - timedelta(days=1)}
    assert {row["trades"] for row in twice.values()} == {2 * row["trades"] for row in one_day.values()}
    assert all(row["volume"] == 2 * Decimal(100) * row["trades"] / 2 for row in twice.values())


def test_a_ticker_that_changes_within_a_day_leaves_the_first_by_alphabet_whatever_came_first() -> None:
    prints = [one_print(NOON, seq=0), one_print(NOON, seq=1), one_print(NOON + timedelta(seconds=5), seq=0)]
    for names in (["B", "A", "B"], ["A", "B", "B"], ["B", "B", "A"]):
        plain = living(*prints)
        named = plain.set_column(plain.column_names.index("symbol"), "symbol", pa.array(names))

        bars = folded(named.slice(0, 1), named.slice(1))

        minute = next(row for key, row in bars.items() if key[1] == "1m")
        seconds = [row["symbol"] for key, row in sorted(bars.items()) if key[1] == "1s"]
        assert (minute["symbol"], minute["trades"]) == ("A", 3)
        assert seconds == [min(names[:2]), names[2]]


def test_equal_orders_in_time_and_late_open_with_the_lower_and_close_with_the_higher_price() -> None:
    prices = (Decimal("10.5"), Decimal("10.25"), Decimal("10.75"))
    prompt, low, high = (one_print(NOON, price=price, delay_ms=delay) for price, delay in zip(
        prices, (50, 700_000, 700_000), strict=True))  # fmt: skip

    for order in ((prompt, low, high), (low, high, prompt), (high, prompt, low)):
        minute = next(row for key, row in folded(living(*order)).items() if key[1] == "1m")
        assert (minute["open"], minute["close"], minute["first_open"]) == (prices[1], prices[2], prices[0])


@pytest.mark.parametrize("intervals", [("1d",), ("1m", "1s"), ("5m", "1m", "1d"), ("1s", "1d")])
def test_any_choice_of_intervals_gives_the_same_bars(intervals: tuple[str, ...]) -> None:
    prints = [one_print(NOON + timedelta(seconds=number * 7), seq=number) for number in range(40)]

    some = folded(living(*prints), rules=BarRules(RULES.sessions, intervals=intervals))

    assert some == {key: row for key, row in folded(living(*prints)).items() if key[1] in intervals}


def test_nothing_makes_no_bars() -> None:
    assert Fold(RULES).finish().whole().num_rows == 0
    assert fold_table(living(one_print(NOON)).slice(0, 0), RULES).num_rows == 0
