"""Brokers' grades on one scale: 2 strong buy, 1 buy, 0 hold, -1 sell, -2 strong sell. The mapping is data."""

from __future__ import annotations

WORDS: dict[float, tuple[str, ...]] = {
    2.0: ("strong buy", "conviction buy", "top pick"),
    1.0: (
        "buy", "overweight", "outperform", "market outperform", "sector outperform", "positive", "accumulate", "add",
        "long-term buy", "speculative buy",
    ),
    0.0: (
        "hold", "neutral", "equal-weight", "equal weight", "market perform", "sector perform", "peer perform",
        "perform", "in-line", "in line", "sector weight", "market weight", "mixed", "fair value",
    ),
    -1.0: (
        "sell", "underweight", "underperform", "market underperform", "sector underperform", "negative", "reduce",
        "trim",
    ),
    -2.0: ("strong sell", "conviction sell"),
}  # fmt: skip
SCORES = {word: score for score, words in WORDS.items() for word in words}


def score_of(grade: str | None) -> float | None:
    """A grade's place on the scale; None where its word is not in the list."""
    return None if grade is None else SCORES.get(" ".join(grade.lower().split()))
