"""Fetch what others think: `tickhouse collect-opinions AAPL MSFT`, `collect-opinions --watchlist`.

Recommendations, grades, price targets, estimates and sentiment from Finnhub, and counts of mentions from files
(collectors.mentions.files). Documents are kept verbatim in bronze.opinions; silver.opinions has each figure with the
instant from which it could be known. What the plan of a key does not include is told and left out. The key:
TICKHOUSE__FEEDS__FINNHUB__TOKEN.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

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
from lakehouse.errors import SettingsError
from lakehouse.lake import Lake
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.tables.bronze import DOCUMENTS_OF_OPINIONS
from lakehouse.tables.silver import OPINIONS
from streaming.collectors import finnhub
from streaming.collectors.collect import Leads
from streaming.collectors.finnhub import Range
from streaming.collectors.lake_store import refine
from streaming.collectors.mentions import mentions_request
from streaming.collectors.opinions import read_opinions
from streaming.collectors.promises import MENTIONS
from streaming.collectors.request import Request

NAME = "collect-opinions"
USUAL = (
    finnhub.RECOMMENDATION, finnhub.GRADES, finnhub.PRICE_TARGET, finnhub.EPS_ESTIMATE, finnhub.NEWS_SENTIMENT,
    finnhub.SOCIAL_SENTIMENT,
)  # fmt: skip
KINDS = (*USUAL, MENTIONS)
BACK = timedelta(days=14)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__, dry_run=True)
    add_flags(flags, KINDS, USUAL, "two weeks before --to; for social_sentiment only")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> int:
    """Session, lease, plan, fetch, read, report."""
    settings = cli.settings_of(args)
    talk(debug=args.debug)
    symbols, _ = symbols_of(args, settings)
    requests = plan(settings, symbols, args.kinds, days_of(args, BACK))
    with stoppable(NAME) as job, spark_session(settings, app_name=f"tickhouse-{NAME}") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        if args.dry_run:
            tell_plan(args, foreseen(lake, requests, args.kinds, Leads()))
            return cli.OK
        with leased(lake, settings, job) as store:
            report = gather(store, settings, job, requests, args.kinds, Leads())
            lake.create(OPINIONS)
            read = partial(read_opinions, bucket=timedelta(seconds=settings.collectors.mentions.seconds))
            found = refine(lake, DOCUMENTS_OF_OPINIONS, OPINIONS, read)
    return tell(args, report, {OPINIONS.full_name: found})


def plan(settings: Settings, symbols: Sequence[str], kinds: Sequence[str], days: Range) -> list[Request]:
    """All that is asked for."""
    rest, mentions = finnhub_rest(settings), settings.collectors.mentions
    requests = [
        one for symbol in symbols for kind in kinds if kind != MENTIONS for one in rest.plan(kind, symbol, days)
    ]
    if MENTIONS in kinds:
        if mentions.files is None:
            raise SettingsError(
                "collectors.mentions.files: expected where the series of mentions are, found nothing. Nothing was "
                "fetched. Set it to a path with {symbol} in it, or leave mentions out of --kinds."
            )
        requests += [mentions_request(mentions.source, symbol) for symbol in symbols]
    return requests


if __name__ == "__main__":
    sys.exit(main())
