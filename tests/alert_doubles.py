"""Doubles for the tests of alerts: a store with DynamoDB's conditions, a clock that is set, channels that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lakehouse.alerts.lifecycle import Alert
from lakehouse.alerts.messages import Message
from serving.delivery.channels import ChannelError
from serving.delivery.store import Change, Item, Key

START = datetime(2024, 3, 7, 15, tzinfo=UTC)


def an_alert(number: int = 0, rule: str = "jump") -> Alert:
    """The alert of that number."""
    text = f"A{number} rose"
    return Alert(
        f"{number:032x}", rule, 1, "price_jump", f"A{number}", "up", "2024-03-07/regular", "1", number, 2.0, text
    )


@dataclass
class SetClock:
    """A clock that moves when it is told to."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class FakeStore:
    """Items in a dictionary. `before_apply` may die in place of a process, before or after a change is made."""

    def __init__(self) -> None:
        self.items: dict[Key, Item] = {}
        self.before_apply: Callable[[Sequence[Change]], None] = lambda _: None

    def apply(self, changes: Sequence[Change]) -> bool:
        """All changes or none."""
        self.before_apply(changes)
        assert len({change.key for change in changes}) == len(changes), "DynamoDB refuses two changes of one item"
        if not all(self._is_as_expected(change) for change in changes):
            return False
        for change in changes:
            item = self.items.setdefault(change.key, {"pk": change.key[0], "sk": change.key[1]})
            item.update(change.put)
            for name, more in change.add.items():
                item[name] = int(item.get(name, 0)) + more
            for name in change.remove:
                item.pop(name, None)
        return True

    def due(self, queue: str, until_ms: int, limit: int) -> list[Item]:
        """Copies, the oldest first."""
        found = [item for item in self.items.values() if item.get("queue") == queue and int(item["due_ms"]) <= until_ms]
        return [dict(item) for item in sorted(found, key=lambda item: int(item["due_ms"]))[:limit]]

    def partition(self, name: str) -> list[Item]:
        """Copies in order."""
        return [dict(item) for key, item in sorted(self.items.items()) if key[0] == name]

    def scan(self) -> Iterator[Item]:
        """Copies of all."""
        yield from [dict(item) for item in self.items.values()]

    def _is_as_expected(self, change: Change) -> bool:
        item = self.items.get(change.key)
        if change.is_new and item is not None:
            return False
        found = item or {}
        equal = all(name in found and found[name] == value for name, value in change.expect.items())
        return equal and all(name not in found or int(found[name]) < limit for name, limit in change.below.items())


@dataclass
class FakeChannel:
    """Keeps what it accepted; fails as the plan says, one entry a call: None, or the error to raise."""

    plan: list[ChannelError | None] = field(default_factory=list)
    accepted: list[Message] = field(default_factory=list)
    calls: int = 0

    def send(self, message: Message) -> str:
        """Accept, or fail as planned."""
        self.calls += 1
        error = self.plan.pop(0) if self.plan else None
        if error:
            raise error
        self.accepted.append(message)
        return f"receipt-{self.calls}"

    @property
    def ids(self) -> list[str]:
        """Ids of the alerts accepted, as often as they were."""
        return [alert.alert_id for message in self.accepted for alert in message.alerts]
