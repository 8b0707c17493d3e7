"""What a run would ask for, said without asking."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from streaming.collectors.collect import HELD, NEW, Leads
from streaming.collectors.request import Known, Place, Request

AGAIN = "again"


def foresee(
    requests: Iterable[Request], known: Known, leads: Leads, body: Callable[[Request], bytes | None]
) -> list[tuple[Request, str]]:
    """Every document that would be planned, as far as what is stored leads, each as new, held, or asked for again."""
    waiting, found = deque(requests), dict[Place, tuple[Request, str]]()
    while waiting:
        request = waiting.popleft()
        place = (request.source, request.document_id)
        if place in found:
            continue
        stored = known.version(request) is not None
        found[place] = (request, HELD if known.holds(request) else AGAIN if stored else NEW)
        whole = body(request) if stored and request.kind in leads.kinds else None
        if whole is not None:
            waiting.extend(leads.named_in(request, whole))
    return list(found.values())
