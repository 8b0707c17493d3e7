"""When people are told: quiet hours and digests by the clock on their wall, through both changes of clocks."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.alerts.messages import message_of
from lakehouse.alerts.people import QuietHours, User
from lakehouse.alerts.routing import ALONE, DIGEST, MOST_ROUTES, QUIET, STORM, due, next_wall, routes
from lakehouse.alerts.rules import FilingArrival
from lakehouse.clock import to_ms
from lakehouse.errors import SettingsError
from tests.alert_doubles import an_alert

YORK = ZoneInfo("America/New_York")
ZONES = ["America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"]
walls = st.times().map(lambda found: found.replace(second=0, microsecond=0))
START_OF_2024 = datetime(2024, 1, 1, tzinfo=UTC)
instants = st.integers(0, 3 * 365 * 86_400).map(lambda seconds: START_OF_2024 + timedelta(seconds=seconds))


def user(**changes: Any) -> User:
    quiet = {"begins": "22:00", "ends": "07:00"}
    return User.model_validate({"name": "me", "quiet": quiet, "channels": [{"kind": "terminal"}], **changes})


def rule(**changes: Any) -> FilingArrival:
    given = {"name": "r", "kind": "filing_arrival", "scope": {"watchlist": True}, **changes}
    return FilingArrival.model_validate(given)


def york(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=YORK, fold=fold).astimezone(UTC)


def due_at(one: FilingArrival, who: User, now: datetime) -> tuple[datetime, str]:
    due_ms, bundle = due(one, who, now)
    return datetime.fromtimestamp(due_ms / 1000, UTC), bundle


def test_by_day_an_alert_is_due_at_once_by_night_in_the_morning() -> None:
    noon, night, early = york("2024-03-07 12:00"), york("2024-03-07 23:30"), york("2024-03-08 06:59")

    assert due_at(rule(), user(), noon) == (noon, ALONE)
    assert due_at(rule(), user(), night) == (york("2024-03-08 07:00"), QUIET)
    assert due_at(rule(), user(), early) == (york("2024-03-08 07:00"), QUIET)
    assert due_at(rule(), user(), york("2024-03-08 07:00")) == (york("2024-03-08 07:00"), ALONE)
    assert due_at(rule(), user(quiet=None), night) == (night, ALONE)


def test_an_urgent_alert_waits_for_nothing_and_a_digest_for_its_hour() -> None:
    night = york("2024-03-07 23:30")

    assert due_at(rule(urgent=True), user(), night) == (night, ALONE)
    assert due_at(rule(deliver="digest"), user(), night) == (york("2024-03-08 08:00"), DIGEST)


def test_the_night_in_which_clocks_go_forward_is_an_hour_shorter() -> None:
    assert due_at(rule(), user(), york("2024-03-09 23:00"))[0] - york("2024-03-09 23:00") == timedelta(hours=7)


def test_the_night_in_which_clocks_go_back_is_an_hour_longer() -> None:
    assert due_at(rule(), user(), york("2024-11-02 23:00"))[0] - york("2024-11-02 23:00") == timedelta(hours=9)


def test_a_time_that_a_change_of_clocks_skips_is_the_hour_after() -> None:
    assert next_wall(york("2024-03-10 00:00"), time(2, 30), YORK) == york("2024-03-10 03:30")


def test_of_an_hour_that_comes_twice_the_first_still_to_come_counts() -> None:
    half_past_one = time(1, 30)

    assert next_wall(york("2024-11-03 00:00"), half_past_one, YORK) == york("2024-11-03 01:30")
    assert next_wall(york("2024-11-03 01:10", fold=1), half_past_one, YORK) == york("2024-11-03 01:30", fold=1)
    assert next_wall(york("2024-11-03 02:00"), half_past_one, YORK) == york("2024-11-04 01:30")


@given(instants, walls, st.sampled_from(ZONES))
def test_the_next_time_on_the_wall_is_the_first_minute_that_shows_it(now: datetime, wall: time, zone: str) -> None:
    place = ZoneInfo(zone)

    found = next_wall(now, wall, place)

    minute = now.replace(second=0, microsecond=0)
    by_hand = (minute + timedelta(minutes=ahead) for ahead in range(60 * 26))
    shown = [at for at in by_hand if at > now and at.astimezone(place).time() == wall]
    if shown and found != shown[0]:
        assert found < shown[0], "only a skipped hour comes before a shown one"
        assert found.astimezone(place).time() != wall
    assert timedelta() < found - now <= timedelta(hours=26)


@given(instants, st.sampled_from(ZONES), walls, walls)
def test_nobody_is_woken_and_nobody_waits_longer_than_a_night(
    now: datetime, zone: str, begins: time, ends: time
) -> None:
    if begins == ends:
        return
    quiet = QuietHours(begins=begins, ends=ends)
    who = user(zone=zone, quiet=quiet.model_dump())

    at, bundle = due_at(rule(), who, now)

    assert (bundle == QUIET) == quiet.cover(now.astimezone(ZoneInfo(zone)).time())
    assert at - now < timedelta(hours=26)


def test_every_user_gets_it_by_each_channel() -> None:
    users = [user(name="ann", channels=[{"kind": "terminal"}, {"kind": "sns"}]), user(name="bob")]

    found = routes(an_alert(), rule(urgent=True), users, york("2024-03-07 12:00"))

    assert [route.name for route in found] == ["ann/terminal", "ann/sns", "bob/terminal"]


def test_more_deliveries_than_one_transaction_takes_are_refused() -> None:
    users = [user(name=f"u{number}") for number in range(MOST_ROUTES + 1)]

    with pytest.raises(SettingsError, match="at most 90 deliveries of one alert, found 91"):
        routes(an_alert(), rule(), users, york("2024-03-07 12:00"))


def test_a_message_says_what_when_and_by_which_rule() -> None:
    alert = an_alert(to_ms(york("2024-03-07 10:15")))

    message = message_of([alert], ALONE, YORK)

    assert message.subject == f"Tickhouse: {alert.text}"
    assert message.body == f"2024-03-07 10:15:00 EST  {alert.text}  [jump, id {alert.alert_id}]\n"
    assert message.key == alert.alert_id


def test_a_summary_counts_first_and_has_one_key_for_the_same_alerts() -> None:
    alerts = [an_alert(number, rule) for number, rule in enumerate(["jump", "jump", "surge"])]

    message = message_of(alerts, STORM, YORK)

    assert message.subject == "Tickhouse: 3 alerts at once"
    assert message.body.splitlines()[0] == "3 alerts on 3 subjects: jump 2, surge 1"
    assert message.key == message_of(alerts[::-1], STORM, YORK).key != message_of(alerts[:2], STORM, YORK).key
    assert all(alert.alert_id in message.body for alert in alerts)


def test_a_subject_is_what_sns_takes() -> None:
    alert = an_alert().__class__(**{**vars(an_alert()), "text": "Größe\n" + "x" * 200})

    assert message_of([alert], ALONE, YORK).subject.startswith("Tickhouse: Gr??e?xxx")
    assert len(message_of([alert], ALONE, YORK).subject) == 100
