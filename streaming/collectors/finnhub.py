"""What is asked of Finnhub. Pure: a plan follows from symbols and dates; the key travels in a header."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from lakehouse.reference import claims
from streaming.collectors.request import Request
from streaming.collectors.windows import Window, windows, years

SOURCE = "finnhub"
FILINGS, FINANCIALS = "finnhub_filings", "finnhub_financials"
RECOMMENDATION, GRADES, PRICE_TARGET, EPS_ESTIMATE = "recommendation", "grades", "price_target", "eps_estimate"
NEWS_SENTIMENT, SOCIAL_SENTIMENT, COMPANY_NEWS = "news_sentiment", "social_sentiment", "company_news"
SPLITS, DIVIDENDS, EARNINGS_CALENDAR = claims.SPLITS, claims.DIVIDENDS, "earnings_calendar"
EARLIEST = date(1980, 1, 1)
NEWS_DAYS = 1  # an answer holds some 250 articles and no more; a week of a much-discussed company has as many
SOCIAL_DAYS = 7


@dataclass(frozen=True)
class Range:
    """Days that were asked for, and what day it is: what is over will not be added to."""

    first: date
    last: date
    today: date


@dataclass(frozen=True)
class FinnhubRest:
    """Where Finnhub's REST interface is."""

    base: str

    def plan(self, kind: str, symbol: str, days: Range) -> list[Request]:
        """All that is asked for one kind and symbol."""
        return _PLANS[kind](self, symbol, days)

    def ask(self, kind: str, path: str, symbol: str, window: Window | None = None, freq: str | None = None) -> Request:
        """One request. What was said of a window that is over does not change; all else may."""
        dates = {"from": window.first.isoformat(), "to": window.last.isoformat()} if window else {}
        asked = f"{path}?{urlencode({'symbol': symbol, **dates, **({'freq': freq} if freq else {})})}"
        lasting = asked + (window.mark if window else "")
        changes = window is None or window.is_open
        return Request(SOURCE, kind, lasting, f"{self.base.rstrip('/')}/{asked}", changes=changes, symbol=symbol)


Plan = Callable[[FinnhubRest, str, Range], list[Request]]


def _whole(kind: str, path: str, freq: str | None = None) -> Plan:
    return lambda rest, symbol, _days: [rest.ask(kind, path, symbol, freq=freq)]


def _all_time(kind: str, path: str) -> Plan:
    """One request from the first day there is to the end of next year: what is announced counts too."""
    return lambda rest, symbol, days: [
        rest.ask(kind, path, symbol, Window(EARLIEST, date(days.today.year + 1, 12, 31), is_open=True))
    ]


def _by_days(kind: str, path: str, count: int) -> Plan:
    return lambda rest, symbol, days: [
        rest.ask(kind, path, symbol, window) for window in windows(days.first, days.last, count, days.today)
    ]


def _by_years(kind: str, path: str, ahead: int = 0) -> Plan:
    return lambda rest, symbol, days: [
        rest.ask(kind, path, symbol, window)
        for window in years(days.first, days.last.replace(year=days.last.year + ahead, day=1), days.today)
    ]


def _financials(rest: FinnhubRest, symbol: str, _days: Range) -> list[Request]:
    return [rest.ask(FINANCIALS, "stock/financials-reported", symbol, freq=one) for one in ("annual", "quarterly")]


_PLANS: dict[str, Plan] = {
    FILINGS: _by_years(FILINGS, "stock/filings"),
    FINANCIALS: _financials,
    RECOMMENDATION: _whole(RECOMMENDATION, "stock/recommendation"),
    GRADES: _whole(GRADES, "stock/upgrade-downgrade"),
    PRICE_TARGET: _whole(PRICE_TARGET, "stock/price-target"),
    EPS_ESTIMATE: _whole(EPS_ESTIMATE, "stock/eps-estimate", freq="annual"),
    NEWS_SENTIMENT: _whole(NEWS_SENTIMENT, "news-sentiment"),
    SOCIAL_SENTIMENT: _by_days(SOCIAL_SENTIMENT, "stock/social-sentiment", SOCIAL_DAYS),
    COMPANY_NEWS: _by_days(COMPANY_NEWS, "company-news", NEWS_DAYS),
    SPLITS: _all_time(SPLITS, "stock/split"),
    DIVIDENDS: _all_time(DIVIDENDS, "stock/dividend"),
    EARNINGS_CALENDAR: _by_years(EARNINGS_CALENDAR, "calendar/earnings", ahead=1),
}
