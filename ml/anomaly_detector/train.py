"""From examples to a detector and what was measured of it; pure, and the same for the same examples and seed."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from sklearn.ensemble import IsolationForest

from ml.anomaly_detector.model import (
    Detector,
    ModelError,
    Scores,
    choose_threshold,
    naive_scores,
    recall_of,
    scorer,
    values_of,
)

LEAST_EXAMPLES = 200


@dataclass(frozen=True)
class Recipe:
    """How a forest is grown, and which share of usual bars it may flag."""

    trees: int = 100
    bars_a_tree: int = 4096
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
    """Grow a forest on usual bars, choose its threshold on later ones, and measure it beside the naive rival."""
    forest = IsolationForest(
        n_estimators=recipe.trees, max_samples=min(recipe.bars_a_tree, len(learned)), random_state=recipe.seed
    )
    forest.fit(values_of(learned))
    scores = scorer(Detector(interval, forest, 0.0))
    threshold = choose_threshold(scores(validation.usual), recipe.false_share)
    measured = {**measure(scores, validation, recipe), **measure(naive_scores, validation, recipe, prefix="naive_")}
    counts = {"learned_from": len(learned), "validated_by": len(validation.usual), "planted": len(validation.planted)}
    return Trained(Detector(interval, forest, threshold), {**counts, **measured})


def measure(scores: Scores, validation: Validation, recipe: Recipe, *, prefix: str = "") -> dict[str, float]:
    """Which planted anomalies a score finds if it may flag so large a share of usual bars; by kind and in all."""
    threshold = choose_threshold(scores(validation.usual), recipe.false_share)
    found = {f"{prefix}threshold": threshold, f"{prefix}recall": recall_of(scores(validation.planted), threshold)}
    for kind, rows in validation.planted.groupby("planted", sort=True):
        found[f"{prefix}recall_{kind}"] = recall_of(scores(rows), threshold)
    if len(validation.flagged):
        found[f"{prefix}agrees_with_rules"] = recall_of(scores(validation.flagged), threshold)
    return found
