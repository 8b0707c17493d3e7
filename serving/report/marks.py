"""Marks on a chart: what was flagged, signalled and told, each at the bar it is about, one mark a bar."""

from __future__ import annotations

import json
import textwrap
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from serving.report.html import clean
from serving.report.lake import Row
from serving.report.lines import Axis, local, number
from serving.report.sheets import Sheet

A_DAY_MS = 86_400_000
LONGEST, LINE = 240, 60  # characters of one text in a box beside the pointer, and of a line of it


@dataclass(frozen=True)
class Event:
    """Something that is told at an instant."""

    at: datetime
    told: str


@dataclass(frozen=True)
class Marks:
    """Where marks lie and what the box beside the pointer says."""

    times: list[str]
    prices: list[float]
    texts: list[str]


@dataclass(frozen=True)
class Span:
    """A stretch of time that is coloured."""

    since: datetime
    until: datetime
    kind: str


def marks_of(
    bars: Sequence[Row], events: Iterable[Event], zone: ZoneInfo, *, side: str, rise: float, axis: Axis | None
) -> Marks:
    """One mark for each bar that has events, `rise` above its high or below its low; without a bar, at the instant."""
    starts = [bar["bar_start"] for bar in bars]
    found: dict[str, tuple[float, list[str]]] = {}
    for event in events:
        at = bisect_right(starts, event.at) - 1
        price = _price(bars, at, side)
        if price is None:
            continue
        is_within = at >= 0 and event.at < bars[at]["bar_end"]
        shown = price + rise if side == "high" else price - rise
        place = (axis.within(shown, rise) if axis else shown, list[str]())
        found.setdefault(local(starts[at] if is_within else event.at, zone), place)[1].append(boxed(event.told))
    return Marks(list(found), [place[0] for place in found.values()], ["<br>".join(t) for _, t in found.values()])


def _price(bars: Sequence[Row], at: int, side: str) -> float | None:
    """The high or low of a bar, else the last one known before it, else the first one after."""
    for bar in (*reversed(bars[: at + 1]), *bars[at + 1 :]):
        if (price := number(bar[side])) is not None:
            return price
    return None


def boxed(told: str) -> str:
    """A text for the box beside the pointer: no markup of its own, no longer than fits."""
    whole = clean(told)
    shown = whole if len(whole) <= LONGEST else f"{whole[:LONGEST]} ..."
    lines = textwrap.wrap(shown, LINE)
    return "<br>".join(escape(line) for line in lines)


def flag_events(sheet: Sheet, zone: ZoneInfo) -> list[Event]:
    """Anomalies with reason and score."""
    return [
        Event(
            row["bar_start"],
            f"{row['kind']} out of line by {row['score']:.1f}: {row['reason']} ({row['interval']} at "
            f"{row['bar_start'].astimezone(zone):%H:%M:%S})",
        )
        for row in sheet.flags.rows
    ]


def signal_events(sheet: Sheet, direction: str) -> list[Event]:
    """Signals of one direction."""
    return [
        Event(row["bar_start"], f"{row['rule']}: {row['value']:.4g} crossed {row['level']:.4g}")
        for row in sheet.signals.rows
        if row["direction"] == direction
    ]


def alert_events(sheet: Sheet, zone: ZoneInfo) -> list[Event]:
    """Alerts with their text and how they were delivered."""
    found = []
    for row in sheet.alerts.rows:
        fired = f"{row['fired_at'].astimezone(zone):%H:%M:%S}"
        found.append(Event(row["fired_at"], f"{fired} {row['rule']}: {row['text']} ({sent(row)})"))
    return found


def sent(alert: Row) -> str:
    """How far an alert got, as its attempts say."""
    if not alert["attempts"]:
        return "no attempt to deliver it is recorded"
    told = [f"delivered {alert['accepted']} of {alert['attempts']} attempts"]
    told += [f"{alert['failed']} failed"] if alert["failed"] else []
    told += [f"{alert['copies']} may have arrived twice"] if alert["copies"] else []
    return ", ".join(told)


def spans_of(sheet: Sheet) -> list[Span]:
    """Halts, as flags saw them, and stretches in which the feed was not well; overlapping ones of a kind are one."""
    halts = [Span(row["bar_start"] - timedelta(milliseconds=_silent(row)), row["bar_start"], "halt") for row in
             sheet.halts]  # fmt: skip
    feeds = [Span(row["since"], row["until"], row["state"]) for row in sheet.stretches.rows]
    return _merged(halts + feeds)


def _silent(row: Row) -> int:
    """For how long nothing traded before the flagged bar."""
    try:
        told = json.loads(row["evidence"])["silent_ms"]
    except (ValueError, KeyError, TypeError):
        return 0
    return min(max(told, 0), A_DAY_MS) if isinstance(told, int) else 0


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.kind, one.since)):
        last = merged[-1] if merged else None
        if last and last.kind == span.kind and span.since <= last.until:
            merged[-1] = Span(last.since, max(last.until, span.until), span.kind)
        elif span.until > span.since:
            merged.append(span)
    return sorted(merged, key=lambda one: one.since)
