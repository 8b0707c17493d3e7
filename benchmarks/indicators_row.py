"""Row g: bars in Delta to every indicator and signal, which are made and not kept, against a TA-Lib loop per symbol."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import talib
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import functions as F

from benchmarks.data import CACHE
from benchmarks.harness import OURS, Answers, Contender, Goal, Row
from benchmarks.hosts import HOUSE, PYTHON, Place
from benchmarks.processes import Measurement, measured
from lakehouse.indicators.build import AMOUNTS, SERIES
from lakehouse.indicators.parameters import ParameterSet, load_indicators
from lakehouse.indicators.rows import Plan, indicator_rows
from lakehouse.settings import CONF
from lakehouse.tables.gold import INDICATORS
from lakehouse.workers import groups_in_arrow

LOOP = "TA-Lib loop"
A_DAY, FIRST_DAY = 390, 19_000
MINUTE_US, DAY_US, OPENS_US = 60_000_000, 86_400_000_000, 52_200_000_000
COMPARED = ("sma_long", "ema_slow", "macd_signal", "rsi", "bollinger_upper", "atr", "stochastic_d", "mfi", "cci")


def row(*, symbols: int, bars_each: int) -> Row:
    """The row on so many symbols of so many minutes each."""
    here, arguments = "benchmarks.indicators_row", {"symbols": symbols, "bars_each": bars_each}
    return Row(
        key="g",
        title="bars to indicators, batch, from Delta",
        contenders=(
            Contender(OURS, HOUSE, f"{here}:ours", arguments),
            Contender(LOOP, PYTHON, f"{here}:loop", arguments),
        ),
        goals=(Goal((LOOP,), floor=1, aim=3),),
        compare=differences,
        note=(
            "Both read the same Delta table. Ours makes all columns of gold.indicators, which go to Spark's noop sink; "
            "the loop reads the columns it needs with pyarrow, takes one symbol after the other, and calls TA-Lib for "
            "what it has functions of, on one thread, and keeps nothing."
        ),
    )


def ours(place: Place, *, symbols: int, bars_each: int, check: bool) -> dict[str, Any]:
    """Whole series by grouped Arrow, as `tickhouse indicators build` has them."""
    path = str(bars_table(symbols, bars_each))
    plan = Plan(load_indicators(CONF / "indicators.yaml"), date.min, date.max, datetime(2026, 1, 5, tzinfo=UTC))
    stored = place.spark.read.format("delta").load(path)
    amounts = {name: F.col(name).cast("double") for name in AMOUNTS} | {"index_close": F.lit(None).cast("double")}
    bars = stored.withColumns(amounts)

    def made() -> Any:
        return groups_in_arrow(bars, SERIES, lambda group: indicator_rows(group, plan), INDICATORS.schema)

    with measured() as taken:
        made().write.format("noop").mode("overwrite").save()
    kept = str(place.scratch / "indicators-ours.parquet") if check else ""
    if check:
        made().select("instrument_id", "bar_start", *COMPARED).write.mode("overwrite").parquet(kept)
    return _answer(taken, symbols * bars_each, kept)


def loop(place: Place, *, symbols: int, bars_each: int, check: bool) -> dict[str, Any]:
    """One symbol after the other, by the functions TA-Lib has."""
    path, p = bars_table(symbols, bars_each), load_indicators(CONF / "indicators.yaml").sets["standard"]
    found: list[pa.Table] = []
    with measured() as taken:
        columns = ["instrument_id", "bar_start", "high", "low", "close", "volume"]
        table = DeltaTable(str(path)).to_pyarrow_dataset().to_table(columns=columns)
        for symbol in table["instrument_id"].unique().to_pylist():
            own = table.filter(ds.field("instrument_id") == symbol).sort_by("bar_start")
            values = _by_talib(*(own[name].cast(pa.float64()).to_numpy() for name in columns[2:]), p)
            if check:
                found.append(
                    pa.table({name: own[name] for name in columns[:2]} | {one: values[one] for one in COMPARED})
                )
    kept = str(place.scratch / "indicators-loop.parquet") if check else ""
    if check:
        pq.write_table(pa.concat_tables(found), kept)
    return _answer(taken, symbols * bars_each, kept)


def _by_talib(high: Any, low: Any, close: Any, volume: Any, p: ParameterSet) -> dict[str, Any]:
    width, simple, one = p.bollinger.deviations, talib.MA_Type.SMA, p.stochastic
    upper, middle, lower = talib.BBANDS(close, p.bollinger.period, width, width, simple)
    macd, signal, histogram = talib.MACD(close, p.macd.fast, p.macd.slow, p.macd.signal)
    slow_k, slow_d = talib.STOCH(high, low, close, one.range, one.k, simple, one.d, simple)
    return {
        **{f"sma_{name}": talib.SMA(close, getattr(p.sma, name)) for name in ("fast", "medium", "slow", "long")},
        "ema_fast": talib.EMA(close, p.ema.fast), "ema_slow": talib.EMA(close, p.ema.slow),
        "macd": macd, "macd_signal": signal, "macd_histogram": histogram, "rsi": talib.RSI(close, p.rsi.period),
        "bollinger_upper": upper, "bollinger_middle": middle, "bollinger_lower": lower,
        "atr": talib.ATR(high, low, close, p.atr.period), "adx": talib.ADX(high, low, close, p.adx.period),
        "stochastic_k": slow_k, "stochastic_d": slow_d, "obv": talib.OBV(close, volume),
        "mfi": talib.MFI(high, low, close, volume, p.mfi.period), "cci": talib.CCI(high, low, close, p.cci.period),
        "roc": talib.ROC(close, p.roc.period), "momentum": talib.MOM(close, p.momentum.period),
        "volatility": talib.STDDEV(np.log(close), p.volatility.period),
        "drawdown": close / talib.MAX(close, p.drawdown.period) - 1,
        "channel_high": talib.MAX(high, p.channel.period), "channel_low": talib.MIN(low, p.channel.period),
    }  # fmt: skip


def bars_table(symbols: int, bars_each: int) -> Path:
    """A Delta table of minute bars with the columns indicators are made from, made once."""
    folder = CACHE / "bars" / f"{symbols}x{bars_each}"
    if not folder.exists():
        draft = folder.with_name(f"{folder.name}.draft")
        for number in range(symbols):
            write_deltalake(str(draft), _bars(number, bars_each), mode="append")
        draft.rename(folder)
    return folder


def _bars(number: int, count: int) -> pa.Table:
    dice, places = np.random.default_rng(number), np.arange(count)
    close = np.round(100 * np.exp(np.cumsum(dice.normal(0, 0.0005, count))), 2)
    reach = np.round(np.abs(dice.normal(0, 0.05, (2, count))), 2)
    day = FIRST_DAY + places // A_DAY
    start = day * DAY_US + OPENS_US + places % A_DAY * MINUTE_US
    volume = np.floor(dice.lognormal(6, 1, count)) + 1
    instant = pa.timestamp("us", "UTC")
    same = {"instrument_id": f"S{number:04}", "interval": "1m", "session": "regular", "symbol": f"S{number:04}"}
    return pa.table(
        {
            **{name: pa.repeat(value, count) for name, value in {**same, "source": "built"}.items()},
            "bar_start": pa.array(start).cast(instant), "bar_end": pa.array(start + MINUTE_US).cast(instant),
            "session_date": pa.array(day.astype(np.int32)).cast(pa.date32()),
            "high": _decimals(close + reach[0], 18), "low": _decimals(close - reach[1], 18),
            "close": _decimals(close, 18), "volume": _decimals(volume, 28), "notional": _decimals(close * volume, 28),
            "vwap_volume": _decimals(volume, 28), "trades": np.ones(count, np.int64),
        }
    )  # fmt: skip


def _decimals(values: Any, precision: int) -> pa.Array:
    return pa.array(values).cast(pa.decimal128(precision, 6))


def _answer(taken: Measurement, bars: int, kept: str) -> dict[str, Any]:
    return {"wall": taken.wall, "cpu": taken.cpu, "events": bars, "indicators": kept}


def differences(answers: Answers) -> list[str]:
    """Values both sides have that are further apart than 0.00001; a hundred thousandth of a percent, or of a dollar."""
    mine, theirs = (
        pq.read_table(answers[name]["indicators"]).sort_by([("instrument_id", "ascending"), ("bar_start", "ascending")])
        for name in (OURS, LOOP)
    )
    if mine.num_rows != theirs.num_rows:
        return [f"indicators: {mine.num_rows} rows against {theirs.num_rows}"]
    found = []
    for name in COMPARED:
        one, other = (np.array(side[name].to_numpy(), float) for side in (mine, theirs))
        both = np.isfinite(one) & np.isfinite(other)
        worst = float(np.max(np.abs(one - other)[both], initial=0.0))
        if worst > 1e-5 or not both.any():
            found.append(f"indicators: {name} differs by up to {worst:g} over {int(both.sum())} bars")
    return found
