"""The life of an alert as a fold over observations: armed, fired, cooling, re-armed, expired.

Observations of a subject are judged in the order they arrive. One whose `order` is not above the newest judged is a
repeat or late and is not judged: an alert tells what was so when it was seen. So neither the cut into batches nor a
replay changes what fires.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple, Self

from lakehouse.alerts.observations import Observation
from lakehouse.alerts.rules import Levels, Rule

REMEMBERED_EVENTS = 512
ID_LENGTH = 32


class State(StrEnum):
    """Where a rule stands with one subject."""

    ARMED = "armed"
    FIRED = "fired"
    COOLING = "cooling"
    REARMED = "rearmed"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Alert:
    """One crossing of one rule by one subject, under an id that any lane and any replay computes alike."""

    alert_id: str
    rule: str
    rule_version: int
    kind: str
    subject: str
    side: str
    session: str
    crossing: str
    fired_ms: int
    value: float
    text: str = ""

    def to_json(self) -> str:
        """The alert as one line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote."""
        return cls(**json.loads(text))


class Change(NamedTuple):
    """One step in the life of an alert."""

    alert_id: str
    state: State
    at_ms: int


class Machine(NamedTuple):
    """What is remembered of one rule and subject between observations."""

    is_armed: bool
    is_back: bool = False
    order: int = -1
    session: str = ""
    fired_ms: int | None = None
    alert_id: str = ""
    events: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """The state in words: between firing and re-arming an alert is fired until its value is back, then cooling."""
        if self.is_armed:
            return State.ARMED if self.fired_ms is None else State.REARMED
        if self.alert_id and not self.is_back:
            return State.FIRED
        return State.COOLING if self.alert_id else State.EXPIRED


class Step(NamedTuple):
    """The machine after an observation, the alert it fired, and what happened to alerts before."""

    machine: Machine
    alert: Alert | None = None
    changes: tuple[Change, ...] = ()


def new_machine(levels: Levels) -> Machine:
    """A machine that has seen nothing."""
    return Machine(is_armed=not levels.must_cross)


def alert_id(rule: Rule, seen: Observation, crossing: str) -> str:
    """The alert key as text of fixed length: rule and version, subject and side, session, crossing."""
    key = [rule.name, rule.version, seen.subject, seen.side, seen.session, crossing]
    return sha256(json.dumps(key, separators=(",", ":")).encode()).hexdigest()[:ID_LENGTH]


def step(machine: Machine, seen: Observation, rule: Rule, levels: Levels) -> Step:
    """Judge one observation. The crossing is named by its instant, so a lane that began later names it alike."""
    if seen.event:
        return _step_event(machine, seen, rule, levels)
    if seen.order <= machine.order or not math.isfinite(seen.value):
        return Step(machine)
    changes: list[Change] = []
    if levels.per_session and seen.session != machine.session:
        changes += _expired(machine, seen)
        machine = new_machine(levels)
    machine = machine._replace(order=seen.order, session=seen.session)
    if _is_over(seen, levels):
        return Step(machine._replace(is_armed=False, alert_id=""), None, (*changes, *_expired(machine, seen)))
    if not machine.is_armed:
        machine = _recovered(machine, seen, levels, changes)
    if machine.is_armed and seen.value >= levels.fire:
        return _fired(machine, seen, rule, str(seen.at_ms), changes)
    return Step(machine, None, tuple(changes))


def _step_event(machine: Machine, seen: Observation, rule: Rule, levels: Levels) -> Step:
    """Judge an event: each is told once, whatever order events come in; within a cool-down the first stands for all."""
    if seen.event in machine.events or _is_over(seen, levels):
        return Step(machine)
    machine = machine._replace(events=(*machine.events, seen.event)[-REMEMBERED_EVENTS:], session=seen.session)
    cooled = machine.fired_ms is None or seen.at_ms >= machine.fired_ms + levels.cool_down_ms
    if seen.value < levels.fire or (levels.cool_down_ms and not cooled):
        return Step(machine)
    changes = [Change(machine.alert_id, State.REARMED, seen.at_ms)] if machine.alert_id else []
    return _fired(machine, seen, rule, seen.event, changes)


def _recovered(machine: Machine, seen: Observation, levels: Levels, changes: list[Change]) -> Machine:
    """A machine that is not armed: back below the re-arm level it cools, and when the cool-down is over it re-arms."""
    is_back = machine.is_back or seen.value <= levels.rearm
    cooled = machine.fired_ms is None or seen.at_ms >= machine.fired_ms + levels.cool_down_ms
    if is_back and machine.alert_id and (cooled or not machine.is_back):
        changes.append(Change(machine.alert_id, State.REARMED if cooled else State.COOLING, seen.at_ms))
    if is_back and cooled:
        return machine._replace(is_armed=True, is_back=False, alert_id="")
    return machine._replace(is_back=is_back)


def _fired(machine: Machine, seen: Observation, rule: Rule, crossing: str, changes: list[Change]) -> Step:
    alert = Alert(
        alert_id=alert_id(rule, seen, crossing),
        rule=rule.name,
        rule_version=rule.version,
        kind=str(getattr(rule, "kind", "")),
        subject=seen.subject,
        side=seen.side,
        session=seen.session,
        crossing=crossing,
        fired_ms=seen.at_ms,
        value=seen.value,
    )
    fired = machine._replace(is_armed=False, is_back=False, fired_ms=seen.at_ms, alert_id=alert.alert_id)
    return Step(fired, alert, (*changes, Change(alert.alert_id, State.FIRED, seen.at_ms)))


def _expired(machine: Machine, seen: Observation) -> list[Change]:
    return [Change(machine.alert_id, State.EXPIRED, seen.at_ms)] if machine.alert_id and not machine.is_armed else []


def _is_over(seen: Observation, levels: Levels) -> bool:
    """Whether the rule's last day is past; sessions are named by their exchange date."""
    return levels.until is not None and date.fromisoformat(seen.session[:10]) > levels.until
