"""The Numenta Anomaly Benchmark: its series, windows and scoring as numenta/NAB has them, standard profile.

A window that is hit counts once, at its earliest hit: 1 at its left edge down to about 0 at its right one. A flag
outside counts as false, up to fpWeight, less when it comes just after a window. A window without a hit costs fnWeight.
The first 15 % of a series (at most 750 points) are not scored. 100 is what hits at all left edges and nothing else
would get, 0 what no flag at all gets.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Masks = NDArray[np.bool_]

TP_WEIGHT, FP_WEIGHT, FN_WEIGHT = 1.0, 0.11, 1.0
PROBATION_SHARE, PROBATION_ROWS = 0.15, 5000
OUTSIDE, PROBATION = -1, -2
FAR_BEHIND = 3.0


@dataclass(frozen=True)
class Series:
    """One series: wall-clock seconds since 1970, values, and the first and last row of each labelled window."""

    name: str
    seconds: Longs
    values: Floats
    windows: tuple[tuple[int, int], ...]

    @property
    def group(self) -> str:
        """The folder of NAB's corpus it lies in."""
        return self.name.partition("/")[0]

    @property
    def probation(self) -> int:
        """How many rows at the start are not scored."""
        return int(min(math.floor(PROBATION_SHARE * len(self.values)), PROBATION_SHARE * PROBATION_ROWS))


@dataclass(frozen=True)
class Judged:
    """What scoring needs of a series: what each row is worth as a flag, and which window it lies in.

    `counted` are the windows that do not lie wholly in the probation.
    """

    worth: Floats
    window: Longs
    windows: int
    counted: tuple[int, ...]

    def score(self, flags: Masks) -> float:
        """The raw score of a set of flags."""
        rows = np.flatnonzero(flags)
        where, worth = self.window[rows], self.worth[rows]
        total = float(worth[where == OUTSIDE].sum())
        for number in self.counted:
            hits = worth[where == number]
            total += float(hits.max()) if len(hits) else -FN_WEIGHT
        return total

    @property
    def null(self) -> float:
        """The raw score of no flag at all."""
        return -FN_WEIGHT * len(self.counted)

    @property
    def perfect(self) -> float:
        """The raw score of one flag at the left edge of every window."""
        return TP_WEIGHT * self.windows


def scaled_sigmoid(position: float) -> float:
    """From nearly 1 at -1 (a window's left edge) over 0 at 0 to -1 from 3 on."""
    return -1.0 if position >= FAR_BEHIND else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def judged(series: Series) -> Judged:
    """Every row of a series as NAB's sweeper judges it."""
    count = len(series.values)
    worth, window = np.empty(count), np.full(count, OUTSIDE)
    best, behind = scaled_sigmoid(-1.0), None
    starts = {first: (number, last) for number, (first, last) in enumerate(series.windows)}
    inside: tuple[int, int, int] | None = None
    for row in range(count):
        if row in starts:
            inside = (*starts[row], row)
        if inside is not None:
            number, last, first = inside
            worth[row] = scaled_sigmoid(-(last - row + 1) / (last - first + 1)) * TP_WEIGHT / best
            window[row] = number
            if row == last:
                behind, inside = (last, last - first + 1), None
        else:
            past = FAR_BEHIND if behind is None else (row - behind[0]) / (behind[1] - 1)
            worth[row] = scaled_sigmoid(past) * FP_WEIGHT
    window[: series.probation] = PROBATION
    counted = tuple(number for number in range(len(series.windows)) if (window == number).any())
    return Judged(worth, window, len(series.windows), counted)


def normalised(raw: float, judgements: Iterable[Judged]) -> float:
    """A sum of raw scores as NAB publishes it: 0 for silence, 100 for perfection, below 0 for worse than silence."""
    given = list(judgements)
    null, perfect = sum(one.null for one in given), sum(one.perfect for one in given)
    return 100.0 * (raw - null) / (perfect - null)


def read_series(folder: Path, name: str, windows: dict[str, list[list[str]]]) -> Series:
    """One series of NAB's corpus with its labelled windows; `folder` holds its groups."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        rows = [(row["timestamp"], float(row["value"])) for row in csv.DictReader(file)]
    stamps = [datetime.fromisoformat(stamp).replace(tzinfo=UTC) for stamp, _ in rows]
    seconds = np.array([int(stamp.timestamp()) for stamp in stamps], np.int64)
    place = {stamp: row for row, stamp in reversed(list(enumerate(stamps)))}
    edges = [[datetime.fromisoformat(edge).replace(tzinfo=UTC) for edge in window] for window in windows[name]]
    rows_of = tuple(sorted((place[first], place[last]) for first, last in edges))
    return Series(name, seconds, np.array([value for _, value in rows]), rows_of)


def read_corpus(folder: Path, labels: Path, *, without: Collection[str] = ()) -> list[Series]:
    """Every series that is there of those that are labelled, but for some, in order of their names."""
    windows = json.loads((labels / "combined_windows.json").read_text(encoding="utf-8"))
    names = sorted(name for name in windows if name not in without and (folder / name).is_file())
    return [read_series(folder, name, windows) for name in names]
