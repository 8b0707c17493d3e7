"""The outbox's table as few operations with conditions; DynamoDB in dynamo.py, a dictionary in the tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lakehouse.errors import TickhouseError

Value = str | int | bool
Item = dict[str, Value]
Key = tuple[str, str]


class DeliveryError(TickhouseError):
    """The outbox cannot be read or written."""


@dataclass(frozen=True)
class Change:
    """What becomes of one item: attributes set and removed, if it is as expected; nothing otherwise.

    `expect` are attributes and the values they must have; `is_new` means that there must be no such item yet, and
    `below` that attributes must be absent or less than these numbers.
    """

    key: Key
    put: Mapping[str, Value] = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    expect: Mapping[str, Value] = field(default_factory=dict)
    below: Mapping[str, int] = field(default_factory=dict)
    is_new: bool = False


class Store(Protocol):
    """A table of items under a partition and a sort key, with a queue of what is due."""

    def apply(self, changes: Sequence[Change]) -> bool:
        """Make all changes or none; False where an item is not as expected."""

    def due(self, queue: str, until_ms: int, limit: int) -> list[Item]:
        """Items of a queue with `due_ms` up to an instant, the oldest first; may lag behind changes a little."""

    def partition(self, name: str) -> list[Item]:
        """Every item of a partition in order of the sort key, as it is now."""

    def scan(self) -> Iterator[Item]:
        """Every item of the table."""
