"""Which rows there are and how large: the full run, the quick one, and the soak."""

from __future__ import annotations

from dataclasses import asdict

from benchmarks import (
    alerts_row,
    as_of_row,
    bars_row,
    commit_row,
    fundamentals_row,
    indicators_row,
    latency_row,
    refine_row,
    soak,
    stream_row,
)
from benchmarks.harness import Row, Trial
from benchmarks.market import Market

MILLION = 1_000_000


def rows_of(*, quick: bool) -> tuple[Row | Trial, ...]:
    """Rows a to e and g to j. Quick rows say whether everything works, not how fast it is: fixed costs rule them."""
    batch = asdict(Market(MILLION // 5 if quick else 20 * MILLION, per_slice=100_000 if quick else 500_000))
    stream = asdict(Market(MILLION // 10 if quick else 2 * MILLION, per_slice=50_000 if quick else 500_000))
    lesser = asdict(Market(MILLION // 20 if quick else MILLION, per_slice=50_000 if quick else 500_000))
    return (
        refine_row.row(batch),
        bars_row.row(batch),
        stream_row.row(stream, lesser),
        commit_row.row(batches_a_round=15 if quick else 167, rounds=2 if quick else 3),
        latency_row.trial(((1_000, 40),) if quick else ((1_000, 180), (10_000, 600)), warm_up=20 if quick else 60),
        indicators_row.row(symbols=10 if quick else 100, bars_each=5_000 if quick else 50_000),
        alerts_row.trial(rate=2_000 if quick else 10_000, seconds=10 if quick else 60, warm_up=5 if quick else 30),
        as_of_row.row(bars=MILLION // 5 if quick else 10 * MILLION, filings=4_000 if quick else 200_000),
        fundamentals_row.trial(companies=3 if quick else 100, years=1 if quick else 10),
    )


def soak_rows(*, quick: bool) -> tuple[Trial, ...]:
    """Row f: against itself, first tenth and last."""
    prints = asdict(Market(MILLION // 2 if quick else 50 * MILLION, per_slice=25_000 if quick else 250_000))
    return soak.bulk_trial(prints), soak.hour_trial(rate=1_000, seconds=120 if quick else 3_600)
