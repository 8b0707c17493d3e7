"""The sheets of a session's report: everything the day's tables say of one symbol, bounded, in order of time."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from lakehouse.tables.gold import INDICATOR_VALUES
from serving.report.head import SENT_SQL
from serving.report.lake import Questions, Row
from serving.report.limits import ROWS_AT_MOST, Choice, choose_interval

DRAWN = (
    "sma_fast", "sma_medium", "sma_slow", "sma_long", "bollinger_upper", "bollinger_lower", "session_vwap", "rsi",
    "macd", "macd_signal", "macd_histogram",
)  # fmt: skip
WARM_BITS = {name: 1 << bit for bit, (name, _) in enumerate(INDICATOR_VALUES) if name in DRAWN}


@dataclass(frozen=True)
class Found:
    """Rows of one table, and how many of them there are where not all are held."""

    rows: tuple[Row, ...] = ()
    of_all: int = 0

    @property
    def left_out(self) -> int:
        """How many rows are not held."""
        return self.of_all - len(self.rows)


@dataclass(frozen=True)
class Sheet:
    """One symbol's day: bars with their indicators beside them, and what was flagged, told and missed."""

    symbol: str
    choice: Choice
    bars: tuple[Row, ...] = ()
    flags: Found = Found()
    signals: Found = Found()
    alerts: Found = Found()
    stretches: Found = Found()
    complete: tuple[Row, ...] = ()
    other_signals: int = 0

    @property
    def revised(self) -> list[Row]:
        """The bars that were revised."""
        return [bar for bar in self.bars if bar["revision"]]

    @property
    def halts(self) -> list[Row]:
        """Flags that name a halt as their reason."""
        return [flag for flag in self.flags.rows if flag["reason"] == "halt"]


@dataclass
class _Tables:
    """Rows by symbol."""

    by_symbol: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def found(self, symbol: str, order: str) -> Found:
        rows = sorted(self.by_symbol.get(symbol, []), key=lambda row: row[order])
        return Found(tuple(rows), rows[0]["of_all"] if rows else 0)


def read_sheets(lake: Questions, day: date, charted: Iterable[str], interval: str) -> list[Sheet]:
    """A sheet for each symbol that gets a chart, in order of their names."""
    symbols = sorted(charted)
    choices = choose_intervals(lake, day, symbols, interval)
    lake.remember("plan", {"symbol": symbols, "interval": [choices[symbol].interval for symbol in symbols]})
    bars = _by_symbol(lake.ask(BARS_SQL, day=day))
    complete = _by_symbol(lake.ask(COMPLETE_SQL, day=day))
    others = {row["symbol"]: row["rows"] for row in lake.ask(OTHER_SIGNALS_SQL, day=day)}
    found = {name: _limited(lake, sql, day) for name, sql in LIMITED.items()}
    return [
        Sheet(
            symbol, choices[symbol], tuple(bars.get(symbol, ())),
            found["flags"].found(symbol, "bar_start"), found["signals"].found(symbol, "bar_start"),
            found["alerts"].found(symbol, "fired_at"), found["stretches"].found(symbol, "since"),
            tuple(complete.get(symbol, ())), others.get(symbol, 0),
        )
        for symbol in symbols
    ]  # fmt: skip


def read_other_alerts(lake: Questions, day: date) -> Found:
    """Alerts of the date that are about none of the symbols with bars: portfolios, and symbols nobody traded."""
    rows = lake.ask(OTHER_ALERTS_SQL, day=day, most=ROWS_AT_MOST)
    return Found(tuple(sorted(rows, key=lambda row: row["fired_at"])), rows[0]["of_all"] if rows else 0)


def choose_intervals(lake: Questions, day: date, symbols: Sequence[str], wanted: str) -> dict[str, Choice]:
    """Which bars each symbol's chart is drawn of."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for row in lake.ask(COUNTS_SQL, day=day):
        counts[row["symbol"]][row["interval"]] = row["rows"]
    return {symbol: choose_interval(counts[symbol], wanted) for symbol in symbols}


def cold_bars(bars: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """For each drawn indicator, on how many bars it has a value that more history would change."""
    counts = dict.fromkeys(DRAWN, 0)
    for bar in bars:
        for name in DRAWN:
            counts[name] += bar[name] is not None and not (bar["warm"] or 0) & WARM_BITS[name]
    return {name: count for name, count in counts.items() if count}


def evidence_of(row: Row) -> str:
    """The numbers a flag or signal was judged by as one line; text that is no JSON object as it stands."""
    text = row.get("evidence") or ""
    try:
        told = json.loads(text)
    except ValueError:
        return str(text)
    if not isinstance(told, dict):
        return str(text)
    return ", ".join(f"{name} {value}" for name, value in told.items() if value is not None)


def _by_symbol(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["symbol"]].append(row)
    return found


def _limited(lake: Questions, sql: str, day: date) -> _Tables:
    return _Tables(_by_symbol(lake.ask(sql, day=day, most=ROWS_AT_MOST)))


COUNTS_SQL = """
SELECT symbol, interval, count(*) AS rows FROM bars WHERE session_date = $day GROUP BY symbol, interval
"""
BARS_SQL = f"""
SELECT b.symbol, b.bar_start, b.bar_end, b.session, b.final_at, b.trades, b.late_prints, b.cancelled_prints,
    b.corrected_prints, b.revision, {
    ", ".join(
        f"CAST(b.{name} AS DOUBLE) AS {name}"
        for name in (
            "open",
            "high",
            "low",
            "close",
            "volume",
            "first_open",
            "first_high",
            "first_low",
            "first_close",
            "first_volume",
        )
    )
}, {", ".join(f"i.{name}" for name in DRAWN)}, i.warm, i.parameter_set
FROM bars b JOIN plan USING (symbol, interval)
    LEFT JOIN (SELECT * FROM indicators WHERE session_date = $day) i
        ON i.instrument_id = b.instrument_id AND i.interval = b.interval AND i.bar_start = b.bar_start
WHERE b.session_date = $day ORDER BY b.symbol, b.bar_start
"""
COMPLETE_SQL = """
SELECT * FROM completeness JOIN (SELECT symbol FROM plan) USING (symbol) WHERE session_date = $day ORDER BY symbol, feed
"""
OTHER_SIGNALS_SQL = """
SELECT s.symbol, count(*) AS rows FROM signals s JOIN plan p ON s.symbol = p.symbol AND s.interval <> p.interval
WHERE s.session_date = $day GROUP BY s.symbol
"""
HEAVIEST = """QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY {order}) <= $most"""
ALERT_COLUMNS = f"""
    a.*, coalesce(attempts, 0) AS attempts, coalesce(accepted, 0) AS accepted, coalesce(failed, 0) AS failed,
    coalesce(copies, 0) AS copies
FROM alerts a LEFT JOIN ({SENT_SQL}) USING (alert_id)
"""
LIMITED = {
    "flags": f"""
SELECT a.*, count(*) OVER (PARTITION BY symbol) AS of_all
FROM anomalies a JOIN (SELECT symbol FROM plan) USING (symbol) WHERE session_date = $day
{HEAVIEST.format(order="score DESC, bar_start, kind")}""",
    "signals": f"""
SELECT s.*, count(*) OVER (PARTITION BY symbol) AS of_all
FROM signals s JOIN plan USING (symbol, interval) WHERE session_date = $day
{HEAVIEST.format(order="bar_start, rule")}""",
    "alerts": f"""
SELECT symbol, count(*) OVER (PARTITION BY symbol) AS of_all, {ALERT_COLUMNS}
    JOIN (SELECT symbol FROM plan) p ON a.subject = p.symbol OR ends_with(a.subject, '/' || p.symbol)
WHERE left(a.session, 10) = CAST($day AS VARCHAR)
{HEAVIEST.format(order="fired_at, alert_id")}""",
    "stretches": f"""
SELECT f.*, count(*) OVER (PARTITION BY symbol) AS of_all
FROM feed_health f JOIN (SELECT symbol FROM plan) USING (symbol)
WHERE session_date = $day AND state IN ('symbol_mute', 'feed_down')
{HEAVIEST.format(order="until - since DESC, since, feed")}""",
}
OTHER_ALERTS_SQL = f"""
SELECT count(*) OVER () AS of_all, {ALERT_COLUMNS}
WHERE left(a.session, 10) = CAST($day AS VARCHAR) AND NOT EXISTS (
    SELECT 1 FROM picked p WHERE a.subject = p.symbol OR ends_with(a.subject, '/' || p.symbol))
ORDER BY fired_at, alert_id LIMIT $most
"""
