"""Write new raw records as JSON Lines by date and symbol, for people and crawlers that want files.

Layout: `<paths.archive>/date=YYYY-MM-DD/symbol=TICKER/part-*.jsonl.gz`. Incremental and exact: every record of bronze
is there once, whatever breaks off in between. `tickhouse replay archive FOLDER` plays it back.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from functools import partial

from jobs import cli
from lakehouse.clock import system_clock
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from streaming.archive import forget, start_archive
from streaming.supervise import run_one_by_one

OWNER = "archive_raw"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("--rebuild", action="store_true", help="delete the archive and make it anew from bronze")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, lease, archive, report."""
    settings = cli.settings_of(args)
    with spark_session(settings, app_name="tickhouse-archive-raw") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        records, files = archive(lake, settings, rebuild=args.rebuild)
    if args.json:
        cli.print_json({"records": records, "files": files})
    else:
        print(f"{records:,} records archived in {files:,} files under {settings.paths.archive}")


def archive(lake: Lake, settings: Settings, *, rebuild: bool = False) -> tuple[int, int]:
    """Archive what is new under a lease of its own; returns records and files."""
    done: list[tuple[int, int]] = []
    seconds, purpose = settings.stream.lease_seconds, "tickhouse archive-raw"
    with lease(lake.files, lake.root, OWNER, purpose=purpose, seconds=seconds, clock=system_clock) as lost:
        if rebuild:
            forget(lake.files, settings.paths.archive, settings.checkpoint(OWNER))
        start = partial(start_archive, lake, settings, lambda _, records, files: done.append((records, files)))
        run_one_by_one([start], stop=threading.Event(), lost=lost)
    return sum(records for records, _ in done), sum(files for _, files in done)


if __name__ == "__main__":
    sys.exit(main())
