"""The simulated market against its ground truth: which planted jumps and fat fingers our judgement finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakehouse.anomalies.build import bars_of, groups_of
from lakehouse.anomalies.judge import judge_bars
from lakehouse.anomalies.market import market_moves
from lakehouse.anomalies.moves import moves_of
from lakehouse.anomalies.prints import is_bad_print, print_scores
from lakehouse.anomalies.rules import HALT, JUMP, PRINT, SPLIT, AnomalyRules, Bars, Flag, Known
from lakehouse.bars import BarRules
from lakehouse.conditions import COUNTS_VWAP, MOVES_RANGE, Dialect, load_dialects
from lakehouse.fold import as_plain, fold_table
from lakehouse.reference.calendar import SessionArrays, day_number, session_arrays, sessions_for
from lakehouse.settings import CONF
from streaming.feeds.sim_market import corporate_actions, plan_halt
from streaming.feeds.sim_truth import prints_table
from streaming.feeds.simulate import FEED, SimulatedSession, SimulatorConfig, session_hours, simulated_sessions

Longs = NDArray[np.int64]

INTERVALS = ("1s", "1m")
SOON_MS = 5 * 60_000  # a thin symbol's next print may come that much after the jump
NO_JUMPS = (PRINT, HALT, SPLIT)
ODD_LOTS_TOO = COUNTS_VWAP  # average prices and the like are left out by this
MILLION = 1_000_000


@dataclass
class Outcome:
    """What was planted, what was found, and how long after the event it could be known."""

    planted: int = 0
    found: int = 0
    flags: int = 0
    right: int = 0
    delays_ms: list[int] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """The share of what was planted that was found."""
        return self.found / self.planted if self.planted else float("nan")

    @property
    def precision(self) -> float:
        """The share of flags that stand for something planted."""
        return self.right / self.flags if self.flags else float("nan")

    def add(self, other: Outcome) -> None:
        """Take in another market's outcome."""
        self.planted += other.planted
        self.found += other.found
        self.flags += other.flags
        self.right += other.right
        self.delays_ms += other.delays_ms


@dataclass(frozen=True)
class Event:
    """Something planted: in which symbol, and when."""

    symbol: str
    at_ms: int


@dataclass(frozen=True)
class Found:
    """A flag and the bar it is about."""

    symbol: str
    start_ms: int
    end_ms: int
    flag: Flag


@dataclass(frozen=True)
class Market:
    """The bars of a simulated market as they finally stand, its jumps, and how its bad prints were told.

    `others` are the halts (at their end) and the bad prints that are still in the bars: in their highs and lows, or as
    odd lots in their average price alone.
    """

    config: SimulatorConfig
    bars: pa.Table
    sessions: SessionArrays
    jumps: tuple[Event, ...]
    prints: Outcome
    others: dict[str, tuple[Event, ...]]


def market_of(config: SimulatorConfig) -> Market:
    """Simulate, and fold what stands at the end into bars by the house's own rules."""
    hours = session_hours(config)
    sessions = session_arrays(sessions_for(config.exchange, hours[0].day, hours[-1].day))
    dialect, rules = load_dialects(CONF / "sale_conditions.yaml").by_feed[FEED], BarRules(sessions, intervals=INTERVALS)
    bars, jumps, bad, halts = [], list[Event](), Outcome(), list[Event]()
    wrong: dict[str, list[Event]] = {"bad prints in bars": [], "bad prints in VWAPs alone": []}
    for session in simulated_sessions(config):
        prints = current_prints(session, dialect)
        bars.append(pa.Table.from_batches([as_plain(fold_table(prints, rules))]))
        names = session.delivery.stamped.tickers
        jumps += [Event(names[jump.symbol], jump.at_ms) for jump in session.jumps]
        bad.add(print_outcome(session, prints))
        for kind, events in zip(wrong, standing_prints(session, prints), strict=True):
            wrong[kind] += events
        halt = plan_halt(config, session.hours)
        halts += [Event(names[halt.symbol], halt.to_ms)] if halt else []
    others = {"halts": tuple(halts), **{kind: tuple(events) for kind, events in wrong.items()}}
    return Market(config, pa.concat_tables(bars), sessions, tuple(jumps), bad, others)


def planted_prints(session: SimulatedSession) -> pa.Array:
    """The ids of a session's fat fingers."""
    stamped = session.delivery.stamped
    return pa.array([stamped.trade_id(row) for row in stamped.amended.fat_fingers.tolist()], pa.string())


def standing_prints(session: SimulatedSession, prints: pa.Table) -> tuple[list[Event], list[Event]]:
    """The fat fingers in the regular session's highs, and those in its VWAPs alone, once all is corrected."""
    rows = prints.filter(pc.equal(prints["session"], "regular"))
    rows = rows.filter(pc.is_in(rows["trade_id"], value_set=planted_prints(session)))
    may = rows["eligibility"].to_numpy()
    instants_ms = rows["traded_at"].cast(pa.int64()).to_numpy() // 1000
    events = [Event(*one) for one in zip(rows["symbol"].to_pylist(), instants_ms.tolist(), strict=True)]
    in_range, in_vwap = may & MOVES_RANGE != 0, may & COUNTS_VWAP != 0
    return (
        [event for event, is_there in zip(events, in_range.tolist(), strict=True) if is_there],
        [event for event, is_there in zip(events, (in_vwap & ~in_range).tolist(), strict=True) if is_there],
    )


def at_market_prints(prints: pa.Table) -> pa.Table:
    """Prints of the regular session, average prices left out."""
    at_market = pc.not_equal(pc.bit_wise_and(prints["eligibility"], ODD_LOTS_TOO), 0)
    return prints.filter(pc.and_(pc.equal(prints["session"], "regular"), at_market))


def print_outcome(session: SimulatedSession, prints: pa.Table) -> Outcome:
    """Planted fat fingers against the prints of the regular session we call bad; the test judges each as it comes."""
    planted, rows = planted_prints(session), at_market_prints(prints)
    rows = rows.sort_by([("symbol", "ascending"), ("ord", "ascending")])
    prices, names = rows["price"].cast(pa.float64()).to_numpy(), rows["symbol"].to_numpy(zero_copy_only=False)
    edges = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(prices)]
    flags = np.concatenate([is_bad_print(print_scores(prices[first:end])) for first, end in pairwise(edges)])
    is_planted = pc.is_in(rows["trade_id"], value_set=planted).to_numpy()
    right = int((flags & is_planted).sum())
    return Outcome(planted=len(planted), found=right, flags=int(flags.sum()), right=right)


def current_prints(session: SimulatedSession, dialect: Dialect) -> pa.Table:
    """What is left of a session's prints once all cancels and corrections are applied, as the fold takes it."""
    prints = prints_table(session.delivery)
    prints = prints.filter(prints["is_current"])
    count, texts = prints.num_rows, prints["conditions"].combine_chunks().dictionary_encode()
    verdicts = {text: dialect.judge_text(text)[0] for text in [None, *texts.dictionary.to_pylist()]}
    columns = {
        "kind": pa.repeat("trade", count), "session_date": prints["session_date"], "trade_id": prints["trade_id"],
        "symbol": prints["symbol"],
        "instrument_id": pc.binary_join_element_wise("SIM", prints["symbol"].cast(pa.string()), "-"),
        "session": prints["session"], "traded_at": instants(prints["traded_ms"]),
        "received_at": instants(prints["received_ms"]), "price": millionths(prints["price_micros"]),
        "size": millionths(prints["size_micros"]),
        "eligibility": pa.array([verdicts[text] for text in prints["conditions"].to_pylist()], pa.int32()),
        "ord": pc.add(pc.shift_left(prints["traded_ms"], 20), pc.bit_wise_and(prints["seq"], (1 << 20) - 1)),
        "batch": pa.repeat(pa.scalar(0, pa.int64()), count),
    }  # fmt: skip
    return pa.table(columns)


def instants(milliseconds: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole milliseconds as timestamps."""
    return pc.multiply(milliseconds, 1000).cast(pa.timestamp("us", "UTC"))


def millionths(numbers: pa.ChunkedArray) -> pa.Array:
    """Whole millionths as DECIMAL(18,6)."""
    words = np.zeros((len(numbers), 2), np.int64)
    words[:, 0] = numbers.to_numpy()
    return pa.Array.from_buffers(pa.decimal128(18, 6), len(words), [None, pa.py_buffer(words.tobytes())])


def flags_of(market: Market, interval: str, rules: AnomalyRules) -> Iterator[Found]:
    """Every flag of a market's bars of one interval."""
    for symbol, bars, known in series_of(market, interval):
        for flag in judge_bars(bars, rules, known):
            yield Found(symbol, int(bars.start_ms[flag.row]), int(bars.end_ms[flag.row]), flag)


def series_of(market: Market, interval: str) -> Iterator[tuple[str, Bars, Known]]:
    """The bars of each symbol of a market, with what is known of it."""
    rows = market.bars.filter(pc.equal(market.bars["interval"], interval))
    rows = rows.filter(pc.equal(rows["session"], "regular"))
    rows = rows.sort_by([("instrument_id", "ascending"), ("bar_start", "ascending")])
    vwap = pc.divide(rows["notional"].cast(pa.float64()), rows["vwap_volume"].cast(pa.float64()))
    rows = rows.append_column("vwap", vwap)  # NaN where nothing counts
    rows = rows.append_column("market", pa.array(cross_section(rows, market.sessions)))
    splits = {
        row["instrument_id"]: Known(splits={day_number(row["effective_date"]): float(row["ratio"])})
        for row in corporate_actions(market.config)
    }
    for group in groups_of(rows):
        known = splits.get(group["instrument_id"][0].as_py(), Known())
        yield group["symbol"][0].as_py(), bars_of(group, market.sessions), known


def cross_section(rows: pa.Table, sessions: SessionArrays) -> NDArray[np.float64]:
    """The market's move at the moment of each bar, NaN where few instruments moved."""
    nothing = rows.append_column("market", pa.nulls(rows.num_rows, pa.float64()))
    moves = np.concatenate([moves_of(bars_of(group, sessions))[0] for group in groups_of(nothing)])
    return market_moves(rows["bar_start"].cast(pa.int64()).to_numpy(), moves)


def jump_outcome(market: Market, flags: list[Found]) -> Outcome:
    """Planted jumps against the flags that call a move a jump and not a print, a halt or a split."""
    of_jumps = [one for one in flags if one.flag.kind == JUMP and one.flag.reason not in NO_JUMPS]
    return matched(market.jumps, of_jumps)


def matched(events: tuple[Event, ...], flags: list[Found], *, soon_ms: int = SOON_MS) -> Outcome:
    """Which events have a flag of a bar that holds them or starts soon after, and which flags have an event."""
    outcome, right = Outcome(planted=len(events), flags=len(flags)), set[int]()
    for event in events:
        hits = [
            at
            for at, one in enumerate(flags)
            if one.symbol == event.symbol and one.end_ms > event.at_ms and one.start_ms <= event.at_ms + soon_ms
        ]
        right |= set(hits)
        if hits:
            outcome.found += 1
            outcome.delays_ms.append(min(flags[at].flag.decided_ms for at in hits) - event.at_ms)
    outcome.right = len(right)
    return outcome
