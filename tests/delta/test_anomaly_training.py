"""The learned detector on a lake: trained, registered, loaded by its alias, and applied to a date."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jobs import train_detector
from jobs.train_detector import Order
from lakehouse.anomalies.build import build_day, days_with_bars, judged_bars
from lakehouse.anomalies.rules import AnomalyRules, Bars
from lakehouse.lake import Lake
from lakehouse.settings import MlflowSettings, Settings
from lakehouse.tables.gold import ANOMALIES, BARS
from ml.anomaly_detector import registry, train
from ml.anomaly_detector.examples import examples, plan_of
from ml.anomaly_detector.flags import LearnedDetectors
from ml.anomaly_detector.model import ModelError, scorer
from tests.delta.test_anomalies_build import LAST, NAMES, arrays, markets  # noqa: F401 - a fixture

SAMPLE = 5_000


@pytest.fixture
def tracked(settings: Settings, tmp_path: Path) -> Settings:
    """Settings whose MLflow lies in the test's own folder."""
    mlflow = MlflowSettings(tracking_uri=f"sqlite:///{tmp_path}/ml/mlflow.db", artifacts=str(tmp_path / "artifacts"))
    return settings.model_copy(update={"mlflow": mlflow})


def trained(lake: Lake, settings: Settings, seed: int) -> dict[str, object]:
    return train_detector.train_interval(lake, settings, "1m", Order(sample=SAMPLE, seed=seed))


@pytest.mark.itest
def test_a_detector_is_trained_registered_loaded_by_alias_and_flags_a_date(
    lake: Lake,
    tracked: Settings,
    markets: dict[str, Bars],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(train_detector, "read_sessions", lambda *_: arrays())
    monkeypatch.setattr(train, "naive_scores", lambda rows: np.zeros(len(rows)))  # a rival that is easy to beat

    first, second = trained(lake, tracked, 1), trained(lake, tracked, 1)

    assert (first["model"], first["alias"]) == ("anomaly-detector-1m/1", "champion")
    assert (second["model"], second["alias"]) == ("anomaly-detector-1m/2", "challenger")
    assert first["metrics"] == second["metrics"]
    champions = registry.champions(tracked.mlflow)
    assert {one: made.name for one, made in champions.by_interval.items()} == {"1m": "anomaly-detector-1m/1"}
    challenger = registry.load(tracked.mlflow, "1m", alias="challenger")
    rows = examples_in(lake, 1)
    assert scorer(challenger)(rows).tolist() == scorer(champions.by_interval["1m"])(rows).tolist()

    run = run_of(tracked, "1")
    assert run.data.params["version of gold.bars"] == str(lake.version(BARS))
    assert run.data.params["features"].startswith("move, residual, jump")
    assert run.data.metrics["recall"] == pytest.approx(first["metrics"]["recall"])  # type: ignore[index]

    eager = LearnedDetectors({"1m": replace(champions.by_interval["1m"], threshold=0.0)})  # flags all that is unusual
    build_day(lake, LAST, days_with_bars(lake), arrays(), AnomalyRules(), tasks=1, scorer=eager)
    flags = [row for row in lake.read(ANOMALIES).where("kind = 'learned'").collect() if row["instrument_id"] == "I-A"]
    assert any(json.loads(row["evidence"])["model"] == "anomaly-detector-1m/1" for row in flags)
    assert {row["session_date"] for row in flags} == {LAST}


def run_of(settings: Settings, version: str):  # type: ignore[no-untyped-def]
    client = registry.client_of(settings.mlflow)
    return client.get_run(client.get_model_version("anomaly-detector-1m", version).run_id)


def examples_in(lake: Lake, seed: int, *, parts: int = 1) -> pd.DataFrame:
    plan = plan_of(lake, days_with_bars(lake), arrays(), validation_share=0.3, sample=500, seed=seed)
    return examples(judged_bars(lake).repartition(parts, "bar_start"), plan, "1m", tasks=parts)


@pytest.mark.itest
def test_a_sample_is_the_same_however_spark_splits_the_work(lake: Lake, markets: dict[str, Bars]) -> None:  # noqa: F811
    one, three = examples_in(lake, 1), examples_in(lake, 1, parts=3)

    pd.testing.assert_frame_equal(one, three)
    real = one[one["planted"] == ""]
    assert real.groupby("is_later").size().to_dict() == {False: 500, True: 500}
    assert set(one["instrument_id"]) == set(NAMES)
    assert not one["draw"].equals(examples_in(lake, 2)["draw"])


def test_without_a_champion_nothing_is_scored(tracked: Settings) -> None:
    with pytest.raises(ModelError, match="no interval has a champion at sqlite.*train-detector"):
        registry.champions(tracked.mlflow)


def test_too_few_dates_are_refused_before_anything_is_registered(
    lake: Lake,
    tracked: Settings,
    markets: dict[str, Bars],  # noqa: F811
) -> None:
    since = LAST - timedelta(days=1)

    with pytest.raises(ModelError, match="expected 3 exchange dates with bars or more .* found 2"):
        train_detector.train_interval(lake, tracked, "1m", Order(since, LAST))

    assert not Path(tracked.mlflow.tracking_uri.removeprefix("sqlite:///")).exists()
