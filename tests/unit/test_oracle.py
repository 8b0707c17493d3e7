"""The oracle of the fault harness against cases small enough to work out by hand."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from tests.faults.oracle import Answer, answer, differences, records_table
from tests.faults.reference import HALF_DAY, reference

OPEN = datetime(2024, 11, 27, 14, 30, tzinfo=UTC)  # 9:30 in New York
MINUTE = 60_000
MILLION = 1_000_000


def ms(instant: datetime) -> int:
    return int(instant.timestamp()) * 1000


T0 = ms(OPEN)


def one(identity: str | None, at: int, price: str, size: str = "100", **more: Any) -> dict[str, Any]:
    """A print `at` ms after the open of 2024-11-27, received 5 ms later unless `after` says otherwise."""
    received = T0 + at + more.pop("after", 5)
    body = {"s": "AAPL", "t": T0 + at, "id": identity, "seq": 0, "received_at": received, **more}
    return {**body, "p": float(price), "v": float(size)}


def answer_to(*prints: dict[str, Any], feed: str = "sim", copies: int = 1) -> Answer:
    payload = json.dumps({"type": "trade", "feed": feed, "data": prints}).encode()
    arrived = T0 + 10 * 86_400_000
    return answer(records_table([("s", "h", str(copy), arrived, payload) for copy in range(copies)]), reference())


def bar(found: Answer, interval: str = "1m", start: int = 0) -> dict[str, Any]:
    rows = [row for row in found.bars.to_pylist() if row["interval"] == interval and row["start_ms"] == T0 + start]
    assert len(rows) == 1, found.bars.to_pylist()
    return dict(rows[0])


def prices(row: dict[str, Any], prefix: str = "") -> list[float | None]:
    found = [row[prefix + name] for name in ("open", "high", "low", "close")]
    return [None if micros is None else int(micros) / MILLION for micros in found]


def test_three_prints_make_one_bar_with_exact_sums() -> None:
    found = answer_to(one("a", 0, "10.01", "100"), one("b", 1000, "10.03", "0.5"), one("c", 59_999, "9.99", "7"))

    row = bar(found)
    assert prices(row) == [10.01, 10.03, 9.99, 9.99]
    assert (row["volume"], row["trades"]) == (107_500_000, 3)
    assert row["notional"] == 1_001_000_000 + 5_015_000 + 69_930_000
    assert prices(row, "first_") == prices(row)
    assert (row["end_ms"], row["final_ms"]) == (T0 + MINUTE, T0 + MINUTE + 10_000)


def test_notional_is_rounded_half_up_print_by_print() -> None:
    found = answer_to(
        one("a", 0, "0.000001", "0.5"), one("b", 1, "0.000001", "0.5"), one("c", 2, "0.000001", "0.499999")
    )

    assert bar(found)["notional"] == 2


def test_bars_of_every_length_align_to_the_open_of_their_session_and_the_last_may_be_short() -> None:
    found = answer_to(one("a", 6 * 3_600_000 + 20 * MINUTE, "10"), one("pre", -MINUTE, "10"))

    spans = {
        (row["interval"], row["session"]): (row["start_ms"] - T0, row["end_ms"] - T0) for row in found.bars.to_pylist()
    }
    close = 390 * MINUTE
    assert spans[("1h", "regular")] == (360 * MINUTE, close)
    assert spans[("15m", "regular")] == (375 * MINUTE, close)
    assert spans[("1d", "regular")] == (0, close)
    assert spans[("1h", "pre")] == (-90 * MINUTE + 60 * MINUTE, 0)
    assert ("1d", "pre") not in spans


def test_at_equal_order_the_lower_price_opens_and_the_higher_closes() -> None:
    found = answer_to(one("a", 5, "10.02"), one("b", 5, "10.01"), one("c", 5, "10.03"))

    assert prices(bar(found)) == [10.01, 10.03, 10.01, 10.03]


def test_eligibility_bits_decide_what_a_print_moves() -> None:
    found = answer_to(
        one("a", 0, "10", c=["@"]), one("odd", 1, "11", "5", c=["I"]), one("nolast", 2, "12", c=["L"]),
        one("avg", 3, "99", c=["@", "W"]), one("nothing", 4, "1", c=["N"]),
    )  # fmt: skip

    row = bar(found)
    assert prices(row) == [10, 12, 10, 10]
    assert row["volume"] == 305 * MILLION
    assert row["vwap_volume"] == 205 * MILLION
    assert row["trades"] == 4


def test_a_print_is_late_one_millisecond_after_the_grace_and_not_at_it() -> None:
    cut = MINUTE + 10_000
    found = answer_to(one("a", 0, "10", after=cut), one("b", 1, "12", after=cut))

    row = bar(found)
    assert (row["late_prints"], row["revision"], row["trades"], row["first_trades"]) == (1, 1, 2, 1)
    assert prices(row, "first_") == [10, 10, 10, 10]
    assert bar(found, "5m")["late_prints"] == 0


def test_a_cancel_received_in_time_takes_the_print_out_of_the_first_bar_too_and_a_late_one_does_not() -> None:
    early = one("x", 3, "12", kind="cancel", ref="high", after=100)
    late = one("y", 4, "9", kind="cancel", ref="low", after=5 * MINUTE)
    found = answer_to(one("a", 0, "10"), one("high", 1, "12"), one("low", 2, "9"), early, late)

    row = bar(found)
    assert prices(row) == [10, 10, 10, 10]
    assert prices(row, "first_") == [10, 10, 9, 9]
    assert (row["cancelled_prints"], row["trades"], row["first_trades"]) == (2, 1, 2)
    day = bar(found, "1d")
    assert prices(day, "first_") == [10, 10, 10, 10]


def test_a_bar_whose_only_print_was_cancelled_stays_without_prices() -> None:
    found = answer_to(one("a", 0, "10"), one("x", 1, "10", kind="cancel", ref="a", after=3 * MINUTE))

    row = bar(found)
    assert prices(row) == [None] * 4
    assert (row["trades"], row["volume"], row["first_trades"], row["cancelled_prints"]) == (0, 0, 1, 1)


def test_a_correction_replaces_the_print_even_into_another_bar() -> None:
    moved = one("c", 2 * MINUTE, "11", kind="correct", ref="a", after=10)
    found = answer_to(one("a", 0, "10"), moved)

    assert (bar(found)["trades"], bar(found)["corrected_prints"], bar(found)["first_trades"]) == (0, 1, 1)
    assert prices(bar(found, start=2 * MINUTE)) == [11] * 4


def test_of_two_corrections_the_one_received_last_speaks_and_a_cancel_may_be_it() -> None:
    first = one("c1", 0, "11", kind="correct", ref="a", after=50)
    second = one("c2", 0, "12", kind="correct", ref="a", after=40)
    found = answer_to(one("a", 0, "10"), first, second)
    assert prices(bar(found)) == [11] * 4
    assert bar(found)["corrected_prints"] == 2

    cancelled = answer_to(one("a", 0, "10"), first, second, one("x", 0, "10", kind="cancel", ref="a", after=60))
    assert prices(bar(cancelled)) == [None] * 4
    assert (bar(cancelled)["cancelled_prints"], bar(cancelled)["corrected_prints"]) == (3, 0)


def test_a_chain_of_corrections_leaves_only_its_end() -> None:
    chain = [one("c1", 0, "11", kind="correct", ref="a"), one("c2", 0, "12", kind="correct", ref="c1", after=6)]
    found = answer_to(one("a", 0, "10"), *chain)

    assert prices(bar(found)) == [12] * 4
    assert bar(found)["trades"] == 1


def test_a_closing_auction_after_the_bell_belongs_to_the_last_bar_and_an_ordinary_print_to_post() -> None:
    close = 390 * MINUTE
    found = answer_to(
        one("a", close - 1, "10"), one("auction", close + 5_000, "11", c=["6"]), one("p", close + 5_000, "12")
    )

    assert prices(bar(found, start=close - MINUTE)) == [10, 11, 10, 11]
    assert prices(bar(found, "1d")) == [10, 11, 10, 11]
    assert bar(found, start=close)["session"] == "post"


def test_sessions_follow_half_days_and_prints_outside_build_no_bar() -> None:
    one_pm = ms(datetime(2024, 11, 29, 18, tzinfo=UTC))
    prints = [
        {**one(str(at), 0, "10"), "t": at, "received_at": at} for at in (one_pm - 1, one_pm, one_pm + 4 * 3_600_000)
    ]
    found = answer_to(*prints)

    assert sorted(found.silver.to_pydict()["session"]) == ["none", "post", "regular"]
    assert {row["session"] for row in found.bars.to_pylist()} == {"regular", "post"}
    assert {row["session_date"] for row in found.bars.to_pylist()} == {HALF_DAY}


def test_the_offset_of_new_york_changes_over_the_weekend() -> None:
    friday, monday = (datetime(2024, 11, 1, 13, 30, tzinfo=UTC), datetime(2024, 11, 4, 14, 30, tzinfo=UTC))
    prints = [{**one(f"{at:%a}", 0, "10"), "t": ms(at), "received_at": ms(at)} for at in (friday, monday)]
    found = answer_to(*prints)

    days = {row["session_date"]: row["start_ms"] for row in found.bars.to_pylist() if row["interval"] == "1d"}
    assert days == {date(2024, 11, 1): ms(friday), date(2024, 11, 4): ms(monday)}


def test_a_record_sent_twice_counts_once_and_its_copies_are_duplicates() -> None:
    prints = [one("a", 0, "10"), one("b", 0, "10"), {"s": "NOSUCH", "p": 1, "t": T0, "v": 1}]
    found = answer_to(*prints, copies=2)

    assert found.silver.num_rows == 2
    assert (found.counts.decoded, found.counts.quarantined, found.counts.duplicates) == (6, 2, 2)
    assert bar(found)["volume"] == 200 * MILLION


def test_unstamped_prints_are_told_apart_by_their_place() -> None:
    frame = {"s": "AAPL", "p": 10, "t": T0, "v": 1}
    found = answer_to(frame, frame, feed="finnhub", copies=2)

    assert sorted(found.silver.to_pydict()["trade_id"]) == ["s/h/0/0", "s/h/0/1", "s/h/1/0", "s/h/1/1"]
    assert len(set(found.silver.to_pydict()["ord"])) == 4


@pytest.mark.parametrize("change", ["missing", "extra", "twice", "value"])
def test_differences_see_a_row_missing_extra_doubled_or_changed(change: str) -> None:
    expected = pa.table({"key": ["a", "b"], "price": [1, 2]})
    rows = {"missing": [("a", 1)], "extra": [("a", 1), ("b", 2), ("c", 3)], "twice": [("a", 1), ("b", 2), ("b", 2)]}
    keys, values = zip(*rows.get(change, [("a", 1), ("b", 3)]), strict=True)

    assert differences(expected, pa.table({"key": list(keys), "price": list(values)}))
    assert differences(expected, expected) == []
