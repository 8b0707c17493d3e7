"""conf/alerts.yaml and conf/portfolios.yaml: read whole, checked against each other, or refused line by line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from lakehouse.alerts.people import Portfolio, User, repeated
from lakehouse.alerts.rules import AnyRule, Scope
from lakehouse.errors import SettingsError
from lakehouse.reference.yaml_files import load_checked
from lakehouse.settings import Section


class Storm(Section):
    """How many single messages a channel of a user takes in a minute before the rest comes as one summary."""

    messages_a_minute: int = Field(12, ge=1)


class AlertsFile(Section):
    """The whole of conf/alerts.yaml."""

    version: int = Field(ge=1)
    storm: Storm = Storm()
    users: tuple[User, ...] = Field(min_length=1)
    rules: tuple[Annotated[AnyRule, Field(discriminator="kind")], ...] = ()

    @model_validator(mode="after")
    def _names_are_distinct_and_known(self) -> Self:
        for what, names in (("user", self.users), ("rule", self.rules)):
            if twice := repeated(one.name for one in names):
                raise ValueError(f"expected each {what} name once, found {twice} more than once")
        known = {user.name for user in self.users}
        strangers = {rule.name: sorted(set(rule.to) - known) for rule in self.rules if set(rule.to) - known}
        if strangers:
            raise ValueError(f"expected `to` to name users of this file {sorted(known)}, found {strangers}")
        return self


class PortfoliosFile(Section):
    """The whole of conf/portfolios.yaml."""

    version: int = Field(ge=1)
    portfolios: tuple[Portfolio, ...] = ()

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        if twice := repeated(one.name for one in self.portfolios):
            raise ValueError(f"expected each portfolio name once, found {twice} more than once")
        return self


@dataclass(frozen=True)
class AlertConf:
    """Rules, users and portfolios that fit together, and the symbols of the watchlist."""

    alerts: AlertsFile
    portfolios: Mapping[str, Portfolio]
    watchlist: frozenset[str]

    @property
    def rules(self) -> tuple[AnyRule, ...]:
        """Every rule, in the file's order."""
        return self.alerts.rules

    @property
    def users(self) -> dict[str, User]:
        """Users by name."""
        return {user.name: user for user in self.alerts.users}

    def rule(self, name: str) -> AnyRule:
        """The rule of that name; an unknown one is an error that lists the known."""
        for rule in self.rules:
            if rule.name == name:
                return rule
        known = ", ".join(rule.name for rule in self.rules) or "none at all"
        raise SettingsError(f"alerts: there is no rule {name!r}. Nothing was done. Rules of the file: {known}.")

    def symbols(self, scope: Scope) -> frozenset[str]:
        """The symbols a scope covers now."""
        if scope.watchlist:
            return self.watchlist
        held = frozenset().union(*(self.portfolios[name].symbols for name in scope.portfolios))
        return held | frozenset(scope.symbols)


def load_alert_conf(alerts: Path, portfolios: Path, watchlist: Iterable[str]) -> AlertConf:
    """Both files, checked by themselves and against each other; one SettingsError names every problem."""
    rules, held = load_checked(alerts, AlertsFile), load_checked(portfolios, PortfoliosFile)
    by_name = {one.name: one for one in held.portfolios}
    problems = [
        f"{alerts}: rules.{rule.name}.scope.portfolios: expected portfolios of {portfolios} "
        f"{sorted(by_name)}, found {missing}. Nothing was loaded."
        for rule in rules.rules
        if (missing := sorted(set(rule.scope.portfolios) - set(by_name)))
    ]
    users = {user.name for user in rules.users}
    problems += [
        f"{portfolios}: portfolios.{one.name}.owner: expected a user of {alerts} {sorted(users)}, found "
        f"{one.owner!r}. Nothing was loaded."
        for one in held.portfolios
        if one.owner not in users
    ]
    if problems:
        raise SettingsError("\n".join(problems))
    return AlertConf(rules, by_name, frozenset(watchlist))
