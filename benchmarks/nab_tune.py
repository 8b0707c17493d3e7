"""Choose the parameters of the online detector on NAB's series, but for those it is scored on.

python -m benchmarks.nab_tune FOLDER --seconds 100 --log tuned.jsonl

FOLDER is a checkout of numenta/NAB (its `data` and `labels`). The series of our own report (HELD_OUT) are never read. A
search by chance, then around the best so far; each run goes on from the log of those before.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.nab import Floats, Judged, Series, judged, normalised, read_corpus
from lakehouse.anomalies.online import OnlineDetector, OnlineParameters, with_refractory

HELD_OUT = frozenset(
    {f"realTweets/Twitter_volume_{name}.csv" for name in ("AAPL", "AMZN", "CRM", "IBM", "KO")}
    | {f"realKnownCause/{name}.csv" for name in ("machine_temperature_system_failure", "nyc_taxi")}
)
GROUPS = {"": 0.4, "realTweets": 0.4, "realKnownCause": 0.2}  # all series, and the two kinds our report is about
THRESHOLDS = tuple(float(one) for one in np.geomspace(1.5, 40.0, 40))
RANGES = {
    "fast_points": (3.0, 100.0), "slow_points": (100.0, 4000.0), "short_points": (2.0, 40.0),
    "season_points": (20.0, 400.0), "tail_share": (0.005, 0.1), "tail_points": (500.0, 20_000.0),
    "power": (1.0, 6.0), "warm_points": (20.0, 400.0), "warm_days": (2.0, 8.0), "warm_weeks": (2.0, 6.0),
    "refractory": (20.0, 400.0),
}  # fmt: skip
PASSES = 0.3  # the chance of an expert to be left out of a fresh guess

Judgement = tuple[Series, Judged]


def main(argv: Sequence[str] | None = None) -> int:
    """Search for so many seconds, add what was better to the log, and print the best."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--log", type=Path, default=Path("nab_tuned.jsonl"))
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    corpus = [
        (series, judged(series))
        for series in read_corpus(args.folder / "data", args.folder / "labels", without=HELD_OUT)
    ]
    best = search(corpus, read_log(args.log), args.log, seconds=args.seconds, seed=args.seed)
    print(json.dumps(best, indent=1))
    return 0


def read_log(log: Path) -> list[dict[str, Any]]:
    """What earlier runs found, the best last."""
    if not log.exists():
        return []
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return sorted(rows, key=lambda row: float(row["goal"]))


def search(
    corpus: Sequence[Judgement], known: list[dict[str, Any]], log: Path, *, seconds: float, seed: int
) -> dict[str, Any]:
    """Guesses and changes of the best until the time is up; what is among the best ten is logged."""
    dice, until, tried = np.random.default_rng([seed, len(known)]), time.monotonic() + seconds, 0
    best = known[-10:]
    while time.monotonic() < until:
        guess = fresh(dice) if len(best) < 10 or dice.random() < 0.1 else changed(dice, best)
        found = tried_out(corpus, guess)
        tried += 1
        if len(best) < 10 or found["goal"] > best[0]["goal"]:
            best = sorted([*best, found], key=lambda row: float(row["goal"]))[-10:]
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
    print(f"{tried} tried", file=sys.stderr)
    return best[-1]


def fresh(dice: np.random.Generator) -> OnlineParameters:
    """A guess from nothing."""
    values = {name: float(np.exp(dice.uniform(np.log(low), np.log(high)))) for name, (low, high) in RANGES.items()}
    weights = tuple(0.0 if dice.random() < PASSES else float(dice.uniform(0.3, 1.5)) for _ in range(8))
    return OnlineParameters(**{**values, "refractory": int(values["refractory"])}, weights=weights)  # type: ignore[arg-type]


def changed(dice: np.random.Generator, best: Sequence[dict[str, Any]]) -> OnlineParameters:
    """One of the best with a few of its numbers moved."""
    base = parameters_of(best[int(dice.integers(len(best)))]["parameters"])
    values, weights = asdict(base), list(base.weights)
    for name in dice.choice(list(RANGES), int(dice.integers(1, 4)), replace=False):
        low, high = RANGES[str(name)]
        values[str(name)] = float(np.clip(values[str(name)] * np.exp(dice.normal(0, 0.35)), low, high))
    for expert in dice.choice(8, int(dice.integers(0, 3)), replace=False):
        moved = weights[expert] * np.exp(dice.normal(0, 0.4)) if weights[expert] else dice.uniform(0.3, 1.2)
        weights[expert] = 0.0 if dice.random() < 0.15 else float(moved)
    return OnlineParameters(**{**values, "refractory": int(values["refractory"]), "weights": tuple(weights)})


def parameters_of(values: dict[str, Any]) -> OnlineParameters:
    """Parameters as the log has them."""
    return OnlineParameters(**{**values, "weights": tuple(values["weights"])})


def tried_out(corpus: Sequence[Judgement], guess: OnlineParameters) -> dict[str, Any]:
    """A guess at its best threshold: what it scores, in all and by group."""
    surprises = [OnlineDetector(guess).add(series.seconds, series.values)[0] for series, _ in corpus]
    found = [
        {**goals(corpus, surprises, threshold, guess.refractory), "threshold": threshold} for threshold in THRESHOLDS
    ]
    best = max(found, key=lambda row: row["goal"])
    return {**best, "parameters": asdict(replace(guess, threshold=best["threshold"]))}


def goals(
    corpus: Sequence[Judgement], surprises: Iterable[Floats], threshold: float, refractory: int
) -> dict[str, float]:
    """Normalised scores of the groups, and their weighted sum."""
    raw = [
        one.score(with_refractory(found, threshold, refractory)[0])
        for (_, one), found in zip(corpus, surprises, strict=True)
    ]
    scores = {}
    for group in GROUPS:
        rows = [at for at, (series, _) in enumerate(corpus) if series.group.startswith(group)]
        scores[group or "all"] = normalised(sum(raw[at] for at in rows), [corpus[at][1] for at in rows])
    return {**scores, "goal": sum(weight * scores[group or "all"] for group, weight in GROUPS.items())}


if __name__ == "__main__":
    sys.exit(main())
