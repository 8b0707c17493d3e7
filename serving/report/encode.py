"""Figures as the page holds them: JSON that cannot end its script, with every list of times once."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from typing import Any

import plotly.graph_objects as go

ENDINGS = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def encoded(figure: go.Figure) -> str:
    """A figure as JSON for the page's script: lists of times are kept apart and referred to by number."""
    told = figure.to_plotly_json()
    shared: list[list[str]] = []
    places: dict[tuple[str, ...], int] = {}
    for trace in told["data"]:
        times = tuple(trace["x"])
        if times not in places:
            places[times] = len(shared)
            shared.append(list(times))
        trace["x"] = places[times]
    return in_script({"times": shared, "data": told["data"], "layout": told["layout"]})


def in_script(value: Any) -> str:
    """JSON for an element `script`: no character in it can be taken for markup; NaN is an error."""
    written = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False, default=_plain)
    return "".join(ENDINGS.get(one, one) for one in written) if any(one in written for one in ENDINGS) else written


def script_hash(script: str) -> str:
    """What a content security policy knows an inline script by."""
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"


def _plain(value: Any) -> Any:
    """Plotly may hold a list as an array."""
    return value.tolist()
