"""The part of docs/anomalies.md about the learned detector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Figures = dict[str, Any]
ALL = "all"


def learned_part(figures: Figures) -> Iterator[str]:
    """Detectors side by side on the simulated markets, by kind of event, and how fast the learned one is."""
    on = figures["on"]
    yield from ["## The learned detector on simulated markets", ""]
    yield (
        f"The tails of usual bars of each interval (`ml/anomaly_detector`), learned from "
        f"{on['sessions'] - on['later']} sessions of seed {on['seed']}; its threshold and those of its rivals were "
        f"chosen on the {on['later']} sessions after them (one in 10,000 usual bars), and applied to the markets of "
        f"seeds {', '.join(figures['seeds'])} as they stand; how it learns was chosen on seeds 71 to 74, 79, 83 and 89."
    )
    yield (
        "Isolation forest: scikit-learn's, over the same bars and features; its threshold is the quantile itself, "
        "because its scores end near 1. Naive: the farthest of the robust scores of move, residual and volume. Rules: "
        "flags of every other kind in gold.anomalies."
    )
    yield (
        "An event is found by a flag on its bar or on one that starts within five minutes; halts count from their end; "
        "bad prints are those still in the bars once cancels and corrections are in, odd lots in their average price "
        "alone. Precision: flags that stand for any event. Delay: to the end of the last bar the flag was judged by."
    )
    for interval in figures["models"]:
        yield from _interval(figures, interval)
    yield from _validation(figures["models"])
    yield from ["", "| what, bars/s on one core | |", "| --- | --- |"]
    yield from (f"| {name} | {speed:,.0f} |" for name, speed in figures["speed"].items())
    yield ""


def _interval(figures: Figures, interval: str) -> Iterator[str]:
    by_seed = {seed: found[interval] for seed, found in figures["seeds"].items()}
    detectors = list(next(iter(by_seed.values())))
    kinds = [kind for kind in next(iter(by_seed.values()))[detectors[0]] if kind != ALL]
    recalls = " | ".join(f"recall: {kind}" for kind in kinds)
    yield from ["", f"{interval} bars:", ""]
    yield f"| detector | seed | {recalls} | flags | precision | delay p50, s | delay max, s |"
    yield f"| --- | --- {'| --- ' * len(kinds)}| --- | --- | --- | --- |"
    for detector in detectors:
        rows = {seed: found[detector] for seed, found in by_seed.items()}
        for seed, row in [*rows.items(), (ALL, _summed(list(rows.values())))]:
            yield _row(detector, seed, row, kinds)


def _summed(rows: list[Figures]) -> Figures:
    return {kind: _sum([row[kind] for row in rows]) for kind in rows[0]}


def _sum(outcomes: list[Figures]) -> Figures:
    counts = {name: sum(one[name] for one in outcomes) for name in ("planted", "found", "flags", "right")}
    return {**counts, "delays_ms": [delay for one in outcomes for delay in one["delays_ms"]]}


def _row(detector: str, seed: str, row: Figures, kinds: list[str]) -> str:
    delays = sorted(row[ALL]["delays_ms"])
    middle, most = (f"{delays[len(delays) // 2] / 1000:.1f}", f"{delays[-1] / 1000:.1f}") if delays else ("", "")
    recalls = " | ".join(f"{_share(row[kind]['found'], row[kind]['planted'])}" for kind in kinds)
    precision = _share(row[ALL]["right"], row[ALL]["flags"])
    return f"| {detector} | {seed} | {recalls} | {row[ALL]['flags']} | {precision} | {middle} | {most} |"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f} ({part}/{whole})" if whole else "none"


def _validation(models: Figures) -> Iterator[str]:
    yield ""
    for interval, metrics in models.items():
        own = ", ".join(
            f"{name.removeprefix('recall_')} {value:.2f}"
            for name, value in metrics.items()
            if name.startswith("recall_")
        )
        yield (
            f"{interval}, anomalies planted into the later sessions of the training market "
            f"({metrics['planted']:g}): recall {metrics['recall']:.3f} ({own}), naive {metrics['naive_recall']:.3f}; "
            f"of usual bars {metrics['usual_flagged']:.5f} are flagged, naive {metrics['naive_usual_flagged']:.5f}."
        )
