"""The outbox: once by id, claims with leases and fences, retries, dead letters, and every attempt on record."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from threading import Event
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.alerts.routing import ALONE, DIGEST, QUIET, SNOOZED, STORM, Route
from lakehouse.clock import to_ms
from serving.delivery.channels import ChannelError
from serving.delivery.deliver import Address, Deliverer
from serving.delivery.outbox import Claim, Outbox, Status, Terms
from serving.delivery.snoozes import acknowledge, attempts_of, listed, revive, snooze
from serving.delivery.store import Change, DeliveryError
from tests.alert_doubles import START, FakeChannel, FakeStore, SetClock, an_alert

BUSY, LATER = ChannelError("503"), to_ms(START) + 3_600_000
NOW = to_ms(START)
ZONE = ZoneInfo("America/New_York")


class Post:
    """A store, a clock, a channel, and as many processes as a test wants."""

    def __init__(self, *, plan: Sequence[ChannelError | None] = (), pace: int = 1000, attempts: int = 5) -> None:
        self.store, self.clock, self.channel = FakeStore(), SetClock(), FakeChannel(list(plan))
        self.pace, self.terms = pace, Terms(attempts, lease_ms=60_000, base_ms=1000, cap_ms=8000)
        self.outbox = self.an_outbox("one")

    def an_outbox(self, owner: str) -> Outbox:
        return Outbox(self.store, self.terms, owner=owner, random=lambda: 0.5)

    def put(self, number: int = 0, due_ms: int = NOW, bundle: str = ALONE) -> bool:
        return self.outbox.put(an_alert(number), [Route("me", "sns", due_ms, bundle)])

    def round(self, owner: str = "one") -> int:
        addresses = {("me", "sns"): Address(self.channel, ZONE)}
        deliverer = Deliverer(self.an_outbox(owner), addresses, messages_a_minute=self.pace, clock=self.clock)
        return deliverer.round(Event())

    def claim(self, owner: str = "one") -> Claim:
        outbox = self.an_outbox(owner)
        (item,) = outbox.due(to_ms(self.clock()), 10)
        claim = outbox.claim(item, to_ms(self.clock()))
        assert claim
        return claim

    @property
    def statuses(self) -> list[str]:
        return [str(item["status"]) for item in self.store.scan() if "status" in item]

    @property
    def copies(self) -> list[bool]:
        return [bool(item["possible_copy"]) for item in self.store.scan() if "status" in item]


class Died(BaseException):
    """Stands for kill -9."""


def test_an_alert_enters_once_whichever_lane_brings_it() -> None:
    post = Post()

    assert [post.put(), post.put()] == [True, False]
    assert post.round() == 1
    assert post.put() is False
    assert post.round() == 0
    assert post.channel.ids == [an_alert().alert_id]
    assert post.statuses == ["sent"]


def test_nothing_is_sent_before_it_is_due() -> None:
    post = Post()
    post.put(due_ms=NOW + 1000)

    assert post.round() == 0
    post.clock.go(1)
    assert post.round() == 1


def test_a_failed_attempt_is_tried_again_after_a_growing_pause_and_all_are_on_record() -> None:
    post = Post(plan=[BUSY, BUSY, BUSY])
    post.put()
    waits = []

    while "sent" not in post.statuses:
        if not post.round():
            post.clock.go(0.25)
            waits.append(0.25)

    assert sum(waits) == pytest.approx(0.5 + 1 + 2, abs=0.76)
    attempts = attempts_of(post.store)
    assert [item["attempt"] for item in attempts] == [1, 2, 3, 4]
    assert [item.get("error", "") for item in attempts] == ["503", "503", "503", ""]
    assert attempts[-1]["receipt"] == "receipt-4"
    assert all(item["channel"] == "sns" and item["user"] == "me" for item in attempts)


def test_after_the_last_attempt_a_delivery_is_dead_and_kept_and_can_be_revived() -> None:
    post = Post(plan=[BUSY] * 2, attempts=2)
    post.put()
    for _ in range(40):
        post.round()
        post.clock.go(1)

    assert (post.statuses, post.channel.calls) == (["dead"], 2)
    assert [one.error for one in listed(post.store)] == ["503"]

    assert revive(post.store, an_alert().alert_id, to_ms(post.clock()), 2) == 1
    post.round()
    assert (post.statuses, post.channel.ids) == (["sent"], [an_alert().alert_id])


def test_what_would_be_refused_again_is_dead_at_once() -> None:
    post = Post(plan=[ChannelError("404", is_final=True)])
    post.put()
    post.round()

    assert post.statuses == ["dead"]


def test_an_attempt_without_a_known_outcome_marks_the_next_as_a_possible_copy() -> None:
    post = Post(plan=[ChannelError("timed out", may_have_arrived=True)])
    post.put()
    post.round()
    post.clock.go(2)
    post.round()

    (message,) = post.channel.accepted
    assert message.is_copy
    assert "second copy" in message.body
    assert [item["possible_copy"] for item in attempts_of(post.store)] == [False, True]


def test_two_processes_do_not_claim_one_delivery() -> None:
    post = Post()
    post.put()
    (item,) = post.outbox.due(NOW, 10)

    assert post.an_outbox("one").claim(item, NOW) is not None
    assert post.an_outbox("two").claim(item, NOW) is None
    assert post.round("two") == 0, "its lease has not passed"


def test_a_claim_that_lapsed_before_sending_is_taken_over_and_no_copy_is_possible() -> None:
    post = Post()
    post.put()
    old = post.claim()
    post.clock.go(61)

    assert post.round("two") == 1
    assert post.copies == [False]
    assert post.an_outbox("one").begin(old, to_ms(post.clock())) is None, "the fence keeps the old process out"
    assert post.channel.ids == [an_alert().alert_id]


def test_the_fence_tells_two_claims_apart_that_look_alike() -> None:
    post = Post()
    post.put()
    old = post.claim("one")
    post.clock.go(61)
    new = post.claim("two")

    assert post.an_outbox("one").begin(old, to_ms(post.clock())) is None
    assert post.an_outbox("one").release(old, NOW, ALONE) is False
    begun = post.an_outbox("two").begin(new, to_ms(post.clock()))
    assert begun
    post.outbox.failed(old, "gone", NOW, 1, is_final=True, may_have_arrived=False)
    assert post.statuses == ["sending"]


def test_an_alert_that_concerns_nobody_is_kept_once() -> None:
    post = Post()

    assert [post.outbox.put(an_alert(), []) for _ in range(2)] == [True, False]


def test_a_claim_that_lapsed_while_sending_is_taken_over_and_marked() -> None:
    post = Post()
    post.put()
    old = post.outbox.begin(post.claim(), NOW)
    assert old
    post.clock.go(61)

    assert post.round("two") == 1
    assert post.copies == [True]
    assert post.outbox.sent(old, "late", to_ms(post.clock())) is False
    assert post.statuses == ["sent"]
    assert [item.get("receipt") for item in attempts_of(post.store)] == ["late", "receipt-1"], "both are on record"


def test_an_old_process_cannot_fail_what_another_has_sent() -> None:
    post = Post()
    post.put()
    old = post.outbox.begin(post.claim(), NOW)
    assert old
    post.clock.go(61)
    post.round("two")

    post.outbox.failed(old, "gone", NOW, 1, is_final=True, may_have_arrived=False)

    assert post.statuses == ["sent"]


def test_a_delivery_whose_every_attempt_died_is_dead_and_says_so() -> None:
    post = Post(attempts=1)
    post.put()
    post.outbox.begin(post.claim(), NOW)
    post.clock.go(61)
    post.round("two")

    assert post.statuses == ["dead"]
    assert "no outcome" in listed(post.store)[0].error
    assert post.channel.calls == 0


def test_told_to_stop_it_gives_back_what_it_has_not_sent() -> None:
    post, stop = Post(), Event()
    for number in range(3):
        post.put(number)
    stop.set()
    deliverer = Deliverer(
        post.outbox, {("me", "sns"): Address(post.channel, ZONE)}, messages_a_minute=9, clock=post.clock
    )

    deliverer.round(stop)

    assert set(post.statuses) == {"pending"}
    assert post.round("two") == 3


def test_a_user_who_is_gone_from_conf_leaves_dead_letters_and_stops_nobody() -> None:
    post = Post()
    post.outbox.put(an_alert(1), [Route("gone", "sns", NOW)])
    post.put(2)
    post.round()

    assert sorted(post.statuses) == ["dead", "sent"]


@pytest.mark.parametrize("bundle", [QUIET, DIGEST])
def test_what_was_put_off_comes_as_one_message(bundle: str) -> None:
    post = Post()
    for number in range(5):
        post.put(number, LATER, bundle)
    post.clock.go(3600)

    assert post.round() == 5
    (message,) = post.channel.accepted
    assert message.subject.startswith("Tickhouse: 5 alerts")
    assert sorted(post.channel.ids) == [an_alert(number).alert_id for number in range(5)]
    assert post.statuses == ["sent"] * 5


def test_a_storm_comes_as_a_few_messages_a_minute_and_a_summary_of_the_rest() -> None:
    post = Post(pace=3)
    for number in range(120):
        post.put(number)
    while post.round():
        pass

    assert len(post.channel.accepted) == 3
    assert {item["bundle"] for item in post.store.scan() if item.get("status") == "pending"} == {STORM}
    post.clock.go(60)
    while post.round("two"):
        pass

    assert Counter(post.channel.ids) == Counter(an_alert(number).alert_id for number in range(120))
    assert len(post.channel.accepted) <= 3 + 12, "summaries hold up to 50 alerts of each queue"


def test_a_failed_summary_is_tried_again_as_one() -> None:
    post = Post(plan=[BUSY])
    for number in range(5):
        post.put(number, NOW, DIGEST)
    post.round()
    post.clock.go(10)
    post.round()

    assert [len(message.alerts) for message in post.channel.accepted] == [5]


def test_a_snooze_puts_off_a_rule_and_nothing_is_lost() -> None:
    post = Post()
    snooze(post.store, "me", "jump", "*", NOW + 60_000)
    post.put(1)
    post.outbox.put(an_alert(2, rule="other"), [Route("me", "sns", NOW)])
    post.round()

    assert post.channel.ids == [an_alert(2).alert_id]
    post.clock.go(60)
    post.round()
    assert post.channel.ids == [an_alert(2).alert_id, an_alert(1).alert_id]
    assert SNOOZED in {item.get("bundle") for item in post.store.scan()}


def test_a_snooze_of_one_subject_leaves_the_others() -> None:
    post = Post()
    snooze(post.store, "me", "jump", "A1", NOW + 60_000)
    post.put(1)
    post.put(2)
    post.round()

    assert post.channel.ids == [an_alert(2).alert_id]


def test_acknowledged_alerts_are_not_sent_any_more() -> None:
    post = Post()
    post.put(1, LATER, QUIET)

    assert acknowledge(post.store, an_alert(1).alert_id, "me", NOW) == 1
    post.clock.go(3600)
    assert post.round() == 0
    assert listed(post.store)[0].acknowledged_by == "me"
    with pytest.raises(DeliveryError, match="there is no alert 'unknown'"):
        acknowledge(post.store, "unknown", "me", NOW)


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_processes_that_die_anywhere_lose_nothing_and_copy_only_where_it_is_marked(seed: int, processes: int) -> None:
    chance = random.Random(seed)
    post = Post(pace=4, attempts=1000)
    post.channel = Unreliable(chance)

    def may_die(_: Sequence[Change]) -> None:
        if chance.random() < 0.05:
            raise Died

    numbers = range(chance.randint(1, 12))
    for number in numbers:
        post.put(number, NOW + chance.randint(0, 5000))
    post.store.before_apply = may_die
    for _ in range(400):
        with suppress(Died):
            post.round(f"process-{chance.randrange(processes)}")
        post.clock.go(chance.choice([0.1, 1, 20, 61]))
        if set(post.statuses) == {Status.SENT.value}:
            break

    times = Counter(post.channel.ids)
    marked = {item["pk"] for item in post.store.scan() if item.get("status") and item["possible_copy"]}
    assert set(times) == {an_alert(number).alert_id for number in numbers}, "none is lost"
    assert {alert_id for alert_id, count in times.items() if count > 1} <= marked, "a copy is always marked"


class Unreliable(FakeChannel):
    """Refuses three calls in ten; after one acceptance in twenty the process dies before it can record it."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.chance = chance

    def send(self, message):  # type: ignore[no-untyped-def]
        if self.chance.random() < 0.3:
            raise BUSY
        receipt = super().send(message)
        if self.chance.random() < 0.05:
            raise Died
        return receipt
