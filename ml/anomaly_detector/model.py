"""A learned detector of one interval: what it holds, how it scores, and how its threshold is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lakehouse.errors import TickhouseError
from ml.anomaly_detector.features import FEATURES
from ml.anomaly_detector.tails import Tails, thinning

Floats = NDArray[np.float64]
Scores = Callable[[pd.DataFrame], Floats]

UPPER = 0.02  # the share of usual bars whose scores say how scores thin out
NAIVE = ("move", "residual", "volume")


class ModelError(TickhouseError):
    """A model is not there, or must not be used here."""


@dataclass(frozen=True)
class Detector:
    """What was learned of usual bars, and the score above which a bar is flagged; `name` says which version of what."""

    interval: str
    tails: Tails
    threshold: float
    name: str = "not registered"


def scorer(detector: Detector) -> Scores:
    """What gives rows of features their scores: of the most unusual feature the zeros in "one in so many"."""

    def scores(features: pd.DataFrame) -> Floats:
        found: Floats = detector.tails.surprise(values_of(features)).max(axis=1, initial=0.0)
        return found

    return scores


def naive_scores(features: pd.DataFrame) -> Floats:
    """The rival that needs no learning: the farthest of the robust scores of move, residual and volume."""
    found: Floats = features[list(NAIVE)].to_numpy(np.float64).max(axis=1, initial=0.0)
    return found


def values_of(features: pd.DataFrame) -> Floats:
    """Features as a matrix in the order a model knows, or a refusal."""
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
    """The score that this share of usual bars would pass if their scores thinned out as those of most of them do.

    Not read off the farthest scores: among bars that no rule flags, those are the ones a detector is there to find.
    """
    if not len(scores):
        raise ModelError("anomaly detector: there is no usual bar to choose a threshold by. Nothing was registered.")
    begin = float(np.quantile(scores, 1.0 - max(UPPER, false_share), method="higher"))
    return begin + thinning(scores[scores > begin] - begin) * max(0.0, float(np.log(UPPER / false_share)))


def share_above(scores: Floats, threshold: float) -> float:
    """The share of scores above a threshold; NaN where there are none."""
    return float(np.mean(scores > threshold)) if len(scores) else float("nan")
