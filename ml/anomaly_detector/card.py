"""The model card: what a detector is for, what it was made of and how well it did, for people."""

from __future__ import annotations

from collections.abc import Mapping

from ml.anomaly_detector.features import MEANING


def card(interval: str, params: Mapping[str, object], metrics: Mapping[str, float]) -> str:
    """One page of Markdown."""
    lines = [
        f"# Learned anomaly detector, {interval} bars",
        "",
        "The tails of ten distances of a bar from what is usual. A bar's score is that of its most unusual distance: 4 "
        "means one in 10,000 usual bars is as far out. It flags bars of regular sessions for people to look at; a flag "
        "is no advice, and says nothing of what comes next.",
        "",
        "Learned from bars that no rule flags. The threshold is the score that the given share of later bars would "
        "pass, of those that no rule flags either, if their scores thinned out as most of them do; how many pass it is "
        "`usual_flagged`. Recall is that of anomalies planted into these later bars: steps of price, lone highs and "
        "lows, surges of volume, of 6, 10 and 20 usual deviations. Planted anomalies are not real ones. The naive "
        "rival is the farthest of the robust scores of move, residual and volume, its threshold chosen likewise.",
        "",
        "Known limits: what is a little unusual in many respects at once scores like one of them; with fewer than two "
        "past sessions the features that compare with them are 0, and openings stay quiet until five are known.",
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
