"""A run of a collector: ask for what is planned, keep what is new, follow what it leads to, and count everything.

What came is handed to the store in portions and whenever the run ends, however it ends: the next run asks only for what
is missing, and whether that changed which may change.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from streaming.collectors.documents import Document, bytes_in
from streaming.collectors.promises import broken
from streaming.collectors.request import (
    DENIED,
    MISSING,
    STOPPED,
    UNCHANGED,
    Answer,
    Known,
    Nothing,
    Place,
    Request,
    Version,
)

LOGGER = logging.getLogger("tickhouse.collectors")
NEW, SAME, RETURNED, REFUSED, HELD, BEYOND = "new", "same", "returned", "refused", "held", "beyond"
AHEAD = 2  # requests a thread that wait for it, so that none idles while an answer is taken in
MOST_AT_ONCE = 500
TOLD_EVERY = 50

Fetch = Callable[[Request, Version | None], Answer | Nothing]


class Store(Protocol):
    """Where documents are kept."""

    def append(self, documents: Sequence[Document]) -> None:
        """Keep new documents, and refused ones with their reasons."""

    def body(self, request: Request) -> bytes | None:
        """The newest stored version of a document, None where there is none."""


@dataclass(frozen=True)
class Leads:
    """What a document of some kinds leads to; other documents are not looked into."""

    kinds: frozenset[str] = frozenset()
    named_in: Callable[[Request, bytes], list[Request]] = lambda _request, _body: []


@dataclass(frozen=True)
class Terms:
    """How many ask at once, how much is kept in memory before it is stored, how many documents of some kinds one run
    asks for, and how it is stopped.
    """

    threads: int = 1
    append_bytes: int = 32 << 20
    at_most: Mapping[str, int] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass
class Report:
    """What became of every document that was planned: the counts add up to their number."""

    planned: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    told: dict[str, list[str]] = field(default_factory=dict)

    @property
    def settled(self) -> int:
        """How many documents something became of."""
        return sum(self.counts.values())

    def note(self, outcome: str, why: str = "") -> None:
        """Count one document; each reason is told once."""
        self.counts[outcome] += 1
        if why and why not in self.told.setdefault(outcome, []):
            self.told[outcome].append(why)


class Collection:
    """One run over one or several sources; `known` holds documents, `known_refused` what was refused before."""

    def __init__(
        self, fetchers: Mapping[str, Fetch], store: Store, known: Known, known_refused: Known, *, leads: Leads,
        terms: Terms,
    ) -> None:  # fmt: skip
        self._fetchers, self._store, self._leads, self._terms = fetchers, store, leads, terms
        self._known, self._known_refused = known, known_refused
        self._waiting: deque[Request] = deque()
        self._asked: deque[tuple[Request, Future[Answer | Nothing]]] = deque()
        self._planned: set[Place] = set()
        self._came: list[Document] = []
        self._asked_for: Counter[str] = Counter()
        self.report = Report()

    def run(self, requests: Iterable[Request]) -> Report:
        """Ask for all of it and for what it leads to; what came is stored even where this ends in an error."""
        self._plan(requests)
        with ThreadPoolExecutor(self._terms.threads, thread_name_prefix="collect") as pool:
            try:
                while self._waiting or self._asked:
                    self._go_on(pool)
            except BaseException:
                self._terms.stop.set()
                raise
            finally:
                self._take_what_came()
                self._hand_over()
        return self.report

    def _plan(self, requests: Iterable[Request]) -> None:
        for request in requests:
            place = (request.source, request.document_id)
            if place not in self._planned:  # two share classes have one list of filings
                self._planned.add(place)
                self._waiting.append(request)
                self.report.planned += 1

    def _go_on(self, pool: ThreadPoolExecutor) -> None:
        while self._waiting and len(self._asked) < AHEAD * self._terms.threads:
            request = self._waiting.popleft()
            if self._known.holds(request):
                self._settle(request, HELD)
                self._follow(request, None)
            elif self._asked_for[request.kind] == self._terms.at_most.get(request.kind):
                self._settle(request, BEYOND, f"{request.kind}: one run asks for no more. The next one goes on.")
            else:
                self._asked_for[request.kind] += 1
                fetch = self._fetchers[request.source]
                self._asked.append((request, pool.submit(fetch, request, self._known.version(request))))
        if self._asked:
            request, future = self._asked[0]
            found = future.result()
            self._asked.popleft()
            self._take(request, found)
        if bytes_in(self._came) >= self._terms.append_bytes or len(self._came) >= MOST_AT_ONCE:
            self._hand_over()

    def _take(self, request: Request, found: Answer | Nothing) -> None:
        if isinstance(found, Answer):
            self._take_in(Document(request, found, broken(request.kind, found.body)))
            return
        self._settle(request, found.outcome, found.why)
        if found.outcome == UNCHANGED:
            self._follow(request, None)
        elif found.outcome == STOPPED:
            self._stop_short()

    def _take_in(self, document: Document) -> None:
        """Count a body that came, and keep it where its content is new."""
        request, version = document.request, document.version
        if document.broken:
            why = f"{request.document_id}: {document.broken.reason}: {document.broken.detail}"
            self._settle(request, REFUSED, why)
            known = self._known_refused
        elif self._known.has(request, document.content_hash):
            newest = self._known.version(request)
            again = newest is not None and newest.content_hash == document.content_hash
            self._settle(request, SAME if again else RETURNED, "" if again else _returned(request))
            known = self._known
        else:
            self._settle(request, NEW)
            known = self._known
        if not known.has(request, document.content_hash):
            known.add(document.place, version)
            self._came.append(document)
        if not document.broken:
            self._follow(request, document.answer.body)

    def _follow(self, request: Request, body: bytes | None) -> None:
        """Plan what a document leads to; one that was not fetched now is read from the store."""
        if request.kind not in self._leads.kinds or self._terms.stop.is_set():
            return
        whole = self._store.body(request) if body is None else body
        if whole is not None:
            self._plan(self._leads.named_in(request, whole))

    def _settle(self, request: Request, outcome: str, why: str = "") -> None:
        whose = {DENIED: request.kind, MISSING: request.document_id}.get(outcome)
        self.report.note(outcome, f"{whose}: {why}" if whose else why)
        if self.report.settled % TOLD_EVERY == 0:
            report = self.report
            LOGGER.info("%d of %d documents settled, %d new", report.settled, report.planned, report.counts[NEW])

    def _stop_short(self) -> None:
        while self._waiting:
            self._settle(self._waiting.popleft(), STOPPED)

    def _take_what_came(self) -> None:
        """Where a run ended in an error: the bodies that others waited for count too."""
        while self._asked:
            request, future = self._asked.popleft()
            if not future.cancel() and future.exception() is None:
                self._take(request, future.result())

    def _hand_over(self) -> None:
        came, self._came = self._came, []
        if came:
            self._store.append(came)


def _returned(request: Request) -> str:
    return f"{request.document_id}: its content is again what it was before; the version between counts as the newest"
