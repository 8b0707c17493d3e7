"""Feed health: down, mute and quiet are told apart, every minute is in one state, and quiet markets stay quiet."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.feed_evidence import Hours, told_by
from lakehouse.feed_health import DOWN, LIVE, MUTE, QUIET, judge_session, missed_minutes, usual_rates
from lakehouse.feed_reports import by_symbol

MINUTES = 390
DUE = 15.0
OPENS = 1_772_461_800_000


def poisson(seed: int, rate: float, minutes: int = MINUTES) -> Any:
    return np.random.default_rng(seed).poisson(rate, minutes).astype(np.int64)


def market(seed: int = 1, **changes: Any) -> dict[str, Any]:
    """A liquid symbol, a middling one, and one that prints every ten minutes."""
    return {"BIG": poisson(seed, 40), "MID": poisson(seed + 1, 3), "THIN": poisson(seed + 2, 0.1)} | changes


def usual(sessions: int = 20) -> dict[str, Any]:
    past = [(MINUTES, market(100 + 10 * number)) for number in range(sessions)]
    return usual_rates(by_symbol(past, MINUTES), MINUTES)


ALIVE = np.ones(MINUTES, bool)


def states(found: list[Any], symbol: str) -> list[str]:
    return [one.state for one in found if one.symbol == symbol for _ in range(one.minutes)]


def test_a_usual_session_is_live_or_quiet_and_nobody_is_called_mute() -> None:
    rates = usual()
    for seed in range(20):
        found = judge_session(market(seed * 7), rates, ALIVE, mute_prints=DUE)
        assert {one.state for one in found} <= {LIVE, QUIET}
    assert states(found, "THIN").count(QUIET) > 300


def test_what_is_usual_is_the_rate_of_past_sessions_and_one_odd_session_does_not_move_it() -> None:
    past = [(MINUTES, market(100 + 10 * number)) for number in range(9)] + [(MINUTES, {"BIG": poisson(1, 4000)})]

    rates = usual_rates(by_symbol(past, MINUTES), MINUTES)

    assert rates["BIG"].mean() == pytest.approx(40, rel=0.05)
    assert rates["MID"].mean() == pytest.approx(3, rel=0.1)
    assert rates["THIN"].mean() == pytest.approx(0.1, abs=0.05)


def test_a_half_day_says_nothing_of_the_afternoon() -> None:
    past = [(210, {"BIG": poisson(number, 40, 210)}) for number in range(3)] + [(MINUTES, market(5))]

    rates = usual_rates(by_symbol(past, MINUTES), MINUTES)

    assert rates["BIG"][300:].mean() == pytest.approx(40, rel=0.1)


def test_a_symbol_that_stops_while_others_go_on_is_mute_from_its_first_silent_minute() -> None:
    arrivals = market()
    arrivals["MID"][200:260] = 0
    arrivals["MID"][199] = arrivals["MID"][260] = 1

    found = judge_session(arrivals, usual(), ALIVE, mute_prints=DUE)

    assert [(one.first, one.minutes) for one in found if one.state == MUTE] == [(200, 60)]
    assert "prints were due and none came, while the feed was alive" in next(o for o in found if o.state == MUTE).reason
    assert DOWN not in states(found, "BIG")
    assert missed_minutes(found, "MID") == 60 and missed_minutes(found, "BIG") == 0


def test_silence_of_a_symbol_that_seldom_prints_is_a_quiet_market() -> None:
    arrivals = market()
    arrivals["THIN"][:] = 0
    arrivals["THIN"][[10, 100, 190, 280, 370]] = 1  # nine prints are due between two of them

    found = judge_session(arrivals, usual(), ALIVE, mute_prints=DUE)

    assert set(states(found, "THIN")) == {LIVE, QUIET}


def test_no_heartbeat_and_no_prints_is_a_feed_that_is_down_for_every_symbol() -> None:
    arrivals, alive = market(), ALIVE.copy()
    for counts in arrivals.values():
        counts[100:130] = 0
    alive[100:130] = False

    found = judge_session(arrivals, usual(), alive, mute_prints=DUE)

    for symbol in arrivals:
        assert states(found, symbol)[100:130] == [DOWN] * 30
    assert {one.reason for one in found if one.state == DOWN} == {"no heartbeat, or a gap the collector noted"}


def test_pings_without_a_single_print_of_any_symbol_is_down_too_and_says_so() -> None:
    arrivals = market()
    for counts in arrivals.values():
        counts[100:130] = 0

    found = judge_session(arrivals, usual(), ALIVE, mute_prints=DUE)

    assert states(found, "THIN")[100:130] == [DOWN] * 30
    assert "connected, yet nothing came of any symbol" in next(one for one in found if one.state == DOWN).reason


def test_a_heartbeat_and_an_hour_in_which_little_is_usual_is_a_quiet_market() -> None:
    sleepy = {"A": poisson(3, 0.02), "B": poisson(4, 0.02)}
    past = [(MINUTES, {"A": poisson(50 + n, 0.02), "B": poisson(90 + n, 0.02)}) for n in range(20)]

    found = judge_session(sleepy, usual_rates(by_symbol(past, MINUTES), MINUTES), ALIVE, mute_prints=DUE)

    assert {one.state for one in found} <= {LIVE, QUIET}


def test_prints_without_a_heartbeat_are_prints() -> None:
    found = judge_session({"BIG": np.ones(5, np.int64)}, {}, np.zeros(5, bool), mute_prints=DUE)

    assert [(one.state, one.minutes, one.prints) for one in found] == [(LIVE, 5, 5)]


def test_without_history_silence_is_quiet_while_the_heartbeat_lasts() -> None:
    found = judge_session({"NEW": np.zeros(300, np.int64), "OLD": poisson(1, 9, 300)}, {}, ALIVE[:300], mute_prints=DUE)

    assert [(one.state, one.minutes) for one in found if one.symbol == "NEW"] == [(QUIET, 300)]
    assert "not known" in next(one for one in found if one.symbol == "NEW").reason


@given(st.data())
def test_every_minute_of_every_symbol_is_in_exactly_one_stretch_and_prints_are_always_live(data: st.DataObject) -> None:
    minutes = data.draw(st.integers(1, 60))
    counts = st.lists(st.sampled_from([0, 0, 0, 1, 7]), min_size=minutes, max_size=minutes)
    arrivals = {
        name: np.array(data.draw(counts), np.int64) for name in data.draw(st.sets(st.sampled_from("ABC"), min_size=1))
    }
    rates = {name: np.full(minutes, data.draw(st.sampled_from([0.0, 0.1, 2.0]))) for name in arrivals}
    alive = np.array(data.draw(st.lists(st.booleans(), min_size=minutes, max_size=minutes)))

    found = judge_session(arrivals, rates, alive, mute_prints=5.0)

    for name, one in arrivals.items():
        mine = [each for each in found if each.symbol == name]
        assert [each.first for each in mine] == [sum(o.minutes for o in mine[:at]) for at in range(len(mine))]
        named = states(found, name)
        assert len(named) == minutes
        assert [state == LIVE for state in named] == (one > 0).tolist()
        assert sum(each.prints for each in mine) == one.sum()
        for at in range(minutes):
            nobody = all(other[at] == 0 for other in arrivals.values())
            if nobody and not alive[at]:
                assert named[at] == DOWN
            assert named[at] != DOWN or nobody


def frame(event: str, at: float, **more: Any) -> dict[str, Any]:
    """A status frame at a minute of the session, as Spark reads it."""
    blank = {
        "feed": "finnhub",
        "run": "fh1",
        "frames": None,
        "symbols": None,
        "next": None,
        "from": None,
        "until": None,
    }
    return {**blank, "event": event, "at": int(OPENS + at * 60_000), **more}


def minute(at: int, numbers: dict[str, int], *, frames: int = 9, run: str = "fh1") -> dict[str, Any]:
    start = OPENS + at * 60_000
    return frame("minute", at + 1, run=run, frames=frames, next=numbers, **{"from": start, "until": start + 60_000})


HOURS = Hours(day=date(2026, 3, 2), opens_ms=OPENS, minutes=10)


def test_heartbeats_and_gaps_say_in_which_minutes_the_feed_lived() -> None:
    frames = [minute(at, {}, frames=0 if at == 4 else 3) for at in range(-2, 12) if at != 8]
    frames.append(frame("gap", 7, **{"from": OPENS + 5.5 * 60_000, "until": OPENS + 7.2 * 60_000}))

    alive = told_by(frames, HOURS).alive

    assert alive is not None
    assert np.flatnonzero(~alive).tolist() == [4, 6, 8]


def test_numbers_of_a_session_lie_between_the_last_word_before_it_and_the_first_after_it() -> None:
    begun = frame("started", -300, symbols='["A","B"]')
    words = [minute(-5, {"A": 100}), minute(0, {"A": 120}), minute(5, {"A": 150, "B": 7}), minute(9, {"A": 160})]
    later = minute(10, {"A": 170, "B": 50})

    found = told_by([later, *words, begun, words[1]], HOURS)

    assert found.symbols == {"A", "B"}
    assert (found.numbers["A"]["fh1"].low, found.numbers["A"]["fh1"].high) == (100, 160)
    assert (found.numbers["B"]["fh1"].low, found.numbers["B"]["fh1"].high) == (0, 7)
    assert found.until_ms == OPENS + 11 * 60_000


def test_without_a_word_nothing_is_known_of_the_heartbeat() -> None:
    assert told_by([], HOURS).alive is None
