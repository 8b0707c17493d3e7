"""What batch and stream share of the learned detectors."""

from __future__ import annotations

from lakehouse.anomalies.build import Scorer
from lakehouse.settings import Settings


def learned_detectors(settings: Settings) -> Scorer:
    """The champions of the registry; MLflow is only loaded where somebody asks for them."""
    from ml.anomaly_detector.registry import champions

    return champions(settings.mlflow)
