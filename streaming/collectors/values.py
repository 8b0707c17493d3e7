"""Single values of other people's JSON, read without guessing: what is not clearly one is None."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa


@dataclass
class Read:
    """Rows read from documents; what was left out of them, where and why; what a reader should be told; and how many
    figures were of a stretch of time that was not over.
    """

    rows: pa.Table
    left_out: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unfinished: int = 0


def is_whole(value: object) -> bool:
    """Whether it is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def number_of(value: object) -> float | None:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def text_of(value: object) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value.strip() else None


def instant_of(seconds: object) -> datetime | None:
    """Whole seconds since 1970 as an instant."""
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return None


def day_of(value: object) -> date | None:
    """A day as `2023-04-06`, or with the midnight that sources write behind it."""
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value.removesuffix(" 00:00:00"))
    except ValueError:
        return None


def time_of(value: object) -> datetime | None:
    """`2021-05-08 14:00:00`, which sources without a zone mean as UTC."""
    if not isinstance(value, str) or len(value) != len("2021-05-08 14:00:00") or value[10] != " ":
        return None
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    except ValueError:
        return None
