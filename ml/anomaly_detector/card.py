"""The model card: what a detector is for, what it was made of and how well it did, for people."""

from __future__ import annotations

from collections.abc import Mapping

from ml.anomaly_detector.features import MEANING


def card(interval: str, params: Mapping[str, object], metrics: Mapping[str, float]) -> str:
    """One page of Markdown."""
    lines = [
        f"# Learned anomaly detector, {interval} bars",
        "",
        "An isolation forest over ten distances of a bar from what is usual. It flags bars of regular sessions that "
        "lie alone in them, for people to look at; a flag is no advice, and says nothing of what comes next.",
        "",
        "Learned from bars that no rule flags. The threshold is the score that the given share of later bars passes, "
        "of those that no rule flags either. Recall is that of anomalies planted into these later bars: steps of "
        "price, lone highs and lows, surges of volume, of 6, 10 and 20 usual deviations. Planted anomalies are not "
        "real ones. The naive rival is the farthest of the robust scores of move, residual and volume, with as many "
        "false flags.",
        "",
        "Known limits: scores end near 1, so two extreme bars score alike; with fewer than two past sessions the "
        "features that compare with them are 0, and openings stay quiet until five are known.",
        "",
        "## Made of",
        "",
        *(f"- {name}: {value}" for name, value in params.items()),
        "",
        "## Measured",
        "",
        *(f"- {name}: {value:.6g}" for name, value in metrics.items()),
        "",
        "## Features",
        "",
        *(f"- {name}: {meaning}" for name, meaning in MEANING.items()),
    ]
    return "\n".join(lines) + "\n"
