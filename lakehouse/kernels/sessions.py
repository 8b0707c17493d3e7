"""Which session an instant lies in. Arrays only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lakehouse.kernels.compiling import kernel
from lakehouse.kernels.scan import Longs


@kernel
def find_sessions(
    instants: Longs, opens: Longs, closes: Longs, codes: NDArray[np.int8], none: int, found: Longs
) -> None:
    """The code of the session each instant lies in, `none` outside all; `opens` is sorted. Neighbours share a
    session.
    """
    at = -1
    for row in range(len(instants)):
        instant = instants[row]
        if (at >= 0 and instant < opens[at]) or (at + 1 < len(opens) and instant >= opens[at + 1]):
            at = np.searchsorted(opens, instant, side="right") - 1
        found[row] = codes[at] if at >= 0 and instant < closes[at] else none
