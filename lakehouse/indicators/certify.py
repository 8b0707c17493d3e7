"""The parity certificate: our indicators against TA-Lib's own output, and a cold start against a long run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from lakehouse.indicators.compute import NAMES, Indicators, indicators_of
from lakehouse.indicators.parameters import ParameterSet
from lakehouse.indicators.reference_values import exact_balance, exact_vwap, talib_values, window_bars
from lakehouse.indicators.series import DAILY, IN_PRICES, IN_SHARES, MILLION, Doubles, Longs, Series, Units, units_of
from lakehouse.indicators.tapes import Tape
from lakehouse.indicators.warmth import needed_bars

TOLERANCE = 1e-9
COLD_STARTS = 25
COLD_TAIL = 100  # bars looked at after a cold start is warm
PERCENT = ("rsi", "adx", "stochastic_k", "stochastic_d", "mfi", "cci", "roc")
FRACTION = ("drawdown", "money_flow")
QUIET = 1e-6  # of volatilities: a hundredth of a basis point


@dataclass
class Parity:
    """What was found of one indicator over all tapes."""

    compared: int = 0
    absolute: float = 0.0
    relative: float = 0.0
    drifted: int = 0  # values where TA-Lib over the whole series is off what it says over the window alone
    drift: float = 0.0
    in_dollars: float = 0.0  # TA-Lib over dollars against TA-Lib over whole millionths
    cold_compared: int = 0
    cold: float = 0.0
    lost: int = 0  # values that were warm after a cold start and not in the long run

    @property
    def holds(self) -> bool:
        """Whether it is within the tolerance, was compared at all, and no warmth was lost."""
        return bool(self.compared and self.relative <= TOLERANCE and self.cold <= TOLERANCE and not self.lost)


@dataclass
class Certificate:
    """What was found of each indicator, and over which tapes."""

    parities: dict[str, Parity] = field(default_factory=lambda: {name: Parity() for name in NAMES})
    tapes: list[tuple[str, int]] = field(default_factory=list)

    @property
    def failing(self) -> list[str]:
        """The indicators that do not hold, but for those no tape has a warm value of."""
        return [name for name, one in self.parities.items() if one.compared and not one.holds]


def certify(tapes: Iterable[Tape], parameters: ParameterSet) -> Certificate:
    """Compare every warm value of every tape."""
    found = Certificate()
    for tape in tapes:
        series = tape.series.take(tape.series.has_prices)
        ours = indicators_of(series, tape.interval, parameters, tape.splits, tape.index_splits)
        against_reference(tape, series, ours, parameters, found)
        against_cold_starts(tape, series, ours, parameters, found)
        found.tapes.append((tape.name, len(series.close)))
    return found


def against_reference(
    tape: Tape, series: Series, ours: Indicators, parameters: ParameterSet, found: Certificate
) -> None:
    """TA-Lib over the whole series in one run; where that is off, over the window alone."""
    units = units_of(series, tape.splits, tape.index_splits)
    bars, groups = series.in_units(units), _groups(series, tape.interval)
    theirs = talib_values(bars, parameters)
    theirs |= {"obv": exact_balance(bars, groups["obv"]), "session_vwap": exact_vwap(series, groups["session_vwap"])}
    for name, parity in found.parities.items():
        if name in theirs:
            _compare(name, ours, units.back(name, theirs[name]), _Reference(series, bars, units, parameters), parity)
    in_dollars = talib_values(bars.in_dollars(), parameters)
    for name, values in in_dollars.items():
        restored = units.back(name, values * (MILLION if name in IN_PRICES else 1.0))
        errors = relative_errors(name, restored, units.back(name, theirs[name]), series)[ours.is_warm(name)]
        found.parities[name].in_dollars = max(found.parities[name].in_dollars, float(np.max(errors, initial=0.0)))


@dataclass(frozen=True, eq=False)
class _Reference:
    """What TA-Lib is called over: bars as traded, in the units of the computation, and the parameters."""

    series: Series
    bars: Series
    units: Units
    parameters: ParameterSet

    def over_window_alone(self, name: str, at: int, span: int) -> float:
        """What TA-Lib says of one bar when it is given nothing but the bars of its window."""
        window = self.bars.take(slice(at - span + 1, at + 1))
        values = np.full(len(self.series.close), np.nan)
        values[at] = talib_values(window, self.parameters, base=float(window.close[0]))[name][-1]
        return float(self.units.back(name, values)[at])


def _compare(name: str, ours: Indicators, theirs: Doubles, reference: _Reference, parity: Parity) -> None:
    warm, values = ours.is_warm(name), ours.values[name]
    errors = np.where(warm, relative_errors(name, values, theirs, reference.series), 0.0)
    span = window_bars(reference.parameters).get(name, 0)
    off = np.flatnonzero(~(errors <= TOLERANCE)) if span else np.empty(0, int)
    if len(off):
        parity.drift = max(parity.drift, float(np.max(errors[off])))
        theirs = theirs.copy()
        theirs[off] = [reference.over_window_alone(name, int(at), span) for at in off]
        errors = np.where(warm, relative_errors(name, values, theirs, reference.series), 0.0)
    parity.compared += int(warm.sum())
    parity.drifted += len(off)
    parity.absolute = max(parity.absolute, float(np.max(np.where(warm, np.abs(values - theirs), 0.0), initial=0.0)))
    parity.relative = max(parity.relative, float(np.max(errors, initial=0.0)))


def against_cold_starts(
    tape: Tape, series: Series, long: Indicators, parameters: ParameterSet, found: Certificate
) -> None:
    """Begin at places all over the series; whatever is then warm must be warm in the long run, and the same."""
    needed, length = needed_bars(parameters), len(series.close)
    starts = np.unique(np.linspace(1, max(length - needed - COLD_TAIL, 1), COLD_STARTS).astype(int))
    for start in starts[starts < length].tolist():
        chosen = slice(start, start + needed + COLD_TAIL)
        part = series.take(chosen)
        cold = indicators_of(part, tape.interval, parameters, tape.splits, tape.index_splits)
        for name, parity in found.parities.items():
            warm = cold.is_warm(name)
            errors = relative_errors(name, cold.values[name], long.values[name][chosen], part)[warm]
            parity.cold_compared += int(warm.sum())
            parity.cold = max(parity.cold, float(np.max(errors, initial=0.0)))
            parity.lost += int((warm & ~long.is_warm(name)[chosen]).sum())


def relative_errors(name: str, ours: Doubles, theirs: Doubles, series: Series) -> Doubles:
    """Errors over the value, or over what it is measured in where that is larger: a difference of prices that crosses
    zero has no relative error of its own. Where one side says nothing, the error is infinite.
    """
    measures = np.maximum(np.abs(theirs), _measured_in(name, series))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(ours == theirs, 0.0, np.abs(ours - theirs) / measures)
    return np.where(np.isnan(found), np.inf, found)


def _measured_in(name: str, series: Series) -> Doubles:
    """The price for prices but ranges, 100 for percentages, 1 for fractions and slopes, a bar's shares for volumes."""
    if name in IN_PRICES and name != "atr":
        return series.close
    if name in PERCENT:
        return np.full(len(series.close), 100.0)
    if name in IN_SHARES:
        return series.volume
    if name in ("volatility", "realised_volatility", "parkinson"):
        return np.full(len(series.close), QUIET)
    return np.full(len(series.close), 1.0 if name in (*FRACTION, "beta") else 0.0)


def _groups(series: Series, interval: str) -> dict[str, Longs]:
    years: Longs = series.day.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
    return {"obv": years if interval == DAILY else series.day, "session_vwap": series.day * 3 + series.session}
