"""Why: everything the lake has stored about one symbol around one instant, in order of time, in sentences."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
from deltalake import DeltaTable

from lakehouse.tables import Table
from lakehouse.tables.gold import (
    ALERT_DELIVERIES,
    ALERTS,
    ANOMALIES,
    BARS,
    COMPLETENESS,
    FEED_HEALTH,
    SIGNALS,
)  # fmt: skip
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS, QUARANTINE, SESSIONS, TRADES
from serving.board import is_there, path_of

Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A symbol, an instant, the stretch around it, and the exchange date it lies on."""

    symbol: str
    at: datetime
    since: datetime
    until: datetime
    day: date

    @property
    def parameters(self) -> Row:
        """Values for the queries below; instants without a zone are UTC there."""
        return {
            "symbol": self.symbol, "day": self.day, "since": self.since, "until": self.until, "at": self.at,
        }  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One thing the lake knows: when it was, which table says so, a sentence, and the row's own evidence."""

    at: datetime | None
    table: str
    text: str
    evidence: Row


@dataclass(frozen=True)
class Source:
    """A table, the rows of it that matter, when each was, and how it reads."""

    table: Table
    where: str
    instant: str | None
    sentence: Callable[[Row], str]


def asked(symbol: str, at: datetime, around: timedelta, zone: Any) -> Asked:
    """A question about one instant, `around` to both sides."""
    instant = at.astimezone(UTC)
    return Asked(symbol.upper(), instant, instant - around, instant + around, at.astimezone(zone).date())


def findings(warehouse: str, question: Asked) -> list[Finding]:
    """What is stored, oldest first; what has no instant of its own comes before."""
    found = [one for source in SOURCES for one in _found(warehouse, source, question)]
    alerts = [one.evidence["alert_id"] for one in found if one.table == ALERTS.full_name]
    found += [one for one in _found(warehouse, DELIVERIES, question) if one.evidence["alert_id"] in alerts]
    return sorted(found, key=lambda one: (one.at is not None, one.at or question.at))


def silence(warehouse: str, question: Asked) -> str | None:
    """Why there is no minute at that instant, as far as calendar and neighbours tell; None where there is one."""
    bars = _rows(warehouse, BARS, MINUTES, question)
    if any(row["bar_start"] <= question.at < row["bar_end"] for row in bars):
        return None
    if not _rows(warehouse, INSTRUMENTS, "ticker IN (SELECT ticker FROM listed)", question):
        return f"No minute: silver.instruments knows nothing that carried the ticker {question.symbol} that day."
    sessions = _rows(warehouse, SESSIONS, f"exchange IN (SELECT exchange FROM listed) AND ({COVERS})", question)
    if not sessions:
        return "No minute: the exchange is closed then, and prints outside every session build no bar."
    name = sessions[0]["session"]
    if not bars:
        return f"No minute: not one print of {question.symbol} in the {name} session of {question.day}."
    before = max((row["bar_end"] for row in bars if row["bar_end"] <= question.at), default=None)
    after = min((row["bar_start"] for row in bars if row["bar_start"] > question.at), default=None)
    told = [f"the last minute before ends {before:%H:%M:%S} UTC" if before else "there is none before"]
    told.append(f"the next begins {after:%H:%M:%S} UTC" if after else "there is none after")
    return f"No minute in the {name} session: nobody traded, {' and '.join(told)}. A silent minute has no row."


def _found(warehouse: str, source: Source, question: Asked) -> list[Finding]:
    return [
        Finding(row[source.instant] if source.instant else None, source.table.full_name, source.sentence(row), row)
        for row in _rows(warehouse, source.table, source.where, question)
    ]


def _rows(warehouse: str, table: Table, where: str, question: Asked) -> list[Row]:
    """Rows of a table that is there; `listed` are the instrument's listings on that date."""
    if not is_there(warehouse, table):
        return []
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        for name, one in (("asked_table", table), ("instruments", INSTRUMENTS)):
            db.register(name, DeltaTable(path_of(warehouse, one)).to_pyarrow_dataset())
        given = {name: value for name, value in question.parameters.items() if f"${name}" in LISTED + where}
        found = db.execute(f"WITH listed AS ({LISTED}) SELECT * FROM asked_table WHERE {where}", given).to_arrow_table()
    rows: list[Row] = found.to_pylist()
    return rows


LISTED = """
SELECT * FROM instruments
WHERE ticker = $symbol AND valid_from <= $day AND (valid_to IS NULL OR valid_to >= $day)
"""
MINE = "instrument_id IN (SELECT instrument_id FROM listed)"
COVERS = "session_date = $day AND opens_at <= $at AND closes_at > $at"
MINUTES = f"{MINE} AND session_date = $day AND interval = '1m'"


def plain(amount: Decimal) -> str:
    """An amount without trailing zeros."""
    return f"{amount:f}".rstrip("0").rstrip(".") if amount.as_tuple().exponent else f"{amount:f}"


def _bar(row: Row) -> str:
    names = ("open", "high", "low", "close")
    prices = ", ".join(f"{name} {plain(row[name])}" for name in names if row[name] is not None)
    reasons = ", ".join(
        f"{row[name]} {name.partition('_')[0]}" for name in ("late_prints", "cancelled_prints", "corrected_prints")
        if row[name]
    )  # fmt: skip
    revised = f"; revised by prints: {reasons}" if reasons else ""
    counts = f"{row['trades']} trades, {plain(row['volume'])} shares"
    return f"{row['interval']} bar: {prices or 'no prices'}, {counts}{revised}"


def _refused(row: Row) -> str:
    settled = "" if row["resolved_batch"] is None else "; settled since by a reprocess"
    return f"refused as {row['reasons']}: {row['detail'] or 'no detail'}{settled}"


def _event(row: Row) -> str:
    return f"{row['kind']} of print {row['ref_trade_id']}, received {row['received_at']:%Y-%m-%d %H:%M:%S}"


def _action(row: Row) -> str:
    terms = ", ".join(f"{name} {plain(row[name])}" for name in ("ratio", "amount") if row[name] is not None)
    return f"{row['action']} from this date on, {terms}"


def _anomaly(row: Row) -> str:
    return f"{row['interval']} {row['kind']} out of line by {row['score']:.1f}, reason: {row['reason']}"


def _signal(row: Row) -> str:
    return f"{row['interval']} signal {row['rule']} ({row['direction']}): {row['value']:.4g} crossed {row['level']:.4g}"


def _alert(row: Row) -> str:
    return f"alert {row['rule']}: {row['text'] or row['kind']} It is {row['state']} since {row['state_at']:%H:%M:%S}."


def _delivery(row: Row) -> str:
    outcome = (
        "accepted" if row["accepted_at"] else f"failed: {row['error']}" if row["failed_at"] else "no outcome known"
    )
    return f"attempt {row['attempt']} to {row['recipient']} by {row['channel']}: {outcome}"


def _health(row: Row) -> str:
    told = f"{row['feed']}: {row['state']} until {row['until']:%H:%M:%S}"
    return f"{told}, {row['prints']} prints where {row['usual_prints']:.0f} are usual. {row['reason']}".strip()


def _complete(row: Row) -> str:
    return f"{row['feed']}: the session's prints are {row['verdict']}, coverage {row['coverage']}"


WITHIN = "BETWEEN $since AND $until"
OF_SUBJECT = "(subject = $symbol OR subject LIKE '%/' || $symbol)"
SOURCES = (
    Source(CORPORATE_ACTIONS, f"{MINE} AND effective_date = $day", None, _action),
    Source(COMPLETENESS, "symbol = $symbol AND session_date = $day", None, _complete),
    Source(FEED_HEALTH, "symbol = $symbol AND since <= $until AND until >= $since", "since", _health),
    Source(BARS, f"{MINUTES} AND bar_start <= $until AND bar_end > $since", "bar_start", _bar),
    Source(TRADES, f"{MINE} AND session_date = $day AND kind <> 'trade' AND traded_at {WITHIN}", "traded_at", _event),
    Source(QUARANTINE, f"symbol = $symbol AND arrived_at {WITHIN}", "arrived_at", _refused),
    Source(ANOMALIES, f"{MINE} AND session_date = $day AND bar_start {WITHIN}", "bar_start", _anomaly),
    Source(SIGNALS, f"{MINE} AND session_date = $day AND bar_start {WITHIN}", "bar_start", _signal),
    Source(ALERTS, f"{OF_SUBJECT} AND fired_at {WITHIN}", "fired_at", _alert),
)
# An alert may be told long after it fired: quiet hours, a channel that was down.
DELIVERIES = Source(ALERT_DELIVERIES, "started_at >= $since", "started_at", _delivery)


def evidence_of(finding: Finding) -> Row:
    """The numbers a finding was judged by, where its row carries them as JSON."""
    text = finding.evidence.get("evidence")
    return json.loads(text) if text else {}
