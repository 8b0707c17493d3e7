"""The life of an alert: any cut into batches and any replay gives the same alerts, and none fires twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.alerts.lifecycle import Alert, Change, Machine, State, new_machine, step
from lakehouse.alerts.observations import Observation
from lakehouse.alerts.rules import FilingArrival, Levels, PositionLoss, PriceJump, Rule, Scope

LOSS = PositionLoss(name="loss", kind="position_loss", scope=Scope(portfolios=("p",)), percent=10, cool_down_seconds=5)
JUMP = PriceJump(
    name="jump", kind="price_jump", scope=Scope(symbols=("A",)), percent=10, seconds=1, cool_down_seconds=5
)
FILED = FilingArrival(name="filed", kind="filing_arrival", scope=Scope(symbols=("A",)))
FIRE, REARM, COOL_MS = 10.0, 5.0, 5000


def saw(at_ms: int, value: float, session: str = "2024-03-07", subject: str = "A") -> Observation:
    return Observation(subject, "", session, at_ms, at_ms, value)


def filed(event: str, at_ms: int = 0, session: str = "2024-03-07") -> Observation:
    return Observation("A", "", session, at_ms, at_ms, 1.0, event=event)


def fold(
    seen: Iterable[Observation], rule: Rule = LOSS, machine: Machine | None = None
) -> tuple[list[Alert], list[Change], Machine]:
    levels = rule.levels
    machine = machine or new_machine(levels)
    alerts, changes = [], []
    for one in seen:
        after = step(machine, one, rule, levels)
        machine = after.machine
        alerts += [after.alert] if after.alert else []
        changes += after.changes
    return alerts, changes, machine


def fired_at(seen: Iterable[Observation], rule: Rule = LOSS) -> list[int]:
    return [alert.fired_ms for alert in fold(seen, rule)[0]]


def states(seen: Iterable[Observation], rule: Rule = LOSS) -> list[tuple[str, int]]:
    return [(change.state.value, change.at_ms) for change in fold(seen, rule)[1]]


def plain_oracle(seen: Sequence[Observation]) -> list[int]:
    """When LOSS fires, told by looking back over the whole series at each observation, without any state."""
    kept: list[Observation] = []
    for one in seen:
        if not kept or one.order > kept[-1].order:
            kept.append(one)
    fires: list[int] = []
    for place, one in enumerate(kept):
        if one.value < FIRE:
            continue
        if fires:
            since = [two for two in kept[: place + 1] if two.at_ms > fires[-1]]
            if one.at_ms < fires[-1] + COOL_MS or not any(two.value <= REARM for two in since):
                continue
        fires.append(one.at_ms)
    return fires


series = st.lists(
    st.tuples(st.integers(0, 40_000), st.sampled_from([0.0, 4.9, 5.0, 5.1, 7.5, 9.9, 10.0, 30.0])), max_size=60
).map(lambda found: [saw(at, value) for at, value in found])
in_order = series.map(lambda seen: sorted(seen, key=lambda one: one.at_ms))


def test_it_fires_at_the_level_and_not_below() -> None:
    assert fired_at([saw(1, 9.99), saw(2, 10.0), saw(3, 11.0)]) == [2]


def test_it_re_arms_only_at_the_re_arm_level_and_after_the_cool_down() -> None:
    seen = [saw(0, 10), saw(1000, 5.1), saw(9000, 10), saw(9001, 5.0), saw(9002, 10)]

    assert fired_at(seen) == [0, 9002]
    assert states(seen) == [("fired", 0), ("rearmed", 9001), ("fired", 9002)]


def test_what_came_back_and_went_off_again_while_cooling_fires_when_the_cool_down_is_over() -> None:
    seen = [saw(0, 10), saw(1000, 0), saw(2000, 30), saw(4999, 30), saw(5000, 30), saw(6000, 30)]

    assert fired_at(seen) == [0, 5000]
    assert states(seen) == [("fired", 0), ("cooling", 1000), ("rearmed", 5000), ("fired", 5000)]


def test_an_observation_that_is_not_newer_is_not_judged() -> None:
    assert fired_at([saw(5, 0), saw(5, 30), saw(4, 30)]) == []


def test_an_alert_of_a_session_rule_expires_with_its_session_and_the_next_one_starts_armed() -> None:
    seen = [saw(0, 10, "2024-03-07/regular"), saw(100, 10, "2024-03-08/regular")]

    assert states(seen, JUMP) == [("fired", 0), ("expired", 100), ("fired", 100)]


def test_an_alert_of_a_lasting_rule_does_not_fire_again_in_the_next_session() -> None:
    assert fired_at([saw(0, 10, "2024-03-07"), saw(90_000_000, 12, "2024-03-08")]) == [0]


def test_a_rule_is_over_after_its_last_day() -> None:
    until = LOSS.model_copy(update={"until": date(2024, 3, 7)})
    seen = [saw(0, 10), saw(10_000, 0, "2024-03-08"), saw(20_000, 10, "2024-03-08")]

    assert fired_at(seen, until) == [0]
    assert states(seen, until) == [("fired", 0), ("expired", 10_000)]


def test_a_crossing_rule_waits_for_the_near_side_first() -> None:
    levels = Levels(10, 5, 1000, must_cross=True)
    machine, found = new_machine(levels), []
    for one in [saw(0, 30), saw(1, 7), saw(2, 30), saw(3, 5), saw(4, 10)]:
        after = step(machine, one, LOSS, levels)
        machine = after.machine
        found += [one.at_ms] if after.alert else []

    assert found == [4]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_neither_fires_nor_re_arms(value: float) -> None:
    assert fired_at([saw(0, 0), saw(1, value), saw(2, 10)]) == [2]


def test_every_event_is_told_once_whatever_order_events_come_in() -> None:
    alerts, _, _ = fold([filed("b", 5), filed("a", 3), filed("b", 5), filed("c", 5)], FILED)

    assert [alert.crossing for alert in alerts] == ["b", "a", "c"]


def test_the_id_names_rule_version_subject_side_session_and_crossing() -> None:
    base = fold([saw(7, 10)])[0][0].alert_id
    others = [
        fold([saw(7, 10)], LOSS.model_copy(update={"name": "other"})),
        fold([saw(7, 10)], LOSS.model_copy(update={"version": 2})),
        fold([saw(7, 10, subject="B")]),
        fold([saw(7, 10)._replace(side="up")]),
        fold([saw(7, 10, "2024-03-08")]),
        fold([saw(8, 10)]),
    ]

    ids = {base, *(found[0][0].alert_id for found in others)}
    assert len(ids) == 7
    assert fold([saw(7, 12)])[0][0].alert_id == base, "the value is no part of it"


@given(series)
def test_the_fold_agrees_with_an_oracle_that_keeps_no_state(seen: list[Observation]) -> None:
    assert fired_at(seen) == plain_oracle(seen)


@given(series, st.data())
def test_any_cut_into_batches_gives_the_same_alerts(seen: list[Observation], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(seen)), max_size=5)))
    machine, alerts = None, []
    for first, last in zip([0, *cuts], [*cuts, len(seen)], strict=True):
        found, _, machine = fold(seen[first:last], machine=machine)
        alerts += found

    assert alerts == fold(seen)[0]


@given(in_order, st.data())
def test_a_replay_from_anywhere_fires_nothing_new(seen: list[Observation], data: st.DataObject) -> None:
    alerts, _, machine = fold(seen)
    again_from = data.draw(st.integers(0, len(seen)))

    repeated, _, _ = fold(seen[again_from:], machine=machine)
    anew, _, _ = fold([*seen, *seen[again_from:]])

    assert repeated == []
    assert anew == alerts


@given(in_order)
def test_no_id_occurs_twice_and_fires_are_a_cool_down_apart(seen: list[Observation]) -> None:
    alerts, _, _ = fold(seen)

    assert len({alert.alert_id for alert in alerts}) == len(alerts)
    times = [alert.fired_ms for alert in alerts]
    assert all(later - earlier >= COOL_MS for earlier, later in pairwise(times))


@given(in_order)
def test_every_alert_fires_once_and_ends_at_most_once(seen: list[Observation]) -> None:
    _, changes, _ = fold(seen, JUMP)
    by_id: dict[str, list[State]] = {}
    for change in changes:
        by_id.setdefault(change.alert_id, []).append(change.state)

    allowed = [
        [State.FIRED], [State.FIRED, State.COOLING], [State.FIRED, State.REARMED],
        [State.FIRED, State.COOLING, State.REARMED], [State.FIRED, State.EXPIRED],
        [State.FIRED, State.COOLING, State.EXPIRED],
    ]  # fmt: skip
    assert all(states in allowed for states in by_id.values())


def test_an_alert_survives_its_way_through_json() -> None:
    alert = fold([saw(7, 10)])[0][0]

    assert Alert.from_json(alert.to_json()) == alert
