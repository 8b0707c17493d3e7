"""Write filings as JSON files by symbol and filing date, for people and crawlers that want files.

Layout: `<paths.archive>/filings/symbol=TICKER/filed_date=YYYY-MM-DD/ACCESSION.json`: each 10-K, 10-Q, 8-K and 20-F
(transition reports and amendments too) with all facts it states and its text, as far as `tickhouse build-facts` has
them. The ticker is the one its filer carried that day; where none is known, the folder is `symbol=CIK` and its number.
Incremental and exact: a run writes what is new or changed, each file whole.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict

from jobs import cli
from lakehouse.clock import system_clock
from lakehouse.filings.archive import Archived, archive_filings
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.session import spark_session
from lakehouse.settings import Settings

OWNER = "archive_filings"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("--rebuild", action="store_true", help="delete these files and make them anew from silver")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, lease, archive, report."""
    settings = cli.settings_of(args)
    with spark_session(settings, app_name="tickhouse-archive-filings") as spark:
        told = archive(Lake(spark, settings.paths.warehouse), settings, rebuild=args.rebuild)
    if args.json:
        cli.print_json(asdict(told))
    else:
        print(
            f"{told.companies:,} companies had changed: {told.written:,} files written, {told.deleted:,} deleted under "
            f"{folder(settings)}"
        )


def folder(settings: Settings) -> str:
    """Where the files lie."""
    return f"{settings.paths.archive.rstrip('/')}/filings"


def archive(lake: Lake, settings: Settings, *, rebuild: bool = False) -> Archived:
    """Archive what is new or changed under a lease of its own."""
    seconds, purpose = settings.stream.lease_seconds, "tickhouse archive-filings"
    with lease(lake.files, lake.root, OWNER, purpose=purpose, seconds=seconds, clock=system_clock) as lost:
        if rebuild:
            lake.files.delete(folder(settings))
        return archive_filings(lake, folder(settings), lost)


if __name__ == "__main__":
    sys.exit(main())
