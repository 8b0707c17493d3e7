"""What indicators are called: with their periods where the set they were made with is known, else as it names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lakehouse.indicators.parameters import IndicatorsFile, ParameterSet

PLAIN = {
    "sma_fast": "SMA fast", "sma_medium": "SMA medium", "sma_slow": "SMA slow", "sma_long": "SMA long",
    "bollinger_upper": "Bollinger upper", "bollinger_lower": "Bollinger lower", "session_vwap": "VWAP of the session",
    "rsi": "RSI", "macd": "MACD", "macd_signal": "MACD signal", "macd_histogram": "MACD histogram",
}  # fmt: skip


def series_names(file: IndicatorsFile) -> dict[str, dict[str, str]]:
    """For each set of conf/indicators.yaml, by its label, the names of its indicators."""
    return {file.label(name): {**PLAIN, **_with_periods(one)} for name, one in file.sets.items()}


def names_for(labels: Iterable[str | None], known: Mapping[str, dict[str, str]]) -> dict[str, str]:
    """The names for rows made with these sets; plain ones where they were made with several, or an unknown one."""
    distinct = {label for label in labels if label}
    return known.get(distinct.pop(), PLAIN) if len(distinct) == 1 else PLAIN


def _with_periods(one: ParameterSet) -> dict[str, str]:
    averages = {f"sma_{name}": f"SMA {period}" for name, period in one.sma.model_dump().items()}
    bands, macd = one.bollinger, one.macd
    width = f"Bollinger {bands.period}, {bands.deviations:g}"
    return averages | {
        "bollinger_upper": f"{width} upper", "bollinger_lower": f"{width} lower", "rsi": f"RSI {one.rsi.period}",
        "macd": f"MACD {macd.fast}, {macd.slow}", "macd_signal": f"MACD signal {macd.signal}",
    }  # fmt: skip
