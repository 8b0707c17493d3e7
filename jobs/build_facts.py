"""Bring silver.filings, silver.facts and silver.filing_texts up to what bronze holds: `tickhouse build-facts`.

Reads the lists of filings, the company facts, the Financial Statement Data Sets and last the main documents of filings
that `tickhouse collect-filings` fetched. Only companies with new documents are made again, each from all that is known
of it, so the order in which documents came changes nothing. What became no row is counted by company in
silver.companies, with the reasons. A Data Set that does not read stops nobody: the rest is built, and the exit code
is 1. So it is where the tables do not hold what they are declared to hold: they are judged as by `tickhouse
check-quality`, where they have changed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from jobs import cli
from jobs._quality import judged
from lakehouse.clock import system_clock
from lakehouse.filings.build import build, changed_companies
from lakehouse.filings.texts import build_texts, changed_texts
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.tables.filings import COMPANIES, FACTS, FILINGS


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    return cli.run(body, cli.parser(__doc__, dry_run=True), argv)


def body(args: argparse.Namespace) -> int:
    """Session, lease, build, report, judgement."""
    settings = cli.settings_of(args)
    with spark_session(settings, app_name="tickhouse-build-facts") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        told = build_facts(lake, settings, dry_run=args.dry_run)
        show(told, args)
        if not args.dry_run:
            judged(lake, settings, (COMPANIES, FILINGS, FACTS))
    return cli.FAILED if told.get("unreadable") else cli.OK


def show(told: dict[str, Any], args: argparse.Namespace) -> None:
    """What was built, for people or for programs."""
    if args.json:
        cli.print_json({**told, "written": not args.dry_run})
    elif args.dry_run:
        print(
            f"{told['companies']} companies have new documents, {told['texts']:,} texts of filings are to be read; "
            f"nothing was written."
        )
    else:
        print(
            f"{told['companies']} companies made: {told['filings']:,} filings, {told['facts']:,} versions of facts, "
            f"{told['refused']:,} entries refused (see silver.companies); {told['data_sets']} Data Sets taken in; "
            f"{told['texts']:,} texts of filings read, {told['sections']:,} sections."
        )
    for message in told.get("unreadable", ()):
        print(message, file=sys.stderr)


def build_facts(lake: Lake, settings: Settings, *, dry_run: bool = False) -> dict[str, Any]:
    """Build under the lease of silver.facts; counts companies, filings, facts, refused entries and texts."""
    lake.create_all()
    if dry_run:
        return {"companies": len(changed_companies(lake)), "texts": len(changed_texts(lake)[0])}
    seconds = settings.stream.lease_seconds
    with lease(
        lake.files, lake.root, FACTS.owner, purpose="tickhouse build-facts", seconds=seconds, clock=system_clock
    ):
        return asdict(build(lake, now=system_clock())) | asdict(build_texts(lake))


if __name__ == "__main__":
    sys.exit(main())
