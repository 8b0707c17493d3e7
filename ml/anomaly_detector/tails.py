"""How unusual each feature of a bar is: the share of usual bars that are as far out, learned from usual bars alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TAIL = 0.01  # the share of usual bars that is called the tail of a feature
FEW, THINNING = 5, 0.5  # what is believed of a tail before any bar was seen in it, and how many bars that weighs


@dataclass(frozen=True)
class Tails:
    """Of each feature: where its tail begins, the share of usual bars in it, and how fast it thins out.

    The share falls by the factor e with every `thins` beyond `begins`. Features are logarithms, so that is a power law:
    what is further out than anything learned from is still the more unusual the further it lies.
    """

    begins: Floats
    share: Floats
    thins: Floats

    def surprise(self, values: Floats) -> Floats:
        """Of each bar and feature the number of zeros in "one in so many"; 0 before the tail begins."""
        beyond = (values - self.begins) / (self.thins * np.log(10.0)) - np.log10(self.share)
        found: Floats = np.where(values > self.begins, beyond, 0.0)
        return found


def tails_of(values: Floats) -> Tails:
    """The tails of usual bars, by the median of what lies in each: a few bars that are not usual do not bend it."""
    begins = np.quantile(values, 1.0 - TAIL, axis=0)
    share, thins = np.empty(len(begins)), np.empty(len(begins))
    for column, begin in enumerate(begins):
        beyond = values[values[:, column] > begin, column] - begin
        share[column] = (len(beyond) + 1) / (len(values) + 1)
        thins[column] = (len(beyond) * thinning(beyond) + FEW * THINNING) / (len(beyond) + FEW)
    return Tails(begins, share, thins)


def thinning(beyond: Floats) -> float:
    """Over which distance a tail falls by the factor e: by its median or its last tenth, whichever is farther out.

    Prices move in ticks: where half of a tail lies at one value just behind its beginning, the median says nothing.
    """
    if not len(beyond):
        return 0.0
    middle, most = np.quantile(beyond, (0.5, 0.9))
    return float(max(middle / np.log(2.0), most / np.log(10.0)))
