"""The outbox: an alert enters once by its id; each of its deliveries is claimed, attempted, and recorded.

A delivery is pending, claimed, sending, then sent, or pending again, or dead. Every change of it names the `fence` it
was read with, and a claim raises the fence: a process that lost its claim can change nothing any more. `due_ms` of a
claimed delivery is the end of the lease, so a lapsed claim is simply due again. `sending` is written before the channel
is called: only a delivery taken over from there may reach somebody twice, and is marked `possible_copy`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from zlib import crc32

from lakehouse.alerts.lifecycle import Alert
from lakehouse.alerts.routing import Route
from lakehouse.crashpoints import crashpoint
from serving.delivery.store import Change, Item, Key, Store, Value

QUEUES = tuple(f"q{number}" for number in range(4))
DEAD_QUEUE = "dead"
ALERT, ROUTE, ATTEMPT = "alert", "to#", "try#"
ERROR_LIMIT = 500


class Status(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"


@dataclass(frozen=True)
class Terms:
    """How often a delivery is tried, how long a claim lasts, and how pauses grow. Times are milliseconds."""

    attempts: int = 12
    lease_ms: int = 60_000
    base_ms: int = 1000
    cap_ms: int = 300_000


@dataclass(frozen=True)
class Claim:
    """One delivery in our hands; only who knows its `fence` may change it."""

    alert: Alert
    user: str
    channel: str
    bundle: str
    fence: int
    attempts: int
    limit: int
    is_copy: bool

    @property
    def key(self) -> Key:
        """Where the delivery lies."""
        return self.alert.alert_id, f"{ROUTE}{self.user}/{self.channel}"

    @property
    def attempt_key(self) -> Key:
        """Where its newest attempt lies."""
        return attempt_key(self.alert.alert_id, f"{self.user}/{self.channel}", self.attempts)

    @property
    def is_spent(self) -> bool:
        """Whether it has had all its attempts, the last of them perhaps in a process that died."""
        return self.attempts >= self.limit


def attempt_key(alert_id: str, route: str, attempt: int) -> Key:
    """Where one attempt lies, in order behind the delivery."""
    return alert_id, f"{ATTEMPT}{route}#{attempt:06d}"


def queue_of(alert_id: str) -> str:
    """The queue of an alert: by its id, so that no partition of the index takes all of a storm."""
    return QUEUES[crc32(alert_id.encode()) % len(QUEUES)]


class Outbox:
    """Alerts on their way, in one store that many processes may use at once."""

    def __init__(self, store: Store, terms: Terms, *, owner: str, random: Callable[[], float]) -> None:
        self.store = store
        self._terms = terms
        self._owner = owner
        self._random = random

    def put(self, alert: Alert, routes: Sequence[Route]) -> bool:
        """Put an alert and its deliveries in, all at once; False where its id is there already, which is no fault."""
        body = alert.to_json()
        head: dict[str, Value] = {"body": body, "rule": alert.rule, "fired_ms": alert.fired_ms}
        changes = [Change((alert.alert_id, ALERT), put=head, is_new=True)]
        for route in routes:
            delivery: dict[str, Value] = {
                "body": body, "user": route.user, "channel": route.channel, "bundle": route.bundle,
                "status": Status.PENDING.value, "fence": 0, "attempts": 0, "limit": self._terms.attempts,
                "possible_copy": False, "queue": queue_of(alert.alert_id),
                "due_ms": route.due_ms,
            }  # fmt: skip
            changes.append(Change((alert.alert_id, f"{ROUTE}{route.name}"), put=delivery, is_new=True))
        done = self.store.apply(changes)
        crashpoint("alert.after_put")
        return done

    def is_empty(self, until_ms: int) -> bool:
        """Whether no delivery is left that is due by then, but for those put off on purpose."""
        return all(item["bundle"] for item in self.due(until_ms, 1000))

    def due(self, now_ms: int, limit: int) -> list[Item]:
        """Deliveries that may be claimed now."""
        return [item for queue in QUEUES for item in self.store.due(queue, now_ms, limit)]

    def claim(self, item: Item, now_ms: int) -> Claim | None:
        """Take a due delivery, also from a process whose lease is over; None where another was quicker."""
        was_sending = item["status"] == Status.SENDING.value
        claim = _claim_of(item)
        claim = replace(claim, fence=claim.fence + 1, is_copy=claim.is_copy or was_sending)
        put: dict[str, Value] = {
            "status": Status.CLAIMED.value, "fence": claim.fence, "owner": self._owner,
            "due_ms": now_ms + self._terms.lease_ms, "possible_copy": claim.is_copy,
        }  # fmt: skip
        expect = {"fence": int(item["fence"]), "status": item["status"], "due_ms": int(item["due_ms"])}
        return claim if self.store.apply([Change(claim.key, put=put, expect=expect)]) else None

    def begin(self, claim: Claim, now_ms: int) -> Claim | None:
        """Record that the channel is about to be called; None where the claim is not ours any more."""
        begun = replace(claim, attempts=claim.attempts + 1)
        put: dict[str, Value] = {
            "status": Status.SENDING.value, "attempts": begun.attempts, "due_ms": now_ms + self._terms.lease_ms,
        }  # fmt: skip
        attempt: dict[str, Value] = {
            "user": claim.user, "channel": claim.channel, "attempt": begun.attempts, "started_ms": now_ms,
            "possible_copy": claim.is_copy, "owner": self._owner,
        }  # fmt: skip
        changes = [_ours(claim, Status.CLAIMED, put), Change(begun.attempt_key, put=attempt, is_new=True)]
        done = self.store.apply(changes)
        crashpoint("alert.after_begin")
        return begun if done else None

    def sent(self, claim: Claim, receipt: str, now_ms: int) -> bool:
        """Record that the channel accepted. False where the claim was lost meanwhile: the attempt is recorded still."""
        accepted: dict[str, Value] = {"accepted_ms": now_ms, "receipt": receipt}
        put: dict[str, Value] = {"status": Status.SENT.value, "sent_ms": now_ms}
        done = _ours(claim, Status.SENDING, put, remove=("queue", "due_ms"))
        return self._record(claim, done, accepted)

    def failed(
        self, claim: Claim, error: str, now_ms: int, pause_ms: int, *, is_final: bool, may_have_arrived: bool
    ) -> Status:
        """Record a failed attempt: to be tried again after a pause, or dead when it is final or was the last."""
        said: dict[str, Value] = {"failed_ms": now_ms, "error": error[:ERROR_LIMIT]}
        is_dead = is_final or claim.is_spent
        status = Status.DEAD if is_dead else Status.PENDING
        put: dict[str, Value] = {
            "status": status.value,
            "error": error[:ERROR_LIMIT],
            "due_ms": now_ms if is_dead else now_ms + pause_ms,
            "queue": DEAD_QUEUE if is_dead else queue_of(claim.alert.alert_id),
            "possible_copy": claim.is_copy or may_have_arrived,
        }
        self._record(claim, _ours(claim, Status.SENDING, put), said)
        return status

    def release(self, claim: Claim, due_ms: int, bundle: str) -> bool:
        """Give a claim back unsent, due at an instant, in a bundle or alone."""
        put: dict[str, Value] = {"status": Status.PENDING.value, "due_ms": due_ms, "bundle": bundle}
        return self.store.apply([_ours(claim, Status.CLAIMED, put)])

    def bury(self, claim: Claim, error: str, now_ms: int) -> bool:
        """A delivery that must not be tried any more, though no attempt failed: dead, with the reason."""
        put: dict[str, Value] = {
            "status": Status.DEAD.value, "error": error[:ERROR_LIMIT], "queue": DEAD_QUEUE, "due_ms": now_ms,
        }  # fmt: skip
        return self.store.apply([_ours(claim, Status.CLAIMED, put)])

    def pause_ms(self, attempts: int) -> int:
        """A pause after so many attempts, with full jitter: anything up to a bound that doubles with each attempt."""
        bound = min(self._terms.cap_ms, self._terms.base_ms * 2 ** min(attempts - 1, 30))
        return 1 + int(self._random() * bound)

    def _record(self, claim: Claim, delivery: Change, outcome: dict[str, Value]) -> bool:
        attempt = Change(claim.attempt_key, put=outcome)
        if self.store.apply([delivery, attempt]):
            return True
        self.store.apply([attempt])
        return False


def _claim_of(item: Item) -> Claim:
    return Claim(
        alert=Alert.from_json(str(item["body"])),
        user=str(item["user"]),
        channel=str(item["channel"]),
        bundle=str(item["bundle"]),
        fence=int(item["fence"]),
        attempts=int(item["attempts"]),
        limit=int(item["limit"]),
        is_copy=bool(item["possible_copy"]),
    )


def _ours(claim: Claim, status: Status, put: dict[str, Value], remove: tuple[str, ...] = ()) -> Change:
    """A change of a delivery that is still ours and stands where we left it."""
    return Change(claim.key, put=put, remove=remove, expect={"fence": claim.fence, "status": status.value})
