"""Fetch news of companies: `tickhouse collect-news AAPL MSFT`, `collect-news --watchlist --from 2026-05-01`.

Asks Finnhub day by day: an answer over many days leaves out articles. A day that is over is asked for once. Documents
are kept verbatim in bronze.news, articles in silver.news. The key: TICKHOUSE__FEEDS__FINNHUB__TOKEN.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta

from jobs import cli
from jobs._collecting import talk
from jobs._documents import (
    add_flags,
    days_of,
    finnhub_rest,
    foreseen,
    gather,
    leased,
    stoppable,
    symbols_of,
    tell,
    tell_plan,
)
from lakehouse.lake import Lake
from lakehouse.session import spark_session
from lakehouse.tables.bronze import DOCUMENTS_OF_NEWS
from lakehouse.tables.silver import NEWS
from streaming.collectors.collect import Leads
from streaming.collectors.finnhub import COMPANY_NEWS
from streaming.collectors.lake_store import refine
from streaming.collectors.news import read_news

NAME = "collect-news"
KINDS = (COMPANY_NEWS,)
BACK = timedelta(days=7)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__, dry_run=True)
    add_flags(flags, KINDS, KINDS, "a week before --to")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> int:
    """Session, lease, plan, fetch, read, report."""
    settings = cli.settings_of(args)
    talk(debug=args.debug)
    symbols, _ = symbols_of(args, settings)
    rest, days = finnhub_rest(settings), days_of(args, BACK)
    requests = [one for symbol in symbols for one in rest.plan(COMPANY_NEWS, symbol, days)]
    with stoppable(NAME) as job, spark_session(settings, app_name=f"tickhouse-{NAME}") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        if args.dry_run:
            tell_plan(args, foreseen(lake, requests, KINDS, Leads()))
            return cli.OK
        with leased(lake, settings, job) as store:
            report = gather(store, settings, job, requests, KINDS, Leads())
            lake.create(NEWS)
            found = refine(lake, DOCUMENTS_OF_NEWS, NEWS, read_news)
    return tell(args, report, {NEWS.full_name: found})


if __name__ == "__main__":
    sys.exit(main())
