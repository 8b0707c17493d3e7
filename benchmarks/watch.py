"""The watcher of the latency row: when each version of a table could first be read by a fresh snapshot."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from deltalake import DeltaTable

POLL_SECONDS = 0.005


def watch(tables: Iterable[Path], output: Path, stop: Path) -> None:
    """Follow the tables until the file `stop` appears; one JSON line a version: table, version, nanoseconds."""
    following = {table: DeltaTable(str(table)).version() + 1 for table in tables}
    with output.open("w", encoding="utf-8", buffering=1) as lines:
        while not stop.exists():
            for table, version in following.items():
                if os.path.exists(table / "_delta_log" / f"{version:020d}.json"):
                    read = DeltaTable(str(table)).version()
                    now = time.time_ns()
                    for one in range(version, read + 1):
                        lines.write(json.dumps({"table": table.name, "version": one, "seen_ns": now}) + "\n")
                    following[table] = read + 1
            time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    watch([Path(one) for one in sys.argv[3:]], Path(sys.argv[1]), Path(sys.argv[2]))
