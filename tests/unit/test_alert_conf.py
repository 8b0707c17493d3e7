"""conf/alerts.yaml and conf/portfolios.yaml: what is wrong is said in one line each, and nothing is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.alerts.conf import AlertConf, load_alert_conf
from lakehouse.alerts.engine import WATCHERS, Engine
from lakehouse.alerts.rules import Scope
from lakehouse.errors import SettingsError
from lakehouse.reference.watchlist import load_watchlist
from lakehouse.settings import CONF

USERS = "version: 1\nusers: [{name: me, channels: [{kind: terminal}]}]\n"
NO_PORTFOLIO = "version: 1\nportfolios: []\n"
EVERY_KIND = """\
rules:
  - {name: a, kind: price_jump, scope: {symbols: [A]}, percent: 2, seconds: 10}
  - {name: b, kind: volume_surge, scope: {watchlist: true}, times: 5}
  - {name: c, kind: indicator_cross, scope: {symbols: [A]}, left: sma_fast, right: sma_medium}
  - {name: d, kind: indicator_cross, scope: {symbols: [A]}, left: rsi, right: 30, direction: below}
  - {name: e, kind: anomaly, scope: {symbols: [A]}, score: 8}
  - {name: f, kind: advice_change, scope: {symbols: [A]}}
  - {name: g, kind: fair_value_crossing, scope: {symbols: [A]}, percent: 20}
  - {name: h, kind: filing_arrival, scope: {symbols: [A]}, forms: [10-K]}
  - {name: i, kind: news_sentiment_swing, scope: {symbols: [A]}, swing: 0.5}
  - {name: j, kind: position_loss, scope: {portfolios: [p]}, percent: 10}
  - {name: k, kind: weight_drift, scope: {portfolios: [p]}, points: 5}
  - {name: l, kind: portfolio_value_move, scope: {portfolios: [p]}, percent: 5}
  - {name: m, kind: ex_dividend_ahead, scope: {portfolios: [p]}}
"""
PORTFOLIO = (
    "version: 1\nportfolios: [{name: p, owner: me, lots: [{symbol: A, shares: 1, price: 2, bought: 2024-01-02}]}]\n"
)


def loaded(folder: Path, alerts: str, portfolios: str = NO_PORTFOLIO) -> AlertConf:
    (folder / "alerts.yaml").write_text(alerts)
    (folder / "portfolios.yaml").write_text(portfolios)
    return load_alert_conf(folder / "alerts.yaml", folder / "portfolios.yaml", ["A", "B"])


def complaint(folder: Path, alerts: str, portfolios: str = NO_PORTFOLIO) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(folder, alerts, portfolios)
    return str(caught.value).replace(f"{folder}/", "")


def test_the_shipped_files_are_valid() -> None:
    watchlist = load_watchlist(CONF / "watchlist.yaml").tickers

    conf = load_alert_conf(CONF / "alerts.yaml", CONF / "portfolios.yaml", watchlist)

    assert conf.symbols(conf.rules[0].scope) == frozenset(watchlist)


def test_every_kind_can_be_stated_and_put_to_work(tmp_path: Path) -> None:
    conf = loaded(tmp_path, USERS + EVERY_KIND, PORTFOLIO)

    engine = Engine(conf.rules, conf)

    assert {rule.kind for rule in conf.rules} == WATCHERS.keys()
    assert len(engine.reads) == 9
    assert conf.symbols(Scope(portfolios=("p",))) == {"A"}


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (
            "{name: a, kind: price_jump, scope: {symbols: [A]}, percent: 2}",
            "alerts.yaml: rules.0.price_jump.seconds: Field required; found nothing. Nothing was loaded.",
        ),
        (
            "{name: a, kind: price_jump, scope: {symbols: [A]}, percent: 2, seconds: 10, rearm_percent: 2}",
            "rules.0.price_jump: expected rearm_percent below percent (2), or it would fire for ever",
        ),
        (
            "{name: a, kind: price_leap, scope: {symbols: [A]}}",
            "rules.0: Input tag 'price_leap' found using 'kind' does not match any of the expected tags: 'price_jump'",
        ),
        (
            "{name: a, kind: filing_arrival, scope: {symbols: [A], watchlist: true}}",
            "rules.0.filing_arrival.scope: expected exactly one of symbols, watchlist: true and portfolios",
        ),
        (
            "{name: a, kind: position_loss, scope: {symbols: [A]}, percent: 5}",
            "rules.0.position_loss: expected a scope with portfolios: this kind watches portfolios, not symbols",
        ),
        (
            "{name: a, kind: filing_arrival, scope: {symbols: [A]}, urgent: true, deliver: digest}",
            "expected urgent or deliver: digest, found both: an urgent alert does not wait",
        ),
        (
            "{name: a, kind: filing_arrival, scope: {symbols: [A]}, cool_down_seconds: 5}",
            "rules.0.filing_arrival.cool_down_seconds: Input should be less than or equal to 0; found 5",
        ),
        (
            "{name: a, kind: filing_arrival, scope: {symbols: [A]}, percnt: 5}",
            "rules.0.filing_arrival.percnt: Extra inputs are not permitted; found 5",
        ),
        (
            "{name: a, kind: anomaly, scope: {symbols: [A]}, score: .nan}",
            "rules.0.anomaly.score: Input should be a finite number; found nan",
        ),
        (
            "{name: a, kind: filing_arrival, scope: {symbols: [A]}, to: [you]}",
            "expected `to` to name users of this file ['me'], found {'a': ['you']}",
        ),
        (
            "{name: a, kind: filing_arrival, scope: {portfolios: [q]}}",
            "alerts.yaml: rules.a.scope.portfolios: expected portfolios of portfolios.yaml [], found ['q']",
        ),
    ],
)
def test_a_wrong_rule_is_refused_in_one_line_that_says_where(tmp_path: Path, rule: str, line: str) -> None:
    said = complaint(tmp_path, f"{USERS}rules:\n  - {rule}\n")

    assert line in said
    assert "\n" not in said
    assert said.endswith("Nothing was loaded.")


@pytest.mark.parametrize(
    ("user", "line"),
    [
        ("{name: me, channels: []}", "users.0.channels: Tuple should have at least 1 item"),
        ("{name: me, zone: Mars/Base, channels: [{kind: terminal}]}", "found 'Mars/Base'"),
        ("{name: me, channels: [{kind: terminal}, {kind: terminal}]}", "found ['terminal'] more than once"),
        ("{name: me, channels: [{kind: sns, topic: news}]}", "users.0.channels.0.sns.topic: String should match"),
        (
            "{name: me, quiet: {begins: '22:00', ends: '22:00'}, channels: [{kind: terminal}]}",
            "begins and ends to differ",
        ),
    ],
)
def test_a_wrong_user_is_refused(tmp_path: Path, user: str, line: str) -> None:
    assert line in complaint(tmp_path, f"version: 1\nusers: [{user}]\n")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("owner: you", "portfolios.p.owner: expected a user of alerts.yaml ['me'], found 'you'"),
        ("owner: me, targets: {A: 80, B: 30}", "expected targets of 0 or more, 100 percent in all at most"),
    ],
)
def test_a_wrong_portfolio_is_refused(tmp_path: Path, change: str, line: str) -> None:
    assert line in complaint(tmp_path, USERS, PORTFOLIO.replace("owner: me", change))


def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    rule = "{name: a, kind: filing_arrival, scope: {symbols: [A]}}"

    assert "expected each rule name once, found ['a'] more than once" in complaint(
        tmp_path, f"{USERS}rules: [{rule}, {rule}]\n"
    )


def test_an_unknown_rule_is_an_error_that_lists_the_known(tmp_path: Path) -> None:
    conf = loaded(tmp_path, USERS + EVERY_KIND, PORTFOLIO)

    with pytest.raises(SettingsError, match="there is no rule 'z'.*a, b, c"):
        conf.rule("z")
