"""The fold of prints into bars, against a plain reading of the rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.bars import INTERVALS, PARTIAL, BarRules
from lakehouse.fold import as_plain, fold_table
from lakehouse.reference.calendar import session_arrays, sessions_for

DAY = date(2024, 7, 3)  # a half day: the regular session ends at 13:00 New York, 17:00 UTC
SESSIONS = sessions_for("XNYS", date(2024, 7, 1), date(2024, 7, 5))
RULES = BarRules(session_arrays(SESSIONS))
BOUNDS = {(row["session_date"], row["session"]): (row["opens_at"], row["closes_at"]) for row in SESSIONS}
GRACE = timedelta(seconds=10)
MICRO = Decimal("0.000001")


@dataclass(frozen=True)
class Given:
    """One print as a test writes it."""

    instrument: str
    session: str
    traded_at: datetime
    delay_ms: int
    price: Decimal
    size: Decimal
    eligibility: int
    seq: int
    batch: int = 0
    fate: int = 0
    dead_after_ms: int | None = None

    @property
    def received_at(self) -> datetime:
        return self.traded_at + timedelta(milliseconds=self.delay_ms)

    @property
    def dead_at(self) -> datetime | None:
        return None if self.dead_after_ms is None else self.received_at + timedelta(milliseconds=self.dead_after_ms)

    @property
    def order(self) -> int:
        return (int(self.traded_at.timestamp() * 1000) << 20) + self.seq


def table(prints: Iterable[Given]) -> pa.Table:
    rows = [
        {
            "kind": "trade", "session_date": DAY, "trade_id": f"t{at}", "symbol": one.instrument[:1],
            "instrument_id": one.instrument, "session": one.session, "traded_at": one.traded_at,
            "received_at": one.received_at, "price": one.price, "size": one.size, "eligibility": one.eligibility,
            "ord": one.order, "batch": one.batch, "dead_at": one.dead_at, "fate": one.fate,
        }
        for at, one in enumerate(prints)
    ]  # fmt: skip
    instant, amount = pa.timestamp("us", "UTC"), pa.decimal128(18, 6)
    types = {
        "session_date": pa.date32(), "traded_at": instant, "received_at": instant, "dead_at": instant, "price": amount,
        "size": amount, "eligibility": pa.int32(), "ord": pa.int64(), "batch": pa.int64(), "fate": pa.int32(),
    }  # fmt: skip
    names = ("kind", "trade_id", "symbol", "instrument_id", "session", *types)
    return pa.table({name: pa.array([row[name] for row in rows], types.get(name, pa.string())) for name in names})


def plain_bars(prints: Iterable[Given]) -> dict[tuple[str, str, datetime], dict[str, Any]]:
    """The rules of DESIGN section 3, one print at a time, without a thought for speed."""
    grouped: dict[tuple[str, str, datetime], list[Given]] = {}
    ends: dict[tuple[str, str, datetime], datetime] = {}
    for one in prints:
        opens, closes = BOUNDS[(DAY, one.session)]
        for name, length in INTERVALS.items():
            if name == "1d" and one.session != "regular":
                continue
            step = timedelta(milliseconds=length) if length else closes - opens
            inside = min(max(one.traded_at, opens), closes - timedelta(milliseconds=1))
            start = opens + (inside - opens) // step * step
            grouped.setdefault((one.instrument, name, start), []).append(one)
            ends[(one.instrument, name, start)] = min(start + step, closes)
    return {key: plain_bar(members, ends[key]) for key, members in grouped.items()}


def plain_bar(prints: list[Given], end: datetime) -> dict[str, Any]:
    cut = end + GRACE
    now = [one for one in prints if not one.fate]
    first = [one for one in prints if one.received_at <= cut and (one.dead_at is None or one.dead_at > cut)]
    vwap = [one for one in now if one.eligibility & 8]
    notional = sum(((one.price * one.size).quantize(MICRO, ROUND_HALF_UP) for one in vwap), Decimal(0))
    return {
        "bar_end": end,
        **plain_prices(now, ""),
        **plain_prices(first, "first_"),
        "notional": notional,
        "vwap_volume": sum((one.size for one in vwap), Decimal(0)),
        "late_prints": sum(one.received_at > cut for one in prints),
        "cancelled_prints": sum(one.fate == 1 for one in prints),
        "corrected_prints": sum(one.fate == 2 for one in prints),
        "min_batch": min(one.batch for one in prints),
    }


def plain_prices(prints: list[Given], prefix: str) -> dict[str, Any]:
    last = [one for one in prints if one.eligibility & 1]
    span = [one.price for one in prints if one.eligibility & 2]
    counted = [one.size for one in prints if one.eligibility & 4]
    opening = min(last, key=lambda one: (one.order, one.price), default=None)
    closing = max(last, key=lambda one: (one.order, one.price), default=None)
    return {
        f"{prefix}open": opening and opening.price,
        f"{prefix}close": closing and closing.price,
        f"{prefix}open_ord": opening and opening.order,
        f"{prefix}close_ord": closing and closing.order,
        f"{prefix}high": max(span, default=None),
        f"{prefix}low": min(span, default=None),
        f"{prefix}volume": sum(counted, Decimal(0)),
        f"{prefix}trades": len(counted),
    }


def folded(prints: list[Given], rules: BarRules = RULES) -> dict[tuple[str, str, datetime], dict[str, Any]]:
    rows = as_plain(fold_table(table(prints), rules)).to_pylist()
    assert all(row["session_date"] == DAY for row in rows)
    keys = [(row["instrument_id"], row["interval"], row["bar_start"]) for row in rows]
    assert len(set(keys)) == len(keys), "one bar must come out once"
    return dict(zip(keys, rows, strict=True))


def one_print(at: datetime, **changes: Any) -> Given:
    plain: dict[str, Any] = {
        "instrument": "ACME", "session": "regular", "delay_ms": 50, "price": Decimal("10.000000"),
        "size": Decimal("100.000000"), "eligibility": 15, "seq": 0,
    }  # fmt: skip
    return Given(traded_at=at, **(plain | changes))


@st.composite
def prints_of_a_half_day(draw: st.DrawFn) -> list[Given]:
    session = draw(st.sampled_from(["pre", "regular", "post"]))
    opens, closes = BOUNDS[(DAY, session)]
    width = int((closes - opens).total_seconds() * 1000)
    slack = 300_000 if session == "regular" else 0
    near = draw(st.integers(-slack, width + slack - 1))

    def one() -> st.SearchStrategy[Given]:
        offset = st.one_of(st.integers(near - 2000, near + 2000), st.integers(0, width - 1)).map(
            lambda ms: min(max(ms, -slack), width + slack - 1)
        )
        fate = st.sampled_from([0, 0, 0, 1, 2])
        return st.builds(
            lambda ms, delay, price, size, bits, seq, batch, who, end, dead: Given(
                who, session, opens + timedelta(milliseconds=ms), delay, Decimal(price) / 1_000_000,
                Decimal(size) / 1_000_000, bits, seq, batch, end, dead if end else None,
            ),
            offset, st.sampled_from([0, 40, 9_999, 10_000, 10_001, 70_000, 400_000]),
            st.integers(1, 50_000_000), st.integers(1, 900_000_000), st.integers(0, 15), st.integers(0, 2),
            st.integers(0, 4), st.sampled_from(["ACME", "BETA"]), fate, st.sampled_from([0, 1, 10_000, 500_000]),
        )  # fmt: skip

    return draw(st.lists(one(), min_size=1, max_size=40))


@settings(max_examples=150, deadline=None)
@given(prints_of_a_half_day())
def test_bars_follow_the_rules_for_any_prints_in_any_order(prints: list[Given]) -> None:
    bars = folded(prints)

    expected = plain_bars(prints)
    assert bars.keys() == expected.keys()
    for key, bar in expected.items():
        assert {name: bars[key][name] for name in bar} == bar


def test_a_bar_recomputed_through_a_batch_takes_in_only_later_rows() -> None:
    at = datetime(2024, 7, 3, 14, 0, 0, 500_000, tzinfo=UTC)
    prints = [one_print(at, batch=batch, size=Decimal(10**batch)) for batch in range(4)]
    minute = int(datetime(2024, 7, 3, 14, 0, tzinfo=UTC).timestamp() * 1000)
    held = BarRules(RULES.sessions, held=(("ACME", "1m", minute, 1), ("ACME", "1s", minute, 3), ("ZETA", "1d", 0, 9)))

    bars = folded(prints, held)

    volumes = {name: bar["volume"] for (_, name, _), bar in bars.items()}
    assert volumes == {name: Decimal(1111) for name in ("5m", "15m", "1h", "1d")} | {"1m": Decimal(1100)}


def test_bars_that_take_in_a_referenced_print_are_marked() -> None:
    at = datetime(2024, 7, 3, 14, 0, tzinfo=UTC)
    prints = table([one_print(at), one_print(at + timedelta(minutes=30))]).drop_columns(["fate", "dead_at"])
    referenced = frozenset({((DAY - date(1970, 1, 1)).days, "t1"), ((DAY - date(1970, 1, 1)).days - 1, "t0")})

    rows = fold_table(prints, BarRules(RULES.sessions, referenced=referenced)).to_pylist()

    touched = {(row["interval"], row["bar_start"].minute) for row in rows if row["touched"]}
    assert touched == {("1s", 30), ("1m", 30), ("5m", 30), ("15m", 30), ("1h", 30), ("1d", 30)}


def test_sums_do_not_overflow_sixty_four_bits() -> None:
    at = datetime(2024, 7, 3, 14, 0, tzinfo=UTC)
    largest = one_print(at, price=Decimal("100.000000"), size=Decimal("999999999.999999"))
    prints = [largest] * 20_000

    day = folded(prints)[("ACME", "1d", datetime(2024, 7, 3, 13, 30, tzinfo=UTC))]

    assert day["volume"] == largest.size * 20_000
    assert day["notional"] == (largest.price * largest.size).quantize(MICRO, ROUND_HALF_UP) * 20_000


def test_cancels_and_prints_outside_every_session_build_no_bar() -> None:
    at = datetime(2024, 7, 3, 14, 0, tzinfo=UTC)
    prints = table([one_print(at), one_print(at)])
    prints = prints.set_column(prints.column_names.index("kind"), "kind", pa.array(["cancel", "trade"]))
    prints = prints.set_column(prints.column_names.index("session"), "session", pa.array(["regular", "none"]))

    bars = as_plain(fold_table(prints, RULES))

    assert bars.num_rows == 0
    assert bars.schema == PARTIAL
