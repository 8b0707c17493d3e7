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
from ml.anomaly_detector.model import Detector, ModelError, choose_threshold, naive_scores, scorer, values_of
from ml.anomaly_detector.planting import KINDS, planted
from ml.anomaly_detector.registry import KIND, NUMBERS, detector_of
from ml.anomaly_detector.tails import Tails, tails_of
from ml.anomaly_detector.train import Recipe, Trained, Validation, split_examples, train
from tests.unit.test_anomaly_bars import BARS_A_SESSION, FIRST, market_of, moved, without

NO_SESSIONS = SessionArrays(*(np.empty(0, np.int64) for _ in range(4)))
PLAN = Plan(FIRST + 3, FIRST + 6, 1, 100_000, NO_SESSIONS, {})
RECIPE = Recipe(false_share=0.002)
NO_TAILS = Tails(*(np.ones(len(FEATURES)) for _ in range(3)))


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


def test_training_twice_gives_the_same_detector_whatever_the_order_of_what_is_learned_from() -> None:
    made, validation = trained()
    learned, _ = split_examples(all_examples(), "1m")

    again = train(learned.sample(frac=1, random_state=3), validation, "1m", RECIPE)

    assert np.array_equal(scorer(made.detector)(validation.planted), scorer(again.detector)(validation.planted))
    assert made.metrics == again.metrics


@given(seed=st.integers(0, 1000), thins=st.floats(0.1, 3.0))
@settings(max_examples=25)
def test_a_score_is_how_many_zeros_there_are_in_one_in_so_many(seed: int, thins: float) -> None:
    values = np.random.default_rng(seed).exponential(thins, (20_000, 1))

    tails = tails_of(values)

    for zeros in (2.5, 4.0, 6.0):
        as_far_out = np.array([[thins * zeros * np.log(10)]])
        assert tails.surprise(as_far_out)[0, 0] == pytest.approx(zeros, rel=0.3)


@given(seed=st.integers(0, 1000), far=st.floats(8.0, 300.0), count=st.integers(1, 10))
@settings(max_examples=25)
def test_a_few_bars_that_are_not_usual_hide_nothing(seed: int, far: float, count: int) -> None:
    usual = np.random.default_rng(seed).exponential(0.5, (20_000, 4))
    mixed = np.concatenate([usual, np.full((count, 4), far)])

    clean, with_some = tails_of(usual), tails_of(mixed)

    at = np.full((1, 4), 4.0)
    assert with_some.surprise(at)[0] == pytest.approx(clean.surprise(at)[0], rel=0.25)
    scores = with_some.surprise(mixed).max(axis=1)
    assert choose_threshold(scores, 0.0001) < scores[-count:].min()
    assert np.mean(scores[:-count] > choose_threshold(scores, 0.0001)) < 0.0005


def test_prices_in_ticks_do_not_make_every_tick_unusual() -> None:
    ticks = np.concatenate([np.zeros(9_900), np.full(60, 0.30), np.full(39, 0.31), [0.9]])[:, None]

    scores = tails_of(np.concatenate([ticks, ticks + 0.01])).surprise(np.array([[0.32], [0.60]]))[:, 0]

    assert scores[0] < 3.5 < scores[1] + 2


@given(first=st.floats(0, 50), more=st.floats(0.001, 50), thins=st.floats(0.01, 3.0))
def test_what_lies_farther_out_is_never_less_unusual(first: float, more: float, thins: float) -> None:
    tails = Tails(np.array([1.0]), np.array([0.01]), np.array([thins]))
    near, far = tails.surprise(np.array([[first], [first + more]]))[:, 0]

    assert near <= far
    assert (near == 0) == (first <= 1.0)


def test_a_feature_that_never_showed_anything_has_a_tail_all_the_same() -> None:
    tails = tails_of(np.zeros((500, 2)))

    assert tails.surprise(np.array([[0.0, 0.0]])).tolist() == [[0.0, 0.0]]
    assert 0 < tails.surprise(np.array([[0.1, 3.0]])).max() < 10


def test_a_detector_survives_the_way_to_a_worker() -> None:
    made, validation = trained()
    there = pickle.loads(pickle.dumps(LearnedDetectors({"1m": made.detector})))

    assert np.array_equal(
        scorer(there.by_interval["1m"])(validation.planted), scorer(made.detector)(validation.planted)
    )


@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=400),
    shares=st.tuples(st.sampled_from([0.0001, 0.01]), st.sampled_from([0.02, 0.1, 0.5])),
)
def test_a_smaller_share_never_means_a_lower_threshold(scores: list[float], shares: tuple[float, float]) -> None:
    values = np.array(scores)

    strict, mild = (choose_threshold(values, share) for share in shares)

    assert strict >= mild
    assert np.mean(values > mild) <= shares[1]


@given(seed=st.integers(0, 1000), share=st.sampled_from([0.0001, 0.001, 0.01]))
@settings(max_examples=25)
def test_a_threshold_is_passed_by_its_share_of_scores_that_thin_out_evenly(seed: int, share: float) -> None:
    scores = np.random.default_rng(seed).exponential(1.0, 50_000)

    threshold = choose_threshold(scores, share)

    assert np.exp(-threshold) == pytest.approx(share, rel=0.8)


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


def test_most_of_what_is_planted_is_found_and_the_figures_are_those_of_its_flags() -> None:
    made, validation = trained()

    scores = scorer(made.detector)(validation.planted)

    assert made.metrics["recall"] == np.mean(scores > made.detector.threshold) >= 0.5
    assert made.metrics["usual_flagged"] == np.mean(scorer(made.detector)(validation.usual) > made.detector.threshold)
    assert made.metrics["usual_flagged"] <= 5 * RECIPE.false_share
    assert {f"recall_{kind}" for kind in KINDS} & made.metrics.keys()
    assert made.metrics["naive_threshold"] == choose_threshold(naive_scores(validation.usual), RECIPE.false_share)


def test_a_missing_feature_or_a_nan_is_refused() -> None:
    made, validation = trained()
    score, rows = scorer(made.detector), validation.usual.iloc[:3]

    with pytest.raises(ModelError, match=r"missing|name \['gap'\]"):
        score(rows.drop(columns="gap"))
    with pytest.raises(ModelError, match="NaN"):
        score(rows.assign(gap=np.nan))


def test_a_bar_is_as_unusual_as_its_most_unusual_feature() -> None:
    made, validation = trained()
    rows = validation.planted[list(FEATURES)]

    surprise = made.detector.tails.surprise(values_of(rows))

    assert np.array_equal(scorer(made.detector)(rows), surprise.max(axis=1))
    assert scorer(made.detector)(rows * 0.0).tolist() == [0.0] * len(rows)


def test_a_jump_is_flagged_at_the_end_of_its_bar_with_model_threshold_and_most_unusual_features() -> None:
    made, _ = trained()
    detector = replace(made.detector, name="anomaly-detector-1m/7")
    row = 7 * BARS_A_SESSION + 30
    bars = moved(market_of(9), row, 1.05)

    flags = [one for one in LearnedDetectors({"1m": detector})(bars, Known()) if one.row == row]

    assert [(one.kind, one.decided_ms) for one in flags] == [(LEARNED, int(bars.end_ms[row]))]
    assert 0 < detector.threshold < flags[0].score
    assert flags[0].evidence["model"] == "anomaly-detector-1m/7"
    assert {"residual", "move_pct"} <= flags[0].evidence.keys()


def test_a_lone_high_is_called_a_print() -> None:
    made, _ = trained()
    row = 7 * BARS_A_SESSION + 30
    bars = market_of(9)
    high = np.array(bars.high)
    high[row] *= 1.2

    keen = replace(made.detector, threshold=2.0)
    flags = LearnedDetectors({"1m": keen})(replace(bars, high=high), Known())

    assert [one.reason for one in flags if one.row == row] == [PRINT]


def test_an_interval_without_a_model_stays_quiet() -> None:
    assert LearnedDetectors({"1s": Detector("1s", NO_TAILS, 0.5)})(market_of(1), Known()) == []


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


def stored() -> dict[str, Any]:
    made, _ = trained()
    numbers = {one: getattr(made.detector.tails, one).tolist() for one in NUMBERS}
    return {"kind": KIND, "interval": "1m", "threshold": made.detector.threshold, "features": list(FEATURES), **numbers}


def test_what_is_stored_is_what_was_trained() -> None:
    made, validation = trained()

    read = detector_of("m/1", stored())

    assert (read.name, read.interval, read.threshold) == ("m/1", "1m", made.detector.threshold)
    assert np.array_equal(scorer(read)(validation.planted), scorer(made.detector)(validation.planted))


@pytest.mark.parametrize("wrong", [{"kind": "forest"}, {"features": ["move"]}])
def test_a_model_of_another_kind_or_of_other_features_is_refused_in_words(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"m/3: .*this code reads 'tails'.*not loaded.*train-detector"):
        detector_of("m/3", {**stored(), **wrong})


@pytest.mark.parametrize(
    "wrong",
    [{"threshold": None}, {"threshold": float("nan")}, {"begins": [1.0]}, {"thins": [0.0] * len(FEATURES)},
     {"share": [float("inf")] * len(FEATURES)}, {"share": "many"}],
)  # fmt: skip
def test_a_damaged_model_is_refused_in_words(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"m/3: expected detector.json .*damaged.*train-detector"):
        detector_of("m/3", {**stored(), **wrong})


def test_the_card_names_every_feature_and_figure() -> None:
    made, _ = trained()

    text = card("1m", {"seed": 1}, made.metrics)

    assert all(f"- {name}: " in text for name in (*FEATURES, *made.metrics, "seed"))


def test_a_detector_that_finds_no_more_than_the_naive_score_is_no_champion() -> None:
    trained = Trained(Detector("1m", NO_TAILS, 0.0), {"recall": 0.5, "naive_recall": 0.5})
    nothing_asked = cast(Any, None)

    assert alias_of(nothing_asked, Settings(), trained, nothing_asked, Recipe()) == "challenger"
