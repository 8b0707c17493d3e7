"""The certificate: it holds on real tapes and on random ones, and a wrong indicator does not pass it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from jobs import indicators as job
from lakehouse.indicators import certify as certifying
from lakehouse.indicators.certify import certify
from lakehouse.indicators.compute import NO_SPLITS, Indicators, indicators_of
from lakehouse.indicators.parity_page import parity_page
from lakehouse.indicators.series import Series, Splits
from lakehouse.indicators.tapes import Tape, read_tapes
from tests.unit.walks import STANDARD, walk


def tape(series: Series, splits: Splits = NO_SPLITS) -> Tape:
    return Tape("X 1m", "1m", series, splits, NO_SPLITS)


def vendors(series: Series) -> Series:
    nothing = np.zeros(len(series.close))
    return replace(series, trades=np.full(len(series.close), np.nan), notional=nothing, vwap_volume=nothing)


def test_random_tapes_hold_and_the_page_says_so() -> None:
    split = Splits.of([(19_003, 7.0)])
    found = certify([tape(vendors(walk(1, 3000))), tape(vendors(walk(2, 3000, still=0.4)), split)], STANDARD)

    page = parity_page(found, STANDARD, "standard@1", "0.8.2")

    assert found.failing == []
    assert "Every compared value agrees within 1e-09 relative" in page
    assert "| `trade_rate` | SUM | none on these tapes |" in page
    assert "6,000 bars with prices" in page


@pytest.mark.parametrize(
    ("name", "change"),
    [("rsi", 1e-5), ("sma_long", 1e-5), ("macd_histogram", 1e-5), ("obv", 1.0), ("bollinger_upper", 1e-6)],
)
def test_a_small_error_in_one_indicator_does_not_pass(
    name: str, change: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(series: Series, *given: object) -> Indicators:
        found = indicators_of(series, *given)  # type: ignore[arg-type]
        return replace(found, values={**found.values, name: found.values[name] + change})

    monkeypatch.setattr(certifying, "indicators_of", wrong)

    assert name in certify([tape(vendors(walk(3, 1500)))], STANDARD).failing


def test_a_value_called_warm_too_soon_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def eager(series: Series, *given: object) -> Indicators:
        found = indicators_of(series, *given)  # type: ignore[arg-type]
        return replace(found, warm=found.warm | 512 * np.isfinite(found.values["rsi"]).astype(np.int64))

    monkeypatch.setattr(certifying, "indicators_of", eager)

    assert certify([tape(vendors(walk(3, 1500)))], STANDARD).failing == ["rsi"]


@pytest.fixture(scope="module")
def lean(shared_data: Path) -> Path:
    return shared_data / "lean"


def test_the_real_tapes_hold(lean: Path) -> None:
    tapes = read_tapes(lean, "QQQ", datetime(2026, 1, 5, tzinfo=UTC))

    found = certify(tapes, STANDARD)

    assert {one.interval for one in tapes} == {"1d", "1m"}
    assert any(len(one.splits.days) for one in tapes)
    assert found.failing == []
    assert [name for name, one in found.parities.items() if not one.compared] == ["trade_rate"]


def test_the_job_writes_the_page_and_ends_with_0(
    lean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = job.main(["certify", "--folder", str(tmp_path), "--set", f"reference.lean_folder={lean}"])

    assert code == 0
    assert "largest relative error" in capsys.readouterr().out
    assert (tmp_path / job.PAGE).read_text(encoding="utf-8").startswith("# Parity of the indicators")


def test_without_tapes_the_job_says_what_to_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert job.main(["certify", "--folder", str(tmp_path)]) == 1
    assert "reference.lean_folder: expected the folder of the real tapes" in capsys.readouterr().err
