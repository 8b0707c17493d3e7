"""What a person does about alerts: acknowledge one, snooze a rule, look at the list, try a dead one again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lakehouse.alerts.lifecycle import Alert
from serving.delivery.outbox import ALERT, ATTEMPT, DEAD_QUEUE, ROUTE, Status, queue_of
from serving.delivery.store import Change, DeliveryError, Item, Store, Value

ACKNOWLEDGED = "acknowledged"
EVERY_SUBJECT = "*"


@dataclass(frozen=True)
class Listed:
    """One alert with what became of its deliveries."""

    alert: Alert
    statuses: Counter[str]
    attempts: int
    possible_copies: int
    acknowledged_by: str
    error: str


def snoozed_until(store: Store, user: str, alert: Alert, now_ms: int) -> int | None:
    """Until when a user does not want to hear of an alert's rule and subject; None where he does."""
    names = {f"{alert.rule}#{EVERY_SUBJECT}", f"{alert.rule}#{alert.subject}"}
    ends = [int(item["until_ms"]) for item in store.partition(f"snooze#{user}") if item["sk"] in names]
    latest = max(ends, default=0)
    return latest if latest > now_ms else None


def snooze(store: Store, user: str, rule: str, subject: str, until_ms: int) -> None:
    """Put off what a rule has to say (on one subject, or `*`) until an instant; it then comes as one summary."""
    put: dict[str, Value] = {"until_ms": until_ms, "expires": until_ms // 1000 + 86_400}
    store.apply([Change((f"snooze#{user}", f"{rule}#{subject}"), put=put)])


def acknowledge(store: Store, alert_id: str, user: str, now_ms: int) -> int:
    """Note that a user has seen an alert; his deliveries that were not sent yet are dropped. Returns how many."""
    items = required(store, alert_id)
    store.apply([Change((alert_id, ALERT), put={"acknowledged_ms": now_ms, "acknowledged_by": user})])
    waiting = [item for item in items if is_route(item) and item["user"] == user and item["status"] == Status.PENDING]
    return sum(store.apply([_settled(item, now_ms)]) for item in waiting)


def revive(store: Store, alert_id: str, now_ms: int, attempts: int) -> int:
    """Give the dead deliveries of an alert that many more attempts, from now on; returns how many there are."""
    dead = [item for item in required(store, alert_id) if is_route(item) and item["status"] == Status.DEAD]
    return sum(store.apply([_revived(item, now_ms, attempts)]) for item in dead)


def listed(store: Store) -> list[Listed]:
    """Every alert of the outbox, the newest first."""
    heads: dict[str, Item] = {}
    deliveries: dict[str, list[Item]] = {}
    for item in store.scan():
        if item["sk"] == ALERT:
            heads[str(item["pk"])] = item
        elif is_route(item):
            deliveries.setdefault(str(item["pk"]), []).append(item)
    found = [_listed(head, deliveries.get(alert_id, [])) for alert_id, head in heads.items()]
    return sorted(found, key=lambda one: (-one.alert.fired_ms, one.alert.alert_id))


def attempts_of(store: Store) -> list[Item]:
    """Every attempt ever recorded; one without `accepted_ms` and `failed_ms` has no known outcome."""
    return [item for item in store.scan() if str(item["sk"]).startswith(ATTEMPT)]


def required(store: Store, alert_id: str) -> list[Item]:
    """The items of an alert; an unknown id is an error."""
    items = store.partition(alert_id)
    if not any(item["sk"] == ALERT for item in items):
        raise DeliveryError(
            f"alerts: there is no alert {alert_id!r} in the outbox. Nothing was changed. `tickhouse alerts list` shows "
            "the ids."
        )
    return items


def is_route(item: Item) -> bool:
    """Whether an item is a delivery."""
    return str(item["sk"]).startswith(ROUTE)


def _listed(head: Item, deliveries: list[Item]) -> Listed:
    return Listed(
        alert=Alert.from_json(str(head["body"])),
        statuses=Counter(str(item["status"]) for item in deliveries),
        attempts=sum(int(item["attempts"]) for item in deliveries),
        possible_copies=sum(bool(item["possible_copy"]) for item in deliveries),
        acknowledged_by=str(head.get("acknowledged_by", "")),
        error=next((str(item["error"]) for item in deliveries if "error" in item and "sent_ms" not in item), ""),
    )


def _settled(item: Item, now_ms: int) -> Change:
    put: dict[str, Value] = {"status": ACKNOWLEDGED, "fence": int(item["fence"]) + 1, "sent_ms": now_ms}
    expect: dict[str, Value] = {"fence": int(item["fence"]), "status": Status.PENDING.value}
    return Change((str(item["pk"]), str(item["sk"])), put=put, remove=("queue", "due_ms"), expect=expect)


def _revived(item: Item, now_ms: int, attempts: int) -> Change:
    put: dict[str, Value] = {
        "status": Status.PENDING.value, "fence": int(item["fence"]) + 1, "due_ms": now_ms,
        "queue": queue_of(str(item["pk"])), "limit": int(item["attempts"]) + attempts,
    }  # fmt: skip
    expect: dict[str, Value] = {"fence": int(item["fence"]), "status": Status.DEAD.value, "queue": DEAD_QUEUE}
    return Change((str(item["pk"]), str(item["sk"])), put=put, expect=expect)
