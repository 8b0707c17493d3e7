"""The price-jump rule: a sliding window that agrees with plain arithmetic, and is not taken in by bad prints."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.alerts.conf import AlertConf, AlertsFile
from lakehouse.alerts.engine import Engine
from lakehouse.alerts.jump import JumpWindow
from lakehouse.alerts.lifecycle import Alert
from lakehouse.alerts.observations import Trade
from lakehouse.alerts.rules import PriceJump

DAY = date(2024, 3, 7)
USD = 1_000_000
ME = {"name": "me", "channels": [{"kind": "terminal"}]}


def rule(**changes: object) -> PriceJump:
    given = {"name": "jump", "kind": "price_jump", "scope": {"symbols": ["A"]}, "percent": 2, "seconds": 10, **changes}
    return PriceJump.model_validate(given)


def engine(one: PriceJump) -> Engine:
    conf = AlertConf(
        AlertsFile.model_validate({"version": 1, "users": [ME], "rules": [one.model_dump()]}), {}, frozenset()
    )
    return Engine([one], conf)


def trade(at_ms: int, price: float, **changes: object) -> Trade:
    made = Trade("A", DAY, "regular", at_ms << 20, at_ms, at_ms + 5, round(price * USD), True)
    return made._replace(**changes)


def fired(one: PriceJump, trades: list[Trade]) -> list[Alert]:
    return list(engine(one).see(trades))


def by_hand(prints: list[tuple[int, int]], span_ms: int) -> list[tuple[float, float]]:
    """Every move by looking at all prints of the span, which lie within it to the millisecond."""
    moves = []
    for place, (at, price) in enumerate(prints):
        before = [other for then, other in prints[:place] if then >= at - span_ms]
        low, high = min(before, default=price), max(before, default=price)
        moves.append((max(0.0, 100 * (price - low) / low), max(0.0, 100 * (high - price) / high)))
    return moves


prints = st.lists(st.tuples(st.integers(0, 300), st.integers(90, 110)), max_size=80).map(sorted)


@given(prints, st.integers(1, 60))
def test_the_window_agrees_with_plain_arithmetic(found: list[tuple[int, int]], span_ms: int) -> None:
    window = JumpWindow(span_ms, percent=1e9, prints=1)

    assert [window.see(at, price) for at, price in found] == by_hand(found, span_ms)


@given(prints, st.integers(1, 60), st.integers(2, 4))
def test_confirmation_never_shows_a_move_that_one_print_alone_does_not_show(
    found: list[tuple[int, int]], span_ms: int, needed: int
) -> None:
    window, quick = JumpWindow(span_ms, 5.0, needed), JumpWindow(span_ms, 5.0, 1)

    moves, all_moves = [window.see(*one) for one in found], [quick.see(*one) for one in found]

    first = next((place for place, move in enumerate(moves) if move and max(move) >= 5), None)
    if first is not None:
        assert any(move and max(move) >= 5 for move in all_moves[: first + 1])


def test_a_jump_fires_at_the_print_that_confirms_it() -> None:
    (alert,) = fired(rule(), [trade(0, 100), trade(4000, 102.5), trade(4100, 102.4), trade(4200, 102.6)])

    assert (alert.side, alert.fired_ms) == ("up", 4100)
    assert alert.text == "A rose 2.40 % within 10 s, to 102.4"


def test_a_slow_rise_is_no_jump() -> None:
    assert fired(rule(), [trade(second * 1000, 100 + second * 0.15) for second in range(60)]) == []


@pytest.mark.parametrize("price", [10_000.0, 1.0])
def test_a_bad_print_fires_nothing_neither_there_nor_on_the_way_back(price: float) -> None:
    around = [trade(ms, 100 + ms % 3 / 100) for ms in range(0, 9000, 500)]
    bad = [trade(4100, price), trade(4100, price, order=(4100 << 20) + 1)]

    assert fired(rule(), sorted([*around, *bad], key=lambda one: one.order)) == []


def test_the_same_bad_print_does_fire_where_one_print_is_enough() -> None:
    assert fired(rule(prints=1), [trade(0, 100), trade(100, 10_000)]) != []


def test_up_and_down_are_alerts_of_their_own() -> None:
    tape = [trade(0, 100), trade(100, 103), trade(200, 103), trade(300, 99), trade(400, 99)]

    assert [(alert.side, alert.fired_ms) for alert in fired(rule(), tape)] == [("up", 200), ("down", 400)]
    assert [alert.side for alert in fired(rule(direction="down"), tape)] == ["down"]


def test_a_jump_is_confirmed_however_long_the_next_print_takes() -> None:
    assert len(fired(rule(), [trade(0, 100), trade(500, 110), trade(60_000, 110)])) == 1


def test_the_window_does_not_reach_over_the_end_of_a_session() -> None:
    tape = [
        trade(0, 100),
        trade(500, 100),
        trade(1000, 25, session_date=date(2024, 3, 8)),
        trade(1500, 25, session_date=date(2024, 3, 8)),
    ]

    assert fired(rule(), tape) == []


def test_late_prints_prints_that_set_no_price_and_clocks_that_run_ahead_are_left_out() -> None:
    tape = [
        trade(10_000, 100),
        trade(9_000, 50), trade(9_100, 50),
        trade(10_100, 50, moves_last=False), trade(10_200, 50, moves_last=False),
        trade(90_000, 50, received_ms=10_300), trade(90_100, 50, received_ms=10_400),
        trade(10_500, 50, session="pre"), trade(10_600, 50, symbol="B"), trade(10_700, 50, symbol="B"),
    ]  # fmt: skip

    assert fired(rule(), tape) == []
    assert len(fired(rule(), [*tape, trade(10_800, 103), trade(10_900, 103)])) == 1, "and later ones still count"


def test_a_lane_that_began_later_names_a_crossing_alike() -> None:
    tape = [trade(at, 100) for at in range(0, 20_000, 500)]
    tape += [trade(20_000, 103), trade(20_100, 103), *[trade(at, 103) for at in range(21_000, 60_000, 500)]]

    (whole,), (part,) = fired(rule(), tape), fired(rule(), tape[30:])

    assert whole.alert_id == part.alert_id


@given(st.lists(st.tuples(st.integers(0, 30_000), st.integers(95, 105)), max_size=60).map(sorted), st.data())
def test_batches_and_replays_of_prints_change_nothing(found: list[tuple[int, int]], data: st.DataObject) -> None:
    tape = [trade(at, price, order=place) for place, (at, price) in enumerate(found)]
    cut, back = data.draw(st.integers(0, len(tape))), data.draw(st.integers(0, len(tape)))
    at_work = engine(rule(seconds=1, cool_down_seconds=1))

    alerts = [*at_work.see(tape[:cut]), *at_work.see(tape[min(cut, back) :])]

    assert alerts == fired(rule(seconds=1, cool_down_seconds=1), tape)
