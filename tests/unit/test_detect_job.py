"""`tickhouse detect` as people type it: what it hands to the steps, and that its outbox's alerts are read back."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from jobs import _alerting, detect
from lakehouse.alerts.routing import Route
from lakehouse.settings import Settings
from lakehouse.thin_feeds import Trust
from serving.delivery.outbox import Outbox, Terms
from streaming.detect.watch import Watch
from tests.alert_doubles import FakeStore, an_alert


def test_the_flags_reach_the_steps_and_the_outbox_tells_what_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(FakeStore(), Terms(), owner="test", random=lambda: 0.5)
    outbox.put(an_alert(1), [Route("me", "terminal", 0)])
    given: dict[str, Any] = {}
    monkeypatch.setattr(detect, "outbox_of", lambda _: outbox)
    monkeypatch.setattr(detect, "spark_session", lambda *_, **__: nullcontext("spark"))
    monkeypatch.setattr(detect, "detect_until", lambda *_, **said: given.update(said))

    assert detect.main(["--drain", "--keep-open", "--json"]) == 0

    assert (given["drain"], given["keep_open"], given["allow_replay"]) == (True, True, False)
    assert list(given["told"]()) == list(_alerting.alerts_in(outbox)) == [an_alert(1)]


def test_of_what_fired_long_ago_nobody_is_told_and_the_log_says_of_how_much(caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch(_alerting.read_conf(Settings()), Trust(), lambda _: True, tell_ms=1000)
    fired_at = [an_alert(ms) for ms in (0, 499, 500, 1500)]

    assert watch.news(fired_at, 1500) == fired_at[2:]
    assert "2 alerts fired over" in caplog.text
    assert replace(watch, tell_ms=None).news(fired_at, 10**12) == fired_at
