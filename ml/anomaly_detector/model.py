"""A learned detector of one interval: what it holds, how it scores, and how its threshold is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lakehouse.errors import TickhouseError
from ml.anomaly_detector.features import FEATURES

Floats = NDArray[np.float64]
Scores = Callable[[pd.DataFrame], Floats]

QUIET = float(np.log1p(4.0))  # bars within four usual deviations in every respect are usual, whatever a tree says
NAIVE = ("move", "residual", "volume")


class ModelError(TickhouseError):
    """A model is not there, or must not be used here."""


@dataclass(frozen=True)
class Detector:
    """A fitted forest, and the score from which on a bar is flagged; `name` says which version of what it is."""

    interval: str
    forest: Any
    threshold: float
    name: str = "not registered"


def scorer(detector: Detector) -> Scores:
    """What gives each row of features its score: 0 is usual, towards 1 it is alone."""

    def scores(features: pd.DataFrame) -> Floats:
        values = values_of(features)
        found = np.zeros(len(values))
        asked = np.flatnonzero(values.max(axis=1, initial=0.0) > QUIET)
        if len(asked):
            found[asked] = -detector.forest.score_samples(values[asked])
        return found

    return scores


def naive_scores(features: pd.DataFrame) -> Floats:
    """The rival that needs no learning: the farthest of the robust scores of move, residual and volume."""
    found: Floats = features[list(NAIVE)].to_numpy(np.float64).max(axis=1, initial=0.0)
    return found


def values_of(features: pd.DataFrame) -> Floats:
    """Features as a matrix in the order the forest knows, or a refusal."""
    missing = [name for name in FEATURES if name not in features.columns]
    if missing:
        raise ModelError(
            f"anomaly detector: expected the features {list(FEATURES)}, found none of the name {missing}. Nothing was "
            f"scored. Build them with `ml.anomaly_detector.features.features_of`."
        )
    values: Floats = features[list(FEATURES)].to_numpy(np.float64)
    if not np.isfinite(values).all():
        raise ModelError(
            "anomaly detector: expected finite features, found NaN or infinity. Nothing was scored. Build them with "
            "`ml.anomaly_detector.features.features_of`, which makes what is unknown a 0."
        )
    return values


def choose_threshold(scores: Floats, false_share: float) -> float:
    """The lowest score that at most this share of the scores of usual bars passes; a bar is flagged above it."""
    if not len(scores):
        raise ModelError("anomaly detector: there is no usual bar to choose a threshold by. Nothing was registered.")
    ordered = np.sort(scores)
    return float(ordered[len(ordered) - 1 - int(false_share * len(ordered))])


def recall_of(scores: Floats, threshold: float) -> float:
    """The share of planted anomalies above a threshold; NaN where nothing was planted."""
    return float(np.mean(scores > threshold)) if len(scores) else float("nan")
