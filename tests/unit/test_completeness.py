"""Completeness: one per cent of the prints taken away anywhere is found, and a whole tape is not called short."""

from __future__ import annotations

import zipfile
from collections import Counter
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.clock import to_ms
from lakehouse.completeness import (
    COMPLETE,
    SHORT,
    UNKNOWN,
    Numbers,
    Scorecard,
    Tolerance,
    Witnessed,
    lost_numbers,
    scorecard,
    volume_refusal,
)
from lakehouse.conditions import COUNTS_VOLUME, load_dialects
from lakehouse.feed_evidence import numbered
from lakehouse.settings import CONF
from streaming.feeds.tapes import lean_trades

MICROS = 1_000_000
Prints = list[tuple[int, int]]  # minute of the session, shares in millionths


def by_minute(prints: Prints) -> dict[int, int]:
    found: Counter[int] = Counter()
    for minute, micros in prints:
        found[minute] += micros
    return dict(found)


def card(ours: Prints, theirs: Witnessed, *, lost: int | None = None, tolerance: Tolerance | None = None) -> Scorecard:
    return scorecard("X", len(ours), by_minute(ours), theirs, 390, lost_prints=lost, tolerance=tolerance)


def real_prints(folder: Path, ticker: str, day: date) -> Prints:
    """A real session's prints that count for volume, by minute; auctions stamped outside lie in the edge minutes."""
    opens = to_ms(datetime.combine(day, time(9, 30), ZoneInfo("America/New_York")).astimezone(UTC))
    dialect = load_dialects(CONF / "sale_conditions.yaml").by_feed["lean"]
    found: Prints = []
    for one in lean_trades(folder, ticker, day):
        minute = (one.traded_ms - opens) // 60_000
        bits, role = dialect.judge(one.conditions)
        if bits & COUNTS_VOLUME and (0 <= minute < 390 or role):
            found.append((min(max(minute, 0), 389), one.size_micros))
    return found


def vendor_minutes(folder: Path, ticker: str, day: date) -> Witnessed:
    with zipfile.ZipFile(folder / "minute" / ticker / f"{day:%Y%m%d}_trade.zip") as archive:
        lines = [line.split(",") for line in archive.read(archive.namelist()[0]).decode().split()]
    minutes = {(int(line[0]) - 34_200_000) // 60_000: int(line[5]) * MICROS for line in lines}
    return Witnessed({minute: volume for minute, volume in minutes.items() if 0 <= minute < 390})


@pytest.mark.parametrize("ticker", ["ibm", "bac"])
@pytest.mark.parametrize("day", [date(2013, 10, 7), date(2013, 10, 8), date(2013, 10, 11)])
def test_one_per_cent_of_a_real_tape_is_missed_wherever_it_was_and_the_whole_tape_is_complete(
    ticker: str, day: date, shared_data: Path
) -> None:
    prints, vendor = real_prints(shared_data / "lean", ticker, day), vendor_minutes(shared_data / "lean", ticker, day)
    dice, count = np.random.default_rng(day.day), len(prints) // 100
    assert card(prints, vendor).verdict == COMPLETE

    smallest = np.argsort([micros for _, micros in prints], kind="stable")[:count]
    blocks = [np.arange(first, first + count) for first in dice.integers(0, len(prints) - count, 20)]
    edges = [np.arange(count), np.arange(len(prints) - count, len(prints))]
    anywhere = [dice.choice(len(prints), count, replace=False) for _ in range(20)]
    minutes, micros = np.array(prints, np.int64).T
    for gone in [*anywhere, *blocks, *edges, smallest]:
        volumes = np.bincount(minutes, micros, 390) - np.bincount(minutes[gone], micros[gone], 390)
        left = {minute: int(volume) for minute, volume in enumerate(volumes) if volume}
        short = scorecard("X", len(prints) - count, left, vendor, 390, lost_prints=None)
        assert short.verdict == SHORT
        assert 0 < short.short_volume <= micros[gone].sum()


SESSIONS = st.lists(st.tuples(st.integers(0, 389), st.integers(1, 5_000 * MICROS)), min_size=1, max_size=300)


@given(SESSIONS, st.data())
def test_a_loss_is_found_exactly_where_it_takes_volume_the_vendor_has(prints: Prints, data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.integers(0, len(prints) - 1), max_size=max(1, len(prints) // 100)))
    left = [one for at, one in enumerate(prints) if at not in gone]

    found = card(left, Witnessed(by_minute(prints)))

    assert found.verdict == (SHORT if gone else COMPLETE)
    assert found.short_volume == sum(prints[at][1] for at in gone)
    assert found.short_minutes == len({prints[at][0] for at in gone})
    assert found.coverage == pytest.approx(1 - found.short_volume / sum(micros for _, micros in prints))


@given(SESSIONS)
def test_surplus_in_one_minute_never_pays_for_a_loss_in_another(prints: Prints) -> None:
    (minute, micros), rest = prints[0], prints[1:]
    other = (minute + 1) % 390

    found = card([*rest, (other, micros * 3)], Witnessed(by_minute(prints)))

    assert (found.verdict, found.short_volume) == (SHORT, micros)


def test_a_minute_we_have_nothing_of_is_short_and_one_the_vendor_has_nothing_of_is_not() -> None:
    assert card([(5, 10)], Witnessed({5: 10, 6: 1})).verdict == SHORT
    assert card([(5, 10), (6, 1)], Witnessed({5: 10})).verdict == COMPLETE
    assert card([], Witnessed({5: 10})).coverage == 0.0


def test_a_vendor_less_exact_is_tolerated_as_far_as_one_says() -> None:
    prints = [(minute, 1_000 * MICROS) for minute in range(390)]
    vendor = Witnessed({minute: 1_001 * MICROS if minute < 3 else 1_000 * MICROS for minute in range(390)})

    assert card(prints, vendor).verdict == SHORT
    assert card(prints, vendor, tolerance=Tolerance(short_minutes=0.01)).verdict == COMPLETE
    assert card(prints[8:], vendor, tolerance=Tolerance(short_minutes=0.05)).verdict == SHORT, "the share of volume"


def test_a_daily_bar_sees_the_sum_and_nobody_sees_nothing() -> None:
    prints = [(minute, 1_000) for minute in range(390)]

    assert card(prints, Witnessed(day=390_000)).verdict == COMPLETE
    assert card(prints[:-4], Witnessed(day=390_000)).verdict == SHORT
    assert card(prints[:-1], Witnessed(day=390_000)).verdict == COMPLETE, "less than is tolerated"
    assert (card(prints, Witnessed()).verdict, card(prints, Witnessed()).coverage) == (UNKNOWN, None)


def test_a_number_that_is_missing_makes_a_session_short_whatever_the_volume_says() -> None:
    assert card([(1, 5)], Witnessed({1: 5}), lost=1).verdict == SHORT
    assert card([(1, 5)], Witnessed(), lost=1).verdict == SHORT
    assert card([(1, 5)], Witnessed({1: 5}), lost=0).verdict == COMPLETE


@given(st.integers(1, 400), st.data())
def test_numbers_find_every_print_that_is_missing_and_count_it_once(count: int, data: st.DataObject) -> None:
    low = data.draw(st.integers(0, 50))
    gone = data.draw(st.sets(st.integers(low, low + count - 1), max_size=20))
    elsewhere = data.draw(st.lists(st.integers(0, low + count + 50), max_size=20))
    seen = [one for one in range(low, low + count) if one not in gone]
    strangers = [one for one in elsewhere if not low <= one < low + count]

    assert lost_numbers({"r": [*seen, *seen, *strangers]}, {"r": Numbers(low, low + count)}) == len(gone)
    assert lost_numbers({}, {"r": Numbers(low, low + count)}) == count
    assert lost_numbers({"other": seen}, {"r": Numbers(0, 0)}) == 0


def test_a_run_that_was_killed_before_it_told_is_known_from_its_first_print_to_its_last() -> None:
    assert lost_numbers({"r": [0, 1, 4]}, {"r": Numbers(0, None)}) == 2
    assert lost_numbers({"r": [3, 4, 6]}, {"r": Numbers()}) == 1
    assert lost_numbers({}, {"r": Numbers(0, None)}) == 0


def test_ids_of_our_collectors_are_read_and_others_left_out() -> None:
    ids = [
        "fh19d0a1b2c3d4-BRK.B-7",
        "fh19d0a1b2c3d4-BRK-B-12",
        "fh19d0a1b2c3d4---3",
        "lean-ibm-20131007-5",
        "s/shard/1/0",
    ]

    assert numbered(ids) == {
        "BRK.B": {"fh19d0a1b2c3d4": [7]}, "BRK-B": {"fh19d0a1b2c3d4": [12]}, "-": {"fh19d0a1b2c3d4": [3]},
    }  # fmt: skip


def test_signals_on_volume_refuse_thin_feeds_and_say_why() -> None:
    whole, thin, blind = (
        card([(1, 5)], Witnessed({1: 5})), card([(1, 4)], Witnessed({1: 5})), card([(1, 5)], Witnessed()),
    )  # fmt: skip

    assert volume_refusal([whole, whole], 0, least_coverage=0.995) is None
    assert volume_refusal([whole, blind], 0, least_coverage=0.995) is None
    assert "missed in 3 minutes" in str(volume_refusal([whole], 3, least_coverage=0.995))
    assert "1 of the last 2 sessions were short (worst coverage 80.00%)" in str(
        volume_refusal([whole, thin], 0, least_coverage=0.995)
    )
    assert "nobody can vouch" in str(volume_refusal([blind], 0, least_coverage=0.995))
    assert "nobody can vouch" in str(volume_refusal([], 0, least_coverage=0.995))
