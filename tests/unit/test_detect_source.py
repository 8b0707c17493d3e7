"""What `detect` takes in: whole batches, bars as the fold cuts them, and trades in the order of their receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.anomalies.build import is_settled
from lakehouse.anomalies.judge import judge_bars
from lakehouse.anomalies.rules import AnomalyRules
from lakehouse.bars import BarRules
from lakehouse.fold import as_plain, fold_table
from lakehouse.reference.calendar import SessionArrays, day_number
from streaming.detect.flags import dates_to_judge
from streaming.detect.memory import Memory, Step
from streaming.detect.series import stretches
from streaming.detect.source import Reach, Waiting, chosen, due_trades, unseen_from
from streaming.detect.touched import TouchedBar, over, touched_bars
from tests.unit.test_anomaly_bars import BARS_A_SESSION, FIRST, market_of, moved

SESSION_COUNT = 8
DAYS = [date(2024, 3, 7), date(2024, 3, 8)]
OPENS, LENGTH = 14 * 3_600_000 + 1_800_000, 6 * 3_600_000
NUMBERS = np.repeat([day_number(day) for day in DAYS], 3)
STARTS = NUMBERS * 86_400_000 + OPENS + np.tile([-LENGTH, 0, LENGTH], 2)
SESSIONS = SessionArrays(NUMBERS, np.tile(np.arange(3, dtype=np.int8), 2), STARTS, STARTS + LENGTH)
NAMES = ("pre", "regular", "post", "none")
Print = tuple[str, int, int, int, int]


def a_step(after: int = -1, through: int = 9, horizon_ms: int = 1 << 60) -> Step:
    return Step(0, after, through, 0, 0, horizon_ms, 0, judges=True)


def table_of(prints: Sequence[Print]) -> pa.Table:
    """Prints (kind, batch, day, session, ms after the session's opening, some outside it) as `detect` reads them."""
    rows = []
    for number, (kind, batch, day, session, ms) in enumerate(prints):
        traded = int(SESSIONS.opens_ms[day * 3 + min(session, 2)]) + ms
        rows.append(
            {
                "batch": batch, "kind": kind, "session_date": DAYS[day], "instrument_id": f"I-{number % 3}",
                "ref_session_date": DAYS[day] if kind != "trade" else None, "symbol": "A", "session": NAMES[session],
                "ord": traded << 20, "traded_ms": traded, "received_ms": traded + number % 7 * 500,
                "price_micros": 1_000_000, "eligibility": 15,
            }
        )  # fmt: skip
    schema = pa.schema(
        [
            ("batch", pa.int64()), ("kind", pa.string()), ("session_date", pa.date32()),
            ("instrument_id", pa.string()), ("ref_session_date", pa.date32()), ("symbol", pa.string()),
            ("session", pa.string()), ("ord", pa.int64()), ("traded_ms", pa.int64()), ("received_ms", pa.int64()),
            ("price_micros", pa.int64()), ("eligibility", pa.int32()),
        ]
    )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema)


PRINTS = st.tuples(
    st.sampled_from(["trade", "trade", "trade", "cancel", "correct"]), st.integers(0, 9), st.integers(0, 1),
    st.integers(0, 3), st.integers(-2000, LENGTH + 2000),
)  # fmt: skip
TAPES = st.lists(PRINTS, max_size=30)


@given(TAPES)
def test_touched_bars_are_those_the_fold_makes(prints: list[Print]) -> None:
    plain = table_of([("trade", *one[1:]) for one in prints])
    instant = pa.timestamp("us", "UTC")
    folded = pa.table(
        {
            "kind": plain["kind"], "session_date": plain["session_date"], "symbol": plain["symbol"],
            "trade_id": pa.array([str(number) for number in range(plain.num_rows)], pa.string()),
            "instrument_id": plain["instrument_id"], "session": plain["session"],
            "traded_at": pa.array(plain["traded_ms"].to_numpy() * 1000).cast(instant),
            "received_at": pa.array(plain["received_ms"].to_numpy() * 1000).cast(instant),
            "price": pa.array([1] * plain.num_rows, pa.decimal128(18, 6)),
            "size": pa.array([1] * plain.num_rows, pa.decimal128(18, 6)),
            "eligibility": plain["eligibility"], "ord": plain["ord"], "batch": plain["batch"],
        }
    )  # fmt: skip
    bars = pa.Table.from_batches([as_plain(fold_table(folded, BarRules(SESSIONS)))])
    ends = [bars[name].cast(pa.int64()).to_numpy() // 1000 for name in ("bar_start", "bar_end")]
    days = [day_number(day) for day in bars["session_date"].to_pylist()]
    names = (bars["interval"].to_pylist(), bars["instrument_id"].to_pylist(), days, *(one.tolist() for one in ends))

    assert touched_bars(plain, SESSIONS) == {TouchedBar(*one) for one in zip(*names, strict=True)}


def test_a_cancel_touches_its_date_from_the_first_bar_on() -> None:
    found = touched_bars(table_of([("cancel", 0, 1, 1, 60_000)]), SESSIONS)

    assert {bar.start_ms for bar in found} == {int(SESSIONS.opens_ms[3])}
    assert {bar.interval for bar in found} == {"1s", "1m", "5m", "15m", "1h", "1d"}
    assert over(found, int(SESSIONS.opens_ms[3]) + 1) == found
    assert over(found, int(SESSIONS.opens_ms[3])) == set()


@given(prints=TAPES, lasts=st.lists(st.integers(0, 9), max_size=5), settle_ms=st.integers(0, 100_000_000))
def test_trades_come_once_and_in_the_order_of_receipt_wherever_steps_are_cut(
    prints: list[Print], lasts: list[int], settle_ms: int
) -> None:
    received = table_of(prints).sort_by([("received_ms", "ascending"), ("ord", "descending")])
    places = pa.array([number * 10 // max(received.num_rows, 1) for number in range(received.num_rows)], pa.int64())
    table = received.set_column(0, "batch", places)
    seen, memory = [], Memory()

    for through in [*sorted(lasts), 9, 9]:
        stamped = zip(table["received_ms"].to_pylist(), places.to_pylist(), strict=True)
        newest = max((ms for ms, number in stamped if number <= through), default=0)
        horizon = max(memory.horizon_ms, newest - settle_ms)
        step = a_step(memory.through, through, horizon)
        since = min(memory.read_from, memory.through + 1)
        rows = table.filter(pa.array([since <= one <= through for one in places.to_pylist()], pa.bool_()))
        seen += list(due_trades(rows, step, memory))
        memory = Memory(through=through, read_from=unseen_from(rows, step), horizon_ms=horizon)
    seen += list(due_trades(table, a_step(9, 9), memory))

    assert seen == list(due_trades(table, a_step(), Memory()))


def test_a_batch_of_which_gold_bars_holds_a_part_waits() -> None:
    batches = [(3, 10, 100), (4, 10, 90), (6, 10, 120)]

    assert chosen(batches, Reach(5, 6, 10), 1000) == Waiting(6, 120)
    assert chosen(batches, Reach(5, 6, 9), 1000) == Waiting(4, 100)
    assert chosen(batches, Reach(5, 6, None), 1000) == Waiting(6, 120)
    assert chosen(batches, Reach(5, 6, 10), 20) == Waiting(4, 100)
    assert chosen(batches, Reach(5, 6, 10), 1) == Waiting(3, 100)
    assert chosen(batches[:1], Reach(5, 3, 9), 1) is None


def test_rows_of_every_instrument_are_written_anew_where_the_index_changes_behind_us() -> None:
    bars = [TouchedBar("1m", "I-X", 0, 60, 120), TouchedBar("1m", "SPY", 0, 0, 60), TouchedBar("1s", "I-X", 0, 7, 8)]

    in_time = stretches(bars, ["1m", "1d"], "SPY", closed_before_ms=59)
    late = stretches(bars, ["1m", "1d"], "SPY", closed_before_ms=60)

    assert in_time.keys() == late.keys() == {"1m"}
    assert (in_time["1m"].since_ms, in_time["1m"].instruments) == (0, {"I-X", "SPY"})
    assert (late["1m"].since_ms, late["1m"].instruments) == (0, None)


def test_a_changed_date_is_judged_anew_with_the_sessions_that_look_back_on_it() -> None:
    days = [date(2024, 3, 4 + number) for number in range(5)]

    assert dates_to_judge([day_number(days[4])], days, 2) == [days[4]]
    assert dates_to_judge([day_number(days[1])], days, 2) == days[1:4]
    assert dates_to_judge([day_number(date(2024, 3, 30))], days, 2) == []


def test_flags_of_what_is_over_are_those_of_the_whole_that_were_decided_by_then() -> None:
    rules, last = AnomalyRules(), (SESSION_COUNT - 1) * BARS_A_SESSION
    bars = market_of(3, SESSION_COUNT)
    for row, factor in ((last + 12, 1.04), (last + 20, 0.95), (last + BARS_A_SESSION - 1, 1.05)):
        bars = moved(bars, row, factor)
    bars.close[last + 30] *= 1.08
    bars.high[last + 30] *= 1.08
    days = FIRST + np.arange(SESSION_COUNT)
    opens = days * 86_400_000 + 14 * 3_600_000
    sessions = SessionArrays(days, np.ones(SESSION_COUNT, np.int8), opens, opens + BARS_A_SESSION * 60_000)
    whole = judge_bars(bars, rules, first_session=FIRST + SESSION_COUNT - 1)
    assert len(whole) > 4

    for count in range(last, len(bars) + 1):
        closed = int(bars.end_ms[count - 1])
        some = replace(bars, **{name: one[:count] for name, one in vars(bars).items() if name != "interval"})
        flags = judge_bars(some, rules, first_session=FIRST + SESSION_COUNT - 1)
        settled = [flag for flag in flags if is_settled(flag, some, sessions, closed)]
        assert settled == [flag for flag in whole if flag.decided_ms <= closed]
