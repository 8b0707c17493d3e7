"""The fast lane: the prints that silver gets, the same alerts, once each, through restarts and resharding."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from threading import Event

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.alerts.conf import AlertConf, AlertsFile
from lakehouse.alerts.engine import Engine
from lakehouse.alerts.lifecycle import Alert
from lakehouse.alerts.observations import Trade
from lakehouse.conditions import load_dialects
from lakehouse.errors import TickhouseError
from lakehouse.reference.calendar import session_arrays
from lakehouse.settings import CONF
from streaming.fast_lane import FastLane, trades_of
from streaming.judge import Listings, Rules, judge_records
from streaming.rules import FOREVER
from streaming.sources.kinesis_client import KinesisStream
from streaming.sources.kinesis_options import KinesisOptions, Start
from streaming.wire import MICROS, PING, Print, encode_message
from tests.kinesis_double import EPOCH, KinesisDouble

OPENS = datetime.fromtimestamp(EPOCH, UTC)
NOW_MS = round(EPOCH * 1000)
SESSION = {
    "session_date": date(2027, 1, 15), "session": "regular", "opens_at": OPENS, "closes_at": OPENS + timedelta(hours=9)
}  # fmt: skip
RULES = Rules(
    load_dialects(CONF / "sale_conditions.yaml"),
    Listings({symbol: ((0, FOREVER, f"{symbol}-1"),) for symbol in ("A", "B", "C", "D")}),
    session_arrays([SESSION]),
)
CONF_OF = AlertConf(
    AlertsFile.model_validate(
        {
            "version": 1,
            "users": [{"name": "me", "channels": [{"kind": "terminal"}]}],
            "rules": [
                {"name": "jump", "kind": "price_jump", "scope": {"watchlist": True}, "percent": 2, "seconds": 10}
            ],
        }
    ),
    {},
    frozenset("ABCD"),
)


def a_print(number: int, price: float, at_ms: int, symbol: str = "A", **changes: object) -> Print:
    at = NOW_MS + at_ms
    given = {"trade_id": f"{symbol}{number}", "seq": 0, "received_ms": at + 1, "conditions": ("@",), **changes}
    return Print(symbol, round(price * MICROS), MICROS, at, **given)  # type: ignore[arg-type]


def put(double: KinesisDouble, *prints: Print) -> None:
    double.put(prints[0].symbol, encode_message(prints, feed="sim"))


def jump(double: KinesisDouble, symbol: str, at_ms: int, number: int = 0) -> None:
    prices = (100, 100, 103, 103)
    prints = [a_print(number + n, price, at_ms + 100 * n, symbol) for n, price in enumerate(prices)]
    put(double, *prints[:2])
    put(double, *prints[2:])


def run(
    double: KinesisDouble, publish: Callable[[Alert], bool], *, seconds: float = 10, engine: Engine | None = None
) -> FastLane:
    """A lane from the beginning, for so many virtual seconds."""
    stop, until, before = Event(), double.now + seconds, double.load

    def load() -> None:
        before()
        if double.now >= until:
            stop.set()

    double.load = load
    options = KinesisOptions("s", Start("TRIM_HORIZON"), "us-east-1")
    stream = KinesisStream(options, double, double.waiting)
    at_work = engine or Engine(CONF_OF.rules, CONF_OF)
    lane = FastLane(stream, lambda: RULES, at_work, publish, calls_per_second=2.5)
    lane.run(stop, since_ms=NOW_MS)
    double.load = before
    return lane


def collected(double: KinesisDouble, **how: float) -> list[Alert]:
    found: list[Alert] = []
    run(double, lambda alert: not found.append(alert), **how)  # type: ignore[func-returns-value]
    return found


def judged(payloads: Sequence[bytes]) -> pa.RecordBatch:
    arrived = pa.array([NOW_MS + 3_600_000] * len(payloads)).cast(pa.timestamp("ms", "UTC"))
    texts = [str(number) for number in range(len(payloads))]
    columns = {"stream": ["s"] * len(texts), "shard": ["0"] * len(texts), "sequence": texts}
    return pa.RecordBatch.from_pydict({**columns, "arrived_at": arrived, "payload": pa.array(payloads, pa.binary())})


prints = st.lists(
    st.builds(
        a_print,
        st.integers(0, 50),
        st.integers(1, 500),
        st.integers(0, 3_600_000),
        st.sampled_from("ABX"),
        trade_id=st.sampled_from([None, "x", "y"]),
        seq=st.sampled_from([None, 0, 3]),
        conditions=st.sampled_from([None, ("@",), ("I",), ("Z",), ("O",)]),
        received_ms=st.sampled_from([None, NOW_MS]),
    ),
    min_size=1,
    max_size=20,
)


@given(st.lists(prints, min_size=1, max_size=4))
def test_its_trades_are_the_rows_of_silver_that_may_set_the_last_price(messages: list[list[Print]]) -> None:
    found = judge_records(judged([encode_message(message, feed="sim") for message in messages] + [PING]), RULES)

    wanted = [
        Trade(
            row["symbol"], row["session_date"], row["session"], row["ord"],
            round(row["traded_at"].timestamp() * 1000), round(row["received_at"].timestamp() * 1000),
            int(row["price"] * Decimal(MICROS)), True,
        )
        for row in found.print_rows().to_pylist()
        if row["kind"] == "trade" and row["eligibility"] & 1
    ]  # fmt: skip
    assert list(trades_of(found)) == wanted


def test_cancels_and_corrections_are_no_trades() -> None:
    sent = [a_print(0, 100, 0), a_print(1, 100, 1, kind="cancel", ref="A0"), a_print(2, 9, 2, kind="correct", ref="A0")]

    assert len(list(trades_of(judge_records(judged([encode_message(sent, feed="sim")]), RULES)))) == 1


def test_a_jump_in_the_stream_becomes_one_alert() -> None:
    double = KinesisDouble(shards=2)
    for symbol in "ABCD":
        jump(double, symbol, 1000)

    alerts = collected(double)

    assert sorted(alert.subject for alert in alerts) == list("ABCD")
    assert {alert.fired_ms for alert in alerts} == {NOW_MS + 1300}


def test_it_keeps_to_its_share_of_the_calls() -> None:
    double = KinesisDouble(shards=2)

    collected(double, seconds=20)

    by_shard = [sum(name == shard for _, name, _ in double.calls) for shard in double.shards]
    assert all(45 <= calls <= 51 for calls in by_shard)


def test_prints_sent_again_and_a_second_run_give_the_same_ids() -> None:
    double = KinesisDouble()
    jump(double, "A", 1000)
    jump(double, "A", 1000)

    first, second = collected(double), collected(double)

    assert len(first) == 1
    assert first == second


def test_a_symbol_stays_in_order_when_its_shard_is_split_and_merged() -> None:
    double = KinesisDouble(shards=1)
    put(double, a_print(0, 100, 0), a_print(1, 100, 100))
    double.split("shardId-000000000000")
    put(double, a_print(2, 101, 200), a_print(3, 102.5, 300))
    double.merge("shardId-000000000001", "shardId-000000000002")
    put(double, a_print(4, 102.5, 400))

    (alert,) = collected(double, seconds=20)

    assert alert.fired_ms == NOW_MS + 400


def test_a_split_while_it_runs_is_followed() -> None:
    double = KinesisDouble(shards=1)
    jump(double, "A", 0)
    steps = iter([lambda: double.split("shardId-000000000000"), lambda: jump(double, "B", 5000)])

    def load() -> None:
        if double.now - EPOCH > 4 and (step := next(steps, None)):
            step()

    double.load = load

    assert [alert.subject for alert in collected(double, seconds=20)] == ["A", "B"]


def test_an_iterator_that_expired_is_renewed_and_nothing_is_lost() -> None:
    double = KinesisDouble()
    double.expire_every = 3
    jump(double, "A", 0)
    jump(double, "B", 0)

    assert sorted(alert.subject for alert in collected(double)) == ["A", "B"]


def test_an_outbox_that_cannot_be_reached_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.fast_lane.AGAIN_SECONDS", 0.001)
    double, taken, tries = KinesisDouble(), list[str](), iter([False, False])
    jump(double, "A", 0)

    def publish(alert: Alert) -> bool:
        if next(tries, True):
            taken.append(alert.subject)
            return True
        raise TickhouseError("not there")

    lane = run(double, publish)

    assert taken == ["A"]
    assert (lane.counts.fired, lane.counts.new) == (1, 1)


@given(st.integers(0, 2**32))
def test_however_the_tape_is_packed_the_alerts_are_the_same(seed: int) -> None:
    chance = random.Random(seed)
    tape = [a_print(n, 100 * chance.choice([1, 1, 1.01, 1.03]), n * chance.randint(90, 110)) for n in range(60)]
    one, packed = KinesisDouble(), KinesisDouble()
    put(one, *tape)
    while tape:
        put(packed, *tape[: (size := chance.randint(1, 20))])
        tape = tape[size:]

    assert collected(one, seconds=2) == collected(packed, seconds=2)
