"""The frame of a chart: panels on one time axis in the exchange's zone, sessions, halts and silences of the feed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from serving.report.lake import Row
from serving.report.lines import Axis, local, number
from serving.report.marks import Span

WEIGHTS = {"price": 5.0, "volume": 1.2, "revised": 0.8, "rsi": 1.2, "macd": 1.2}
TITLES = {"price": "USD", "volume": "shares", "revised": "revised", "rsi": "RSI", "macd": "MACD"}
GAP = 0.025
PIXELS_PER_WEIGHT, PIXELS_AROUND = 64, 130
MINUTE_MS = 60_000
RISE = 0.03  # of the price axis: the step from a bar to its marks
SESSION_NAMES = {"pre": "pre-market", "regular": "regular session", "post": "after hours"}
SPAN_NAMES = {"halt": "halt", "symbol_mute": "symbol mute", "feed_down": "feed down"}


@dataclass(frozen=True)
class Panel:
    """One panel: its axis as traces name it, the title, and from where to where it reaches, 0 at the bottom."""

    axis: str
    title: str
    bottom: float
    top: float

    @property
    def key(self) -> str:
        """Its axis as the layout names it."""
        return f"yaxis{self.axis[1:]}"


def panels_of(*, revised: bool, rsi: bool, macd: bool) -> dict[str, Panel]:
    """The panels of a chart from the top down; those without anything to show are left out."""
    there = {"price": True, "volume": True, "revised": revised, "rsi": rsi, "macd": macd}
    names = [name for name, is_there in there.items() if is_there]
    unit = (1.0 - GAP * (len(names) - 1)) / sum(WEIGHTS[name] for name in names)
    panels, top = {}, 1.0
    for at, name in enumerate(names):
        bottom = max(top - WEIGHTS[name] * unit, 0.0)
        panels[name] = Panel(f"y{at + 1}" if at else "y", TITLES[name], round(bottom, 4), round(top, 4))
        top = max(bottom - GAP, 0.0)
    return panels


def height_of(panels: Iterable[str]) -> int:
    """The height of a chart in pixels."""
    return round(sum(WEIGHTS[name] for name in panels) * PIXELS_PER_WEIGHT + PIXELS_AROUND)


def rise_of(bars: Sequence[Row], axis: Axis | None) -> float:
    """One step from a bar to its marks, in USD."""
    if axis:
        return RISE * (axis.high - axis.low)
    prices = [price for bar in bars for name in ("low", "high") if (price := number(bar[name])) is not None]
    return RISE * ((max(prices) - min(prices)) or 0.01 * max(prices)) if prices else 0.0


def layout_of(
    bars: Sequence[Row], panels: dict[str, Panel], sessions: Sequence[Row], spans: Sequence[Span], zone: ZoneInfo,
    axes: Mapping[str, Axis | None],
) -> dict[str, Any]:  # fmt: skip
    """The layout; it names colours as the page's style does."""
    traded = {bar["session"] for bar in bars}
    shown = [row for row in sessions if row["session"] in traded]
    lowest = list(panels.values())[-1]
    found: dict[str, Any] = {panel.key: _value_axis(panel) for panel in panels.values()}
    found["yaxis"]["tickformat"] = _price_format(bars)
    for name, axis in axes.items():
        if axis:
            found[panels[name].key]["range"] = [axis.low, axis.high]
    if "rsi" in panels:
        found[panels["rsi"].key] |= {"range": [0, 100], "tickvals": [30, 50, 70]}
    return found | {
        "xaxis": _time_axis(lowest, shown, zone), "height": height_of(panels), "template": None, "barmode": "stack",
        "bargap": 0.1, "hovermode": "x unified", "hoversubplots": "axis", "dragmode": "zoom",
        "margin": {"l": 64, "r": 16, "t": 76, "b": 40}, "font": {"color": "var(--ink)", "size": 12},
        "paper_bgcolor": "var(--paper)", "plot_bgcolor": "var(--plot)",
        "hoverlabel": {"bgcolor": "var(--paper)", "bordercolor": "var(--rule)", "align": "left", "namelength": -1},
        "legend": {
            "orientation": "h", "traceorder": "normal", "x": 0, "y": 1.045, "yanchor": "bottom", "font": {"size": 11},
        },
        "shapes": [*_session_shapes(shown, zone), *_span_shapes(spans, zone)],
        "annotations": _session_names(shown, zone),
    }  # fmt: skip


def _price_format(bars: Sequence[Row]) -> str:
    """Cents; four decimals where a share costs less than a dollar."""
    return ",.2f" if any((number(bar["high"]) or 0.0) >= 1.0 for bar in bars) else ",.4f"


def _value_axis(panel: Panel) -> dict[str, Any]:
    return {
        "domain": [panel.bottom, panel.top], "title": {"text": panel.title, "standoff": 4, "font": {"size": 11}},
        "gridcolor": "var(--grid)", "linecolor": "var(--rule)", "zeroline": False, "anchor": "x",
        "tickfont": {"size": 11}, "nticks": 7 if panel.title == TITLES["price"] else 4,
    }  # fmt: skip


def _time_axis(lowest: Panel, sessions: Sequence[Row], zone: ZoneInfo) -> dict[str, Any]:
    edges = [min(row["opens_at"] for row in sessions), max(row["closes_at"] for row in sessions)] if sessions else []
    seconds, minutes = [None, MINUTE_MS - 1], [MINUTE_MS, None]
    return {
        "type": "date", "range": [local(edge, zone) for edge in edges] or None, "anchor": lowest.axis,
        "domain": [0, 1], "gridcolor": "var(--grid)", "linecolor": "var(--rule)", "tickfont": {"size": 11},
        "hoverformat": "%H:%M:%S", "rangeslider": {"visible": False},
        "tickformatstops": [
            {"dtickrange": seconds, "value": "%H:%M:%S"}, {"dtickrange": minutes, "value": "%H:%M"},
        ],
        "showspikes": True, "spikemode": "across", "spikethickness": 1, "spikecolor": "var(--rule)",
        "spikedash": "dot",
    }  # fmt: skip


def _session_shapes(sessions: Iterable[Row], zone: ZoneInfo) -> list[dict[str, Any]]:
    """The regular session lies on a ground of its own."""
    return [
        _ground(row["opens_at"], row["closes_at"], zone, "regular") for row in sessions if row["session"] == "regular"
    ]


def _span_shapes(spans: Iterable[Span], zone: ZoneInfo) -> list[dict[str, Any]]:
    return [
        _ground(span.since, span.until, zone, span.kind.replace("_", "-"))
        | {"label": {"text": SPAN_NAMES[span.kind], "textposition": "bottom center", "font": {"size": 10}}}
        for span in spans
    ]


def _ground(since: Any, until: Any, zone: ZoneInfo, colour: str) -> dict[str, Any]:
    return {
        "type": "rect", "xref": "x", "yref": "paper", "x0": local(since, zone), "x1": local(until, zone), "y0": 0,
        "y1": 1, "layer": "below", "line": {"width": 0}, "fillcolor": f"var(--{colour})",
    }  # fmt: skip


def _session_names(sessions: Iterable[Row], zone: ZoneInfo) -> list[dict[str, Any]]:
    return [
        {
            "x": local(row["opens_at"] + (row["closes_at"] - row["opens_at"]) / 2, zone), "xref": "x", "y": 1,
            "yref": "paper", "yanchor": "bottom", "showarrow": False, "font": {"size": 11, "color": "var(--soft)"},
            "text": SESSION_NAMES[row["session"]],
        }
        for row in sessions
    ]  # fmt: skip
