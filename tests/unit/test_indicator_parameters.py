"""Parameters as data: the shipped file, and a clear line for every mistake in another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.errors import SettingsError
from lakehouse.indicators.parameters import load_indicators
from lakehouse.indicators.warmth import needed_bars
from lakehouse.reference.watchlist import load_watchlist
from lakehouse.settings import CONF, Settings


def changed(tmp_path: Path, *change: tuple[tuple[str, ...], Any]) -> Path:
    contents = yaml.safe_load((CONF / "indicators.yaml").read_text(encoding="utf-8"))
    for (*place, name), value in change:
        inner = contents
        for part in place:
            inner = inner[part]
        inner[name] = value
    path = tmp_path / "indicators.yaml"
    path.write_text(yaml.safe_dump(contents))
    return path


def test_the_shipped_file_is_valid_and_its_watchlists_are_there() -> None:
    file = load_indicators(CONF / Settings().reference.indicators)

    assert {len(load_watchlist(CONF / name).tickers) > 0 for name in file.watchlists} == {True}
    assert file.label("standard") == "standard@1"
    assert max(one.sma.long for one in file.sets.values()) <= needed_bars(file.sets["standard"]) < 1000


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("sets", "standard", "sma", "fast"), 20, "sets.standard.sma: expected fast < medium < slow < long"),
        (("sets", "standard", "ema", "slow"), 12, "sets.standard.ema: expected fast < slow"),
        (("sets", "standard", "macd", "fast"), 30, "sets.standard.macd: expected fast < slow"),
        (("sets", "standard", "rsi", "period"), 1, "sets.standard.rsi.period: Input should be greater than or equal"),
        (("sets", "standard", "bollinger", "deviations"), float("nan"), "sets.standard.bollinger.deviations"),
        (("sets", "standard", "signals", "rsi_overbought", "reset"), 70, "expected trip > reset"),
        (("sets", "standard", "signals", "rsi_oversold", "reset"), 20, "expected trip < reset"),
        (("sets", "standard", "typo"), 1, "sets.standard.typo: Extra inputs"),
        (("default",), "other", "expected sets among ['standard'], found ['other']"),
        (("watchlists", "other.yaml"), "other", "expected sets among ['standard'], found ['other']"),
        (("intervals",), ["2m"], "expected intervals among"),
    ],
)
def test_a_mistake_names_file_place_and_what_was_expected(
    tmp_path: Path, place: tuple[str, ...], value: object, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_indicators(changed(tmp_path, (place, value)))

    assert said in str(caught.value)
    assert "indicators.yaml: " in str(caught.value) and "Nothing was loaded" in str(caught.value)
