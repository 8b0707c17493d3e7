"""All rules over all rows: rows in, alerts out, one machine for each rule, subject and side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from lakehouse.alerts.conf import AlertConf
from lakehouse.alerts.events import AdviceWatcher, AnomalyWatcher, DividendWatcher, FilingWatcher
from lakehouse.alerts.holdings import DriftWatcher, LossWatcher, Splits, ValueWatcher
from lakehouse.alerts.lifecycle import Alert, Change, Machine, new_machine, step
from lakehouse.alerts.observations import Observation, Row
from lakehouse.alerts.rules import AnyRule, Levels
from lakehouse.alerts.watchers import CrossWatcher, FairValueWatcher, JumpWatcher, NewsWatcher, SurgeWatcher

Key = tuple[str, str, str]


class Watcher(Protocol):
    """What turns rows of one kind into observations of one rule."""

    reads: type
    keeps: tuple[str, ...]  # the attributes in which it remembers rows

    def see(self, row: Any, /) -> Iterable[Observation]:
        """The observations a row completes."""

    def say(self, seen: Observation, /) -> str:
        """One sentence on an observation that fired."""


WATCHERS: Mapping[str, Any] = {
    "price_jump": JumpWatcher,
    "volume_surge": SurgeWatcher,
    "indicator_cross": CrossWatcher,
    "anomaly": AnomalyWatcher,
    "advice_change": AdviceWatcher,
    "fair_value_crossing": FairValueWatcher,
    "filing_arrival": FilingWatcher,
    "news_sentiment_swing": NewsWatcher,
    "position_loss": LossWatcher,
    "weight_drift": DriftWatcher,
    "portfolio_value_move": ValueWatcher,
    "ex_dividend_ahead": DividendWatcher,
}


def watcher_for(rule: AnyRule, conf: AlertConf, splits: Splits) -> Watcher:
    """The watcher of a rule, with the symbols or portfolios it covers now."""
    made: Watcher
    if rule.about_portfolios:
        made = WATCHERS[rule.kind](rule, [conf.portfolios[name] for name in rule.scope.portfolios], splits)
    else:
        made = WATCHERS[rule.kind](rule, conf.symbols(rule.scope))
    return made


class Engine:
    """Rules at work. It holds what they remember; the same rows in the same order always give the same alerts."""

    def __init__(self, rules: Sequence[AnyRule], conf: AlertConf, splits: Splits | None = None) -> None:
        self.changes: list[Change] = []
        self._machines: dict[Key, Machine] = {}
        self._by_row: dict[type, list[tuple[AnyRule, Levels, Watcher]]] = {}
        for rule in rules:
            watcher = watcher_for(rule, conf, splits or {})
            self._by_row.setdefault(watcher.reads, []).append((rule, rule.levels, watcher))

    @property
    def reads(self) -> frozenset[type]:
        """The kinds of rows the rules need."""
        return frozenset(self._by_row)

    @property
    def watchers(self) -> Iterator[tuple[AnyRule, Watcher]]:
        """Every rule with its watcher."""
        return ((rule, watcher) for watching in self._by_row.values() for rule, _, watcher in watching)

    def put_back(self, machines: Mapping[Key, Machine]) -> None:
        """Take up where an engine before this one stood."""
        self._machines.update(machines)

    def take_changes(self) -> list[Change]:
        """What has happened to alerts since this was asked last."""
        taken, self.changes = self.changes, []
        return taken

    @property
    def machines(self) -> Mapping[Key, Machine]:
        """Where each rule stands with each subject and side."""
        return self._machines

    def see(self, rows: Iterable[Row]) -> Iterator[Alert]:
        """The alerts that rows fire, in order. Changes of older alerts are appended to `changes`."""
        for row in rows:
            for rule, levels, watcher in self._by_row.get(type(row), ()):
                for seen in watcher.see(row):
                    alert = self._judge(seen, rule, levels)
                    if alert:
                        yield replace(alert, text=watcher.say(seen))

    def _judge(self, seen: Observation, rule: AnyRule, levels: Levels) -> Alert | None:
        key = (rule.name, seen.subject, seen.side if not seen.event else "")
        after = step(self._machines.get(key) or new_machine(levels), seen, rule, levels)
        self._machines[key] = after.machine
        self.changes += after.changes
        return after.alert


def recipients(alert: Alert, rule: AnyRule, conf: AlertConf) -> tuple[str, ...]:
    """Who is told: those the rule names, else the owners of the portfolios it concerns, else everybody."""
    if rule.to:
        return rule.to
    if not rule.scope.portfolios:
        return tuple(conf.users)
    of_portfolio, _, _ = alert.subject.partition("/")
    concerned = [
        conf.portfolios[name]
        for name in rule.scope.portfolios
        if (name == of_portfolio if rule.about_portfolios else alert.subject in conf.portfolios[name].symbols)
    ]
    return tuple(dict.fromkeys(portfolio.owner for portfolio in concerned))
