"""NAB's scoring against NAB's published scores, and against a plain reading of its rules."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nab import FN_WEIGHT, FP_WEIGHT, Series, judged, normalised, read_corpus
from benchmarks.nab_rivals import nothing, windowed_gaussian

# numenta/NAB, results/windowedGaussian/windowedGaussian_standard_scores.csv @487c0f97: raw score, true and false flags.
DIGITS = 12  # so many NAB kept of a score before it was compared with the published threshold, 1.0
PUBLISHED = {
    "realTweets/Twitter_volume_AAPL.csv": (1.5139968362565832, 42, 24),
    "realTweets/Twitter_volume_AMZN.csv": (1.5584829945714498, 10, 20),
    "realTweets/Twitter_volume_CRM.csv": (0.7638457640937151, 10, 0),
    "realTweets/Twitter_volume_IBM.csv": (-0.7991094792289368, 14, 25),
    "realTweets/Twitter_volume_KO.csv": (-0.914196106944424, 22, 33),
    "realKnownCause/machine_temperature_system_failure.csv": (-4.0, 0, 0),
    "realKnownCause/nyc_taxi.csv": (-5.0, 0, 0),
}


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> list[Series]:
    return read_corpus(shared_data / "nab", shared_data / "nab" / "labels")


def test_the_windowed_gaussian_scores_what_nab_published_for_it(corpus: list[Series]) -> None:
    found = {}
    for series in corpus:
        one, flags = judged(series), np.round(windowed_gaussian(series), DIGITS) >= 1.0
        hits, misses = int((flags & (one.window >= 0)).sum()), int((flags & (one.window == -1)).sum())
        found[series.name] = (one.score(flags), hits, misses)

    assert {name: row[1:] for name, row in found.items()} == {name: row[1:] for name, row in PUBLISHED.items()}
    assert {name: row[0] for name, row in found.items()} == pytest.approx({k: v[0] for k, v in PUBLISHED.items()})


def test_silence_is_0_and_the_left_edge_of_every_window_is_100(corpus: list[Series]) -> None:
    judgements = [judged(series) for series in corpus]
    silence = sum(one.score(nothing(series) > 1) for series, one in zip(corpus, judgements, strict=True))
    edges = 0.0
    for series, one in zip(corpus, judgements, strict=True):
        flags = np.zeros(len(series.values), np.bool_)
        flags[[first for first, _ in series.windows]] = True
        edges += one.score(flags)

    assert normalised(silence, judgements) == pytest.approx(0.0)
    assert normalised(edges, judgements) == pytest.approx(100.0)


def plain_score(count: int, windows: list[tuple[int, int]], flags: list[bool]) -> float:
    """NAB's rules, window by window and flag by flag."""
    probation = min(math.floor(0.15 * count), 750)

    def curve(position: float) -> float:
        return -1.0 if position >= 3 else 2 / (1 + math.exp(5 * position)) - 1

    total = 0.0
    for first, last in windows:
        if last < probation:
            continue
        hits = [row for row in range(max(first, probation), last + 1) if flags[row]]
        width = last - first + 1
        total += curve(-(last - hits[0] + 1) / width) / curve(-1.0) if hits else -FN_WEIGHT
    for row in range(probation, count):
        if flags[row] and not any(first <= row <= last for first, last in windows):
            before = [(first, last) for first, last in windows if last < row]
            position = 3.0 if not before else (row - before[-1][1]) / (before[-1][1] - before[-1][0])
            total += FP_WEIGHT * curve(position)
    return total


@given(st.data())
def test_scoring_is_what_the_rules_say(data: st.DataObject) -> None:
    count = data.draw(st.integers(20, 120))
    edges = sorted(data.draw(st.lists(st.integers(0, count - 1), min_size=0, max_size=8, unique=True)))
    windows = [(first, last) for first, last in zip(edges[::2], edges[1::2], strict=False)]
    flags = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    series = Series("x/y.csv", np.arange(count), np.zeros(count), tuple(windows))

    assert judged(series).score(np.array(flags)) == pytest.approx(plain_score(count, windows, flags))
