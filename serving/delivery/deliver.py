"""Empty the outbox: claim what is due, send it alone or as a summary, record every attempt."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from threading import Event
from zoneinfo import ZoneInfo

from lakehouse.alerts.messages import message_of
from lakehouse.alerts.routing import ALONE, SNOOZED, STORM
from lakehouse.clock import Clock, to_ms
from lakehouse.crashpoints import crashpoint
from serving.delivery.channels import Channel, ChannelError
from serving.delivery.outbox import Claim, Outbox, Status
from serving.delivery.snoozes import snoozed_until
from serving.delivery.store import Change, DeliveryError, Item

LOGGER = logging.getLogger(__name__)
MINUTE_MS = 60_000
CLAIMS_AT_ONCE = 8
SUMMARY_LIMIT = 50
KEPT_SECONDS = 86_400
BACKOFF_SECONDS = 1.0
NO_CHANNEL = "conf/alerts.yaml has no such user and channel any more"


@dataclass(frozen=True)
class Address:
    """Where one channel of one user leads, and the zone of its reader."""

    channel: Channel
    zone: ZoneInfo


Addresses = Mapping[tuple[str, str], Address]


class Deliverer:
    """One process that empties the outbox; any number may run beside each other."""

    def __init__(self, outbox: Outbox, addresses: Addresses, *, messages_a_minute: int, clock: Clock) -> None:
        self._outbox = outbox
        self._addresses = addresses
        self._messages_a_minute = messages_a_minute
        self._clock = clock

    def round(self, stop: Event) -> int:
        """Handle what is due now; returns how many deliveries were taken up. Stops between messages when told."""
        handled = 0
        items = sorted(self._outbox.due(self._now_ms(), SUMMARY_LIMIT), key=_urgency)
        for (together, _, _), group in groupby(items, _lane):
            listed = list(group)
            size = SUMMARY_LIMIT if together else CLAIMS_AT_ONCE
            for first in range(0, len(listed), size):
                claims = [self._outbox.claim(item, self._now_ms()) for item in listed[first : first + size]]
                handled += self._take_up([claim for claim in claims if claim], together=together, stop=stop)
                if stop.is_set():
                    return handled
        return handled

    def _take_up(self, claims: Sequence[Claim], *, together: bool, stop: Event) -> int:
        ready = [claim for claim in claims if self._is_ready(claim)]
        if together:
            self._send(ready)
            return len(claims)
        for claim in ready:
            if stop.is_set():
                self._outbox.release(claim, self._now_ms(), ALONE)
            elif self._may_go_alone(claim):
                self._send([claim])
            else:
                self._outbox.release(claim, self._next_minute_ms(), STORM)
        return len(claims)

    def _is_ready(self, claim: Claim) -> bool:
        """Whether a delivery is to be sent now; else it is dead, or put off until its snooze is over."""
        now_ms = self._now_ms()
        if (claim.user, claim.channel) not in self._addresses:
            self._outbox.bury(claim, NO_CHANNEL, now_ms)
            return False
        if claim.is_spent:
            self._outbox.bury(claim, f"all {claim.limit} attempts were made, the last one has no outcome", now_ms)
            return False
        until_ms = snoozed_until(self._outbox.store, claim.user, claim.alert, now_ms)
        if until_ms:
            self._outbox.release(claim, until_ms, SNOOZED)
        return not until_ms

    def _send(self, claims: Sequence[Claim]) -> None:
        begun = [ours for claim in claims if (ours := self._outbox.begin(claim, self._now_ms()))]
        if not begun:
            return
        address = self._addresses[begun[0].user, begun[0].channel]
        is_copy = any(claim.is_copy for claim in begun)
        alerts = [claim.alert for claim in begun]
        message = message_of(alerts, begun[0].bundle, address.zone, is_copy=is_copy)
        try:
            receipt = address.channel.send(message)
        except ChannelError as error:
            self._failed(begun, error)
            return
        crashpoint("alert.after_publish")
        for claim in begun:
            if not self._outbox.sent(claim, receipt, self._now_ms()):
                LOGGER.warning("alert %s: sent after its claim was lost; it may come twice.", claim.alert.alert_id)

    def _failed(self, claims: Sequence[Claim], error: ChannelError) -> None:
        pause_ms = self._outbox.pause_ms(max(claim.attempts for claim in claims))
        for claim in claims:
            status = self._outbox.failed(
                claim,
                str(error),
                self._now_ms(),
                pause_ms,
                is_final=error.is_final,
                may_have_arrived=error.may_have_arrived,
            )
            if status is Status.DEAD:
                LOGGER.error(
                    "alert %s to %s by %s: given up after %d attempts: %s. It is kept: `tickhouse alerts list --dead`.",
                    claim.alert.alert_id, claim.user, claim.channel, claim.attempts, error,
                )  # fmt: skip

    def _may_go_alone(self, claim: Claim) -> bool:
        """Whether the minute still has room for a single message; counted in the store, for all processes together."""
        now_ms = self._now_ms()
        minute = now_ms // MINUTE_MS
        key = (f"pace#{claim.user}/{claim.channel}", f"{minute:012d}")
        room = Change(
            key,
            put={"expires": now_ms // 1000 + KEPT_SECONDS},
            add={"messages": 1},
            below={"messages": self._messages_a_minute},
        )
        return self._outbox.store.apply([room])

    def _next_minute_ms(self) -> int:
        return (self._now_ms() // MINUTE_MS + 1) * MINUTE_MS

    def _now_ms(self) -> int:
        return to_ms(self._clock())


def _lane(item: Item) -> tuple[bool, str, str]:
    """Whether an item goes in a summary, and whose message it becomes; single ones come first."""
    return item["bundle"] != ALONE, str(item["user"]), str(item["channel"])


def _urgency(item: Item) -> tuple[tuple[bool, str, str], int]:
    return _lane(item), int(item["due_ms"])


def run(deliverer: Deliverer, stop: Event, *, poll_seconds: float, until_empty: Callable[[], bool]) -> int:
    """Rounds until told to stop, or until `until_empty` says that nothing is left; returns how many were taken up.

    An outbox that cannot be reached is waited for: nothing is lost meanwhile.
    """
    handled = 0
    while not stop.is_set():
        try:
            taken = deliverer.round(stop)
        except DeliveryError as error:
            LOGGER.warning("%s", error)
            stop.wait(BACKOFF_SECONDS)
            continue
        handled += taken
        if not taken:
            if until_empty():
                return handled
            stop.wait(poll_seconds)
    return handled
