"""The other eleven kinds of rule, each on rows of the table it reads."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pytest

from lakehouse.alerts.conf import AlertConf, AlertsFile
from lakehouse.alerts.engine import Engine, recipients
from lakehouse.alerts.holdings import Position, Splits, positions
from lakehouse.alerts.lifecycle import Alert
from lakehouse.alerts.observations import Advice, Article, Bar, Dividend, FairValue, Filing, Flag, Indicators, Row
from lakehouse.alerts.people import Portfolio

DAY = date(2024, 3, 7)
HOUR = 3_600_000
USERS = [{"name": name, "channels": [{"kind": "terminal"}]} for name in ("ann", "bob")]
HELD = {
    "p": Portfolio.model_validate(
        {
            "name": "p",
            "owner": "bob",
            "cash": 100,
            "lots": [
                {"symbol": "A", "shares": 10, "price": 100, "bought": "2024-01-02"},
                {"symbol": "B", "shares": 5, "price": 20, "bought": "2024-01-02"},
            ],
            "targets": {"A": 80, "B": 10},
        }
    )
}
SYMBOLS, PORTFOLIO = {"symbols": ["A"]}, {"portfolios": ["p"]}


def conf_of(rule: dict[str, Any]) -> AlertConf:
    return AlertConf(AlertsFile.model_validate({"version": 1, "users": USERS, "rules": [rule]}), HELD, frozenset("AB"))


def fired(rows: Iterable[Row], splits: Splits | None = None, **rule: Any) -> list[Alert]:
    conf = conf_of({"name": "r", "scope": SYMBOLS, **rule})
    return list(Engine(conf.rules, conf, splits).see(rows))


def bar(minute: int, close: float = 100, volume: float = 100, **changes: Any) -> Bar:
    made = {"symbol": "A", "interval": "1m", "session_date": DAY, "session": "regular", "end_ms": minute * 60_000}
    return Bar(**{**made, "close": close, "volume": volume, **changes})


def test_a_volume_surge_is_judged_against_the_median_of_the_bars_before_it() -> None:
    rule = {"kind": "volume_surge", "times": 5, "bars": 3}

    (alert,) = fired([bar(1), bar(2, volume=120), bar(3, volume=80), bar(4, volume=500)], **rule)

    assert (alert.fired_ms, alert.value) == (240_000, 5.0)
    assert alert.text == "A traded 500 shares in 1m, 5.0 times the median of the 3 bars before"


def test_the_first_bars_of_a_session_and_thin_feeds_surge_never() -> None:
    rule = {"kind": "volume_surge", "times": 5, "bars": 3}
    quiet = [bar(1), bar(2), bar(3)]

    assert fired([*quiet, bar(4, volume=900, session_date=date(2024, 3, 8))], **rule) == []
    assert fired([*quiet, bar(4, volume=900, is_thin=True)], **rule) == []
    assert fired([*quiet, bar(4, volume=900, session="post")], **rule) == []
    assert fired([bar(1), bar(2), bar(4, volume=900)], **rule) == []


def values(day: int, **found: float) -> Indicators:
    return Indicators("A", "1d", DAY + timedelta(days=day), day * 24 * HOUR, found)


def test_an_indicator_cross_needs_both_sides_and_fires_once_each_way_over() -> None:
    rows = [
        values(1, fast=2, slow=1),
        values(2, fast=1, slow=1),
        values(3, fast=0.9, slow=1),
        values(4, fast=1.1, slow=1),
    ]

    (alert,) = fired([*rows, values(5, fast=1.2, slow=1)], kind="indicator_cross", left="fast", right="slow")

    assert alert.session == str(DAY + timedelta(days=4))
    assert alert.text == "A: fast crossed above slow on 1d bars, at 1.1"


def test_an_indicator_may_cross_a_number_and_what_is_not_warm_is_not_seen() -> None:
    rule = {"kind": "indicator_cross", "left": "rsi", "right": 30, "direction": "below"}

    assert len(fired([values(1, rsi=40), values(2, rsi=29)], **rule)) == 1
    assert fired([values(1, rsi=40), values(2, other=29)], **rule) == []


def flag(at: int, score: float, reason: str = "unexplained", kind: str = "move") -> Flag:
    return Flag("A", "1m", kind, DAY, at, at + 60_000, score, reason)


def test_one_alert_stands_for_all_flags_of_a_cool_down_and_some_reasons_are_told_nobody() -> None:
    rows = [flag(0, 3), flag(1000, 9), flag(2000, 9), flag(400_000, 9), flag(900_000, 99, "print")]

    alerts = fired(rows, kind="anomaly", score=8)

    assert [alert.crossing for alert in alerts] == ["1000/move", "400000/move"]
    assert alerts[0].text == "A: move on a 1m bar, score 9.0, reason: unexplained"


def test_advice_is_told_when_it_changes() -> None:
    actions = ["hold", "hold", "buy", "buy", "sell"]
    rows = [Advice("A", f"id{place}", DAY, place, action) for place, action in enumerate(actions)]

    assert [alert.text for alert in fired(rows, kind="advice_change")] == [
        "A: advice changed from hold to buy",
        "A: advice changed from buy to sell",
    ]
    assert [alert.crossing for alert in fired(rows, kind="advice_change", to_actions=["sell"])] == ["id4"]


def test_a_fair_value_is_crossed_from_the_near_side() -> None:
    rows = [FairValue("A", DAY, at, mid=100, price=price) for at, price in enumerate([75, 70, 95, 79, 78])]

    (alert,) = fired(rows, kind="fair_value_crossing", percent=20)

    assert (alert.side, alert.fired_ms) == ("cheap", 3)
    assert alert.text == "A at 79 is 21.0 % below the middle of its fair value"


def test_a_filing_is_told_while_it_is_fresh() -> None:
    rows = [
        Filing("A", "acc1", "10-K", DAY, 0, HOUR),
        Filing("A", "acc2", "8-K", DAY, 0, HOUR),
        Filing("A", "acc3", "10-K", DAY, 0, 100 * HOUR),
        Filing("A", "acc1", "10-K", DAY, 0, HOUR),
    ]

    assert [alert.crossing for alert in fired(rows, kind="filing_arrival")] == ["acc1", "acc2"]
    assert [alert.text for alert in fired(rows, kind="filing_arrival", forms=["10-k"])] == ["A filed 10-K (acc1)"]


def test_a_swing_of_sentiment_needs_enough_articles_on_both_spans() -> None:
    rule = {"kind": "news_sentiment_swing", "swing": 0.5, "hours": 2, "base_hours": 10, "articles": 2}
    rows = [
        *(Article("A", f"old{at}", DAY, at * HOUR, 0.4) for at in range(1, 4)),
        *(Article("A", f"new{at}", DAY, 10 * HOUR + at, -0.4) for at in range(3)),
    ]

    (alert,) = fired(rows, **rule)

    assert (alert.side, alert.fired_ms) == ("down", 10 * HOUR + 1)
    assert fired(rows[1:5], **rule | {"articles": 3}) == []


def test_an_ex_dividend_date_is_one_event_on_whichever_day_it_is_first_seen() -> None:
    ex_date = date(2024, 3, 15)
    rows = [Dividend("A", ex_date, 0.24, ex_date - timedelta(days=ahead), 0) for ahead in (9, 3, 2, 0, -1)]

    (alert,) = fired(rows, kind="ex_dividend_ahead")
    (later,) = fired(rows[2:], kind="ex_dividend_ahead")

    assert alert.text == "A trades without its dividend of 0.24 from 2024-03-15 on"
    assert alert.alert_id == later.alert_id


def minute(number: int, a: float, b: float, **changes: Any) -> list[Bar]:
    return [bar(number, a, symbol="A", **changes), bar(number, b, symbol="B", **changes)]


def test_a_position_is_told_of_once_when_it_has_lost_enough() -> None:
    rows = [*minute(1, 95, 20), *minute(2, 89, 20), *minute(3, 80, 20)]

    (alert,) = fired(rows, kind="position_loss", percent=10, scope=PORTFOLIO)

    assert (alert.subject, alert.fired_ms) == ("p/A", 120_000)
    assert alert.text == "p/A is 11.0 % below what was paid, at 89"


def test_a_split_is_no_loss() -> None:
    splits = {"A": [(DAY, 4.0)]}
    rows = minute(1, 25, 20)

    assert fired(rows, splits, kind="position_loss", percent=10, scope=PORTFOLIO) == []
    assert positions(HELD["p"], splits, DAY)["A"] == Position(40.0, 1000.0)
    assert positions(HELD["p"], splits, DAY - timedelta(days=1))["A"] == Position(10.0, 1000.0)


def test_a_weight_is_off_its_target() -> None:
    (alert,) = fired(minute(1, 100, 60), kind="weight_drift", points=10, scope=PORTFOLIO)

    assert (alert.subject, alert.value) == ("p/B", pytest.approx(11.428, abs=0.001))
    assert alert.text == "p/B weighs 21.4 %, 11.4 points off its target"


def test_a_portfolio_moves_against_the_session_before() -> None:
    rule = {"kind": "portfolio_value_move", "percent": 5, "scope": PORTFOLIO}
    next_day = {"session_date": date(2024, 3, 8)}
    rows = [
        *minute(1, 100, 20),
        *minute(2, 90, 20),
        *minute(2000, 91, 20, **next_day),
        *minute(2001, 84, 20, **next_day),
    ]

    (alert,) = fired(rows, **rule)

    assert (alert.subject, alert.side) == ("p", "down")
    assert alert.text == "p is down 5.45 % since the session before, at 1,040.00"


def test_a_portfolio_is_valued_when_all_of_it_has_reported_or_the_minute_is_over() -> None:
    rule = {"kind": "position_loss", "percent": 10, "scope": PORTFOLIO}
    silent_b = [*minute(1, 100, 20), bar(2, 80), bar(3, 80)]

    (alert,) = fired(silent_b, **rule)

    assert alert.fired_ms == 120_000
    assert fired(silent_b[:-1], **rule) == [], "the minute is not over yet"
    assert fired([bar(1, 10), bar(2, 10)], **rule) == [], "half a portfolio has no value"


def test_those_are_told_whom_it_concerns() -> None:
    loss = {"name": "r", "kind": "position_loss", "percent": 10, "scope": PORTFOLIO}
    cross = {"name": "r", "kind": "filing_arrival", "scope": PORTFOLIO}
    for rule, subject, told in [
        (loss, "p/A", ("bob",)),
        (loss | {"to": ["ann"]}, "p/A", ("ann",)),
        (cross, "A", ("bob",)),
        (cross, "C", ()),
        (cross | {"scope": SYMBOLS}, "A", ("ann", "bob")),
    ]:
        conf = conf_of(rule)
        alert = Alert("id", "r", 1, "kind", subject, "", "2024-03-07", "1", 1, 1.0)
        assert recipients(alert, conf.rules[0], conf) == told
