"""From examples to a detector and what was measured of it; pure, and the same for the same examples."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ml.anomaly_detector.model import (
    Detector,
    ModelError,
    Scores,
    choose_threshold,
    naive_scores,
    scorer,
    share_above,
    values_of,
)
from ml.anomaly_detector.tails import tails_of

LEAST_EXAMPLES = 200


@dataclass(frozen=True)
class Recipe:
    """Which share of usual bars may be flagged, and the seed by which bars are drawn and anomalies planted."""

    false_share: float = 0.0001
    seed: int = 1


@dataclass(frozen=True)
class Validation:
    """Examples later than those learned from: usual bars, bars the rules flag, and planted anomalies."""

    usual: pd.DataFrame
    flagged: pd.DataFrame
    planted: pd.DataFrame


@dataclass(frozen=True)
class Trained:
    """A detector and what it was measured to be on the validation part, beside its rival."""

    detector: Detector
    metrics: dict[str, float]


def split_examples(examples: pd.DataFrame, interval: str) -> tuple[pd.DataFrame, Validation]:
    """What is learned from, and what validates. Bars that a rule flags are not learned from: they are not usual."""
    is_planted = examples["planted"] != ""
    learned = examples.loc[~is_planted & ~examples["is_later"] & ~examples["is_flagged"]]
    real = examples.loc[~is_planted & examples["is_later"]]
    for name, found in (("to learn from", len(learned)), ("later, to validate by", int((~real["is_flagged"]).sum()))):
        if found < LEAST_EXAMPLES:
            raise ModelError(
                f"anomaly detector, {interval}: expected {LEAST_EXAMPLES} usual bars or more {name}, found {found}. "
                f"Nothing was registered. Give it more sessions (--from, --to)."
            )
    return learned, Validation(real.loc[~real["is_flagged"]], real.loc[real["is_flagged"]], examples.loc[is_planted])


def train(learned: pd.DataFrame, validation: Validation, interval: str, recipe: Recipe) -> Trained:
    """Learn the tails of usual bars, choose a threshold on later ones, and measure both beside the naive rival."""
    tails = tails_of(values_of(learned))
    scores = scorer(Detector(interval, tails, 0.0))
    threshold = choose_threshold(scores(validation.usual), recipe.false_share)
    measured = {**measure(scores, validation, recipe), **measure(naive_scores, validation, recipe, prefix="naive_")}
    counts = {"learned_from": len(learned), "validated_by": len(validation.usual), "planted": len(validation.planted)}
    return Trained(Detector(interval, tails, threshold), {**counts, **measured})


def measure(scores: Scores, validation: Validation, recipe: Recipe, *, prefix: str = "") -> dict[str, float]:
    """Which planted anomalies a score finds at the threshold of this share; by kind and in all."""
    usual = scores(validation.usual)
    threshold = choose_threshold(usual, recipe.false_share)
    found = {
        "threshold": threshold,
        "usual_flagged": share_above(usual, threshold),
        "recall": share_above(scores(validation.planted), threshold),
    }
    for kind, rows in validation.planted.groupby("planted", sort=True):
        found[f"recall_{kind}"] = share_above(scores(rows), threshold)
    if len(validation.flagged):
        found["agrees_with_rules"] = share_above(scores(validation.flagged), threshold)
    return {f"{prefix}{name}": value for name, value in found.items()}
