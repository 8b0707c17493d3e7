"""Bring silver.figures and gold.fundamentals up to date: `tickhouse build-fundamentals [--from 2024-03-25]`.

Figures are quarters, twelve months and years of standard concepts (conf/concepts.yaml), derived from silver.facts with
their operands. A row of gold.fundamentals is one instrument on one session, with nothing in it that was known only
after the regular session closed. Companies whose documents or splits have changed are made anew, others get the
sessions that are missing; --from makes the sessions since then anew for everybody, as after late prints. Facts, splits
and opinions are read in the version that was judged, as by `tickhouse check-quality`, and both tables are judged then.
Exit code 1 where one does not hold what it is declared to hold: where that is an input, nothing is built.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

from jobs import cli
from jobs._quality import judged, require_judged
from lakehouse.clock import system_clock
from lakehouse.fundamentals.build import build
from lakehouse.fundamentals.concepts import load_concepts
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.session import spark_session
from lakehouse.settings import CONF, Settings
from lakehouse.tables.filings import FACTS
from lakehouse.tables.fundamentals import FIGURES, FUNDAMENTALS
from lakehouse.tables.silver import CORPORATE_ACTIONS, OPINIONS

MADE_OF = (FACTS, CORPORATE_ACTIONS, OPINIONS)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("--from", dest="first", type=date.fromisoformat, help="make the sessions from this date on anew")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, lease, build, report, judgement."""
    settings = cli.settings_of(args)
    with spark_session(settings, app_name="tickhouse-build-fundamentals") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        show(build_fundamentals(lake, settings, args.first), as_json=args.json)
        require_judged(lake, settings, (FIGURES, FUNDAMENTALS))


def show(told: dict[str, int], *, as_json: bool) -> None:
    """What was built, for people or for programs."""
    if as_json:
        cli.print_json(told)
        return
    print(
        f"{told['companies']} companies derived anew; silver.figures holds {told['figures']:,} answers, "
        f"gold.fundamentals {told['sessions']:,} rows."
    )


def build_fundamentals(lake: Lake, settings: Settings, first: date | None = None) -> dict[str, int]:
    """Build under the lease of gold.fundamentals; counts companies, figures and sessions."""
    lake.create_all()
    concepts, seconds = load_concepts(CONF / settings.reference.concepts), settings.stream.lease_seconds
    purpose = "tickhouse build-fundamentals"
    with lease(lake.files, lake.root, FUNDAMENTALS.owner, purpose=purpose, seconds=seconds, clock=system_clock):
        sound = judged(lake, settings, MADE_OF)
        return asdict(build(sound, concepts, settings.reference.exchange, first=first))


if __name__ == "__main__":
    sys.exit(main())
