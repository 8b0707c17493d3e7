"""The jobs `alerts` and `deliver` on an outbox in memory: what people type and what they are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobs import _alerting, alerts, deliver, fast_lane
from lakehouse.alerts.routing import QUIET, Route
from lakehouse.clock import system_clock, to_ms
from serving.delivery.outbox import Outbox, Terms
from serving.delivery.store import Change
from tests.alert_doubles import FakeStore, an_alert

CONF = """\
version: 1
users:
  - {name: me, channels: [{kind: terminal}]}
  - {name: you, channels: [{kind: terminal}]}
rules: [{name: jump, kind: price_jump, scope: {watchlist: true}, percent: 2, seconds: 10}]
"""
ID = an_alert(1).alert_id


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    """An outbox with one alert that is due and one that waits; conf names two users."""
    made = FakeStore()
    outbox = Outbox(made, Terms(), owner="test", random=lambda: 0.5)
    now = to_ms(system_clock())
    outbox.put(an_alert(1), [Route("me", "terminal", now)])
    outbox.put(an_alert(2), [Route("you", "terminal", now + 3_600_000, QUIET)])
    for job in (alerts, deliver):
        monkeypatch.setattr(job, "outbox_of", lambda _: outbox)
    (tmp_path / "alerts.yaml").write_text(CONF)
    monkeypatch.setenv("TICKHOUSE__ALERTS__RULES", str(tmp_path / "alerts.yaml"))
    return made


def test_deliver_empties_the_outbox_but_for_what_was_put_off(
    store: FakeStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deliver.main(["--drain"]) == 0

    said = capsys.readouterr().out
    assert f"id {ID}]" in said
    assert "1 deliveries taken up" in said
    assert sorted(str(item["status"]) for item in store.scan() if "status" in item) == ["pending", "sent"]


def test_list_shows_alerts_the_newest_first(store: FakeStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert alerts.main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["alert"]["subject"] for one in found] == ["A2", "A1"]

    assert alerts.main(["list"]) == 0
    assert "2 alerts, 0 deliveries that may have come twice" in capsys.readouterr().out
    assert alerts.main(["list", "--dead", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_ack_and_retry_take_an_id(store: FakeStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert alerts.main(["ack", an_alert(2).alert_id, "--user", "you"]) == 0
    assert "is acknowledged by you; 1 waiting deliveries were dropped" in capsys.readouterr().out

    store.apply([Change((ID, "to#me/terminal"), put={"status": "dead", "queue": "dead"})])
    assert alerts.main(["retry", ID]) == 0
    assert "1 dead deliveries will be tried again" in capsys.readouterr().out


def test_snooze_takes_a_rule_and_hours(store: FakeStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert alerts.main(["snooze", "jump", "--hours", "2"]) == 0

    assert "jump (*) is snoozed for me until" in capsys.readouterr().out
    (item,) = store.partition("snooze#me")
    assert int(item["until_ms"]) == pytest.approx(to_ms(system_clock()) + 7_200_000, abs=60_000)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["ack"], "alerts ack: expected the id of an alert behind it, found nothing. Nothing was done."),
        (["ack", "nothing"], "there is no alert 'nothing' in the outbox"),
        (["ack", ID, "--user", "they"], "--user: expected one of me, you, found 'they'. Nothing was changed."),
        (["snooze", "leap"], "there is no rule 'leap'. Nothing was done. Rules of the file: jump."),
        (["test", "jump"], "expected --from DATE"),
        (["test", "leap", "--from", "2024-03-07"], "there is no rule 'leap'"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    store: FakeStore, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    assert alerts.main(words) == 1

    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1


def test_the_fast_lane_needs_a_rule_it_can_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.yaml"
    path.write_text(CONF.partition("rules:")[0])

    assert fast_lane.main(["--set", f"alerts.rules={path}"]) == 1
    assert "expected at least one rule of kind price_jump" in capsys.readouterr().err


def test_an_alert_is_published_to_everybody_it_concerns_once(
    store: FakeStore, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    settings = alerts.cli.settings_of(alerts.cli.parser("").parse_args([]))
    outbox = Outbox(store, Terms(), owner="test", random=lambda: 0.5)
    publish = _alerting.publisher(outbox, _alerting.read_conf(settings))

    assert [publish(an_alert(3)), publish(an_alert(3))] == [True, False]
    assert [str(item["sk"]) for item in store.partition(an_alert(3).alert_id)] == [
        "alert", "to#me/terminal", "to#you/terminal"
    ]  # fmt: skip
