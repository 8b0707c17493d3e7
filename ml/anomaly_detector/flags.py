"""What learned detectors say of the bars of one instrument, as flags of gold.anomalies; `jobs/` hands it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lakehouse.anomalies.evidence import Evidence, number, percent
from lakehouse.anomalies.moves import Moves, is_opening, silence_of
from lakehouse.anomalies.reasons import gap_reason, reason_of
from lakehouse.anomalies.rules import LEARNED, AnomalyRules, Bars, Flag, Known
from ml.anomaly_detector.features import FEATURES, HISTORY, with_features
from ml.anomaly_detector.model import Detector, scorer, values_of

RULES = AnomalyRules()
NAMED = 3  # features an evidence names


@dataclass(frozen=True)
class LearnedDetectors:
    """The detectors of each interval there is one for; travels to Spark's workers as it is."""

    by_interval: Mapping[str, Detector]

    def __call__(self, bars: Bars, known: Known) -> list[Flag]:
        """Flags of kind `learned`, each known when its bar ends."""
        detector = self.by_interval.get(bars.interval)
        if detector is None or not len(bars):
            return []
        moves = Moves.of(bars, HISTORY)
        features = with_features(bars, moves, known)
        scores = scorer(detector)(features)
        rows = np.flatnonzero((scores > detector.threshold) & ~is_opening(bars, moves, RULES))
        return [
            Flag(
                row, LEARNED, int(bars.end_ms[row]), float(scores[row]), reason_at(bars, moves, features, row, known),
                evidence_of(detector, bars, moves, features, float(scores[row]), row),
            )
            for row in rows.tolist()
        ]  # fmt: skip


def reason_at(bars: Bars, moves: Moves, features: pd.DataFrame, row: int, known: Known) -> str:
    """Why a bar is out of line, as far as can be said at its end: a lone high or low is a print."""
    session, end = int(bars.session[row]), int(bars.end_ms[row])
    if row and bars.session[row - 1] != session:
        with np.errstate(invalid="ignore", divide="ignore"):
            gap = float(np.log(bars.open[row] / bars.close[row - 1]))
        return gap_reason(
            move=gap, session=session, since_ms=int(bars.end_ms[row - 1]), end_ms=end, known=known, rules=RULES
        )
    is_lone = float(features["reach"].iloc[row]) >= np.log1p(RULES.far_spike)
    return reason_of(
        move=float(moves.move[row]), market=float(bars.market[row]), silent_ms=silence_of(moves, row),
        start_ms=int(bars.start_ms[row]), end_ms=end, went_back=is_lone, known=known, rules=RULES,
    )  # fmt: skip


def evidence_of(
    detector: Detector, bars: Bars, moves: Moves, features: pd.DataFrame, score: float, row: int
) -> Evidence:
    """Which model, its score and threshold, and the most unusual features, in usual deviations."""
    values = features.iloc[row]
    surprise = detector.tails.surprise(values_of(features.iloc[[row]]))[0]
    farthest = [FEATURES[place] for place in np.argsort(-surprise, kind="stable")[:NAMED] if surprise[place] > 0]
    return {
        "model": detector.name, "threshold": number(detector.threshold), "model_score": number(score),
        "move_pct": percent(moves.move[row]), "close": number(bars.close[row]),
        **{name: number(float(np.expm1(values[name]))) for name in farthest},
    }  # fmt: skip
