"""A polite client: who we are, never faster than allowed, away for as long as asked, and only whole bodies count."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.clock import fixed_clock
from streaming.collectors.polite import (
    LONGEST_PATIENCE,
    Patience,
    Polite,
    Server,
    Unfit,
    unzipped,
)
from streaming.collectors.refusals import finnhub_refusal, sec_refusal
from streaming.collectors.request import (
    BARRED,
    DENIED,
    FAILED,
    MISSING,
    STOPPED,
    UNCHANGED,
    Answer,
    Nothing,
    Request,
    Version,
)
from streaming.feeds.finnhub import Secret
from streaming.feeds.quotes import Busy
from tests.finnhub_double import Refusal, rest_double

NOW = datetime(2026, 5, 23, 16, 0, tzinfo=UTC)
KEY = "canary-k3y"
WHO = "Jane Doe jane@doe.example"
SEC = Server("sec", 1000.0, sec_refusal, {"User-Agent": WHO})
FINNHUB = Server("finnhub", 1000.0, finnhub_refusal, {"X-Finnhub-Token": KEY}, Secret(KEY))
FINE = Refusal(200, b'{"fine": 1}', (("ETag", '"e1"'), ("Last-Modified", "Sat, 23 May 2026 10:00:00 GMT")))
PAGE = b"<html><title>SEC.gov | Request Rate Threshold Exceeded</title></html>"
UNDECLARED = b"<html>Your Request Originates from an Undeclared Automated Tool</html>"
NO_SUCH_FILE = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"


class Time:
    """A clock that only moves when somebody sleeps; `stops_at` is the sleep in which the run is told to stop."""

    def __init__(self, stops_at: int | None = None) -> None:
        self.now, self.slept, self._stops_at = 1000.0, list[float](), stops_at

    def stopwatch(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> bool:
        self.slept.append(seconds)
        self.now += seconds
        return self._stops_at is not None and len(self.slept) > self._stops_at


def client(server: Server, time: Time, **patience: Any) -> Polite:
    terms = {"tries": 4, "retry_seconds": 1.0, "timeout_seconds": 2.0, **patience}
    return Polite(
        server, Patience(**terms), clock=fixed_clock(NOW), stopwatch=time.stopwatch, sleep=time.sleep,
        random=lambda: 1.0,
    )  # fmt: skip


def request(address: str = "http://127.0.0.1:9", kind: str = "submissions", name: str = "a.json") -> Request:
    return Request("sec", kind, name, f"{address}/{name}", changes=True)


def script(*answers: Refusal) -> Callable[[str, dict[str, str]], Refusal]:
    """Answers in turn; the last one for ever."""
    left = list(answers)
    return lambda *_: left.pop(0) if len(left) > 1 else left[0]


def got(answers: Sequence[Refusal], server: Server = SEC, **patience: Any) -> tuple[Answer | Nothing, int, Time]:
    """What becomes of one request, how often it was asked, and the time that passed."""
    time = Time()
    with rest_double(script(*answers)) as (address, asked):
        found = client(server, time, **patience).get(request(address))
    return found, len(asked), time


def test_a_document_is_asked_for_under_our_name_and_comes_with_what_its_server_says_of_it() -> None:
    seen: list[dict[str, str]] = []

    def answer(_path: str, headers: dict[str, str]) -> Refusal:
        seen.append(headers)
        return FINE

    with rest_double(answer) as (address, asked):
        found = client(SEC, Time()).get(request(address))

    assert found == Answer(FINE.body, NOW, 200, None, '"e1"', "Sat, 23 May 2026 10:00:00 GMT")
    assert asked == ["/a.json"]
    assert (seen[0]["User-Agent"], seen[0]["Accept-Encoding"]) == (WHO, "gzip")
    assert "If-None-Match" not in seen[0]


def test_a_stored_version_is_only_asked_whether_it_changed() -> None:
    def answer(_path: str, headers: dict[str, str]) -> Refusal:
        same = headers.get("If-None-Match") == '"e1"' and headers.get("If-Modified-Since") == "then"
        return Refusal(304) if same else FINE

    with rest_double(answer) as (address, _):
        polite = client(SEC, Time())
        same = polite.get(request(address), Version("h", NOW, '"e1"', "then"))
        other = polite.get(request(address), Version("h", NOW, '"e0"'))

    assert same == Nothing(UNCHANGED)
    assert isinstance(other, Answer)


def test_unchanged_is_no_answer_to_who_did_not_ask_that() -> None:
    found, asked, _ = got([Refusal(304)])

    assert isinstance(found, Nothing)
    assert (found.outcome, asked) == (FAILED, 1)


def test_a_zipped_body_is_kept_as_it_was_before(shared_data: Path) -> None:
    body = gzip.decompress((shared_data / "sec/submissions/CIK0000320193.json.gz").read_bytes())
    zipped = Refusal(200, gzip.compress(body[:100]) + gzip.compress(body[100:]), (("Content-Encoding", "gzip"),))

    found, asked, _ = got([zipped])

    assert isinstance(found, Answer)
    assert (found.body == body, asked) == (True, 1)


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (Refusal(200, b'{"fin', missing=6), "IncompleteRead"),
        (Refusal(200, gzip.compress(b"x" * 999)[:-9], (("Content-Encoding", "gzip"),)), "cut short"),
        (Refusal(200, b"no gzip at all", (("Content-Encoding", "gzip"),)), "expected gzip"),
        (Refusal(500, b"oops"), r"HTTP 500 \(oops\)"),
        (Refusal(503), "HTTP 503"),
        (Refusal(408), "HTTP 408"),
        (Refusal(429), "HTTP 429"),
        (Refusal(0, drops=True), "Connection"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_may_pass_is_tried_again_and_told_when_it_does_not_pass(trouble: Refusal, words: str) -> None:
    better, asked, time = got([trouble, trouble, FINE], max_bytes=1000)
    assert isinstance(better, Answer)
    assert better.body == FINE.body
    assert asked == 3
    assert sum(time.slept) >= 1 + 2  # pauses double

    worse, asked, _ = got([trouble], max_bytes=1000)
    assert isinstance(worse, Nothing)
    assert (worse.outcome, asked) == (FAILED, 4)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(worse.why)
    assert "4 times. The next run asks again" in worse.why


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Refusal(200, b"x", (("Content-Encoding", "br"),)), "found br"),
        (Refusal(200, b"x" * 2000), "expected at most 1,000 bytes, found more."),
        (Refusal(200, gzip.compress(b"x" * 2000), (("Content-Encoding", "gzip"),)), "found more once unzipped."),
    ],
)
def test_what_would_be_no_better_the_next_time_is_fetched_once(answer: Refusal, words: str) -> None:
    found, asked, _ = got([answer, FINE], max_bytes=1000)

    assert isinstance(found, Nothing)
    assert (found.outcome, words in found.why, asked) == (FAILED, True, 1)


def test_a_server_that_does_not_answer_in_time_is_asked_again() -> None:
    wait, calls = threading.Event(), list[int]()

    def answer(*_: Any) -> Refusal:
        calls.append(1)
        if len(calls) == 1:
            wait.wait(5)
        return FINE

    with rest_double(answer) as (address, _):
        found = client(SEC, Time(), timeout_seconds=0.2).get(request(address))
        wait.set()

    assert isinstance(found, Answer)
    assert len(calls) == 2


def test_a_body_that_trickles_in_for_too_long_is_given_up() -> None:
    time = Time()
    passing = iter(range(10**9))

    def stopwatch() -> float:
        return time.now + next(passing)  # every look takes a second

    polite = client(SEC, time, body_seconds=0.5, tries=2)
    polite._stopwatch = stopwatch  # type: ignore[method-assign]
    with rest_double(script(FINE)) as (address, _):
        found = polite.get(request(address))

    assert isinstance(found, Nothing)
    assert "expected the body in 0.5 s, found 11 bytes, 2 times" in found.why


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_says_how_long_to_stay_away_is_left_alone_for_so_long(status: int) -> None:
    found, asked, time = got([Refusal(status, b"", (("Retry-After", "77"),)), FINE])

    assert isinstance(found, Answer)
    assert (asked, time.now >= 1077) == (2, True)


def test_a_server_that_wants_us_away_for_hours_is_left_to_the_next_run() -> None:
    time = Time()
    with rest_double(script(Refusal(429, b"", (("Retry-After", str(int(LONGEST_PATIENCE) + 1)),)), FINE)) as (
        at,
        asked,
    ):
        polite = client(SEC, time)
        first, second = polite.get(request(at)), polite.get(request(at, name="b.json"))

    assert isinstance(first, Nothing)
    assert first.outcome == BARRED
    assert "stay away for 901 s. What was fetched before is kept. Run again after that." in first.why
    assert second == first
    assert (len(asked), time.now) == (1, 1000.0)


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("body", "outcome", "words"),
    [
        (PAGE, BARRED, "more than 10 requests a second"),
        (
            UNDECLARED,
            BARRED,
            "Set collectors.sec.user_agent to your name or company and an e-mail address, wait ten minutes",
        ),
        (NO_SUCH_FILE, MISSING, "no such file"),
        (NO_SUCH_FILE.replace(b"AccessDenied", b"NoSuchKey"), MISSING, "no such file"),
    ],
)
def test_the_three_meanings_of_the_secs_403_are_told_apart(body: bytes, outcome: str, words: str, zipped: bool) -> None:
    shape = Refusal(403, gzip.compress(body), (("Content-Encoding", "gzip"),)) if zipped else Refusal(403, body)
    with rest_double(script(shape, FINE)) as (address, asked):
        polite = client(SEC, Time())
        first, second = polite.get(request(address)), polite.get(request(address, name="b.json"))

    assert isinstance(first, Nothing)
    assert (first.outcome, words in first.why) == (outcome, True)
    assert len(asked) == (1 if outcome == BARRED else 2)
    assert (second == first) is (outcome == BARRED)


def test_a_key_that_is_refused_ends_the_source_and_a_plan_that_lacks_a_kind_only_that_kind(shared_data: Path) -> None:
    said = {status: (shared_data / f"finnhub_rest/error-{status}.json").read_bytes() for status in (401, 403)}
    bodies = {"/premium": Refusal(403, said[403]), "/free": FINE, "/barred": Refusal(401, said[401] + KEY.encode())}
    with rest_double(lambda path, _: bodies[path]) as (address, asked):
        polite = client(FINNHUB, Time())
        denied = [polite.get(request(address, "news_sentiment", "premium")) for _ in range(2)]
        fine = polite.get(request(address, "recommendation", "free"))
        abroad = polite.get(replace(request(address, "news_sentiment", "free"), symbol="7203.T"))
        barred = polite.get(request(address, "recommendation", "barred"))
        after = polite.get(request(address, "recommendation", "free"))

    assert denied == [Nothing(DENIED, denied[0].why)] * 2  # type: ignore[union-attr]
    assert "You don't have access to this resource" in denied[0].why  # type: ignore[union-attr]
    assert isinstance(fine, Answer)
    assert isinstance(abroad, Answer), "what a plan lacks of one exchange it may have of another"
    assert isinstance(barred, Nothing)
    assert barred.outcome == BARRED
    assert "Set a valid key with TICKHOUSE__FEEDS__FINNHUB__TOKEN" in barred.why
    assert "canary" not in barred.why
    assert after == barred
    assert asked == ["/premium", "/free", "/free", "/barred"]


@pytest.mark.parametrize(("status", "outcome"), [(404, MISSING), (410, MISSING), (400, FAILED), (301, FAILED)])
def test_what_will_not_change_is_asked_once_and_nobody_is_sent_elsewhere(status: int, outcome: str) -> None:
    found, asked, _ = got([Refusal(status, b"", (("Location", "/elsewhere"),))])

    assert isinstance(found, Nothing)
    assert (found.outcome, asked) == (outcome, 1)


def test_a_key_that_a_server_repeats_is_neither_kept_nor_told() -> None:
    kept, _, _ = got([Refusal(200, f'{{"token": "{KEY}"}}'.encode())], FINNHUB)
    told, _, _ = got([Refusal(500, KEY.encode())], FINNHUB)

    assert isinstance(kept, Answer)
    assert b"canary" not in kept.body
    assert "canary" not in str(told)
    assert "canary" not in repr(FINNHUB)


def test_a_run_that_is_told_to_stop_asks_no_more() -> None:
    with rest_double(script(Refusal(500))) as (address, asked):
        found = client(SEC, Time(stops_at=1)).get(request(address))

    assert isinstance(found, Nothing)
    assert (found.outcome, len(asked)) == (STOPPED, 1)


class Scripted(Polite):
    """A client whose server is a list: None is a document, a number is a wish to stay away for so long."""

    def start(self, time: Time, answers: Sequence[float | None]) -> None:
        self.time, self.answers, self.asked = time, list(answers), list[float]()
        self.away = list[tuple[float, float]]()

    def _ask(self, request: Request, stored: Version | None) -> Answer | Nothing:
        self.asked.append(self.time.now)
        wish = self.answers.pop(0) if self.answers else None
        if wish is None:
            return Answer(b"x", NOW)
        self.away.append((self.time.now, self.time.now + wish))
        raise Busy("HTTP 429", wish)


@given(
    rate=st.floats(0.05, 10), answers=st.lists(st.none() | st.floats(0, 100), max_size=40),
    gaps=st.lists(st.floats(0, 3), max_size=30),
)  # fmt: skip
def test_no_second_ever_holds_more_requests_than_allowed_and_none_comes_while_we_are_to_stay_away(
    rate: float, answers: list[float | None], gaps: list[float]
) -> None:
    time = Time()
    polite = Scripted(
        Server("sec", rate, sec_refusal, {}), Patience(), clock=fixed_clock(NOW), stopwatch=time.stopwatch,
        sleep=time.sleep, random=lambda: 0.0,
    )  # fmt: skip
    polite.start(time, answers)
    for gap in gaps:
        time.now += gap
        polite.get(request())

    assert [later - earlier for earlier, later in pairwise(polite.asked) if later - earlier < 1 / rate - 1e-6] == []
    assert [at for at in polite.asked for since, until in polite.away if since < at < until - 1e-6] == []


def test_who_waits_for_a_turn_waits_on_when_another_thread_is_told_to_stay_away() -> None:
    time = Time()
    server = Server("sec", 0.5, sec_refusal, {})
    polite = Scripted(
        server, Patience(), clock=fixed_clock(NOW), stopwatch=time.stopwatch, sleep=time.sleep, random=lambda: 0.0
    )  # fmt: skip
    polite.start(time, [])
    polite.get(request())

    def sleep(seconds: float) -> bool:
        if len(time.slept) == 1:
            polite._stays_away(50.0)  # another thread, while this one waits for its token
        return time.sleep(seconds)

    polite._sleep = sleep  # type: ignore[method-assign]
    polite.get(request())

    assert polite.asked == [1000.0, pytest.approx(1050.0, abs=2.1)]
    assert polite.asked[1] >= 1050.0


def test_threads_share_one_rate() -> None:
    stop, seen = threading.Event(), list[float]()

    def answer(*_: Any) -> Refusal:
        seen.append(time.monotonic())
        return FINE

    with rest_double(answer) as (address, _):
        polite = Polite(
            Server("sec", 50.0, sec_refusal, {}), Patience(), clock=fixed_clock(NOW), stopwatch=time.monotonic,
            sleep=stop.wait, random=lambda: 0.0, threads=4,
        )  # fmt: skip
        began = time.monotonic()
        threads = [
            threading.Thread(target=lambda: [polite.get(request(address)) for _ in range(5)]) for _ in range(4)
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(seen) == 20
    assert time.monotonic() - began >= 19 / 50


@given(st.binary(max_size=400), st.integers(0, 450))
def test_a_zipped_body_is_whole_or_refused_wherever_it_is_cut(data: bytes, cut: int) -> None:
    zipped = gzip.compress(data)
    assert unzipped(zipped, 400) == data
    if 0 < cut < len(zipped):
        with pytest.raises(Busy):
            unzipped(zipped[:cut], 400)
    if data:
        with pytest.raises(Unfit):
            unzipped(zipped, len(data) - 1)
