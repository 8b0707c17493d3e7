"""A small exchange for tests of `detect`: seven quiet sessions as bars, and an eighth as prints in batches."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from jobs.alerts import dry_run
from jobs.anomalies import build as build_anomalies
from jobs.detect import detect_until
from jobs.indicators import build_all
from lakehouse.alerts.conf import AlertConf, load_alert_conf
from lakehouse.alerts.lifecycle import Alert
from lakehouse.anomalies.rules import Bars
from lakehouse.indicators.parameters import load_indicators
from lakehouse.lake import Lake
from lakehouse.reference.load import reference_frame
from lakehouse.settings import CONF, Settings
from lakehouse.tables.gold import BARS, COMPLETENESS
from lakehouse.tables.silver import INSTRUMENTS, SESSIONS, TRADES
from streaming.bars import bars_batch, first_state
from streaming.batches import BatchName
from streaming.rules import bar_rules, read_rules
from tests.delta.test_anomalies_build import row_of
from tests.unit.test_anomaly_bars import BARS_A_SESSION, FIRST, market_of, moved

SYMBOLS = "ABCDEF"
SESSION_COUNT = 8
DAY = date(1970, 1, 1) + timedelta(days=FIRST + SESSION_COUNT - 1)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
FROM_MS = (FIRST + SESSION_COUNT - 1) * 86_400_000 + 14 * 3_600_000
OFFSETS = (3_000, 11_000, 12_500, 52_000)  # of the four prints of a minute
MICRO = Decimal("0.000001")
PERIODS = {"long: 200": "long: 25", "slow: 50": "slow: 22", "period: 250": "period: 40", "period: 60": "period: 20"}
RULES = """\
version: 1
users: [{name: me, channels: [{kind: terminal}]}]
rules:
  - {name: jump, kind: price_jump, scope: {symbols: [A, B, C, D]}, percent: 0.15, seconds: 60, cool_down_seconds: 60}
  - {name: surge, kind: volume_surge, scope: {symbols: [A, B, C, D, E, F]}, times: 1.8, bars: 5}
  - {name: cross, kind: indicator_cross, scope: {symbols: [A, B, C]}, left: sma_fast, right: sma_medium, interval: 1m}
  - {name: odd, kind: anomaly, scope: {symbols: [A, B, C, D, E, F]}, score: 3}
  - {name: loss, kind: position_loss, scope: {portfolios: [mine]}, percent: 0.5, rearm_percent: 0.4}
"""
PORTFOLIOS = """\
version: 1
portfolios:
  - {name: mine, owner: me, lots: [
      {symbol: A, shares: 1, price: 101, bought: 2000-01-03}, {symbol: B, shares: 2, price: 99, bought: 2000-01-03}]}
"""
Row = dict[str, Any]


def bars_by_name() -> dict[str, Bars]:
    """Eight sessions of six instruments; on the last date A jumps, and B prints a price that is gone at once."""
    found = {f"I-{letter}": market_of(seed, SESSION_COUNT) for seed, letter in enumerate(SYMBOLS)}
    jump_at, print_at = (SESSION_COUNT - 1) * BARS_A_SESSION + 25, (SESSION_COUNT - 1) * BARS_A_SESSION + 40
    found["I-A"] = moved(found["I-A"], jump_at, 1.05)
    found["I-B"].high[print_at] *= 1.3
    found["I-C"].volume[print_at] *= 400
    return found


def prints_of(name: str, bars: Bars, dice: np.random.Generator) -> list[Row]:
    """The last session's bars as prints: open, high, low and close of each minute."""
    rows = range((SESSION_COUNT - 1) * BARS_A_SESSION, SESSION_COUNT * BARS_A_SESSION)
    return [
        a_print(
            name, int(bars.start_ms[row]) + offset, float(getattr(bars, price)[row]), float(bars.volume[row]) / 4,
            trade_id=f"{name}-{row}-{at}", delay_ms=int(dice.integers(5, 900)),
        )
        for row in rows
        for at, (price, offset) in enumerate(zip(("open", "high", "low", "close"), OFFSETS, strict=True))
    ]  # fmt: skip


def a_print(name: str, traded_ms: int, price: float, size: float, **said: Any) -> Row:
    """A row of silver.trades but for its batch."""
    traded, received = (_at(one) for one in (traded_ms, traded_ms + said["delay_ms"]))
    return {
        **dict.fromkeys(TRADES.column_names), "session_date": DAY, "trade_id": said["trade_id"],
        "kind": said.get("kind", "trade"), "symbol": name[2:], "instrument_id": name, "feed": "finnhub",
        "traded_at": traded, "received_at": received, "session": "regular",
        "ref_trade_id": said.get("ref"), "ref_session_date": DAY if said.get("ref") else None,
        "price": Decimal(price).quantize(MICRO), "size": max(Decimal(size).quantize(MICRO), Decimal(1)),
        "eligibility": 15, "ord": traded_ms << 20, "bronze_ref": "s/0/0", "position": 0,
    }  # fmt: skip


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def tape() -> list[Row]:
    """The last session of all instruments, in the order of receipt."""
    dice = np.random.default_rng(5)
    rows = [row for name, bars in bars_by_name().items() for row in prints_of(name, bars, dice)]
    return sorted(rows, key=lambda row: (row["received_at"], row["ord"]))


@dataclass
class Exchange:
    """A lake with past sessions as bars and the last one to be played."""

    lake: Lake
    settings: Settings
    told: list[Alert] = field(default_factory=list)

    @classmethod
    def fresh(cls, spark: SparkSession, empty_lake: Path, settings: Settings) -> Exchange:
        """Past sessions, calendar, listings, and scorecards that vouch for all volume but F's."""
        shutil.copytree(empty_lake, settings.paths.warehouse)
        made = cls(Lake(spark, settings.paths.warehouse), configured(settings))
        made._load()
        return made

    def _load(self) -> None:
        spark = self.lake.spark
        past = range((SESSION_COUNT - 1) * BARS_A_SESSION)
        rows = [row_of(name, bars, at) for name, bars in bars_by_name().items() for at in past]
        self.lake.append(BARS, spark.createDataFrame(rows, BARS.schema))
        listings = [
            dict.fromkeys(INSTRUMENTS.column_names)
            | {"instrument_id": f"I-{letter}", "ticker": letter, "valid_from": date(2000, 1, 3), "exchange": "XNYS",
               "currency": "USD", "origin": "test", "sequence": 1}
            for letter in SYMBOLS
        ]  # fmt: skip
        self.lake.append(INSTRUMENTS, reference_frame(spark, INSTRUMENTS, listings))
        self.lake.append(SESSIONS, spark.createDataFrame(calendar(), SESSIONS.schema))
        cards = [card(letter) for letter in SYMBOLS if letter != "F"]
        self.lake.append(COMPLETENESS, spark.createDataFrame(cards, COMPLETENESS.schema))

    def play(self, batches: Sequence[Sequence[Row]], first: int = 0) -> None:
        """Prints to silver and bars, batch by batch, as the stream would."""
        rules = bar_rules(read_rules(self.lake, self.settings), self.settings)
        for number, rows in enumerate(batches, start=first):
            numbered = [tuple({**row, "batch": number}[name] for name in TRADES.column_names) for row in rows]
            self.lake.append(TRADES, self.lake.spark.createDataFrame(numbered, TRADES.schema))
            new = self.lake.read(TRADES).where(f"batch = {number}")
            bars_batch(self.lake, new, rules, BatchName("bars", 0, number), first_state(self.lake), now=LATER)

    def detect(self, *, prints: int = 200_000, publish: Callable[[Alert], bool] | None = None, **how: Any) -> None:
        """A run of detect that sees what is there and ends."""
        section = self.settings.detect.model_copy(update={"prints_per_step": prints})
        detect_until(
            self.lake.spark, self.settings.model_copy(update={"detect": section}), threading.Event(), drain=True,
            publish=publish or self._publish, **how,
        )  # fmt: skip

    def _publish(self, alert: Alert) -> bool:
        is_new = alert.alert_id not in {one.alert_id for one in self.told}
        self.told.append(alert)
        return is_new

    def copy(self, root: Path) -> Exchange:
        """The same lake and checkpoints elsewhere."""
        settings = self.settings.model_copy(update={"paths": paths_below(self.settings, root)})
        shutil.copytree(self.settings.paths.warehouse, settings.paths.warehouse)
        if Path(self.settings.paths.checkpoints).exists():
            shutil.copytree(self.settings.paths.checkpoints, settings.paths.checkpoints)
        return Exchange(Lake(self.lake.spark, settings.paths.warehouse), settings, list(self.told))

    def build_in_batch(self) -> None:
        """The tables as the batch jobs make them."""
        build_all(self.lake, self.settings, load_indicators(CONF / self.settings.reference.indicators), DAY, DAY)
        build_anomalies(self.lake, self.settings, DAY, DAY)

    def dry_run(self) -> list[Alert]:
        """What every rule would have said."""
        conf = self.conf
        return [alert for rule in conf.rules for alert in dry_run(self.lake, conf, rule.name, DAY, DAY)[0]]

    @property
    def conf(self) -> AlertConf:
        """The rules."""
        return load_alert_conf(Path(self.settings.alerts.rules), Path(self.settings.alerts.portfolios), list(SYMBOLS))


def configured(settings: Settings) -> Settings:
    """Rules, portfolios and short periods in files of the test's own; alerts of any age are told."""
    folder = Path(settings.paths.warehouse).parent
    text = (CONF / "indicators.yaml").read_text().replace("[1m, 5m, 15m, 1h, 1d]", "[1m, 5m, 1d]")
    for usual, short in PERIODS.items():
        text = text.replace(usual, short)
    texts = {"alerts.yaml": RULES, "portfolios.yaml": PORTFOLIOS, "indicators.yaml": text.replace("SPY", "A")}
    for name, one in texts.items():
        (folder / name).write_text(one)
    given = settings.model_dump()
    given["alerts"] = {name: str(folder / f"{name}.yaml") for name in ("portfolios",)} | {
        "rules": str(folder / "alerts.yaml")
    }
    given["reference"]["indicators"] = str(folder / "indicators.yaml")
    given["detect"]["tell_hours"] = None
    return Settings.model_validate(given)


def paths_below(settings: Settings, root: Path) -> Any:
    """The paths of settings, below another folder."""
    names = type(settings.paths).model_fields
    return settings.paths.model_copy(update={name: str(root / name) for name in names})


def calendar() -> list[Row]:
    """An hour from 14:00 UTC on each date, with a little before and after it."""
    hours = {"pre": (13, 14), "regular": (14, 15), "post": (15, 16)}
    return [
        {"exchange": "XNYS", "session_date": day, "session": name, "is_half_day": False, "sequence": 1,
         "opens_at": at(day, opens), "closes_at": at(day, closes)}
        for day in (DAY - timedelta(days=back) for back in range(SESSION_COUNT))
        for name, (opens, closes) in hours.items()
    ]  # fmt: skip


def at(day: date, hour: int) -> datetime:
    """An hour of a date, UTC."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def card(symbol: str) -> Row:
    """A session before the last one that a vendor vouches for."""
    amounts = {"volume": Decimal(1), "reference_volume": Decimal(1), "short_volume": Decimal(0)}
    return {
        **amounts, "feed": "finnhub", "symbol": symbol, "session_date": DAY - timedelta(days=1), "prints": 1,
        "lost_prints": 0, "reference": "1m", "compared": 1, "short": 0, "coverage": 1.0, "verdict": "complete",
        "checked_at": LATER,
    }  # fmt: skip


def cut(rows: Sequence[Row], size: int) -> list[Sequence[Row]]:
    """Rows in batches of a size."""
    return [rows[first : first + size] for first in range(0, len(rows), size)]


def contents(lake: Lake, table: Any, *, without: Iterable[str] = ()) -> pa.Table:
    """The rows of the last date, in order of the key."""
    rows = lake.read(table).where(f"session_date = DATE '{DAY}'").drop(*without)
    return rows.orderBy(*table.key).toArrow()
