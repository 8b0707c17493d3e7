"""What the measurements of docs/anomalies.md count, on cases small enough to count by hand."""

from __future__ import annotations

import pytest

from benchmarks.anomaly_market import Event, Found, matched
from lakehouse.anomalies.rules import JUMP, UNEXPLAINED, Flag

MINUTE = 60_000


def found(symbol: str, start_ms: int, decided_ms: int) -> Found:
    return Found(symbol, start_ms, start_ms + MINUTE, Flag(0, JUMP, decided_ms, 9.0, UNEXPLAINED, {}))


def test_a_flag_of_the_bar_that_holds_the_event_finds_it_and_one_elsewhere_is_false() -> None:
    events = (Event("A", 90_000), Event("B", 90_000))
    flags = [found("A", MINUTE, 3 * MINUTE), found("A", 20 * MINUTE, 22 * MINUTE), found("C", MINUTE, 3 * MINUTE)]

    outcome = matched(events, flags)

    assert (outcome.planted, outcome.found, outcome.flags, outcome.right) == (2, 1, 3, 1)
    assert outcome.delays_ms == [90_000]
    assert outcome.recall == pytest.approx(0.5)
    assert outcome.precision == pytest.approx(1 / 3)


def test_a_flag_before_the_event_or_long_after_it_is_false() -> None:
    events = (Event("A", 10 * MINUTE),)
    early, late = found("A", 9 * MINUTE, 10 * MINUTE), found("A", 15 * MINUTE + 1, 17 * MINUTE)

    assert matched(events, [early, late]).right == 0
    assert matched(events, [found("A", 15 * MINUTE, 16 * MINUTE)]).right == 1


def test_two_flags_of_one_event_find_it_once_and_are_both_right() -> None:
    outcome = matched((Event("A", 0),), [found("A", 0, 2 * MINUTE), found("A", MINUTE, 3 * MINUTE)])

    assert (outcome.found, outcome.right, outcome.delays_ms) == (1, 2, [2 * MINUTE])
