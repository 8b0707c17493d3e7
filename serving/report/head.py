"""The head of a session's report: what the day's tables say of all symbols in it together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from lakehouse.errors import TableError
from serving.report.lake import Questions, Row


@dataclass(frozen=True)
class Head:
    """Counts of one exchange date; every list holds rows in the order they are shown."""

    day: date
    sessions: list[Row]
    symbols: list[Row]
    bars: list[Row]
    prints: list[Row]
    refused: list[Row]
    flags: list[Row]
    signals: list[Row]
    alerts: list[Row]
    feeds: list[Row]
    complete: list[Row]

    def total(self, rows: Sequence[Row], column: str = "rows") -> int:
        """The sum of a column of counts."""
        return sum(row[column] or 0 for row in rows)


def read_head(lake: Questions, day: date, exchange: str, wanted: Sequence[str], zone: str) -> Head:
    """The head for the symbols asked for, or for all with bars that day."""
    symbols = read_symbols(lake, day, exchange, wanted)
    return Head(
        day,
        lake.ask(SESSIONS_SQL, day=day, exchange=exchange),
        symbols,
        lake.ask(BARS_SQL, day=day),
        lake.ask(PRINTS_SQL, day=day),
        lake.ask(REFUSED_SQL, day=day, zone=zone),
        lake.ask(FLAGS_SQL, day=day),
        lake.ask(SIGNALS_SQL, day=day),
        lake.ask(ALERTS_SQL, day=day, all=not wanted),
        lake.ask(FEEDS_SQL, day=day),
        lake.ask(COMPLETE_SQL, day=day),
    )


def read_symbols(lake: Questions, day: date, exchange: str, wanted: Sequence[str]) -> list[Row]:
    """One row for each symbol of the report; `picked` is the table of their names from here on."""
    with_bars = [row["symbol"] for row in lake.ask(WITH_BARS_SQL, day=day)]
    if not with_bars:
        raise TableError(_no_bars(lake, day, exchange))
    strangers = sorted(set(wanted) - set(with_bars) - _carried(lake, day))
    if strangers:
        raise TableError(
            f"silver.instruments: expected that something carried {_some(strangers)} on {day}, found nothing, and no "
            f"bars. No report was written. Check the tickers; without --symbols all {len(with_bars):,} with bars that "
            f"day are shown."
        )
    lake.remember("picked", {"symbol": sorted(set(wanted)) or with_bars})
    return lake.ask(SYMBOLS_SQL, day=day)


def _carried(lake: Questions, day: date) -> set[str]:
    return {row["ticker"] for row in lake.ask(CARRIED_SQL, day=day)}


def _no_bars(lake: Questions, day: date, exchange: str) -> str:
    there = lake.ask("SELECT min(session_date) AS first, max(session_date) AS last FROM bars WHERE interval <> '1d'")[0]
    if there["first"] is None:
        return (
            f"gold.bars: expected bars of {day}, found none of any date. No report was written. Start the stream with "
            f"`tickhouse stream`, or make a session with `tickhouse demo`."
        )
    around = lake.ask(AROUND_SQL, day=day)[0]
    near = " and ".join(str(one) for one in (around["before"], around["after"]) if one)
    known = lake.ask(KNOWN_SQL, day=day, exchange=exchange)[0]
    closed = f"; {exchange} was closed on that {day:%A}" if known["is_covered"] and not known["is_open"] else ""
    return (
        f"gold.bars: expected bars within {day}, found none{closed}. The nearest dates with bars are {near}, all lie "
        f"from {there['first']} to {there['last']}. No report was written. Choose one of these dates."
    )


def _some(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


WITH_BARS_SQL = """
SELECT DISTINCT symbol FROM bars WHERE session_date = $day AND interval <> '1d' ORDER BY symbol
"""
CARRIED_SQL = """
SELECT DISTINCT ticker FROM instruments WHERE valid_from <= $day AND (valid_to IS NULL OR valid_to >= $day)
"""
AROUND_SQL = """
SELECT max(session_date) FILTER (session_date < $day) AS before, min(session_date) FILTER (session_date > $day) AS after
FROM bars WHERE interval <> '1d'
"""
KNOWN_SQL = """
SELECT coalesce(min(session_date) <= $day AND max(session_date) >= $day, false) AS is_covered,
    coalesce(bool_or(session_date = $day), false) AS is_open
FROM sessions WHERE exchange = $exchange
"""
SESSIONS_SQL = """
SELECT session, opens_at, closes_at, is_half_day FROM sessions
WHERE session_date = $day AND exchange = $exchange ORDER BY opens_at
"""
# Prices are those of the regular session; counts are of all sessions. A minute has its own late prints, so have others.
SYMBOLS_SQL = """
WITH finest AS (
    SELECT symbol, coalesce(max(interval) FILTER (interval = '1m'), arg_min(interval, bar_end - bar_start)) AS interval
    FROM bars WHERE session_date = $day AND interval <> '1d' GROUP BY symbol
), told AS (
    SELECT symbol,
        arg_min(open, bar_start) FILTER (session = 'regular' AND open IS NOT NULL) AS open,
        max(high) FILTER (session = 'regular') AS high, min(low) FILTER (session = 'regular') AS low,
        arg_max(close, bar_start) FILTER (session = 'regular' AND close IS NOT NULL) AS close,
        sum(volume) AS volume, sum(notional) AS notional, CAST(sum(trades) AS BIGINT) AS trades,
        CAST(sum(late_prints) AS BIGINT) AS late, CAST(sum(cancelled_prints) AS BIGINT) AS cancelled,
        CAST(sum(corrected_prints) AS BIGINT) AS corrected, max(final_at) AS final_at,
        string_agg(DISTINCT source, ', ' ORDER BY source) AS source
    FROM bars JOIN finest USING (symbol, interval) WHERE session_date = $day GROUP BY symbol
), flagged AS (
    SELECT symbol, count(*) AS flags FROM anomalies WHERE session_date = $day GROUP BY symbol
), alerted AS (
    SELECT p.symbol, count(*) AS alerts FROM alerts a
    JOIN picked p ON a.subject = p.symbol OR ends_with(a.subject, '/' || p.symbol)
    WHERE left(a.session, 10) = CAST($day AS VARCHAR) GROUP BY p.symbol
)
SELECT symbol, CAST(open AS DOUBLE) AS open, CAST(high AS DOUBLE) AS high, CAST(low AS DOUBLE) AS low,
    CAST(close AS DOUBLE) AS close, CAST(coalesce(volume, 0) AS DOUBLE) AS volume,
    CAST(coalesce(notional, 0) AS DOUBLE) AS notional, coalesce(trades, 0) AS trades, coalesce(late, 0) AS late,
    coalesce(cancelled, 0) AS cancelled, coalesce(corrected, 0) AS corrected, final_at, coalesce(source, '') AS source,
    coalesce(flags, 0) AS flags, coalesce(alerts, 0) AS alerts
FROM picked LEFT JOIN told USING (symbol) LEFT JOIN flagged USING (symbol) LEFT JOIN alerted USING (symbol)
ORDER BY symbol
"""
BARS_SQL = """
SELECT interval, count(*) AS rows FROM bars JOIN picked USING (symbol) WHERE session_date = $day
GROUP BY interval ORDER BY min(bar_end - bar_start), interval
"""
PRINTS_SQL = """
SELECT kind, count(*) AS rows, count(*) FILTER (session = 'none') AS outside
FROM trades JOIN picked USING (symbol) WHERE session_date = $day
GROUP BY kind ORDER BY rows DESC, kind
"""
# A refused record says when it arrived, not what session it was for: counted are those that arrived on the date, and
# those judged in one batch with prints of the date (a replay or a backfill arrives on another day).
REFUSED_SQL = """
SELECT reasons, count(*) AS rows, count(resolved_batch) AS settled FROM quarantine q
WHERE (q.symbol IS NULL OR q.symbol IN (SELECT symbol FROM picked)
        OR NOT EXISTS (SELECT 1 FROM instruments i WHERE i.ticker = q.symbol))
    AND (CAST(timezone($zone, q.arrived_at) AS DATE) = $day
        OR q.batch IN (SELECT DISTINCT batch FROM trades WHERE session_date = $day))
GROUP BY reasons ORDER BY rows DESC, reasons
"""
FLAGS_SQL = """
SELECT reason, count(*) AS rows, max(score) AS worst FROM anomalies JOIN picked USING (symbol)
WHERE session_date = $day GROUP BY reason ORDER BY rows DESC, reason
"""
SIGNALS_SQL = """
SELECT interval, rule, count(*) AS rows FROM signals JOIN picked USING (symbol)
WHERE session_date = $day GROUP BY interval, rule ORDER BY rows DESC, rule, interval
"""
SENT_SQL = """
SELECT alert_id, count(*) AS attempts, count(accepted_at) AS accepted, count(failed_at) AS failed,
    count(*) FILTER (possible_copy) AS copies FROM alert_deliveries GROUP BY alert_id
"""
ALERTS_SQL = f"""
SELECT rule, count(*) AS rows, CAST(coalesce(sum(attempts), 0) AS BIGINT) AS attempts,
    CAST(coalesce(sum(accepted), 0) AS BIGINT) AS accepted, CAST(coalesce(sum(failed), 0) AS BIGINT) AS failed,
    CAST(coalesce(sum(copies), 0) AS BIGINT) AS copies, count(*) FILTER (coalesce(accepted, 0) = 0) AS untold
FROM alerts LEFT JOIN ({SENT_SQL}) USING (alert_id)
WHERE left(session, 10) = CAST($day AS VARCHAR) AND ($all OR EXISTS (
    SELECT 1 FROM picked p WHERE subject = p.symbol OR ends_with(subject, '/' || p.symbol)))
GROUP BY rule ORDER BY rows DESC, rule
"""
FEEDS_SQL = """
SELECT feed, state, count(DISTINCT symbol) AS symbols, count(*) AS stretches,
    CAST(sum(epoch(until - since)) / 60 AS DOUBLE) AS minutes
FROM feed_health JOIN picked USING (symbol) WHERE session_date = $day
GROUP BY feed, state ORDER BY feed, state
"""
COMPLETE_SQL = """
SELECT feed, verdict, count(*) AS rows, CAST(sum(lost_prints) AS BIGINT) AS lost, min(coverage) AS least
FROM completeness JOIN picked USING (symbol) WHERE session_date = $day
GROUP BY feed, verdict ORDER BY feed, verdict
"""
