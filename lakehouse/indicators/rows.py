"""From rows of gold.bars to rows of gold.indicators and gold.signals, one instrument and interval at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.arrow_frames import arrow_schema
from lakehouse.indicators.compute import NO_SPLITS, Indicators, indicators_of
from lakehouse.indicators.parameters import IndicatorsFile, ParameterSet
from lakehouse.indicators.series import Mask, Series, Splits, series_of
from lakehouse.indicators.signals import Signal, signals_of
from lakehouse.indicators.warmth import needed_bars
from lakehouse.reference.calendar import day_number
from lakehouse.tables.gold import INDICATORS, SIGNALS

BAR_COLUMNS = (
    "instrument_id", "interval", "bar_start", "bar_end", "session_date", "session", "symbol", "high", "low", "close",
    "volume", "notional", "vwap_volume", "trades", "source",
)  # fmt: skip
ABOUT_BAR = ("instrument_id", "interval", "bar_start", "bar_end", "session_date", "session", "symbol")


INDICATORS_SCHEMA, SIGNALS_SCHEMA = arrow_schema(INDICATORS), arrow_schema(SIGNALS)


@dataclass(frozen=True)
class Plan:
    """What computing depends on besides bars; travels to the workers with the task.

    `sets` names the parameter set of instruments that do not take the default. Rows are given for the exchange dates
    from `first` to `last`; bars before them are history.
    """

    file: IndicatorsFile
    first: date
    last: date
    computed_at: datetime
    sets: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    index_id: str | None = None

    def set_of(self, instrument_id: str) -> str:
        """The name of an instrument's parameter set."""
        return self.sets.get(instrument_id, self.file.default)

    def splits_of(self, instrument_id: str | None) -> Splits:
        """The splits of an instrument."""
        found = self.splits.get(instrument_id, ()) if instrument_id else ()
        return Splits.of(found) if found else NO_SPLITS

    @property
    def history(self) -> int:
        """Bars before a row that it may depend on: what values need to be warm, and what switches remember."""
        used = {self.file.default, *self.file.watchlists.values(), *self.sets.values()}
        return max(needed_bars(one) + one.signals.memory for one in (self.file.sets[name] for name in used))


@dataclass(frozen=True, eq=False)
class Computed:
    """Bars of one series in order, what they are as arrays, their indicators, and which of them are asked for."""

    bars: pa.Table
    series: Series
    indicators: Indicators
    parameters: ParameterSet
    wanted: Mask
    label: str


def computed(bars: pa.Table, plan: Plan) -> Computed:
    """The indicators of rows of gold.bars of one instrument and interval, in any order."""
    ordered = bars.sort_by("bar_start")
    instrument_id, interval = ordered["instrument_id"][0].as_py(), ordered["interval"][0].as_py()
    name = plan.set_of(instrument_id)
    series, parameters = series_of(ordered), plan.file.sets[name]
    splits, index_splits = plan.splits_of(instrument_id), plan.splits_of(plan.index_id)
    indicators = indicators_of(series, interval, parameters, splits, index_splits)
    wanted = (series.day >= day_number(plan.first)) & (series.day <= day_number(plan.last))
    return Computed(ordered, series, indicators, parameters, wanted, plan.file.label(name))


def indicator_rows(bars: pa.Table, plan: Plan) -> pa.Table:
    """Rows of gold.indicators for the wanted dates: one for each bar."""
    return _indicator_table(computed(bars, plan), plan)


def rows_since(bars: pa.Table, plan: Plan, since_ms: int) -> tuple[pa.Table, pa.Table]:
    """Rows of both tables for the bars that start at an instant or later; bars before it are history."""
    one = computed(bars, plan)
    one = replace(one, wanted=one.series.start_ms >= since_ms)
    return _indicator_table(one, plan), _signals_of(one, plan)


def _indicator_table(one: Computed, plan: Plan) -> pa.Table:
    rows = one.bars.filter(pa.array(one.wanted))
    columns: dict[str, Any] = {name: rows[name] for name in ABOUT_BAR}
    values = {"close": one.series.close, **one.indicators.values}
    columns |= {name: _nullable(found[one.wanted]) for name, found in values.items()}
    columns["warm"] = one.indicators.warm[one.wanted]
    return _table(columns | _stamps(one, plan, rows.num_rows), INDICATORS_SCHEMA)


def signal_rows(bars: pa.Table, plan: Plan) -> pa.Table:
    """Rows of gold.signals for the wanted dates."""
    return _signals_of(computed(bars, plan), plan)


def _signals_of(one: Computed, plan: Plan) -> pa.Table:
    signals = signals_of(one.series, one.indicators, one.parameters.signals)
    return _signal_table(one, [found for found in signals if one.wanted[found.place]], plan)


def _signal_table(one: Computed, signals: list[Signal], plan: Plan) -> pa.Table:
    rows = one.bars.take(pa.array([found.place for found in signals], pa.int64()))
    columns: dict[str, Any] = {name: rows[name] for name in ABOUT_BAR}
    for name in ("rule", "direction", "value", "level", "evidence"):
        columns[name] = [getattr(found, name) for found in signals]
    return _table(columns | _stamps(one, plan, len(signals)), SIGNALS_SCHEMA)


def _stamps(one: Computed, plan: Plan, count: int) -> dict[str, Any]:
    instant = pa.scalar(plan.computed_at.astimezone(UTC), INDICATORS_SCHEMA.field("computed_at").type)
    return {"parameter_set": pa.repeat(one.label, count), "computed_at": pa.repeat(instant, count)}


def _nullable(values: Any) -> pa.Array:
    """Doubles with NULL for what is not there: NaN and infinity would pass every comparison of a reader."""
    return pa.array(values, mask=~np.isfinite(values))


def _table(columns: dict[str, Any], schema: pa.Schema) -> pa.Table:
    arrays = [_cast(columns[one.name], one.type) for one in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _cast(values: Any, kind: pa.DataType) -> Any:
    return pc.cast(values, kind) if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, kind)
