"""What `detect` keeps between steps: rules that go on where they stood, and files that are whole or refused."""

from __future__ import annotations

import base64
import json
import pickle
from collections import Counter
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.alerts.conf import AlertConf, AlertsFile, PortfoliosFile
from lakehouse.alerts.engine import Engine
from lakehouse.alerts.memory import remembered, remind
from lakehouse.alerts.observations import Advice, Article, Bar, Filing, Flag, Indicators, Row, Trade
from lakehouse.errors import CheckpointError
from streaming.detect.memory import Memory, Step
from streaming.detect.touched import TouchedBar

DAYS = [date(2024, 3, 7), date(2024, 3, 8)]
SYMBOLS = ["A", "B"]
SCOPE = {"symbols": SYMBOLS}
RULES: list[dict[str, Any]] = [
    {"name": "jump", "kind": "price_jump", "scope": SCOPE, "percent": 1, "seconds": 5, "cool_down_seconds": 2},
    {"name": "surge", "kind": "volume_surge", "scope": SCOPE, "times": 1.5, "bars": 3, "cool_down_seconds": 60},
    {"name": "cross", "kind": "indicator_cross", "scope": SCOPE, "left": "rsi", "right": 50.0, "interval": "1m"},
    {"name": "odd", "kind": "anomaly", "scope": SCOPE, "score": 2, "cool_down_seconds": 60},
    {"name": "advice", "kind": "advice_change", "scope": SCOPE},
    {"name": "filed", "kind": "filing_arrival", "scope": SCOPE},
    {"name": "news", "kind": "news_sentiment_swing", "scope": SCOPE, "swing": 0.3, "articles": 1},
    {"name": "loss", "kind": "position_loss", "scope": {"portfolios": ["mine"]}, "percent": 5},
    {"name": "value", "kind": "portfolio_value_move", "scope": {"portfolios": ["mine"]}, "percent": 2},
]
PORTFOLIO = {
    "name": "mine", "owner": "me",
    "lots": [{"symbol": one, "shares": 1, "price": 100, "bought": "2020-01-02"} for one in SYMBOLS],
}  # fmt: skip


def conf_of(rules: list[dict[str, Any]]) -> AlertConf:
    users = [{"name": "me", "channels": [{"kind": "terminal"}]}]
    portfolios = PortfoliosFile.model_validate({"version": 1, "portfolios": [PORTFOLIO]}).portfolios
    file = AlertsFile.model_validate({"version": 1, "users": users, "rules": rules})
    return AlertConf(file, {one.name: one for one in portfolios}, frozenset(SYMBOLS))


def engine_of(rules: list[dict[str, Any]] = RULES) -> Engine:
    conf = conf_of(rules)
    return Engine(conf.rules, conf)


@st.composite
def tapes(draw: st.DrawFn) -> list[Row]:
    """Rows of all kinds, later ones at later times."""
    rows: list[Row] = []
    for number in range(draw(st.integers(1, 120))):
        symbol, level = draw(st.sampled_from(SYMBOLS)), draw(st.integers(90, 110))
        ms, day = number * 700, DAYS[number > 60]
        kinds: list[Row] = [
            Trade(symbol, day, "regular", ms << 20, ms, ms + 5, level * 1_000_000, True),
            Bar(symbol, "1m", day, "regular", ms, float(level), float(level)),
            Indicators(symbol, "1m", day, ms, {"rsi": float(level - 50)}),
            Flag(symbol, "1m", "jump", day, ms, ms, float(level - 95), "unexplained"),
            Advice(symbol, f"a{number}", day, ms, draw(st.sampled_from(["buy", "sell"]))),
            Filing(symbol, f"f{number // 2}", "8-K", day, ms, ms),
            Article(symbol, f"n{number}", day, ms * 20_000, (level - 100) / 10),
        ]  # fmt: skip
        rows.append(draw(st.sampled_from(kinds)))
    return rows


@given(rows=tapes(), cuts=st.sets(st.integers(0, 120), max_size=4))
def test_an_engine_that_is_put_away_and_taken_up_again_anywhere_tells_the_same(rows: list[Row], cuts: set[int]) -> None:
    whole = engine_of()
    expected = list(whole.see(rows))

    edges = [0, *sorted(cut for cut in cuts if cut < len(rows)), len(rows)]
    told, changes, memory = [], [], remembered(engine_of())
    for first, last in pairwise(edges):
        engine = engine_of()
        remind(engine, memory)
        told += list(engine.see(rows[first:last]))
        changes += engine.take_changes()
        memory = remembered(engine)

    assert told == expected
    assert changes == whole.take_changes()


def test_a_rule_that_has_changed_begins_anew_and_the_others_go_on() -> None:
    ups = [
        Trade("A", DAYS[0], "regular", ms << 20, ms, ms, price, True)
        for ms, price in [(0, 100_000_000), (1000, 103_000_000), (1100, 103_000_000)]
    ]
    before = engine_of()
    assert Counter(alert.rule for alert in before.see(ups)) == {"jump": 1}

    changed = [{**rule, "version": 2} if rule["name"] == "jump" else rule for rule in RULES]
    after = engine_of(changed)
    remind(after, remembered(before))

    assert {rule for rule, _, _ in after.machines} == set()
    assert [alert.rule_version for alert in after.see(ups)] == [2]


@pytest.mark.parametrize("what", [base64.b64decode, json.loads, Counter])
def test_a_memory_that_holds_anything_but_a_watchers_own_is_refused(what: object) -> None:
    engine = engine_of()
    kept = json.loads(remembered(engine))
    kept["watchers"]["jump"][1] = base64.b64encode(pickle.dumps({"_tapes": what})).decode()

    with pytest.raises(CheckpointError, match="nothing a watcher remembers"):
        remind(engine, json.dumps(kept))


def test_what_a_module_of_ours_imports_is_not_ours() -> None:
    engine = engine_of()
    kept = json.loads(remembered(engine))
    kept["watchers"]["jump"][1] = base64.b64encode(b"clakehouse.alerts.memory\npickle.loads\n.").decode()

    with pytest.raises(CheckpointError):
        remind(engine, json.dumps(kept))


def test_a_memory_comes_back_as_it_was() -> None:
    bar = TouchedBar("1m", "I-1", 19_000, 60_000, 120_000)
    memory = Memory(7, 5, 11, 9, 3, frozenset([bar]), frozenset([19_000, 19_001]), "engine")

    assert Memory.from_text(memory.to_text()) == memory
    assert Memory.from_text(Memory().to_text()) == Memory()


def test_a_step_names_everything_that_a_repeat_needs() -> None:
    step = Step(3, 1, 7, 12, 100, 98, 200, judges=True)

    assert Step(**json.loads(json.dumps(vars(step)))) == step
