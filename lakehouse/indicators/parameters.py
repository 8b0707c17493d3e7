"""The parameters of indicators and signals: sets in conf/indicators.yaml, checked, and who is computed with which."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from lakehouse.bars import INTERVALS
from lakehouse.reference.yaml_files import load_checked
from lakehouse.settings import Section

Period = Annotated[int, Field(ge=2, le=10_000)]
Smoothing = Annotated[int, Field(ge=1, le=10_000)]


class Averages(Section):
    """Four simple averages, from short to long."""

    fast: Period
    medium: Period
    slow: Period
    long: Period

    @model_validator(mode="after")
    def _they_rise(self) -> Self:
        if not self.fast < self.medium < self.slow < self.long:
            raise ValueError("expected fast < medium < slow < long")
        return self


class Pair(Section):
    """Two exponential averages."""

    fast: Period
    slow: Period

    @model_validator(mode="after")
    def _they_rise(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError("expected fast < slow")
        return self


class Macd(Pair):
    """Two exponential averages and that of their difference."""

    signal: Period


class Window(Section):
    """One period, in bars."""

    period: Period


class Bands(Window):
    """A period and the width of the bands in standard deviations."""

    deviations: float = Field(gt=0, le=10)


class Stochastic(Section):
    """The bars of the range, and two smoothings."""

    range: Period
    k: Smoothing
    d: Smoothing


class Levels(Section):
    """The two levels of a switch."""

    trip: float
    reset: float


class Rising(Levels):
    """A switch that trips at the top."""

    @model_validator(mode="after")
    def _trip_is_above(self) -> Self:
        if self.trip <= self.reset:
            raise ValueError("expected trip > reset: two levels, or every wobble is a signal")
        return self


class Falling(Levels):
    """A switch that trips at the bottom."""

    @model_validator(mode="after")
    def _trip_is_below(self) -> Self:
        if self.trip >= self.reset:
            raise ValueError("expected trip < reset: two levels, or every wobble is a signal")
        return self


class SignalLevels(Section):
    """The levels of every switch, and for how many bars one remembers its side."""

    memory: int = Field(ge=1, le=100_000)
    sma_cross: Rising
    macd_flip: Rising
    rsi_overbought: Rising
    rsi_oversold: Falling
    band_above: Rising
    band_below: Falling
    breakout_up: Rising
    breakout_down: Falling
    volume_surge: Rising


class ParameterSet(Section):
    """Every parameter of the indicators and signals of one set."""

    version: int = Field(ge=1)
    about: str = Field(min_length=1)
    sma: Averages
    ema: Pair
    macd: Macd
    rsi: Window
    bollinger: Bands
    atr: Window
    adx: Window
    stochastic: Stochastic
    mfi: Window
    cci: Window
    roc: Window
    momentum: Window
    volatility: Window
    realised_volatility: Window
    parkinson: Window
    trade_rate: Window
    money_flow: Window
    drawdown: Window
    beta: Window
    channel: Window
    relative_volume: Window
    signals: SignalLevels


class IndicatorsFile(Section):
    """The whole of conf/indicators.yaml."""

    version: int = Field(ge=1)
    index: str | None = None
    intervals: tuple[str, ...] = Field(min_length=1)
    default: str
    watchlists: dict[str, str] = Field(default_factory=dict)
    sets: dict[str, ParameterSet] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        if strange := sorted({self.default, *self.watchlists.values()} - self.sets.keys()):
            raise ValueError(f"expected sets among {sorted(self.sets)}, found {strange}")
        if strange := sorted(set(self.intervals) - INTERVALS.keys()):
            raise ValueError(f"expected intervals among {list(INTERVALS)}, found {strange}")
        return self

    def label(self, name: str) -> str:
        """What rows made with a set say of it: name and version."""
        return f"{name}@{self.sets[name].version}"


def load_indicators(path: Path) -> IndicatorsFile:
    """An indicators file, checked; one SettingsError names every problem in it."""
    return load_checked(path, IndicatorsFile)
