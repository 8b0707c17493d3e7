"""`docs/anomalies.md`: how well anomalies are found, measured against ground truth, vendors' marks, NAB and rivals.

python -m benchmarks.anomalies [--parts nab,prints,market,learned,speed] [--nab FOLDER] [--seeds 4,5]

Each part leaves its figures in .work/bench/anomalies; the page is written from all that are there. It lies here and not
in `jobs/` because it needs the benchmark's rivals, the shared data and the simulator, none of which is shipped. With a
checkout of numenta/NAB the rivals' thresholds are chosen on the series that are not scored; without it the ones
measured there before are taken.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import anomaly_learned
from benchmarks.anomaly_market import Outcome, flags_of, jump_outcome, market_of
from benchmarks.anomaly_page import page
from benchmarks.anomaly_prints import best_threshold, counts, tapes
from benchmarks.nab import Floats, Series, judged, normalised, read_corpus
from benchmarks.nab_rivals import RIVALS, Rival
from benchmarks.nab_tune import HELD_OUT
from lakehouse.anomalies.online import FROZEN, OnlineDetector, with_refractory
from lakehouse.anomalies.prints import THRESHOLD, print_scores
from lakehouse.anomalies.rules import AnomalyRules
from lakehouse.anomalies.seasonal import seasonal_scores
from streaming.feeds.sim_config import SimulatorConfig

HOUSE = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("TICKHOUSE_SHARED_DATA", HOUSE.parent / "shared" / "data"))
FIGURES = Path(".work/bench/anomalies")
SEEDS = (90_211, 90_212, 90_213, 90_214, 90_215)
SESSIONS, SYMBOLS, TRADES = 4, 20, 100_000
INTERVALS = ("1m", "1s")
# Chosen by `rival_thresholds` on the 51 series of NAB that are not scored here.
RIVAL_THRESHOLDS = {
    "null": 0.5000000000000001, "random": 0.9988257899009206, "static threshold": 83.55775783144146,
    "windowed Gaussian": 0.99999999999962, "rolling median/MAD": 166895.45096045156,
    "rolling median/MAD, quiet for 100": 7.419931104605002,
}  # fmt: skip
POINTS = 2_000_000

Figures = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the parts asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--nab", type=Path, help="a checkout of numenta/NAB, to choose the rivals' thresholds again")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    args = parser.parse_args(argv)
    FIGURES.mkdir(parents=True, exist_ok=True)
    for part in args.parts.split(","):
        PARTS[part](args)
    known = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FIGURES.glob("*.json"))}
    (HOUSE / "docs" / "anomalies.md").write_text(page(known), encoding="utf-8")
    return 0


def keep(name: str, figures: Figures) -> None:
    """Leave the figures of a part."""
    (FIGURES / f"{name}.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print(name, json.dumps(figures)[:400])


def measure_nab(args: argparse.Namespace) -> None:
    """Our detector and its rivals on the given series."""
    thresholds = rival_thresholds(args.nab) if args.nab else RIVAL_THRESHOLDS
    corpus = [(series, judged(series)) for series in read_corpus(DATA / "nab", DATA / "nab" / "labels")]
    rows: Figures = {"ours": {}}
    for series, one in corpus:
        flags = OnlineDetector().add(series.seconds, series.values)[1]
        rows["ours"][series.name] = one.score(flags)
    for rival in RIVALS:
        rows[rival.name] = {
            series.name: one.score(flags_by(rival, series, thresholds.get(rival.name, np.inf)))
            for series, one in corpus
        }
    scores = {name: normalised(sum(raw.values()), [one for _, one in corpus]) for name, raw in rows.items()}
    by_series = {
        name: {series.name: normalised(raw[series.name], [one]) for series, one in corpus} for name, raw in rows.items()
    }
    keep("nab", {"raw": rows, "by_series": by_series, "score": scores, "thresholds": thresholds})


def flags_by(rival: Rival, series: Series, threshold: float) -> Any:
    """What a rival flags."""
    return with_refractory(rival.scores(series), threshold, rival.refractory)[0]


def rival_thresholds(folder: Path) -> dict[str, float]:
    """The threshold with which each rival scores best on the series that are not scored here."""
    corpus = [(one, judged(one)) for one in read_corpus(folder / "data", folder / "labels", without=HELD_OUT)]
    found = {}
    for rival in RIVALS:
        scores = [rival.scores(series) for series, _ in corpus]
        known = np.unique(np.concatenate(scores))
        tail = np.unique(np.quantile(known, 1.0 - np.geomspace(1e-6, 0.5, 120)))

        def total(threshold: float, scores: list[Floats] = scores, rival: Rival = rival) -> float:
            pairs = zip(corpus, scores, strict=True)
            return sum(one.score(with_refractory(s, threshold, rival.refractory)[0]) for (_, one), s in pairs)

        found[rival.name] = max([*tail.tolist(), float(np.nextafter(known[-1], np.inf))], key=total)
    print("thresholds of the rivals:", found)
    return found


def measure_prints(_args: argparse.Namespace) -> None:
    """Our test of prints on the vendor's marks, the threshold chosen on the first day and scored on the others."""
    found = tapes(DATA / "lean" / "tick_flagged" / "ibm")
    chosen = best_threshold(found[0])
    rows = [{"day": tape.day, **vars(counts(tape, THRESHOLD))} for tape in found]
    keep("prints", {"threshold": THRESHOLD, "best_on_first_day": chosen, "days": rows})


def measure_market(args: argparse.Namespace) -> None:
    """Jumps and fat fingers of simulated markets, one seed after the other; figures of other seeds are kept."""
    for seed in (int(text) for text in args.seeds.split(",")):
        config = SimulatorConfig(seed=seed, sessions=SESSIONS, symbols=SYMBOLS, trades_per_session=TRADES)
        started, market = time.perf_counter(), market_of(config)
        figures, reasons = dict[str, Figures](), dict[str, dict[str, int]]()
        for interval in INTERVALS:
            flags = list(flags_of(market, interval, AnomalyRules()))
            figures[f"jumps, {interval} bars"] = as_figures(jump_outcome(market, flags))
            reasons[interval] = tally([f"{one.flag.kind}: {one.flag.reason}" for one in flags])
        figures["bad prints"] = as_figures(market.prints)
        spent = time.perf_counter() - started
        keep(f"market-{seed}", {"seed": seed, "seconds": spent, "outcomes": figures, "reasons": reasons})


def measure_learned(args: argparse.Namespace) -> None:
    """The learned detector, trained on another simulated market, beside the naive score and the rules."""
    seeds, outcomes = [int(text) for text in args.seeds.split(",")], dict[str, Figures]()
    for seed in seeds:
        market = market_of(SimulatorConfig(seed=seed, sessions=SESSIONS, symbols=SYMBOLS, trades_per_session=TRADES))
        found = {one: anomaly_learned.as_rows(anomaly_learned.learned_outcomes(market, one)) for one in INTERVALS}
        outcomes[str(seed)] = found
    models = {one: anomaly_learned.trained(one).metrics for one in INTERVALS}
    trained_on = {"seed": anomaly_learned.SEED, "sessions": anomaly_learned.SESSIONS, "later": anomaly_learned.LATER}
    keep("learned", {"on": trained_on, "models": models, "seeds": outcomes, "speed": anomaly_learned.speeds()})


def tally(names: Sequence[str]) -> dict[str, int]:
    """How often each name occurs."""
    return {name: names.count(name) for name in sorted(set(names))}


def as_figures(outcome: Outcome) -> Figures:
    """An outcome as JSON keeps it."""
    return {**vars(outcome), "recall": outcome.recall, "precision": outcome.precision}


def measure_speed(_args: argparse.Namespace) -> None:
    """Points a second on one core, the best of three, of what judges single points."""
    dice = np.random.default_rng(3)
    values = np.cumsum(dice.normal(size=POINTS)) + 100.0
    seconds = np.arange(POINTS, dtype=np.int64) * 300
    session, slot = np.arange(POINTS) // 390, np.arange(POINTS) % 390
    calls: dict[str, Callable[[], object]] = {
        "online detector": lambda: OnlineDetector(FROZEN).add(seconds, values),
        "print test": lambda: print_scores(values),
        "same minute of past sessions": lambda: seasonal_scores(session, slot, values),
    }
    keep("speed", {name: POINTS / best_of(call) for name, call in calls.items()})


def best_of(call: Callable[[], object], times: int = 3) -> float:
    """Processor seconds of the quickest of a few calls, the first of which compiles and does not count."""
    call()
    spent = []
    for _ in range(times):
        started = time.process_time()
        call()
        spent.append(time.process_time() - started)
    return min(spent)


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "nab": measure_nab,
    "prints": measure_prints,
    "market": measure_market,
    "learned": measure_learned,
    "speed": measure_speed,
}

if __name__ == "__main__":
    sys.exit(main())
