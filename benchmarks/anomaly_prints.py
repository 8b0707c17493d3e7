"""Prints a vendor marked as bad against our test of prints, on Lean's flagged tapes of IBM."""

from __future__ import annotations

import csv
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lakehouse.anomalies.prints import is_bad_print, print_scores

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class Tape:
    """One day's prices in order of time, and which of them the vendor marked."""

    day: str
    prices: Floats
    is_marked: Masks


@dataclass(frozen=True)
class Counts:
    """Marked prints, flags, and flags that are marked."""

    prints: int
    marked: int
    flags: int
    right: int


def tapes(folder: Path) -> list[Tape]:
    """Every tape of a folder of Lean's ticks, in order of days."""
    return [read_tape(file) for file in sorted(folder.glob("*_trade.zip"))]


def read_tape(file: Path) -> Tape:
    """Lean's columns: ms, price x 10,000, size, exchange, condition, suspicious."""
    with zipfile.ZipFile(file) as archive:
        text = archive.read(archive.namelist()[0]).decode("ascii")
    rows = [(float(row[1]) / 10_000, row[5] == "1") for row in csv.reader(io.StringIO(text))]
    return Tape(file.name[:8], np.array([price for price, _ in rows]), np.array([marked for _, marked in rows]))


def counts(tape: Tape, threshold: float) -> Counts:
    """How a threshold fares on a tape."""
    flags = is_bad_print(print_scores(tape.prices), threshold=threshold)
    return Counts(len(flags), int(tape.is_marked.sum()), int(flags.sum()), int((flags & tape.is_marked).sum()))


def best_threshold(tape: Tape) -> float:
    """The threshold with the best F1 on one tape; of equals the highest."""
    scores = print_scores(tape.prices)
    known = np.unique(np.abs(scores[np.isfinite(scores)]))
    marked = float(tape.is_marked.sum())

    def f1(threshold: float) -> float:
        flags = is_bad_print(scores, threshold=threshold)
        return 2.0 * float((flags & tape.is_marked).sum()) / (float(flags.sum()) + marked)

    candidates = known[-500:].tolist()
    return max(candidates, key=lambda one: (f1(one), one))
