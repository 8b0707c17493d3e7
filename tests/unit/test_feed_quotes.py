"""Quotes: polled within the plan's rate and the exchange's hours, refused keys and busy servers told apart."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lakehouse.clock import fixed_clock, to_ms
from lakehouse.errors import FeedError
from lakehouse.reference.calendar import SessionArrays, session_arrays, sessions_for
from streaming.decode import Decoded, decode_record
from streaming.feeds.finnhub import Secret
from streaming.feeds.pack import Record
from streaming.feeds.patience import Backoff, TokenBucket
from streaming.feeds.quotes import TRIES, Busy, FinnhubQuotes, Poller, YahooQuotes, exchange_is_open
from streaming.feeds.spool import SpoolFull
from tests.finnhub_double import Refusal, rest_double

KEY = "canary-k3y"
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def sessions() -> SessionArrays:
    return session_arrays(sessions_for("XNYS", date(2026, 3, 1), date(2026, 12, 1)))


def asks(address: str) -> FinnhubQuotes:
    return FinnhubQuotes(address, Secret(KEY), timeout_seconds=0.5, clock=fixed_clock(NOW))


def poller(source: Any, written: list[Record], **changes: Any) -> Poller:
    made: dict[str, Any] = {
        "source": source, "bucket": TokenBucket(60_000, 100, lambda: 0.0),
        "backoff": Backoff(0.001, 0.002, lambda: 1.0),
        "clock": fixed_clock(NOW), "stopwatch": lambda: 0.0, "is_open": lambda _now: True, "write": written.extend,
        "every_seconds": 0.01,
    }  # fmt: skip
    return Poller(**{**made, **changes})


class Scripted:
    """Answers in turn; an error is raised."""

    name = "finnhub"

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def quote(self, symbol: str) -> Any:
        self.asked.append(symbol)
        answer = self.answers.pop(0) if self.answers else {"c": 1, "t": 1}
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_quote_is_asked_for_with_the_key_in_a_header_and_travels_as_a_control_frame(shared_data: Path) -> None:
    body = (shared_data / "finnhub_rest" / "quote-AAPL.json").read_bytes()
    seen: list[dict[str, str]] = []

    def answer(_path: str, headers: dict[str, str]) -> Refusal:
        seen.append(headers)
        return Refusal(200, body)

    written: list[Record] = []
    with rest_double(answer) as (address, asked):
        poller(asks(address), written).poll("AAPL", threading.Event())

    assert asked == ["/quote?symbol=AAPL"]
    assert seen[0]["X-Finnhub-Token"] == KEY
    (record,) = written
    found = json.loads(record.data)
    assert (found["type"], found["event"], found["symbol"], found["received_at"]) == (
        "status", "quote", "AAPL", to_ms(NOW)
    )  # fmt: skip
    assert found["quote"] == json.loads(body)
    decoded = Decoded()
    decode_record(0, record.data, decoded, max_bytes=1_048_576)
    assert (decoded.control, decoded.refusals.record, decoded.prints.record) == ([0], [], [])


def test_an_unknown_symbol_is_answered_with_zeros_which_are_no_quote(shared_data: Path) -> None:
    body = (shared_data / "finnhub_rest" / "quote-unknown.json").read_bytes()
    written: list[Record] = []
    with rest_double(lambda *_: Refusal(200, body)) as (address, _):
        one = poller(asks(address), written)
        one.poll("NOSUCH", threading.Event())

    assert (written, one.unknown, one.written) == ([], 1, 0)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_ends_the_poller_and_is_never_shown(status: int, shared_data: Path) -> None:
    body = (shared_data / "finnhub_rest" / f"error-{status}.json").read_bytes() + KEY.encode()
    refusing = rest_double(lambda *_: Refusal(status, body))
    with refusing as (address, asked), pytest.raises(FeedError, match=rf"found {status} ") as caught:
        poller(asks(address), []).poll("AAPL", threading.Event())

    assert len(asked) == 1
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words", "away"),
    [
        (Refusal(429, b"limit", (("Retry-After", "30"),)), "HTTP 429", 30),
        (Refusal(500, b"oops " + KEY.encode(), (("Retry-After", "30"),)), r"HTTP 500 \(oops \*+\)", 0),
        (Refusal(200, b"<html>"), "expected JSON", 0),
        (Refusal(200, b"[]"), "expected a JSON object", 0),
    ],
)
def test_what_may_pass_is_busy_and_says_how_long_to_stay_away(given: Refusal, words: str, away: float) -> None:
    with rest_double(lambda *_: given) as (address, _), pytest.raises(Busy, match=words) as caught:
        asks(address).quote("AAPL")

    assert caught.value.stay_away_seconds == away
    assert "canary" not in str(caught.value)


def test_a_server_that_does_not_answer_is_busy_within_the_timeout() -> None:
    wait = threading.Event()

    def slowly(_path: str, _headers: dict[str, str]) -> Refusal:
        wait.wait(5)
        return Refusal(200, b"{}")

    with rest_double(slowly) as (address, _):
        with pytest.raises(Busy, match="Timeout"):
            asks(address).quote("AAPL")
        wait.set()
    with pytest.raises(Busy, match="HTTPConnection|refused"):
        asks("http://127.0.0.1:9").quote("AAPL")


def test_a_busy_server_is_asked_a_few_times_then_the_next_round_and_its_wish_empties_the_bucket() -> None:
    now = [0.0]
    waits: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            now[0] += timeout or 0.0
            return False

    written: list[Record] = []
    one = poller(Scripted(Busy("HTTP 429", 30.0), {"c": 1, "t": 1}), written, bucket=TokenBucket(60, 5, lambda: now[0]))
    one.poll("AAPL", Stop())
    assert (one.asked, one.written, one.failed) == (2, 1, 0)
    assert sum(waits) == pytest.approx(31, abs=1.5)

    gone = poller(Scripted(*[Busy("HTTP 500")] * 9), written)
    gone.poll("AAPL", threading.Event())
    assert (gone.asked, gone.failed) == (TRIES, 1)


def test_a_full_spool_is_counted_and_the_poller_goes_on() -> None:
    def full(_records: Any) -> None:
        raise SpoolFull("no room")

    one = poller(Scripted(), [], write=full)
    one.poll("AAPL", threading.Event())

    assert (one.written, one.failed) == (0, 1)


def test_tickers_are_polled_in_turn_while_the_exchange_is_open_and_none_while_it_is_closed() -> None:
    stop, written = threading.Event(), list[Record]()
    source, hours = Scripted(), iter([True, False, False, True])

    def is_open(_now: datetime) -> bool:
        opened = next(hours, None)
        if opened is None:
            stop.set()
        return bool(opened)

    poller(source, written, is_open=is_open).run(lambda: ("AAPL", "IBM"), stop)

    assert source.asked == ["AAPL", "IBM", "AAPL", "IBM"]


@pytest.mark.parametrize(
    ("at", "regular", "any_session"),
    [
        ("2026-03-06T14:29:59Z", False, True), ("2026-03-06T14:30:00Z", True, True),  # winter: New York is UTC-5
        ("2026-03-09T13:30:00Z", True, True), ("2026-03-09T20:00:00Z", False, True),  # summer time since the 8th
        ("2026-11-02T14:29:00Z", False, True), ("2026-11-02T14:30:00Z", True, True),  # back to winter since the 1st
        ("2026-11-27T17:59:59Z", True, True), ("2026-11-27T18:00:00Z", False, True),  # half day
        ("2026-11-26T15:00:00Z", False, False), ("2026-03-07T15:00:00Z", False, False),  # holiday, Saturday
    ],
)  # fmt: skip
def test_hours_follow_the_calendar_over_dst_half_days_and_holidays(
    at: str, regular: bool, any_session: bool, sessions: SessionArrays
) -> None:
    now = datetime.fromisoformat(at)

    assert exchange_is_open(sessions, now, outside_regular_hours=False) is regular
    assert exchange_is_open(sessions, now, outside_regular_hours=True) is any_session


def test_yahoo_without_its_package_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(FeedError, match="expected the package yfinance, found that it is not installed"):
        YahooQuotes()


def test_the_job_knows_the_hours_of_each_day_it_runs_on() -> None:
    from jobs.collect_quotes import hours_of

    is_open: Callable[[datetime], bool] = hours_of("XNYS", outside_regular_hours=False)

    assert [is_open(NOW + timedelta(days=shift)) for shift in range(-2, 3)] == [False, False, True, True, True]
