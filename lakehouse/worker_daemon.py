"""The parent of the Python workers of a local session; Spark starts it with `python -m` (`lakehouse/session.py`).

PySpark's own daemon forks workers that know nothing: each reads numpy, pyarrow and numba by itself and sets up its
compiler before the first kernel runs, for some 1.3 s of processor time. Here the daemon does so once, and forks
workers that are ready.
"""

from __future__ import annotations

import pyarrow.compute
import pyarrow.parquet  # noqa: F401 - read before the fork, for the workers
from pyspark.daemon import manager

from lakehouse import fold  # noqa: F401
from lakehouse.kernels.bars import notional_micros
from lakehouse.workers import leave_to_stay


def prepare() -> None:
    """Do once what each worker would otherwise do: the first call of any kernel sets up numba's compiler."""
    notional_micros(1, 1)
    leave_to_stay()


if __name__ == "__main__":
    prepare()
    manager()  # type: ignore[no-untyped-call]
