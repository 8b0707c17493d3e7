"""The learned detector: features that look only back, one score for one row, a threshold that keeps its promise."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import cache
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.train_detector import alias_of
from lakehouse.anomalies.rules import LEARNED, PRINT, Bars, Known
from lakehouse.reference.calendar import SessionArrays
from lakehouse.settings import Settings
from ml.anomaly_detector.card import card
from ml.anomaly_detector.examples import Plan, draws, examples_of
from ml.anomaly_detector.features import FEATURES, features_of
from ml.anomaly_detector.flags import LearnedDetectors
from ml.anomaly_detector.model import Detector, ModelError, choose_threshold, naive_scores, scorer
from ml.anomaly_detector.planting import KINDS, planted
from ml.anomaly_detector.registry import require_same_versions, versions
from ml.anomaly_detector.train import Recipe, Trained, Validation, split_examples, train
from tests.unit.test_anomaly_bars import BARS_A_SESSION, FIRST, market_of, moved, without

NO_SESSIONS = SessionArrays(*(np.empty(0, np.int64) for _ in range(4)))
PLAN = Plan(FIRST + 3, FIRST + 6, 1, 100_000, NO_SESSIONS, {})
RECIPE = Recipe(trees=30, bars_a_tree=512, false_share=0.002)


def all_examples(seeds: range = range(6), plan: Plan = PLAN) -> pd.DataFrame:
    found = [examples_of(market_of(seed), Known(), plan, f"I-{seed}") for seed in seeds]
    return pd.concat(found, ignore_index=True)


@cache
def trained() -> tuple[Trained, Validation]:
    learned, validation = split_examples(all_examples(), "1m")
    return train(learned, validation, "1m", RECIPE), validation


def cut(bars: Bars, end: int) -> Bars:
    return without(bars, range(end, len(bars)))


@given(seed=st.integers(0, 50), end=st.integers(1, 8 * BARS_A_SESSION), factor=st.sampled_from([0.5, 0.97, 1.0, 1.2]))
@settings(max_examples=25)
def test_cutting_the_future_changes_no_feature(seed: int, end: int, factor: float) -> None:
    bars = moved(market_of(seed), 300, factor)
    known = Known(splits={FIRST + 5: 2.0})

    whole, past = features_of(bars, known), features_of(cut(bars, end), known)

    pd.testing.assert_frame_equal(whole.iloc[:end], past, check_exact=True)


@given(
    seed=st.integers(0, 50), at=st.integers(0, 479), name=st.sampled_from(["close", "vwap", "high", "open", "market"])
)
@settings(max_examples=25)
def test_features_are_numbers_of_0_or_more_whatever_is_missing(seed: int, at: int, name: str) -> None:
    bars = market_of(seed)
    values = np.array(getattr(bars, name))
    values[at] = np.nan

    features = features_of(
        replace(bars, **{name: values}, volume=np.where(np.arange(480) == at, 0.0, bars.volume)), Known()
    )

    assert tuple(features.columns) == FEATURES
    assert np.isfinite(features.to_numpy()).all()
    assert (features.to_numpy() >= 0).all()


def test_features_do_not_depend_on_the_unit_of_price_or_volume() -> None:
    bars = market_of(3)
    prices = {name: getattr(bars, name) * 16 for name in ("open", "high", "low", "close", "vwap")}
    others = replace(bars, **prices, volume=bars.volume * 8)

    pd.testing.assert_frame_equal(features_of(bars, Known()), features_of(others, Known()), rtol=1e-6, atol=1e-9)


def test_a_split_is_no_surge_of_volume_and_no_gap() -> None:
    bars = market_of(4)
    row = 6 * BARS_A_SESSION
    halved = moved(bars, row - 1, 0.5)
    halved = replace(
        halved, close=np.where(np.arange(480) == row - 1, bars.close, halved.close),
        low=np.where(np.arange(480) == row - 1, bars.low, halved.low),
        vwap=np.where(np.arange(480) >= row, bars.vwap / 2, bars.vwap),
        volume=np.where(np.arange(480) >= row, bars.volume * 2, bars.volume),
    )  # fmt: skip

    plain, split = features_of(bars, Known()), features_of(halved, Known(splits={FIRST + 6: 2.0}))

    pd.testing.assert_frame_equal(plain, split, rtol=1e-6, atol=1e-6)


@given(data=st.data())
@settings(max_examples=10)
def test_the_order_of_rows_and_their_company_change_no_score(data: st.DataObject) -> None:
    made, validation = trained()
    score, rows = scorer(made.detector), pd.concat([validation.usual.iloc[:200], validation.planted])
    order = np.random.default_rng(data.draw(st.integers(0, 1000))).permutation(len(rows))
    part = data.draw(st.integers(1, len(rows)))

    assert np.array_equal(score(rows)[order][:part], score(rows.iloc[order[:part]]))


def test_training_twice_gives_the_same_scores_and_another_seed_others() -> None:
    made, validation = trained()
    learned, _ = split_examples(all_examples(), "1m")

    again = train(learned, validation, "1m", RECIPE)
    other = train(learned, validation, "1m", replace(RECIPE, seed=2))

    rows = validation.planted
    assert np.array_equal(scorer(made.detector)(rows), scorer(again.detector)(rows))
    assert made.metrics == again.metrics
    assert not np.array_equal(scorer(made.detector)(rows), scorer(other.detector)(rows))


def test_a_detector_survives_the_way_to_a_worker() -> None:
    made, validation = trained()
    there = pickle.loads(pickle.dumps(LearnedDetectors({"1m": made.detector})))

    assert np.array_equal(
        scorer(there.by_interval["1m"])(validation.planted), scorer(made.detector)(validation.planted)
    )


@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=400),
    share=st.sampled_from([0.0, 0.0001, 0.01, 0.1, 0.5]),
)
def test_a_threshold_is_the_lowest_that_keeps_false_flags_within_their_share(scores: list[float], share: float) -> None:
    values = np.array(scores)
    threshold = choose_threshold(values, share)

    allowed = int(share * len(values))
    assert (values > threshold).sum() <= allowed
    lower = values[values < threshold]
    assert not len(lower) or (values > lower.max()).sum() > allowed


def test_no_usual_bar_means_no_threshold() -> None:
    with pytest.raises(ModelError, match="no usual bar"):
        choose_threshold(np.empty(0), 0.1)


def test_what_is_learned_from_lies_before_what_validates_and_no_rule_flags_it() -> None:
    rows = all_examples()

    learned, validation = split_examples(rows, "1m")

    later = FIRST + 6
    day_of = lambda frame: frame["start_ms"] // 86_400_000  # noqa: E731
    assert day_of(learned).min() == FIRST + 3
    assert day_of(learned).max() == later - 1
    assert all(day_of(part).min() >= later for part in (validation.usual, validation.planted))
    assert not learned["is_flagged"].any()
    assert not validation.usual["is_flagged"].any()


def test_too_few_sessions_are_refused_in_words() -> None:
    with pytest.raises(ModelError, match="expected 200 usual bars or more to learn from, found 0"):
        split_examples(all_examples(plan=replace(PLAN, first=FIRST + 6)), "1m")


def test_the_forest_finds_most_of_what_is_planted_and_the_figures_are_those_of_its_flags() -> None:
    made, validation = trained()

    scores = scorer(made.detector)(validation.planted)

    assert made.metrics["recall"] == np.mean(scores > made.detector.threshold) >= 0.5
    assert np.mean(scorer(made.detector)(validation.usual) > made.detector.threshold) <= RECIPE.false_share
    assert {f"recall_{kind}" for kind in KINDS} & made.metrics.keys()
    assert made.metrics["naive_threshold"] == choose_threshold(naive_scores(validation.usual), RECIPE.false_share)


def test_a_missing_feature_or_a_nan_is_refused() -> None:
    made, validation = trained()
    score, rows = scorer(made.detector), validation.usual.iloc[:3]

    with pytest.raises(ModelError, match=r"missing|name \['gap'\]"):
        score(rows.drop(columns="gap"))
    with pytest.raises(ModelError, match="NaN"):
        score(rows.assign(gap=np.nan))


def test_a_bar_that_is_usual_in_every_respect_is_not_asked_of_the_forest() -> None:
    made, _ = trained()
    usual = pd.DataFrame({name: [0.0, 1.0] for name in FEATURES})

    assert scorer(replace(made.detector, forest=None))(usual).tolist() == [0.0, 0.0]


def test_a_jump_is_flagged_at_the_end_of_its_bar_with_model_threshold_and_farthest_features() -> None:
    made, _ = trained()
    detector = replace(made.detector, name="anomaly-detector-1m/7")
    row = 7 * BARS_A_SESSION + 30
    bars = moved(market_of(9), row, 1.05)

    flags = [one for one in LearnedDetectors({"1m": detector})(bars, Known()) if one.row == row]

    assert [(one.kind, one.decided_ms) for one in flags] == [(LEARNED, int(bars.end_ms[row]))]
    assert 0 < detector.threshold < flags[0].score <= 1
    assert flags[0].evidence["model"] == "anomaly-detector-1m/7"
    assert {"jump", "move_pct"} <= flags[0].evidence.keys()


def test_a_lone_high_is_called_a_print() -> None:
    made, _ = trained()
    row = 7 * BARS_A_SESSION + 30
    bars = market_of(9)
    high = np.array(bars.high)
    high[row] *= 1.2

    keen = replace(made.detector, threshold=0.5)
    flags = LearnedDetectors({"1m": keen})(replace(bars, high=high), Known())

    assert [one.reason for one in flags if one.row == row] == [PRINT]


def test_an_interval_without_a_model_stays_quiet() -> None:
    assert LearnedDetectors({"1s": Detector("1s", None, 0.5)})(market_of(1), Known()) == []


@given(seed=st.integers(0, 20))
@settings(max_examples=10)
def test_flags_decided_by_a_moment_do_not_change_with_what_comes_later(seed: int) -> None:
    made, _ = trained()
    bars = moved(market_of(seed), 7 * BARS_A_SESSION + 20, 1.04)
    end = 7 * BARS_A_SESSION + 25
    judge = LearnedDetectors({"1m": made.detector})

    assert [one for one in judge(bars, Known()) if one.row < end] == judge(cut(bars, end), Known())


@given(seed=st.integers(0, 30), session=st.integers(0, 7))
@settings(max_examples=15)
def test_what_is_planted_in_a_session_depends_on_nothing_but_seed_name_and_date(seed: int, session: int) -> None:
    bars = market_of(seed)

    changed, alone = planted(bars, [FIRST + session], name="A", seed=1)
    _, among = planted(bars, np.unique(bars.session).tolist(), name="A", seed=1)

    assert alone.items() <= among.items()
    assert all(bars.session[row] == FIRST + session for row in alone)
    row = min(alone)
    for name in ("open", "high", "low", "close", "volume", "trades", "vwap"):
        assert np.array_equal(getattr(bars, name)[:row], getattr(changed, name)[:row])


@given(seed=st.integers(0, 5), order=st.permutations(range(40)))
def test_a_lot_is_drawn_by_name_and_bar_not_by_place(seed: int, order: list[int]) -> None:
    starts = 1_700_000_000_000 + np.arange(40) * 1000

    assert np.array_equal(draws(starts, "A", seed)[order], draws(starts[order], "A", seed))
    assert len(np.unique(draws(starts, "A", seed))) == 40
    assert not np.array_equal(draws(starts, "A", seed), draws(starts, "B", seed))


@pytest.mark.parametrize("name", ["python", "scikit-learn", "numpy"])
def test_a_model_of_other_versions_is_refused_in_words(name: str) -> None:
    about = {"features": list(FEATURES), "versions": {**versions(), name: "0.0"}}

    with pytest.raises(ModelError, match=rf"{name} 0\.0 \(here .*not loaded.*train-detector"):
        require_same_versions("anomaly-detector-1m/3", about)


def test_a_model_of_other_features_is_refused_in_words() -> None:
    with pytest.raises(ModelError, match="it knows the features"):
        require_same_versions("m/1", {"features": ["move"], "versions": versions()})


def test_the_card_names_every_feature_and_figure() -> None:
    made, _ = trained()

    text = card("1m", {"seed": 1}, made.metrics)

    assert all(f"- {name}: " in text for name in (*FEATURES, *made.metrics, "seed"))


def test_a_detector_that_finds_no_more_than_the_naive_score_is_no_champion() -> None:
    trained = Trained(Detector("1m", None, 0.0), {"recall": 0.5, "naive_recall": 0.5})
    nothing_asked = cast(Any, None)

    assert alias_of(nothing_asked, Settings(), trained, nothing_asked, Recipe()) == "challenger"
