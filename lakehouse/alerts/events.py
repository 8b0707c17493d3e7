"""From rows to events: anomalies, changes of advice, filings, dividends ahead."""

from __future__ import annotations

from collections.abc import Iterator

from lakehouse.alerts.observations import Advice, Dividend, Filing, Flag, Observation
from lakehouse.alerts.rules import AdviceChange, Anomaly, ExDividendAhead, FilingArrival

HOUR_MS = 3_600_000
HAPPENED = 1.0


class AnomalyWatcher:
    """Flags of gold.anomalies; which reasons are told is the rule's."""

    reads = Flag
    keeps = ("_told",)

    def __init__(self, rule: Anomaly, symbols: frozenset[str]) -> None:
        self._rule = rule
        self._symbols = symbols
        self._told: dict[str, Flag] = {}

    def see(self, flag: Flag) -> Iterator[Observation]:
        """A flag as an event with its score."""
        if flag.symbol not in self._symbols or flag.interval != self._rule.interval:
            return
        if flag.reason not in self._rule.ignore:
            self._told[flag.symbol] = flag
            event = f"{flag.start_ms}/{flag.kind}"
            day = str(flag.session_date)
            yield Observation(flag.symbol, "", day, flag.at_ms, flag.at_ms, abs(flag.score), event=event)

    def say(self, seen: Observation) -> str:
        """One sentence on what fired."""
        flag = self._told[seen.subject]
        return f"{seen.subject}: {flag.kind} on a {flag.interval} bar, score {flag.score:.1f}, reason: {flag.reason}"


class AdviceWatcher:
    """Advice that differs from the one before it on the same symbol; the first is no change."""

    reads = Advice
    keeps = ("_last", "_told")

    def __init__(self, rule: AdviceChange, symbols: frozenset[str]) -> None:
        self._rule = rule
        self._symbols = symbols
        self._last: dict[str, tuple[int, str]] = {}
        self._told: dict[str, str] = {}

    def see(self, advice: Advice) -> Iterator[Observation]:
        """A change as an event; advice older than the newest seen changes nothing."""
        if advice.symbol not in self._symbols:
            return
        issued, before = self._last.get(advice.symbol, (-1, ""))
        if advice.issued_ms <= issued:
            return
        self._last[advice.symbol] = advice.issued_ms, advice.action
        if before and before != advice.action and advice.action in self._rule.to_actions:
            self._told[advice.symbol] = f"{before} to {advice.action}"
            event, at, day = advice.advice_id, advice.issued_ms, str(advice.session_date)
            yield Observation(advice.symbol, advice.action, day, at, at, HAPPENED, event=event)

    def say(self, seen: Observation) -> str:
        """One sentence on what fired."""
        return f"{seen.subject}: advice changed from {self._told[seen.subject]}"


class FilingWatcher:
    """Filings found while they are news; what a backfill brings from years ago is none."""

    reads = Filing
    keeps = ()

    def __init__(self, rule: FilingArrival, symbols: frozenset[str]) -> None:
        self._forms = {form.upper() for form in rule.forms}
        self._fresh_ms = round(rule.fresh_hours * HOUR_MS)
        self._symbols = symbols

    def see(self, filing: Filing) -> Iterator[Observation]:
        """A filing as an event."""
        is_wanted = not self._forms or filing.form.upper() in self._forms
        is_fresh = filing.seen_ms - filing.known_ms <= self._fresh_ms
        if filing.symbol in self._symbols and is_wanted and is_fresh:
            day, at = str(filing.session_date), filing.known_ms
            yield Observation(filing.symbol, filing.form, day, at, at, HAPPENED, event=filing.accession)

    def say(self, seen: Observation) -> str:
        """One sentence on what fired."""
        return f"{seen.subject} filed {seen.side} ({seen.event})"


class DividendWatcher:
    """Ex-dividend dates that are near; whichever day a date is first seen on, it is one event."""

    reads = Dividend
    keeps = ()

    def __init__(self, rule: ExDividendAhead, symbols: frozenset[str]) -> None:
        self._days = rule.days
        self._symbols = symbols

    def see(self, dividend: Dividend) -> Iterator[Observation]:
        """A date that lies ahead, today included, as an event."""
        ahead = (dividend.ex_date - dividend.today).days
        if dividend.symbol in self._symbols and 0 <= ahead <= self._days:
            day, at = str(dividend.ex_date), dividend.known_ms
            yield Observation(dividend.symbol, "", day, at, at, HAPPENED, event=day, shown=dividend.amount)

    def say(self, seen: Observation) -> str:
        """One sentence on what fired."""
        return f"{seen.subject} trades without its dividend of {seen.shown:g} from {seen.event} on"
