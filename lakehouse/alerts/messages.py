"""What people read: one alert, or many as one summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from zoneinfo import ZoneInfo

from lakehouse.alerts.lifecycle import Alert
from lakehouse.alerts.routing import DIGEST, QUIET, SNOOZED, STORM

SUBJECT_LIMIT = 100  # SNS takes no longer subject
REASONS = {
    QUIET: "from your quiet hours",
    DIGEST: "in your digest",
    STORM: "at once",
    SNOOZED: "from while you had snoozed them",
}


@dataclass(frozen=True)
class Message:
    """One message of a channel; `key` is the same whenever the same alerts are sent again."""

    key: str
    subject: str
    body: str
    alerts: tuple[Alert, ...]
    is_copy: bool = False


def message_of(alerts: Sequence[Alert], bundle: str, zone: ZoneInfo, *, is_copy: bool = False) -> Message:
    """A message with every alert in it, times in the reader's zone; many are headed by how many and why together."""
    listed = sorted(alerts, key=lambda alert: (alert.fired_ms, alert.alert_id))
    lines = [_line(alert, zone) for alert in listed]
    if len(listed) == 1:
        key, subject = listed[0].alert_id, listed[0].text
    else:
        key = sha256("".join(alert.alert_id for alert in listed).encode()).hexdigest()[:32]
        subject = f"{len(listed)} alerts {REASONS.get(bundle, 'together')}"
        lines.insert(0, _counted(listed))
    if is_copy:
        lines.append("This may be a second copy: a process ended while it was being sent. Same ids, same alerts.")
    return Message(key, _plain(f"Tickhouse: {subject}"), "\n".join(lines) + "\n", tuple(listed), is_copy)


def _line(alert: Alert, zone: ZoneInfo) -> str:
    fired = datetime.fromtimestamp(alert.fired_ms / 1000, UTC).astimezone(zone)
    return f"{fired:%Y-%m-%d %H:%M:%S %Z}  {alert.text}  [{alert.rule}, id {alert.alert_id}]"


def _counted(alerts: Sequence[Alert]) -> str:
    by_rule = Counter(alert.rule for alert in alerts)
    counted = ", ".join(f"{rule} {count}" for rule, count in by_rule.most_common())
    return f"{len(alerts)} alerts on {len({alert.subject for alert in alerts})} subjects: {counted}"


def _plain(text: str) -> str:
    """A subject as SNS takes it: printable ASCII on one line, not too long."""
    ascii_only = "".join(letter if " " <= letter <= "~" else "?" for letter in text)
    return ascii_only if len(ascii_only) <= SUBJECT_LIMIT else f"{ascii_only[: SUBJECT_LIMIT - 3]}..."
