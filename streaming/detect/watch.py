"""Alert rules at work in the stream: rows in the order in which they became known, alerts to gold.alerts and on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from threading import Event
from typing import Any

import pyarrow as pa
from pyspark.sql import functions as F

from lakehouse import alert_history
from lakehouse.alert_ledger import merge_alerts
from lakehouse.alerts import observations as seen
from lakehouse.alerts.conf import AlertConf
from lakehouse.alerts.engine import Engine
from lakehouse.alerts.lifecycle import Alert
from lakehouse.alerts.memory import remind
from lakehouse.crashpoints import crashpoint
from lakehouse.errors import TickhouseError
from lakehouse.indicators.compute import NAMES
from lakehouse.lake import Lake
from lakehouse.tables.gold import BARS
from lakehouse.thin_feeds import ThinFeeds, Trust, read_thin_feeds

LOGGER = logging.getLogger("tickhouse.detect")
AGAIN_SECONDS = 1.0
LONGEST_BAR_MS = 86_400_000
HOUR_MS = 3_600_000
TOLD_AGAIN = timedelta(days=7)  # how long a row of another table may have been on its way to it
OF_OTHERS = (seen.Advice, seen.FairValue, seen.Filing, seen.Article, seen.Dividend)
Publish = Callable[[Alert], bool]


class Interrupted(TickhouseError):
    """Told to stop while the outbox could not be reached; the step is done again by the next start."""


@dataclass(frozen=True)
class Watch:
    """Rules, what a volume must show for itself to be believed, and whom alerts are handed to.

    Of an alert that fired longer than `tell_ms` ago nobody is told; None: of each somebody is.
    """

    conf: AlertConf
    trust: Trust
    publish: Publish
    tell_ms: int | None = None
    refused: set[tuple[str, date]] = field(default_factory=set)

    @property
    def asks_for_volume(self) -> bool:
        """Whether a rule believes in the volume of bars."""
        return any(rule.kind == "volume_surge" for rule in self.conf.rules)

    def without_thin(self, bars: Iterable[seen.Bar], feeds: ThinFeeds) -> Iterator[seen.Bar]:
        """Bars with thin ones marked; each symbol and date is told of once."""
        for bar in feeds.marked(bars):
            place = (bar.symbol, bar.session_date)
            if bar.is_thin and place not in self.refused:
                self.refused.add(place)
                why = feeds.refusal(bar.symbol, bar.session_date, bar.end_ms)
                LOGGER.warning("%s %s: no alert on volume: %s. See `tickhouse feed-health`.", *place, why)
            yield bar

    def news(self, alerts: Sequence[Alert], now_ms: int) -> list[Alert]:
        """The alerts that are fresh enough to be told; how many are not is logged."""
        if self.tell_ms is None:
            return list(alerts)
        fresh = [alert for alert in alerts if now_ms - alert.fired_ms <= self.tell_ms]
        if old := len(alerts) - len(fresh):
            hours = self.tell_ms / HOUR_MS
            LOGGER.warning(
                "%d alerts fired over %g h ago (detect.tell_hours): kept in gold.alerts, not told.", old, hours
            )
        return fresh

    def engine(self, lake: Lake, memory: str) -> Engine:
        """An engine that goes on where the one before it stood."""
        made = Engine(self.conf.rules, self.conf, alert_history.splits(lake))
        if memory:
            remind(made, memory)
        return made


def told_by_rules(lake: Lake, engine: Engine, rows: Iterable[seen.Row]) -> list[Alert]:
    """Fold rows into the engine and what comes of them into gold.alerts; a repeat changes nothing there."""
    alerts = list(engine.see(rows))
    changes = engine.take_changes()
    if alerts or changes:
        merge_alerts(lake, alerts, changes)
    crashpoint("detect.after_alerts")
    return alerts


def hand_over(alerts: Sequence[Alert], publish: Publish, stop: Event) -> int:
    """Publish until each is taken, and say how many were new; an outbox that cannot be reached is waited for."""
    new = sum(_handed(alert, publish, stop) for alert in alerts)
    crashpoint("detect.after_publish")
    return new


def _handed(alert: Alert, publish: Publish, stop: Event) -> bool:
    while True:
        try:
            return publish(alert)
        except TickhouseError as error:
            LOGGER.warning("alert %s waits for the outbox: %s", alert.alert_id, error)
            if stop.wait(AGAIN_SECONDS):
                raise Interrupted(
                    f"alert {alert.alert_id}: the outbox could not be reached before this process was told to stop "
                    f"({error}). The alert is in gold.alerts; the next start hands it over."
                ) from error


def due_bars(lake: Lake, version: int, watch: Watch, *, after_ms: int, until_ms: int) -> Iterator[seen.Bar]:
    """Bars that end behind one instant and up to another, as first published, thin ones marked, in order of end."""
    first, last = (F.timestamp_millis(F.lit(one)) for one in (after_ms + 1, until_ms))
    begins = F.timestamp_millis(F.lit(after_ms - LONGEST_BAR_MS))  # files are skipped by the starts of bars
    rows = lake.read(BARS, version=version).where(F.col("bar_start") >= begins)
    bars = list(alert_history.bar_rows(rows.where(F.col("bar_end").between(first, last))))
    if not bars or not watch.asks_for_volume:
        return iter(bars)
    days = [bar.session_date for bar in bars]
    return watch.without_thin(bars, read_thin_feeds(lake, min(days), max(days), watch.trust))


def due_indicators(rows: pa.Table, *, after_ms: int, until_ms: int) -> Iterator[seen.Indicators]:
    """Rows of gold.indicators of bars that end behind one instant and up to another; values that are warm."""
    ends = rows["bar_end"].cast(pa.int64()).to_numpy() // 1000
    due = rows.filter(pa.array((ends > after_ms) & (ends <= until_ms)))
    places = due.append_column("end_ms", pa.array(due["bar_end"].cast(pa.int64()).to_numpy() // 1000))
    ordered = places.sort_by([("end_ms", "ascending"), ("symbol", "ascending")])
    return (_indicators(row) for row in ordered.to_pylist())


def _indicators(row: dict[str, Any]) -> seen.Indicators:
    values = {
        name: row[name] for bit, name in enumerate(NAMES) if row["warm"] >> bit & 1 and row[name] is not None
    }  # fmt: skip
    return seen.Indicators(row["symbol"], row["interval"], row["session_date"], row["end_ms"], values)


def rows_of_others(lake: Lake, engine: Engine, horizon_ms: int) -> Iterator[seen.Row]:
    """What other jobs' tables say around an instant: advice, fair values, filings, news, dividends.

    They come when their job has found them, days late perhaps: so the last days are seen again and again, and rules
    tell of each row once.
    """
    today = datetime.fromtimestamp(horizon_ms / 1000, UTC).date()
    for kind in OF_OTHERS:
        if kind in engine.reads:
            yield from alert_history.READERS[kind](lake, today - TOLD_AGAIN, today)
