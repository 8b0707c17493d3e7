"""The ground truth of a simulated market, written beside its data: what was planted, and what must come out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from streaming.feeds.sim_config import Hours, SimulatorConfig
from streaming.feeds.sim_delivery import Delivery, Stamped
from streaming.feeds.sim_market import Jump, Longs, corporate_actions, plan_halt
from streaming.feeds.sim_trades import AUCTION, CONDITIONS, KIND_NAMES, VENUES

SESSIONS = ("pre", "regular", "post")
LISTS = (
    "jumps", "halts", "splits", "late", "fat_fingers", "cancelled", "corrected", "duplicates", "disorder", "malformed",
)  # fmt: skip
Row = dict[str, Any]


class TruthWriter:
    """Writes a truth folder, session by session.

    `prints/YYYY-MM-DD.parquet` holds every distinct valid print event; `is_current` marks what stands once all cancels
    and corrections are applied, `copies` how often it is delivered. The lists of LISTS are JSON Lines, `summary.json`
    the totals and the settings: it grows with each session.
    """

    def __init__(self, folder: Path, config: SimulatorConfig) -> None:
        self._folder = folder
        self._config = config
        self._totals: Counter[str] = Counter()
        (folder / "prints").mkdir(parents=True, exist_ok=True)
        for old in (folder / "prints").glob("*.parquet"):
            old.unlink()
        for name in LISTS:
            (folder / f"{name}.jsonl").write_bytes(b"")
        self._write_summary()

    def add(self, hours: Hours, jumps: Iterable[Jump], delivery: Delivery) -> None:
        """The truth of one more session."""
        stamped = delivery.stamped
        pq.write_table(prints_table(delivery), self._folder / "prints" / f"{hours.day.isoformat()}.parquet")
        lists = {**_market_events(self._config, hours, jumps, stamped), **_mishaps(delivery)}
        for name in LISTS:
            with (self._folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in lists[name])
        self._totals.update({name: len(lists[name]) for name in LISTS})
        self._totals.update(_counts(delivery))
        self._write_summary()

    def _write_summary(self) -> None:
        config = {**asdict(self._config), "first_session": self._config.first_session.isoformat()}
        summary = {"label": "SIMULATED", "config": config, "totals": dict(sorted(self._totals.items()))}
        (self._folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


def prints_table(delivery: Delivery) -> pa.Table:
    """Every distinct print event of a session, in order of receipt."""
    stamped = delivery.stamped
    prints, hours = stamped.amended.prints, stamped.hours
    rows = np.argsort(stamped.number, kind="stable")
    part = prints.take(rows)
    sessions = hours.part(part.traded, part.flags & AUCTION != 0)
    referring = {row: stamped.reference(row) for row in np.flatnonzero(prints.kind != 0).tolist()}
    columns: dict[str, Any] = {
        "session_date": pa.array([hours.day] * len(rows), pa.date32()),
        "trade_id": [stamped.trade_id(row) for row in rows.tolist()],
        "kind": _named(KIND_NAMES, part.kind),
        "ref": [referring.get(row) for row in rows.tolist()],
        "symbol": _named(stamped.tickers, part.symbol),
        "session": _named(SESSIONS, sessions),
        "traded_ms": part.traded,
        "received_ms": part.received,
        "seq": stamped.seq[rows],
        "price_micros": part.price,
        "size_micros": part.size,
        "conditions": _named([None if one is None else ",".join(one) for one in CONDITIONS], part.flags),
        "venue": _named(VENUES, part.venue),
        "is_current": stamped.amended.is_current[rows],
        "copies": delivery.copies()[rows],
    }
    return pa.table(columns)


def _named(names: Iterable[str | None], codes: Longs) -> pa.Array:
    return pa.array(list(names), pa.string()).take(pa.array(codes))


def _market_events(
    config: SimulatorConfig, hours: Hours, jumps: Iterable[Jump], stamped: Stamped
) -> dict[str, list[Row]]:
    day = hours.day.isoformat()
    halt = plan_halt(config, hours)
    return {
        "jumps": [
            {
                "session_date": day, "symbol": stamped.tickers[jump.symbol], "at_ms": jump.at_ms,
                "change_pct": round(100 * float(np.expm1(jump.step)), 4),
            }
            for jump in jumps
        ],
        "halts": [
            {"session_date": day, "symbol": stamped.tickers[one.symbol], "from_ms": one.from_ms, "to_ms": one.to_ms}
            for one in [halt]
            if one
        ],
        "splits": [
            {"instrument_id": row["instrument_id"], "effective_date": day, "ratio": int(row["ratio"])}
            for row in corporate_actions(config)
            if row["effective_date"] == hours.day
        ],
    }  # fmt: skip


def _mishaps(delivery: Delivery) -> dict[str, list[Row]]:
    stamped, amended = delivery.stamped, delivery.stamped.amended
    prints = amended.prints
    lag = prints.received - prints.traded

    def named(row: int, **more: Any) -> Row:
        symbol = stamped.tickers[prints.symbol[row]]
        day = stamped.hours.day.isoformat()
        return {"session_date": day, "trade_id": stamped.trade_id(row), "symbol": symbol, **more}

    twice = [(row, "record") for rows in delivery.records_sent_twice for row in rows.tolist()]
    twice += [(row, "print") for row in delivery.sent_twice.tolist()]
    return {
        "late": [named(row, lag_ms=int(lag[row])) for row in amended.late.tolist()],
        "fat_fingers": [named(row, price_micros=int(prints.price[row])) for row in amended.fat_fingers.tolist()],
        "cancelled": [named(row, way=way) for row, way in sorted(amended.cancelled.items())],
        "corrected": [named(row, way=way) for row, way in sorted(amended.corrected.items())],
        "duplicates": [named(row, sent_twice=how) for row, how in sorted(twice)],
        "disorder": [named(row) for row in delivery.detours.tolist()],
        "malformed": [
            {
                "at_ms": at, "variant": one.variant, "position": one.position, "reasons": one.reasons,
                "sha256": hashlib.sha256(one.payload).hexdigest(), "bytes": len(one.payload),
                "head": one.payload[:120].decode("utf-8", "backslashreplace"),
            }
            for at, one in delivery.malformed
        ],
    }  # fmt: skip


def _counts(delivery: Delivery) -> Counter[str]:
    """What a lake must find: deliveries = distinct prints + copies; bad prints and bad records are refused."""
    amended, copies = delivery.stamped.amended, delivery.copies()
    kinds = {f"prints_{name}": int((amended.prints.kind == code).sum()) for code, name in enumerate(KIND_NAMES)}
    bad_prints = sum(one.position >= 0 for _, one in delivery.malformed)
    return Counter(
        {
            "sessions": 1,
            "prints_delivered": int(copies.sum()),
            "prints_distinct": len(copies),
            "prints_delivered_again": int((copies - 1).sum()),
            "prints_current": int(amended.is_current.sum()),
            "prints_refused": bad_prints,
            "records_refused": len(delivery.malformed) - bad_prints,
            "records_raw": len(delivery.raw),
            "pings": delivery.pings,
            **kinds,
        }
    )
