"""A small session for reports, written without Spark: two symbols that trade, one of them with a hostile name."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from lakehouse.reference.calendar import sessions_for
from lakehouse.tables.gold import (
    ALERT_DELIVERIES,
    ALERTS,
    ANOMALIES,
    BARS,
    COMPLETENESS,
    FEED_HEALTH,
    INDICATORS,
    SIGNALS,
)  # fmt: skip
from lakehouse.tables.silver import INSTRUMENTS, QUARANTINE, SESSIONS, TRADES
from tests.unit.test_board import write

DAY = date(2025, 3, 3)
OPENS = datetime(2025, 3, 3, 14, 30, tzinfo=UTC)
EVIL = '<img src=x onerror="window.hacked=1">'
EVIL_TEXT = '</script><script>window.hacked=2</script> is up 5 % %{x} <a href="javascript:hacked=3">here</a>'
SILENT = range(20, 26)  # minutes of ACME in which nothing traded


def at(minute: float) -> datetime:
    """An instant so many minutes after the opening bell."""
    return OPENS + timedelta(minutes=minute)


def stamp(symbol: str, minute: int, interval: str = "1m", minutes: int = 1) -> dict[str, Any]:
    """What rows about one bar share."""
    return {
        "instrument_id": f"{symbol}-1", "symbol": symbol, "interval": interval, "bar_start": at(minute),
        "bar_end": at(minute + minutes), "session_date": DAY, "session": "regular",
    }  # fmt: skip


def bar(symbol: str, minute: int, price: float, **more: Any) -> dict[str, Any]:
    """One minute that opens below and closes at a price."""
    low, close = Decimal(f"{price - 0.1:.2f}"), Decimal(f"{price:.2f}")
    prices = {"open": low, "high": close, "low": low, "close": close, "first_close": close}
    counts = {"volume": Decimal(100), "first_volume": Decimal(90), "notional": close * 100, "trades": 4}
    given = {"final_at": at(minute + 1) + timedelta(seconds=10), "source": "built", "updated_at": at(minute + 1)}
    return stamp(symbol, minute) | prices | counts | given | more


def bars_of(symbol: str, minutes: int = 60) -> list[dict[str, Any]]:
    """An hour of minutes, a silence in it, one minute revised."""
    found = [bar(symbol, minute, 50 + minute % 7 / 10) for minute in range(minutes) if minute not in SILENT]
    found[3] |= {"late_prints": 2, "cancelled_prints": 1, "revision": 3}
    return found


def write_session(root: Path) -> Path:
    """Every table a report reads."""
    calendar = sessions_for("XNYS", date(2025, 2, 28), date(2025, 3, 4))
    write(root, SESSIONS, calendar)
    listing = {"exchange": "XNYS", "valid_from": date(2000, 1, 3)}
    names = ("ACME", "QUIET", EVIL)
    write(root, INSTRUMENTS, [listing | {"instrument_id": f"{name}-1", "ticker": name} for name in names])
    write(root, BARS, bars_of("ACME") + bars_of(EVIL))
    values = {"sma_medium": 50.1, "session_vwap": 50.2, "rsi": 55.0, "macd": 0.1, "macd_signal": 0.2, "warm": 1 << 22}
    rows = [stamp("ACME", one) | values | {"parameter_set": "standard@1"} for one in range(60) if one not in SILENT]
    write(root, INDICATORS, rows)
    write_told(root)
    return root


def write_told(root: Path) -> None:
    """Flags, signals, alerts, deliveries, feeds, prints and refusals."""
    flag = stamp("ACME", 26) | {"kind": "jump", "decided_at": at(28), "score": 43.25, "reason": "halt"}
    halt = flag | {"evidence": '{"silent_ms": 360000, "market_pct": null}'}
    bad = flag | stamp(EVIL, 5) | {"score": 7.5, "reason": "print", "evidence": "<script>window.hacked=4</script>"}
    write(root, ANOMALIES, [{k: v for k, v in one.items() if k in ANOMALIES.column_names} for one in (halt, bad)])
    signal = stamp("ACME", 30) | {"rule": "golden_cross", "direction": "up", "value": 1.5, "level": 1.0}
    write(root, SIGNALS, [signal, signal | stamp("ACME", 30, "5m", 5)])
    alert = {"rule": "quick-jump", "kind": "price_jump", "session": f"{DAY}/regular", "state": "cooling"}
    told = alert | {"fired_at": at(5.5), "state_at": at(6), "value": 5.0}
    write(root, ALERTS, [
        told | {"alert_id": "a1", "subject": "ACME", "text": "ACME is up 5 %"},
        told | {"alert_id": "a2", "subject": EVIL, "text": EVIL_TEXT, "rule": "<b>bold</b>"},
        told | {"alert_id": "a3", "subject": "core", "text": "core is down 3 %"},
        told | {"alert_id": "a4", "subject": "ACME", "text": "another day", "session": "2025-03-04/regular"},
    ])  # fmt: skip
    sent = {"alert_id": "a1", "recipient": "me", "channel": "sns", "started_at": at(6)}
    write(root, ALERT_DELIVERIES, [
        sent | {"attempt": 1, "failed_at": at(6)},
        sent | {"attempt": 2, "accepted_at": at(7), "possible_copy": True},
    ])  # fmt: skip
    health = {"feed": "finnhub", "symbol": "ACME", "session_date": DAY, "session": "regular", "usual_prints": 40.0}
    write(root, FEED_HEALTH, [
        health | {"since": at(0), "until": at(20), "state": "live", "prints": 80},
        health | {"since": at(20), "until": at(26), "state": "symbol_mute", "reason": "nothing of it came"},
    ])  # fmt: skip
    card = {"feed": "finnhub", "symbol": "ACME", "session_date": DAY, "prints": 216, "lost_prints": 3}
    write(root, COMPLETENESS, [card | {"reference": "1m", "coverage": 0.98, "verdict": "short"}])
    prints = {"session_date": DAY, "symbol": "ACME", "instrument_id": "ACME-1", "kind": "trade", "batch": 7}
    write(root, TRADES, [prints | {"trade_id": f"t{one}"} for one in range(5)])
    refused = {"symbol": None, "reasons": "BAD_PRICE", "arrived_at": at(9_999_999)}
    write(root, QUARANTINE, [
        refused | {"bronze_ref": "a", "batch": 7}, refused | {"bronze_ref": "b", "batch": 8},
        refused | {"bronze_ref": "c", "batch": 9, "arrived_at": at(1), "resolved_batch": 10},
    ])  # fmt: skip
