"""What a 401 or a 403 of each server means, and what to do about it."""

from __future__ import annotations

from streaming.collectors.request import BARRED, DENIED, MISSING, Nothing
from streaming.feeds.finnhub import REFUSED

SAID = 200  # characters of what a server says that are told


def sec_refusal(status: int, said: str) -> Nothing:
    """The SEC's 403: no such file (a holiday's index), too many requests, or a tool that did not say who it is."""
    if "AccessDenied" in said or "NoSuchKey" in said:
        return Nothing(MISSING, f"HTTP {status}, no such file")
    if "Threshold" in said:
        return Nothing(
            BARRED,
            "sec: expected to stay within the SEC's limit, found that more than 10 requests a second came from this "
            "address. What was fetched before is kept. Wait ten minutes, then run again with a lower "
            "collectors.sec.requests_per_second, and stop whatever else asks the SEC from here.",
        )
    return Nothing(
        BARRED,
        f"sec: expected that our user agent is accepted, found HTTP {status}. What was fetched before is kept. Set "
        f"collectors.sec.user_agent to your name or company and an e-mail address, wait ten minutes (the SEC blocks an "
        f"address for so long), and run again.",
    )


def finnhub_refusal(status: int, said: str) -> Nothing:
    """Finnhub's 401: the key is not valid. Its 403: the plan of the key does not include this kind of document."""
    words = said[:SAID].strip()
    if status == REFUSED[0]:
        return Nothing(
            BARRED,
            f"finnhub: expected that the key is accepted, found {status} ({words}). What was fetched before is kept. "
            f"Set a valid key with TICKHOUSE__FEEDS__FINNHUB__TOKEN, and run again.",
        )
    return Nothing(DENIED, f"the plan of Finnhub's key does not include it: {status} ({words})")
