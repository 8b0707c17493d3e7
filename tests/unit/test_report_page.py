"""The report's page from given rows: where lines break, what an axis leaves out, and that no text becomes markup."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.report.encode import encoded, in_script, script_hash
from serving.report.figure import figure_of
from serving.report.html import Column, Link, clean, table, text
from serving.report.limits import BARS_AT_MOST, Choice, choose_interval
from serving.report.lines import local, number, points_of, price_axis, volume_axis
from serving.report.marks import boxed, spans_of
from serving.report.names import PLAIN, names_for
from serving.report.sections import notes, section
from serving.report.sheets import DRAWN, WARM_BITS, Found, Sheet, cold_bars, evidence_of
from serving.report.wording import price

ZONE = ZoneInfo("America/New_York")
OPENS = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SESSIONS = [
    {"session": "regular", "opens_at": OPENS, "closes_at": OPENS + 390 * MINUTE, "is_half_day": False},
    {"session": "post", "opens_at": OPENS + 390 * MINUTE, "closes_at": OPENS + 630 * MINUTE, "is_half_day": False},
]  # fmt: skip
COUNTS = ("trades", "late_prints", "cancelled_prints", "corrected_prints", "revision")
FACTS = {
    "symbol": "ACME", "open": 50.0, "high": 51.0, "low": 49.0, "close": 50.5, "volume": 1000.0, "trades": 10,
    "late": 0, "cancelled": 0, "corrected": 0, "flags": 0, "alerts": 0,
}  # fmt: skip


def minute(at: int, close: float = 50.0, **more: Any) -> dict[str, Any]:
    start = OPENS + at * MINUTE
    times = {"bar_start": start, "bar_end": start + MINUTE, "final_at": start + 2 * MINUTE, "session": "regular"}
    prices = dict.fromkeys(("open", "high", "low", "close", "first_close"), close)
    empty: dict[str, Any] = dict.fromkeys((*DRAWN, "warm", "parameter_set"))
    return empty | dict.fromkeys(COUNTS, 0) | {"volume": 100.0, "first_volume": 100.0} | times | prices | more


def sheet(*bars: dict[str, Any], symbol: str = "ACME", **more: Any) -> Sheet:
    return Sheet(symbol, Choice("1m"), bars, **more)


def found(*rows: dict[str, Any]) -> Found:
    return Found(rows, len(rows))


def flag(at: int, **more: Any) -> dict[str, Any]:
    start = OPENS + at * MINUTE
    given = {"bar_start": start, "decided_at": start + MINUTE, "interval": "1m", "kind": "jump", "score": 9.0}
    return given | {"reason": "unexplained", "evidence": "{}"} | more


def alert(at: float, told: str, **more: Any) -> dict[str, Any]:
    fired = OPENS + at * MINUTE
    given = {"fired_at": fired, "state_at": fired, "rule": "jump", "kind": "price_jump", "subject": "ACME"}
    sent = {"attempts": 0, "accepted": 0, "failed": 0, "copies": 0}
    return given | sent | {"side": "up", "value": 5.0, "text": told, "state": "fired"} | more


def test_a_line_breaks_where_nothing_traded_and_a_bar_alone_is_a_dash_of_its_length() -> None:
    points = points_of([minute(0), minute(1), minute(5)], ZONE)

    assert points.bars == (0, 1, None, 2, 2, None)
    assert points.times == tuple(f"2025-03-03T09:{at}:00" for at in (30, 31, 32, 35, 36, 36))


def test_a_line_breaks_between_sessions() -> None:
    points = points_of([minute(389), minute(390, session="post")], ZONE)

    assert None in points.bars[1:3]


@given(st.lists(st.integers(0, 300), unique=True, max_size=60).map(sorted))
def test_no_line_spans_a_silence_and_no_bar_is_lost(minutes: list[int]) -> None:
    bars = [minute(at) for at in minutes]

    points = points_of(bars, ZONE)

    assert {at for at in points.bars if at is not None} == set(range(len(bars)))
    joined = [(one, other) for one, other in zip(points.bars, points.bars[1:], strict=False)]
    assert all(minutes[b] - minutes[a] <= 1 for a, b in joined if a is not None and b is not None)
    alone = [at for at in minutes if at - 1 not in minutes and at + 1 not in minutes]
    assert sum(a == b is not None for a, b in joined) == len(alone)


def test_times_are_those_of_the_exchange_on_both_sides_of_daylight_saving() -> None:
    assert local(datetime(2025, 3, 7, 14, 30, tzinfo=UTC), ZONE) == "2025-03-07T09:30:00"
    assert local(datetime(2025, 3, 10, 13, 30, tzinfo=UTC), ZONE) == "2025-03-10T09:30:00"


def test_one_wild_print_does_not_flatten_the_chart_and_is_said() -> None:
    bars = [minute(at, 50 + at % 10 / 10) for at in range(100)]
    bars[50] |= {"high": 5000.0}

    axis = price_axis(bars)

    assert axis is not None
    assert (axis.beyond, axis.farthest) == (1, 5000.0)
    assert axis.low < 50 and 50.9 < axis.high < 60
    assert "1 bar reaches beyond the price axis, as far as 5,000.00 USD" in notes(sheet(*bars), PLAIN, OPENS)[0]


def test_a_real_move_is_never_left_out() -> None:
    trend = [minute(at, 50 + at / 10) for at in range(200)]
    jump = [minute(at, 50 + (at >= 197) * 5 + at % 10 / 10) for at in range(200)]
    many = [minute(at, 5000.0 if at % 10 == 0 else 50 + at % 7 / 10) for at in range(200)]

    assert [price_axis(bars) for bars in (trend, jump, many, trend[:3], [])] == [None] * 5


@given(st.lists(st.floats(0.01, 1e6), max_size=80))
def test_an_axis_holds_all_bars_but_those_it_counts(closes: list[float]) -> None:
    bars = [minute(at, close) for at, close in enumerate(closes)]

    axis = price_axis(bars)

    if axis:
        outside = [close for close in closes if not axis.low <= close <= axis.high]
        assert axis.beyond == len(outside) <= max(3, len(closes) // 50)
        assert axis.farthest in outside


def test_auctions_do_not_hide_the_volume_of_the_day() -> None:
    bars = [minute(at, volume=1e6 if at in (0, 99) else 100.0 + at) for at in range(100)]

    axis = volume_axis(bars)

    assert axis is not None
    assert (axis.beyond, axis.farthest) == (2, 1e6)
    assert volume_axis([minute(at, volume=100.0 + at) for at in range(100)]) is None


def test_the_chart_has_a_panel_for_what_there_is_and_breaks_in_its_lines() -> None:
    bars = [minute(at, session_vwap=50.0, rsi=40.0, macd=0.1, macd_signal=0.2, warm=0) for at in (0, 1, 5, 6)]
    bars[1] |= {"late_prints": 2, "revision": 2}

    figure = json.loads(encoded(figure_of(sheet(*bars), SESSIONS, ZONE, PLAIN)))

    assert [key for key in figure["layout"] if key.startswith("yaxis")] == [f"yaxis{at}" for at in ("", 2, 3, 4, 5)]
    vwap = next(trace for trace in figure["data"] if trace["name"] == PLAIN["session_vwap"])
    assert vwap["y"] == [50.0, 50.0, None, 50.0, 50.0, None]
    assert vwap["connectgaps"] is False
    late = next(trace for trace in figure["data"] if trace["name"] == "Prints late")
    assert (figure["times"][late["x"]], late["y"]) == (["2025-03-03T09:31:00"], [2])
    regular = figure["layout"]["shapes"][0]
    assert (regular["x0"], regular["x1"]) == ("2025-03-03T09:30:00", "2025-03-03T16:00:00")
    bare = figure_of(sheet(minute(0)), SESSIONS, ZONE, PLAIN).to_plotly_json()
    assert {trace["type"] for trace in bare["data"]} == {"candlestick", "bar"}


def test_a_flag_stands_above_its_bar_with_score_and_reason_and_an_alert_with_its_delivery() -> None:
    told = sheet(
        minute(0), minute(1, 51.0), minute(2), flags=found(flag(1), flag(1, kind="move", reason="print")),
        alerts=found(alert(1.5, "up 2 %", attempts=2, accepted=1, failed=1, copies=1)),
    )  # fmt: skip

    traces = {trace.name: trace for trace in figure_of(told, SESSIONS, ZONE, PLAIN).data}

    flags = traces["Anomalies"]
    assert list(flags.x) == ["2025-03-03T09:31:00"]
    assert flags.y[0] > 51.0
    assert flags.text[0] == (
        "jump out of line by 9.0: unexplained (1m at 09:31:00)<br>move out of line by 9.0: print (1m at 09:31:00)"
    )
    said = traces["Alerts"].text[0].replace("<br>", " ")
    assert said == "09:31:30 jump: up 2 % (delivered 1 of 2 attempts, 1 failed, 1 may have arrived twice)"


def test_a_mark_beyond_the_axis_is_moved_to_where_it_can_be_seen() -> None:
    bars = [minute(at, 50 + at % 10 / 10) for at in range(100)]
    bars[50] |= {"high": 5000.0}

    figure = figure_of(sheet(*bars, flags=found(flag(50))), SESSIONS, ZONE, PLAIN)

    mark = next(trace for trace in figure.data if trace.name == "Anomalies")
    low, high = figure.layout.yaxis.range
    assert low < mark.y[0] < high


def test_halts_reach_back_to_the_last_print_and_overlapping_ones_are_one() -> None:
    halts = [
        flag(30, reason="halt", evidence='{"silent_ms": 600000}'),
        flag(31, reason="halt", evidence='{"silent_ms": 120000}'),
    ]
    mute = {"since": OPENS, "until": OPENS + MINUTE, "state": "symbol_mute"}
    odd = [flag(40, reason="halt", evidence=text) for text in ("", "[]", '{"silent_ms": "x"}', '{"silent_ms": null}')]

    spans = spans_of(sheet(minute(0), flags=found(*halts, *odd), stretches=found(mute)))

    assert [(span.kind, span.since, span.until) for span in spans] == [
        ("symbol_mute", OPENS, OPENS + MINUTE), ("halt", OPENS + 20 * MINUTE, OPENS + 31 * MINUTE),
    ]  # fmt: skip


def test_values_that_are_not_warm_are_said() -> None:
    bars = [minute(0, rsi=40.0, warm=0, parameter_set="s"), minute(1, rsi=40.0, warm=WARM_BITS["rsi"])]

    assert cold_bars(bars) == {"rsi": 1}
    assert any("not warm yet" in told.lower() and "RSI: 1" in told for told in notes(sheet(*bars), PLAIN, OPENS))


def test_bars_that_may_still_change_are_said() -> None:
    assert any("1 bar is not final yet" in told for told in notes(sheet(minute(0)), PLAIN, OPENS))


class Read(HTMLParser):
    """Elements and attributes of a page, as a browser would find them."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.handlers: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


HOSTILE = st.one_of(
    st.sampled_from([
        "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</script><b>", "' onclick='x", "&lt;b&gt;",
        "<!--", "\u202egnp.exe", "\x00\x1b[31m", "\ud800", "%{x}",
    ]),
    st.text(max_size=30),
)  # fmt: skip


@given(HOSTILE, HOSTILE)
def test_no_text_of_a_table_becomes_markup(symbol: str, told: str) -> None:
    rows = {"flags": found(flag(0, reason=told, kind=told, evidence=told)), "alerts": found(alert(0, told, rule=told))}
    signal = {"bar_start": OPENS, "rule": told, "direction": "up", "value": 1.0, "level": 1.0, "evidence": told}
    card = {"feed": told, "verdict": told, "prints": 1, "lost_prints": 1, "coverage": 0.5, "reference": told}
    one = sheet(minute(0), symbol=symbol, signals=found(signal), complete=(card,), **rows)

    page = Read()
    page.feed(section(1, one, FACTS | {"symbol": symbol}, SESSIONS, ZONE, {}, OPENS))

    assert page.elements.count("script") == 1
    assert not {"b", "img", "a"} & set(page.elements)
    assert page.handlers == []


NESTED = st.recursive(
    st.none() | st.integers() | HOSTILE, lambda inner: st.lists(inner) | st.dictionaries(HOSTILE, inner)
)


@given(NESTED)
def test_json_in_a_script_cannot_end_it_and_comes_back_as_it_was(value: Any) -> None:
    written = in_script(value)

    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == value


def test_a_number_that_is_none_is_an_error_and_never_reaches_the_page() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        in_script([float("nan")])
    assert [number(value) for value in (None, float("nan"), float("inf"), 1.5)] == [None, None, None, 1.5]


@given(HOSTILE)
def test_a_text_is_escaped_and_shows_no_character_that_cannot_be_seen(told: str) -> None:
    shown = text(told)

    assert not set("<>\"'") & set(shown)
    assert all(one.isprintable() for one in clean(told))
    assert len(clean(told)) == len(told)
    assert "<" not in boxed(told).replace("<br>", "")


def test_a_table_says_what_it_is_and_what_its_rows_are() -> None:
    made = table("A & B", (Column("symbol"), Column("shares", True)), [(Link("s1", "<X>"), 5)])

    assert 'role="region" tabindex="0" aria-label="A &amp; B"' in made
    assert '<th scope="row"><a href="#s1">&lt;X&gt;</a></th><td class="n">5</td>' in made
    assert '<th scope="col" class="n">shares</th>' in made


def test_times_are_held_once_for_all_lines() -> None:
    bars = [minute(at, session_vwap=50.0, sma_fast=50.0, sma_long=50.0) for at in range(50)]

    held = json.loads(encoded(figure_of(sheet(*bars), SESSIONS, ZONE, PLAIN)))

    assert len(held["times"]) == 2
    assert len(held["data"]) == 5


def test_a_full_chart_takes_no_more_room_than_the_bound_says() -> None:
    values = dict.fromkeys(DRAWN, 12.3456789) | {"warm": 0}
    bars = [minute(at, 1234.567891 + at, **values) for at in range(BARS_AT_MOST)]

    assert len(section(1, sheet(*bars), FACTS, SESSIONS, ZONE, {}, OPENS)) < 230_000


def test_the_finest_bars_that_fit_are_drawn() -> None:
    full = BARS_AT_MOST + 1

    assert choose_interval({"1s": 5, "1m": 3}, "1m") == Choice("1m")
    assert choose_interval({"1m": full, "5m": full, "15m": 9}, "1m").interval == "15m"
    assert choose_interval({"1m": full, "1h": full}, "1m").interval == "1h"
    assert choose_interval({}, "1m") == Choice("1m")


def test_indicators_are_named_by_the_set_they_were_made_with() -> None:
    known = {"standard@1": {**PLAIN, "rsi": "RSI 14"}}

    assert names_for(["standard@1", None], known)["rsi"] == "RSI 14"
    assert names_for(["standard@2"], known)["rsi"] == "RSI"
    assert names_for(["standard@1", "standard@2"], known)["rsi"] == "RSI"


def test_evidence_and_prices_are_written_for_people() -> None:
    assert evidence_of({"evidence": '{"a": 1, "b": null}'}) == "a 1"
    assert evidence_of({"evidence": "no json"}) == "no json"
    assert [price(value) for value in (1234.5, 0.012345, None)] == ["1,234.50", "0.012345", ""]


def test_a_policy_names_a_script_by_its_hash() -> None:
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", script_hash("x"))
