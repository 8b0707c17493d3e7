"""The learned detector on simulated markets: trained on one, judged on others, beside its rivals and the rules."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest

from benchmarks.anomaly_market import Event, Found, Market, Outcome, flags_of, market_of, matched, series_of
from lakehouse.anomalies.moves import Moves, is_opening
from lakehouse.anomalies.rules import LEARNED, UNEXPLAINED, AnomalyRules, Bars, Flag, Known
from ml.anomaly_detector.examples import Plan, examples_of
from ml.anomaly_detector.features import HISTORY, features_of, with_features
from ml.anomaly_detector.flags import LearnedDetectors
from ml.anomaly_detector.model import Floats, Scores, naive_scores, scorer, values_of
from ml.anomaly_detector.train import Recipe, Trained, Validation, split_examples, train
from streaming.feeds.sim_config import SimulatorConfig

SEED, SESSIONS, SYMBOLS, TRADES, LATER = 4_301, 6, 20, 100_000, 2  # not one of the seeds that are scored
SAMPLE = 200_000
SPEED_ROWS = 500_000
TREES, BARS_A_TREE, USUAL = 100, 4096, float(np.log1p(4.0))  # a forest that is asked of usual bars only finds the crowd


@cache
def training_market() -> Market:
    """The market that is learned from, and on whose later sessions thresholds are chosen."""
    return market_of(SimulatorConfig(seed=SEED, sessions=SESSIONS, symbols=SYMBOLS, trades_per_session=TRADES))


@cache
def examples(interval: str) -> tuple[pd.DataFrame, Validation]:
    """What an interval's detector is learned from and validated by, as the job would have it."""
    market, recipe = training_market(), Recipe()
    series = list(series_of(market, interval))
    days = np.unique(np.concatenate([bars.session for _, bars, _ in series]))
    plan = Plan(int(days[0]), int(days[-LATER]), recipe.seed, SAMPLE, market.sessions, {})
    found = pd.concat([examples_of(bars, known, plan, symbol) for symbol, bars, known in series], ignore_index=True)
    learned, validation = split_examples(found, interval)
    return learned.sort_values(["draw", "instrument_id", "start_ms"]).iloc[:SAMPLE], validation


@cache
def trained(interval: str) -> Trained:
    """The detector of an interval, as the job would train it."""
    learned, validation = examples(interval)
    return train(learned, validation, interval, Recipe())


@cache
def forest(interval: str) -> tuple[Scores, float]:
    """An isolation forest grown from the same bars; its scores end, so its threshold is their quantile itself."""
    learned, validation = examples(interval)
    grown = IsolationForest(
        n_estimators=TREES, max_samples=min(BARS_A_TREE, len(learned)), random_state=Recipe().seed
    ).fit(values_of(learned))

    def scores(features: pd.DataFrame) -> Floats:
        values = values_of(features)
        found, asked = np.zeros(len(values)), np.flatnonzero(values.max(axis=1, initial=0.0) > USUAL)
        if len(asked):
            found[asked] = -grown.score_samples(values[asked])
        return found

    return scores, float(np.quantile(scores(validation.usual), 1.0 - Recipe().false_share, method="lower"))


def learned_outcomes(market: Market, interval: str) -> dict[str, dict[str, Outcome]]:
    """For each detector and each kind of event what it found; under `all` any flag on any event is right."""
    made = trained(interval)
    judges: Mapping[str, Callable[[Bars, Known], list[Flag]]] = {
        "learned": LearnedDetectors({interval: made.detector}),
        "isolation forest": lambda bars, known: flags_above(bars, known, *forest(interval)),
        "naive robust score": lambda bars, known: flags_above(
            bars, known, naive_scores, made.metrics["naive_threshold"]
        ),
    }
    series = list(series_of(market, interval))
    flags = {
        name: [found_at(symbol, bars, flag) for symbol, bars, known in series for flag in judge(bars, known)]
        for name, judge in judges.items()
    }
    flags["rules, all kinds"] = list(flags_of(market, interval, AnomalyRules()))
    return {name: by_kind(market, found) for name, found in flags.items()}


def by_kind(market: Market, flags: list[Found]) -> dict[str, Outcome]:
    """What flags say of each kind of event."""
    kinds: dict[str, tuple[Event, ...]] = {"jumps": market.jumps, **market.others}
    kinds["all"] = tuple(event for events in kinds.values() for event in events)
    return {kind: matched(events, flags) for kind, events in kinds.items()}


def found_at(symbol: str, bars: Bars, flag: Flag) -> Found:
    """A flag with its bar."""
    return Found(symbol, int(bars.start_ms[flag.row]), int(bars.end_ms[flag.row]), flag)


def flags_above(bars: Bars, known: Known, score: Scores, threshold: float) -> list[Flag]:
    """A rival's flags, as quiet at openings as the others."""
    moves = Moves.of(bars, HISTORY)
    scores = score(with_features(bars, moves, known))
    rows = np.flatnonzero((scores > threshold) & ~is_opening(bars, moves, AnomalyRules()))
    return [Flag(row, LEARNED, int(bars.end_ms[row]), float(scores[row]), UNEXPLAINED, {}) for row in rows.tolist()]


def speeds() -> dict[str, float]:
    """Bars a second of processor time: building features, and scoring them."""
    detector, bars = trained("1m").detector, longest(training_market(), "1s")
    features = features_of(bars, Known())
    many = pd.concat([features] * (SPEED_ROWS // len(features) + 1), ignore_index=True)
    return {
        "features of bars": len(bars) / spent(lambda: features_of(bars, Known())),
        "learned score": len(many) / spent(lambda: scorer(detector)(many)),
    }


def longest(market: Market, interval: str) -> Bars:
    """The bars of the symbol that has most."""
    return max((bars for _, bars, _ in series_of(market, interval)), key=len)


def spent(call: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    started = time.process_time()
    call()
    return time.process_time() - started


def as_rows(outcomes: dict[str, dict[str, Outcome]]) -> dict[str, dict[str, dict[str, object]]]:
    """Outcomes as JSON keeps them."""
    return {
        name: {kind: {**asdict(one), "recall": one.recall, "precision": one.precision} for kind, one in kinds.items()}
        for name, kinds in outcomes.items()
    }
