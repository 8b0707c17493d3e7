"""One symbol's chart as a Plotly figure: panels of one time axis, colours by the names the page's style gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import plotly.graph_objects as go

from serving.report.lake import Row
from serving.report.layout import layout_of, panels_of, rise_of
from serving.report.lines import Axis, Points, local, number, points_of, price_axis, volume_axis
from serving.report.marks import Marks, alert_events, flag_events, marks_of, signal_events, spans_of
from serving.report.sheets import Sheet

ON_PRICE = (  # column, colour, dash, shown at first
    ("session_vwap", "vwap", "solid", True), ("sma_fast", "sma-fast", "solid", False),
    ("sma_medium", "sma-medium", "solid", True), ("sma_slow", "sma-slow", "solid", False),
    ("sma_long", "sma-long", "solid", False), ("bollinger_upper", "band", "dot", True),
    ("bollinger_lower", "band", "dot", True),
)  # fmt: skip
REVISIONS = (("late_prints", "late"), ("cancelled_prints", "cancelled"), ("corrected_prints", "corrected"))
PRICE_FORMAT, LINE_FORMAT = ",.6~f", ",.4~f"

Drawn = tuple[str, Any]  # a panel and a trace on it


@dataclass(frozen=True)
class Canvas:
    """What every trace of a chart needs to know."""

    bars: Sequence[Row]
    zone: ZoneInfo
    times: list[str]
    points: Points
    axis: Axis | None
    volume_axis: Axis | None
    names: dict[str, str]

    @classmethod
    def of(cls, sheet: Sheet, zone: ZoneInfo, names: dict[str, str]) -> Canvas:
        """The canvas of a sheet."""
        times = [local(bar["bar_start"], zone) for bar in sheet.bars]
        bars = sheet.bars
        return cls(bars, zone, times, points_of(bars, zone), price_axis(bars), volume_axis(bars), names)

    def has(self, column: str) -> bool:
        """Whether any bar has a value there."""
        return any(number(bar[column]) is not None for bar in self.bars)

    def column(self, name: str) -> list[float | None]:
        """A column, one value a bar."""
        return [number(bar[name]) for bar in self.bars]


def figure_of(sheet: Sheet, sessions: Sequence[Row], zone: ZoneInfo, names: dict[str, str]) -> go.Figure:
    """The chart of a sheet that has bars."""
    canvas = Canvas.of(sheet, zone, names)
    panels = panels_of(
        revised=bool(sheet.revised), rsi=canvas.has("rsi"), macd=canvas.has("macd") or canvas.has("macd_signal")
    )
    drawn = [*_prices(canvas), *_marked(canvas, sheet), *_volume(canvas)]
    drawn += _revisions(canvas) if "revised" in panels else []
    drawn += [_line(canvas, "rsi", "rsi", "rsi")] if "rsi" in panels else []
    drawn += _macd(canvas) if "macd" in panels else []
    for panel, trace in drawn:
        trace.yaxis = panels[panel].axis
    axes = {"price": canvas.axis, "volume": canvas.volume_axis}
    around = layout_of(canvas.bars, panels, sessions, spans_of(sheet), zone, axes)
    return go.Figure([trace for _, trace in drawn], around)


def colour(name: str) -> str:
    """A colour of the page's style; the page puts it in when it draws."""
    return f"var(--{name})"


def plain(name: str) -> dict[str, Any]:
    """Bars of one colour without an outline, which would hide bars of a pixel."""
    return {"color": colour(name), "line": {"width": 0}}


def _prices(canvas: Canvas) -> list[Drawn]:
    prices = {name: canvas.column(name) for name in ("open", "high", "low", "close")}
    candles = go.Candlestick(
        x=canvas.times, name="Price", **prices, yhoverformat=PRICE_FORMAT,
        increasing={"line": {"color": colour("up"), "width": 1.5}, "fillcolor": colour("up")},
        decreasing={"line": {"color": colour("down"), "width": 1.5}, "fillcolor": colour("down")},
    )  # fmt: skip
    lines = [
        _line(canvas, column, name, "price", dash=dash, is_shown=is_shown)
        for column, name, dash, is_shown in ON_PRICE
        if canvas.has(column)
    ]
    return [("price", candles), *lines]


def _line(canvas: Canvas, column: str, name: str, panel: str, *, dash: str = "solid", is_shown: bool = True) -> Drawn:
    trace = go.Scatter(
        x=list(canvas.points.times), y=canvas.points.values(canvas.bars, column), name=canvas.names[column],
        mode="lines", connectgaps=False, line={"color": colour(name), "width": 1.5, "dash": dash},
        visible=True if is_shown else "legendonly", showlegend=panel == "price", yhoverformat=LINE_FORMAT,
    )  # fmt: skip
    return panel, trace


def _marked(canvas: Canvas, sheet: Sheet) -> list[Drawn]:
    """Alerts above flags above the highs, signals below or above by their direction."""
    rise = rise_of(canvas.bars, canvas.axis)
    wanted = (
        ("Anomalies", flag_events(sheet, canvas.zone), "high", 1.0, "x-thin", "anomaly", 10),
        ("Alerts", alert_events(sheet, canvas.zone), "high", 2.2, "star-diamond", "alert", 11),
        ("Signals up", signal_events(sheet, "up"), "low", 1.0, "triangle-up", "signal-up", 7),
        ("Signals down", signal_events(sheet, "down"), "low", 2.0, "triangle-down", "signal-down", 7),
    )
    found = []
    for name, events, side, steps, shape, shade, size in wanted:
        marks = marks_of(canvas.bars, events, canvas.zone, side=side, rise=steps * rise, axis=canvas.axis)
        if marks.times:
            found.append(("price", _markers(name, marks, shape, shade, size)))
    return found


def _markers(name: str, marks: Marks, shape: str, shade: str, size: int) -> go.Scatter:
    line = {"color": colour(shade), "width": 2 if shape.endswith("thin") else 0}
    return go.Scatter(
        x=marks.times, y=marks.prices, text=marks.texts, name=name, mode="markers",
        marker={"symbol": shape, "size": size, "color": colour(shade), "line": line},
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _volume(canvas: Canvas) -> list[Drawn]:
    bars = go.Bar(
        x=canvas.times, y=canvas.column("volume"), name="Shares", marker=plain("volume"),
        yhoverformat=PRICE_FORMAT, showlegend=False,
    )  # fmt: skip
    return [("volume", bars)]


def _revisions(canvas: Canvas) -> list[Drawn]:
    found: list[Drawn] = []
    for column, name in REVISIONS:
        at = [place for place, bar in enumerate(canvas.bars) if bar[column]]
        times, counts = [canvas.times[place] for place in at], [canvas.bars[place][column] for place in at]
        if at:
            bars = go.Bar(x=times, y=counts, name=f"Prints {name}", marker=plain(name))
            found.append(("revised", bars))
    return found


def _macd(canvas: Canvas) -> list[Drawn]:
    histogram = go.Bar(
        x=canvas.times, y=canvas.column("macd_histogram"), name=canvas.names["macd_histogram"], showlegend=False,
        marker=plain("histogram"), yhoverformat=LINE_FORMAT,
    )  # fmt: skip
    lines = [_line(canvas, column, column.replace("_", "-"), "macd") for column in ("macd", "macd_signal")]
    return [("macd", histogram), *lines]
