"""The simulated market: one seed, one market; and everything that was asked for happens in it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest

from lakehouse.errors import SettingsError
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS
from streaming.feeds.pack import Timed
from streaming.feeds.sim_config import Hours
from streaming.feeds.sim_market import HALT_LASTS_MS, HALT_STARTS_MS, tickers
from streaming.feeds.simulate import (
    SimulatorConfig,
    corporate_actions,
    instruments,
    session_hours,
    simulate,
    simulated_records,
    simulated_sessions,
)
from streaming.print_checks import SYMBOL, TRADE_ID
from streaming.wire import MICROS, PING, Print

SMALL = SimulatorConfig(seed=11, sessions=2, symbols=8, trades_per_session=6_000, cancel_rate=0.005, correct_rate=0.005)
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def tape() -> list[Timed]:
    return list(simulate(SMALL))


@pytest.fixture(scope="module")
def days() -> list[Hours]:
    return session_hours(SMALL)


def prints_of(tape: list[Timed]) -> list[Print]:
    return [item for _, item in tape if isinstance(item, Print)]


def first_trades(tape: list[Timed], symbol: str) -> list[Print]:
    """A symbol's trades sent by themselves, once each, by trading time."""
    found = {one.trade_id: one for one in prints_of(tape) if one.symbol == symbol and one.kind == "trade"}
    return sorted(found.values(), key=lambda one: (one.traded_ms, one.seq))


def test_one_seed_gives_the_same_records_byte_for_byte_and_another_gives_others() -> None:
    once, twice = list(simulated_records(SMALL)), list(simulated_records(SMALL))
    other = list(simulated_records(replace(SMALL, seed=12)))

    assert once == twice
    assert {one.data for one in once} & {one.data for one in other} == {PING}


def test_markets_of_one_seed_but_other_settings_share_no_id(tape: list[Timed]) -> None:
    other = prints_of(list(simulate(replace(SMALL, symbols=9))))

    assert not {one.trade_id for one in prints_of(tape)} & {one.trade_id for one in other}


def test_a_session_does_not_change_when_more_sessions_follow_it_but_for_what_they_cancel() -> None:
    def shapes(config: SimulatorConfig) -> Counter[tuple[str, int, int, int]]:
        session = next(simulated_sessions(config))
        prints = session.delivery.stamped.amended.prints
        columns = (prints.kind, prints.symbol, prints.price, prints.size, prints.traded)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return Counter(tuple(row[1:]) for row in rows if row[0] == 0)

    assert shapes(replace(SMALL, sessions=1)) == shapes(replace(SMALL, sessions=3))


def test_everything_is_delivered_in_order_and_nothing_before_it_was_received(tape: list[Timed]) -> None:
    assert all(before[0] <= after[0] for before, after in pairwise(tape))
    for at, item in tape:
        if isinstance(item, Print):
            assert item.received_ms is not None
            assert item.traded_ms < item.received_ms <= at


def test_ids_are_unique_and_counters_tell_prints_of_one_millisecond_apart(tape: list[Timed]) -> None:
    distinct = {one.trade_id: one for one in prints_of(tape)}

    assert all(TRADE_ID.fullmatch(trade_id or "") for trade_id in distinct)
    orders = Counter((one.symbol, one.traded_ms, one.seq) for one in distinct.values())
    assert set(orders.values()) == {1}
    assert max(one.seq or 0 for one in distinct.values()) >= 1


def test_the_counter_of_a_millisecond_follows_the_order_of_receipt() -> None:
    stamped = next(simulated_sessions(SMALL)).delivery.stamped
    prints = stamped.amended.prints
    columns = (prints.received, stamped.number, prints.symbol, prints.traded, stamped.seq)

    by_receipt = sorted(zip(*(column.tolist() for column in columns), strict=True))

    expected: Counter[tuple[int, int]] = Counter()
    for place, (_, number, symbol, traded, seq) in enumerate(by_receipt):
        assert (number, seq) == (place, expected[symbol, traded])
        expected[symbol, traded] += 1


def test_exact_duplicates_that_are_different_prints_occur_as_on_real_tapes(tape: list[Timed]) -> None:
    trades = {one.trade_id: one for one in prints_of(tape) if one.kind == "trade"}.values()
    natural = Counter((one.symbol, one.traded_ms, one.price_micros, one.size_micros) for one in trades)

    share = (len(trades) - len(natural)) / len(trades)

    assert 0.04 < share < 0.20


def test_activity_follows_rank_and_makes_a_u_between_the_bells(tape: list[Timed], days: list[Hours]) -> None:
    trades = [one for one in prints_of(tape) if one.kind == "trade"]
    per_symbol = Counter(one.symbol for one in trades)
    first = days[0]
    thirteenths = Counter(
        (one.traded_ms - first.open_ms) // (30 * MINUTE_MS)
        for one in trades
        if first.open_ms <= one.traded_ms < first.close_ms
    )

    busiest, second, *_, last = (per_symbol[ticker] for ticker in tickers(SMALL.symbols))
    assert busiest > 1.5 * second > 3 * last
    assert set(thirteenths) == set(range(13))
    middle = sum(thirteenths[at] for at in (5, 6, 7)) / 3
    assert thirteenths[0] > 2 * middle < thirteenths[12]
    assert thirteenths[0] > thirteenths[3] > 0.8 * middle


def test_pre_and_post_market_prints_are_few_and_carry_their_condition(tape: list[Timed], days: list[Hours]) -> None:
    trades = [one for one in prints_of(tape) if one.kind == "trade"]
    outside = [
        one
        for one in trades
        if not any(day.open_ms <= one.traded_ms < day.close_ms for day in days) and "6" not in (one.conditions or ())
    ]

    assert 0.04 < len(outside) / len(trades) < 0.08
    assert all("T" in (one.conditions or ()) for one in outside)
    assert any(one.traded_ms < days[0].open_ms for one in outside)
    assert any(days[0].close_ms <= one.traded_ms < days[0].post_ms for one in outside)
    assert all(any(day.pre_ms <= one.traded_ms < day.post_ms for day in days) for one in trades)


def test_each_symbol_has_one_opening_and_one_closing_auction_a_session(tape: list[Timed], days: list[Hours]) -> None:
    auctions: dict[str, set[str | None]] = defaultdict(set)
    for _, item in simulate(replace(SMALL, duplicate_rate=0.0, malformed_rate=0.0)):
        if isinstance(item, Print) and item.conditions and item.conditions[0] in ("O", "6"):
            auctions[item.conditions[0]].add(item.trade_id)
            bells = [day.open_ms if item.conditions[0] == "O" else day.close_ms for day in days]
            assert any(0 <= item.traded_ms - bell < 5_000 for bell in bells)
            assert item.size_micros >= 1_000 * MICROS

    assert {code: len(ids) for code, ids in auctions.items()} == {"O": 16, "6": 16}


def test_odd_lots_and_fractions_of_a_share_are_marked(tape: list[Timed]) -> None:
    trades = [one for one in prints_of(tape) if one.kind == "trade"]
    small = [one for one in trades if one.size_micros < 100 * MICROS]

    assert 0.20 < len(small) / len(trades) < 0.32
    assert all("I" in (one.conditions or ()) for one in small)
    assert not any("I" in (one.conditions or ()) for one in trades if one.size_micros >= 100 * MICROS)
    assert any(one.size_micros % MICROS for one in small)
    assert any(one.conditions is None for one in trades)


def test_nothing_trades_during_the_halt_and_the_symbol_trades_before_and_after(
    tape: list[Timed], days: list[Hours]
) -> None:
    begins = days[0].open_ms + HALT_STARTS_MS
    halted = first_trades(tape, tickers(SMALL.symbols)[2])

    assert not [one for one in halted if begins <= one.traded_ms < begins + HALT_LASTS_MS]
    assert [one for one in halted if begins - HALT_LASTS_MS <= one.traded_ms < begins]
    assert len([one for one in halted if 0 <= one.traded_ms - begins - HALT_LASTS_MS < HALT_LASTS_MS]) > 5


def test_the_split_takes_effect_on_its_session_and_prices_fall_to_a_quarter(
    tape: list[Timed], days: list[Hours]
) -> None:
    trades = first_trades(tape, tickers(SMALL.symbols)[1])
    before = [one for one in trades if one.traded_ms < days[0].post_ms]
    after = [one for one in trades if one.traded_ms > days[1].pre_ms]
    (action,) = corporate_actions(SMALL)

    assert 3.5 < before[-1].price_micros / after[0].price_micros < 4.5
    lots = [one.size_micros for one in after if one.conditions == ("@",)]
    assert all(size % (400 * MICROS) == 0 for size in lots)
    assert (action["instrument_id"], action["effective_date"]) == ("SIM-BOREAL", days[1].day)
    assert (action["ratio"], action["price_factor"]) == (Decimal(4), 0.25)
    assert action["known_from"].date() < days[0].day


def test_a_market_that_ends_before_its_split_has_none() -> None:
    assert corporate_actions(replace(SMALL, sessions=1)) == []
    assert corporate_actions(replace(SMALL, split_session=None)) == []


def test_prices_jump_where_a_jump_is_planned() -> None:
    config = replace(SMALL, sessions=1, trades_per_session=40_000, fat_finger_rate=0.0, average_price_rate=0.0)
    (session,) = simulated_sessions(config)
    tape = list(session.delivery.items())

    assert len({jump.symbol for jump in session.jumps}) == 3
    for jump in session.jumps:
        trades = first_trades(tape, tickers(config.symbols)[jump.symbol])
        before = [one.price_micros for one in trades if one.traded_ms < jump.at_ms][-1]
        after = next(one.price_micros for one in trades if one.traded_ms >= jump.at_ms)
        assert math.log(after / before) == pytest.approx(jump.step, abs=0.012)
        assert 0.025 < abs(jump.step) < 0.09


def test_quiet_prices_do_not_jump() -> None:
    config = replace(SMALL, sessions=1, jumps_per_session=0, halt_session=None, fat_finger_rate=0.0, correct_rate=0.0)
    tape = list(simulate(replace(config, average_price_rate=0.0, trades_per_session=40_000)))

    trades = first_trades(tape, "ACME")

    steps = [abs(math.log(after.price_micros / before.price_micros)) for before, after in pairwise(trades)]
    assert max(steps) < 0.02


def test_sessions_follow_the_exchanges_calendar_half_days_included() -> None:
    config = replace(SMALL, first_session=date(2024, 11, 27), sessions=3)

    days = session_hours(config)

    assert [one.day for one in days] == [date(2024, 11, 27), date(2024, 11, 29), date(2024, 12, 2)]
    assert [(one.close_ms - one.open_ms) // (30 * MINUTE_MS) for one in days] == [13, 7, 13]
    friday = [item for _, item in simulate(config) if isinstance(item, Print) and item.traded_ms > days[1].pre_ms]
    assert any("6" in (one.conditions or ()) and 0 <= one.traded_ms - days[1].close_ms < 5_000 for one in friday)
    assert not [one for one in friday if days[1].post_ms + 30 * MINUTE_MS < one.traded_ms < days[2].pre_ms]


def test_pings_come_every_minute_from_the_first_session_to_the_last(tape: list[Timed], days: list[Hours]) -> None:
    pings = [at for at, item in tape if item == PING]

    assert pings == [at for day in days for at in range(day.pre_ms, day.post_ms, MINUTE_MS)]


def test_reference_rows_have_the_columns_of_their_tables_and_names_nobody_else_has() -> None:
    companies = instruments(replace(SMALL, symbols=30))

    assert [set(row) for row in companies] == [{column.name for column in INSTRUMENTS.columns}] * 30
    assert [set(row) for row in corporate_actions(SMALL)] == [{column.name for column in CORPORATE_ACTIONS.columns}]
    names = [row["ticker"] for row in companies]
    assert len(set(names)) == 30
    assert all(SYMBOL.fullmatch(name) and (len(name) > 5 or name == "ACME") for name in names)
    assert {row["origin"] for row in companies} == {"simulator"}
    assert all("SIMULATED" in row["name"] for row in companies)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"late_rate": 0.5}, "expected late_rate to be a share from 0 to 0.3, found 0.5"),
        ({"symbols": 3}, "expected symbols to be 4 or more, found 3"),
        ({"trades_per_session": 79}, "expected trades_per_session to be 80 or more, found 79"),
        ({"ping_seconds": 0}, "expected ping_seconds to be 1 or more, found 0"),
        ({"seed": -1}, "expected seed to be 0 or more"),
    ],
)
def test_a_market_that_cannot_be_is_refused_with_the_setting_to_change(change: dict[str, float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        replace(SMALL, **change)  # type: ignore[arg-type]


def test_a_market_without_mishaps_is_only_trades_and_pings() -> None:
    rates = ("late", "cancel", "correct", "duplicate", "fat_finger", "disorder", "malformed")
    config = replace(SMALL, sessions=1, **{f"{name}_rate": 0.0 for name in rates})  # type: ignore[arg-type]

    tape = list(simulate(config))

    assert Counter(type(item) for _, item in tape) == {Print: 6_000, bytes: 960}
    assert {one.kind for one in prints_of(tape)} == {"trade"}


def test_the_smallest_market_still_shows_every_kind_of_mishap() -> None:
    config = SimulatorConfig(symbols=4, trades_per_session=400)
    (session,) = simulated_sessions(config)
    amended = session.delivery.stamped.amended

    delivery = session.delivery
    planted = (amended.late, amended.fat_fingers, amended.cancelled, amended.corrected, delivery.detours)
    assert all(len(one) for one in planted)
    assert all(len(one) for one in (delivery.sent_twice, delivery.records_sent_twice, delivery.malformed))
