"""Fetch filings and reported figures: `tickhouse collect-filings AAPL MSFT`, `collect-filings --watchlist`.

Asks the SEC for lists of filings, companies' facts and the main documents of 10-K, 10-Q, 8-K and 20-F (transition
reports and amendments too) filed since --from, at most collectors.sec.documents_a_run of them a run; --forms and
--newest ask for fewer, --kinds submissions company_facts for none. --kinds adds daily indexes, the quarterly Data Sets,
and what Finnhub has of filings, figures, splits, dividends and earnings dates. Each content a document ever had is kept
once, verbatim, in bronze. Running it again fetches what is missing and asks whether the rest changed. The SEC wants to
know who asks: collectors.sec.user_agent.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta

from jobs import cli
from jobs._collecting import talk
from jobs._documents import (
    Job,
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
from lakehouse.filings.documents import (
    COMPANY_FACTS,
    DATA_SET,
    FILING_DOCUMENT,
    OLDER_SUBMISSIONS,
    SUBMISSIONS,
)
from lakehouse.filings.forms import FORMS
from lakehouse.lake import Lake
from lakehouse.reference.watchlist import Watchlist
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from streaming.collectors import finnhub, sec
from streaming.collectors.collect import Leads
from streaming.collectors.finnhub import Range
from streaming.collectors.lake_store import LakeStore
from streaming.collectors.request import Request
from streaming.collectors.sec import Company, Edgar, Wanted, companies_in

NAME = "collect-filings"
USUAL = (SUBMISSIONS, COMPANY_FACTS, FILING_DOCUMENT)
OF_FINNHUB = (finnhub.FILINGS, finnhub.FINANCIALS, finnhub.SPLITS, finnhub.DIVIDENDS, finnhub.EARNINGS_CALENDAR)
KINDS = (*USUAL, sec.DAILY_INDEX, DATA_SET, *OF_FINNHUB)
OF_COMPANIES = frozenset(USUAL)
LISTS = frozenset({SUBMISSIONS, OLDER_SUBMISSIONS})
BACK = timedelta(days=365)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__, dry_run=True)
    add_flags(flags, KINDS, USUAL, "a year before --to")
    flags.add_argument("--forms", nargs="+", choices=sorted(FORMS), default=sorted(FORMS), metavar="FORM",
                       help=f"whose main documents, of {', '.join(sorted(FORMS))} (default: all)")  # fmt: skip
    flags.add_argument("--newest", type=some, metavar="N", help="only the newest N of each company and form")
    return cli.run(body, flags, argv)


def some(text: str) -> int:
    """A number of documents, at least one."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, found {text!r}")
    return int(text)


def body(args: argparse.Namespace) -> int:
    """Session, lease, plan, fetch, report."""
    settings = cli.settings_of(args)
    talk(debug=args.debug)
    symbols, watchlist = symbols_of(args, settings)
    days, kinds = days_of(args, BACK), kinds_of(args.kinds)
    with stoppable(NAME) as job, spark_session(settings, app_name=f"tickhouse-{NAME}") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        wanted = Wanted(days.first, frozenset(args.forms), args.newest)
        leads = leads_of(settings, wanted, kinds)
        if args.dry_run:
            companies = known_companies(symbols, watchlist) if OF_COMPANIES & set(kinds) else []
            tell_plan(args, foreseen(lake, plan(settings, symbols, companies, kinds, days), kinds, leads))
            return cli.OK
        with leased(lake, settings, job) as store:
            companies = companies_of(store, settings, job, symbols, watchlist) if OF_COMPANIES & set(kinds) else []
            report = gather(store, settings, job, plan(settings, symbols, companies, kinds, days), kinds, leads)
    return tell(args, report, {})


def kinds_of(chosen: Sequence[str]) -> tuple[str, ...]:
    """The kinds that will be asked for: documents are named in lists, and lists in lists."""
    needed = LISTS if LISTS & set(chosen) or FILING_DOCUMENT in chosen else frozenset()
    return tuple(dict.fromkeys((*sorted(needed), *chosen)))


def edgar_of(settings: Settings) -> Edgar:
    """The SEC's servers as the settings have them."""
    return Edgar(settings.collectors.sec.data, settings.collectors.sec.archives)


def leads_of(settings: Settings, wanted: Wanted, kinds: Sequence[str]) -> Leads:
    """What lists of filings lead to."""
    edgar, documents = edgar_of(settings), wanted if FILING_DOCUMENT in kinds else None
    return Leads(LISTS, lambda request, whole: edgar.named_in(request, whole, documents))


def plan(
    settings: Settings, symbols: Sequence[str], companies: Sequence[Company], kinds: Sequence[str], days: Range
) -> list[Request]:
    """All that is known to be asked for before anything is."""
    edgar, rest = edgar_of(settings), finnhub_rest(settings)
    requests: list[Request] = []
    if SUBMISSIONS in kinds:
        requests += [edgar.submissions(company) for company in companies]
    if COMPANY_FACTS in kinds:
        requests += [edgar.company_facts(company) for company in companies]
    if sec.DAILY_INDEX in kinds:
        requests += edgar.daily_indexes(days.first, min(days.last, days.today - timedelta(days=1)))
    if DATA_SET in kinds:
        requests += edgar.data_sets(days.first, days.last)
    return requests + [
        one for kind in OF_FINNHUB if kind in kinds for symbol in symbols for one in rest.plan(kind, symbol, days)
    ]


def known_companies(symbols: Sequence[str], watchlist: Watchlist) -> list[Company]:
    """The filers among the symbols that the watchlist names; one listed there without a CIK files nothing."""
    filers = {one.ticker: one.cik for one in watchlist.instruments if one.cik is not None}
    return [Company(symbol, filers[symbol]) for symbol in symbols if symbol in filers]


def companies_of(
    store: LakeStore, settings: Settings, job: Job, symbols: Sequence[str], watchlist: Watchlist
) -> list[Company]:
    """The filers among the symbols; those the watchlist does not name are looked up in the SEC's own list."""
    known = known_companies(symbols, watchlist)
    strangers = [symbol for symbol in symbols if symbol not in watchlist.tickers]
    if not strangers:
        return known
    asked = edgar_of(settings).company_tickers()
    report = gather(store, settings, job, [asked], (sec.COMPANY_TICKERS,), Leads())
    listed = companies_in(store.body(asked) or b"{}")
    unknown = [symbol for symbol in strangers if symbol not in listed]
    if unknown:
        why = "; ".join(one for told in report.told.values() for one in told) or "it is not in the SEC's list"
        raise SettingsError(
            f"{', '.join(unknown)}: expected a ticker that files with the SEC, found none ({why}). Nothing more was "
            f"fetched. Correct it, or name its cik in {settings.reference.watchlist}."
        )
    return known + [listed[symbol] for symbol in strangers]


if __name__ == "__main__":
    sys.exit(main())
