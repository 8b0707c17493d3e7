"""The driver's own clock is on UTC, whatever the machine's zone."""

from __future__ import annotations

import os
import subprocess
import sys

HOUR_OF_EPOCH = (
    "from datetime import datetime; from lakehouse.session import prepare_workers; prepare_workers(); "
    "print(datetime.fromtimestamp(0).hour)"
)


def test_naive_times_of_pyspark_are_utc_on_a_machine_in_another_zone() -> None:
    tokyo = {**os.environ, "TZ": "Asia/Tokyo"}

    said = subprocess.run([sys.executable, "-c", HOUR_OF_EPOCH], env=tokyo, capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "0"
