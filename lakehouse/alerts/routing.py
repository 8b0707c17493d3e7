"""When an alert is due at whom: now, after the quiet hours, or with the digest; wall clocks of the user's zone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lakehouse.alerts.lifecycle import Alert
from lakehouse.alerts.people import User
from lakehouse.alerts.rules import AnyRule
from lakehouse.clock import to_ms
from lakehouse.errors import SettingsError

ALONE, QUIET, DIGEST, STORM, SNOOZED = "", "quiet", "digest", "storm", "snoozed"
MOST_ROUTES = 90  # an alert and its routes enter the outbox in one transaction, which takes 100 items


@dataclass(frozen=True)
class Route:
    """One delivery to make: to whom, by which channel, when, and why not at once and alone (`bundle`)."""

    user: str
    channel: str
    due_ms: int
    bundle: str = ALONE

    @property
    def name(self) -> str:
        """User and channel as one text."""
        return f"{self.user}/{self.channel}"


def routes(alert: Alert, rule: AnyRule, users: Sequence[User], now: datetime) -> tuple[Route, ...]:
    """The deliveries of an alert; every user it concerns gets it by each of his channels."""
    found = tuple(
        Route(user.name, channel.name, due_ms, bundle)
        for user in users
        for due_ms, bundle in [due(rule, user, now)]
        for channel in user.channels
    )
    if len(found) > MOST_ROUTES:
        raise SettingsError(
            f"alerts: expected at most {MOST_ROUTES} deliveries of one alert, found {len(found)} of rule {rule.name} "
            f"(alert {alert.alert_id}). It was not put into the outbox. Name fewer users in `to`, or fewer channels."
        )
    return found


def due(rule: AnyRule, user: User, now: datetime) -> tuple[int, str]:
    """When a user is told of what fires now, and in which bundle: the digest waits for no quiet hours to end."""
    if rule.urgent:
        return to_ms(now), ALONE
    if rule.deliver == "digest":
        return to_ms(next_wall(now, user.digest, user.place)), DIGEST
    if user.quiet and user.quiet.cover(wall_time(now, user.place)):
        return to_ms(next_wall(now, user.quiet.ends, user.place)), QUIET
    return to_ms(now), ALONE


def wall_time(now: datetime, zone: ZoneInfo) -> time:
    """What a clock on the wall of the zone shows."""
    return now.astimezone(zone).time()


def next_wall(now: datetime, wall: time, zone: ZoneInfo) -> datetime:
    """The first instant after `now` at which the clocks of a zone show `wall`, in UTC.

    An hour that a change of clocks skips counts as the hour after it; of one that comes twice the first counts that is
    still to come.
    """
    today = now.astimezone(zone).date()
    days = (today + timedelta(days=ahead) for ahead in range(-1, 4))
    return next(instant for day in days for instant in _instants(day, wall, zone) if instant > now)


def _instants(day: date, wall: time, zone: ZoneInfo) -> Iterator[datetime]:
    plain = wall.replace(tzinfo=None)
    both = {datetime.combine(day, plain, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1)}
    shown = sorted(instant for instant in both if instant.astimezone(zone).time() == plain)
    yield from shown or [max(both)]
