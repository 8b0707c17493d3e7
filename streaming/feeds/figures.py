"""A collector's figures for CloudWatch: what was counted since the last time, and how much waits."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

LOGGER = logging.getLogger("tickhouse.metrics")


class FeedFigures:
    """Sends totals as differences, levels as they are. What cannot be sent is logged and let go."""

    def __init__(self, client: Any, namespace: str, feed: str) -> None:
        self._client, self._namespace, self._feed = client, namespace, feed
        self._before: dict[str, int] = {}

    def send(self, at: datetime, totals: Mapping[str, int], levels: Mapping[str, int]) -> None:
        """One call with everything."""
        fresh = {name: value - self._before.get(name, 0) for name, value in totals.items()}
        data = [self._datum(name, value, at) for name, value in {**fresh, **levels}.items()]
        try:
            self._client.put_metric_data(Namespace=self._namespace, MetricData=data)
            self._before = dict(totals)
        except (BotoCoreError, ClientError) as error:
            LOGGER.warning("%d figures could not be sent to CloudWatch (%s).", len(data), error)

    def _datum(self, name: str, value: int, at: datetime) -> dict[str, Any]:
        unit = "Bytes" if name.endswith("bytes") else "Count"
        dimensions = [{"Name": "feed", "Value": self._feed}]
        return {"MetricName": f"feed_{name}", "Dimensions": dimensions, "Timestamp": at, "Value": value, "Unit": unit}
