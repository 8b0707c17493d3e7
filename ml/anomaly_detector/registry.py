"""Detectors in MLflow: a run for each training, a registered model for each interval, the aliases champion, challenger.

MLflow is imported where it is used: it takes seconds. An address that does not answer is given up after one try, where
MLflow itself would wait four minutes.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.anomalies.rules import WINDOWS
from lakehouse.settings import MlflowSettings
from ml.anomaly_detector.features import FEATURES
from ml.anomaly_detector.flags import LearnedDetectors
from ml.anomaly_detector.model import Detector, ModelError
from ml.anomaly_detector.tails import Tails

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER = "champion", "challenger"
EXPERIMENT = "anomaly-detector"
ABOUT = "detector.json"
KIND = "tails"
NUMBERS = ("begins", "share", "thins")
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Report:
    """What is kept of a training beside the model."""

    params: Mapping[str, object]
    metrics: Mapping[str, float]
    card: str


def model_name(interval: str) -> str:
    """The registered model of an interval."""
    return f"{EXPERIMENT}-{interval}"


def client_of(settings: MlflowSettings) -> MlflowClient:
    """A client of the tracking server; an sqlite file and its folder are made where they are not there."""
    for name, value in IMPATIENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    if settings.tracking_uri.startswith(SQLITE):
        Path(settings.tracking_uri.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=settings.tracking_uri, registry_uri=settings.tracking_uri)


def register(client: MlflowClient, settings: MlflowSettings, detector: Detector, report: Report) -> Detector:
    """Log a run with model, figures and card, and register the model as the next version; it has no alias yet."""
    run_id = client.create_run(_experiment(client, settings)).info.run_id
    for name, value in report.params.items():
        client.log_param(run_id, name, value)
    for name, number in report.metrics.items():
        if number == number:  # NaN: nothing was planted of that kind
            client.log_metric(run_id, name, number)
    client.log_text(run_id, report.card, "model_card.md")
    with tempfile.TemporaryDirectory() as folder:
        _save(detector, Path(folder) / "model")
        client.log_artifacts(run_id, str(Path(folder) / "model"), "model")
    name = model_name(detector.interval)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    made = client.create_model_version(name, source=source, run_id=run_id)
    client.set_terminated(run_id)
    return Detector(detector.interval, detector.tails, detector.threshold, f"{name}/{made.version}")


def give_alias(client: MlflowClient, detector: Detector, alias: str) -> None:
    """Let an alias name this version, and no other."""
    name, number = detector.name.rsplit("/", 1)
    client.set_registered_model_alias(name, alias, number)


def load(settings: MlflowSettings, interval: str, *, alias: str = CHAMPION) -> Detector:
    """The detector an alias names; refused where there is none, or where it is of another kind."""
    client = client_of(settings)
    found = _version(client, settings, interval, alias)
    if found is None:
        raise ModelError(
            f"{model_name(interval)}: no version carries the alias {alias} at {settings.tracking_uri}. Nothing was "
            f"scored. Train one with `tickhouse train-detector`."
        )
    from mlflow.artifacts import download_artifacts

    with tempfile.TemporaryDirectory() as folder:
        path = download_artifacts(artifact_uri=found.source, dst_path=folder, tracking_uri=settings.tracking_uri)
        about = json.loads((Path(path) / ABOUT).read_text(encoding="utf-8"))
        return detector_of(f"{found.name}/{found.version}", about)


def champions(settings: MlflowSettings) -> LearnedDetectors:
    """The champion of each interval that has one; refused where none has."""
    client = client_of(settings)
    known = [interval for interval in WINDOWS if has_alias(client, settings, interval)]
    if not known:
        raise ModelError(
            f"{EXPERIMENT}: no interval has a {CHAMPION} at {settings.tracking_uri}. Nothing was scored. Train one "
            f"with `tickhouse train-detector`; one that finds no more than its naive rival stays a {CHALLENGER}."
        )
    return LearnedDetectors({interval: load(settings, interval) for interval in known})


def has_alias(client: MlflowClient, settings: MlflowSettings, interval: str, alias: str = CHAMPION) -> bool:
    """Whether a version carries an alias."""
    return _version(client, settings, interval, alias) is not None


def require_known(name: str, about: Mapping[str, Any]) -> None:
    """Refuse a model of another kind or of other features: its numbers would mean something else."""
    if about.get("kind") != KIND or about.get("features") != list(FEATURES):
        raise ModelError(
            f"{name}: it is of the kind {about.get('kind')!r} over the features {about.get('features')}, this code "
            f"reads {KIND!r} over {list(FEATURES)}. It was not loaded, nothing was scored. Train it anew with "
            f"`tickhouse train-detector`."
        )


def detector_of(name: str, about: Mapping[str, Any]) -> Detector:
    """A stored detector, or a refusal."""
    require_known(name, about)
    try:
        tails = Tails(*(np.array(about[one], np.float64) for one in NUMBERS))
        threshold = float(about["threshold"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(name, str(error)) from error
    shapes = {one.shape for one in (tails.begins, tails.share, tails.thins)}
    is_sound = all(np.isfinite(one).all() for one in (tails.begins, tails.share, tails.thins, threshold))
    if shapes != {(len(FEATURES),)} or not is_sound or not ((tails.share > 0) & (tails.thins > 0)).all():
        raise _damaged(name, "numbers that are missing, not finite or not above 0")
    return Detector(str(about["interval"]), tails, threshold, name)


def _damaged(name: str, found: str) -> ModelError:
    return ModelError(
        f"{name}: expected {ABOUT} with {', '.join(NUMBERS)} of {len(FEATURES)} features and a threshold, found: "
        f"{found}. The file is damaged or not ours. Nothing was scored. Train it anew with `tickhouse train-detector`."
    )


def _save(detector: Detector, folder: Path) -> None:
    numbers = {one: getattr(detector.tails, one).tolist() for one in NUMBERS}
    about = {
        "kind": KIND, "interval": detector.interval, "threshold": detector.threshold, "features": list(FEATURES),
        **numbers,
    }  # fmt: skip
    folder.mkdir()
    (folder / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")


def _experiment(client: MlflowClient, settings: MlflowSettings) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    return found.experiment_id if found else str(client.create_experiment(EXPERIMENT, settings.artifact_location))


def _version(client: MlflowClient, settings: MlflowSettings, interval: str, alias: str) -> ModelVersion | None:
    """The version an alias names, None where it names none; a server that cannot be asked is an error."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(model_name(interval), alias)
    except MlflowException as error:
        if error.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"):
            return None
        raise ModelError(
            f"{model_name(interval)}: {settings.tracking_uri} could not be asked: {error}. Nothing was scored. Start "
            f"it, or set mlflow.tracking_uri."
        ) from error
