"""The keys a table holds, kept in mind by five minutes of their instants; what is not in mind is read when needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import functions as F

from lakehouse.kernels.fingerprints import Points
from lakehouse.lake import Lake
from streaming.batches import BatchName, Longs, Span, as_instant, in_spans
from streaming.outline import Kind, Outline, key_fingerprints

BUCKET_US = 300_000_000
KEYS_IN_MIND = 8_000_000  # 16 bytes each
SPANS_AT_MOST = 48
RUNS_AT_MOST = 6
NOTHING_HELD = -(1 << 62)

Run = tuple[Longs, Longs]


class Seen:
    """Fingerprints of the keys of one table, as a refine query needs them: it is the only writer.

    A bucket in mind holds every key of its stretch of time that was written before the batch at hand, so a batch
    is checked against the table without reading it. Buckets beyond what the table held at first are known to be empty
    until this run writes into them. The least used are forgotten, and read again when they are wanted.
    """

    def __init__(self, kind: Kind, points: Points, *, at_most: int = KEYS_IN_MIND) -> None:
        self._kind, self._points, self._at_most = kind, points, at_most
        self._runs: OrderedDict[int, list[Run]] = OrderedDict()
        self._count = 0
        self._unknown_through: int | None = None

    def holds(self, lake: Lake, outline: Outline, name: BatchName) -> NDArray[np.bool_]:
        """Whether the table held the key of each row before this batch."""
        found = np.zeros(len(outline), bool)
        buckets, places = _by_bucket(outline["instant_us"])
        self._learn(lake, buckets, name)
        for bucket, at in zip(buckets, places, strict=True):
            for one, two in self._runs.get(bucket, ()):
                near = np.minimum(np.searchsorted(one, outline["one"][at]), len(one) - 1)
                found[at] |= (one[near] == outline["one"][at]) & (two[near] == outline["two"][at])
        return found

    def add(self, outline: Outline) -> None:
        """Keep in mind what this run has just written."""
        for bucket, at in zip(*_by_bucket(outline["instant_us"]), strict=True):
            self._keep(bucket, outline["one"][at], outline["two"][at])
        self._forget()

    def _learn(self, lake: Lake, buckets: list[int], name: BatchName) -> None:
        """Have all of these buckets in mind. `batch < this` keeps the answer the same when a batch is repeated."""
        for bucket in buckets:
            if bucket in self._runs:
                self._runs.move_to_end(bucket)
        missing = [bucket for bucket in buckets if bucket not in self._runs]
        if not missing:
            return
        table = lake.read(self._kind.table).where(f"batch < {name.number}")
        if self._unknown_through is None:
            newest = table.agg(F.max(F.unix_micros(self._kind.instant))).collect()[0][0]
            self._unknown_through = NOTHING_HELD if newest is None else newest // BUCKET_US
        wanted = [bucket for bucket in missing if bucket <= self._unknown_through]
        if not wanted:
            return
        for bucket in wanted:
            self._runs[bucket] = []
        columns = {self._kind.instant, self._kind.number, self._kind.text}
        rows = table.where(in_spans(self._kind.instant, _spans(wanted))).select(*columns).toArrow()
        halves, instants = key_fingerprints(rows, self._kind, self._points), rows[self._kind.instant].cast(pa.int64())
        for bucket, at in zip(*_by_bucket(instants.to_numpy()), strict=True):
            if bucket in wanted:
                self._keep(bucket, halves[0, at], halves[1, at])

    def _keep(self, bucket: int, one: Longs, two: Longs) -> None:
        runs = self._runs.setdefault(bucket, [])
        runs.append(_sorted(one, two))
        self._count += len(one)
        if len(runs) > RUNS_AT_MOST:
            runs[:] = [_sorted(*(np.concatenate([run[half] for run in runs]) for half in (0, 1)))]

    def _forget(self) -> None:
        while self._count > self._at_most and len(self._runs) > 1:
            bucket, runs = self._runs.popitem(last=False)
            self._count -= sum(len(one) for one, _ in runs)
            self._unknown_through = bucket if self._unknown_through is None else max(self._unknown_through, bucket)


def _sorted(one: Longs, two: Longs) -> Run:
    order = np.lexsort((two, one))
    return one[order], two[order]


def _by_bucket(instants_us: Longs) -> tuple[list[int], list[Longs]]:
    """The stretches of time the instants lie in, and which lie in each."""
    found = instants_us // BUCKET_US
    order = np.argsort(found, kind="stable")
    buckets, begins = np.unique(found[order], return_index=True)
    return buckets.tolist(), np.split(order, begins[1:]) if len(buckets) else []


def _spans(buckets: Iterable[int]) -> tuple[Span, ...]:
    """The stretches of time these buckets cover, neighbours together; one in all where there are very many."""
    edges: list[list[int]] = []
    for bucket in sorted(buckets):
        if edges and edges[-1][1] == bucket:
            edges[-1][1] = bucket + 1
        else:
            edges.append([bucket, bucket + 1])
    if len(edges) > SPANS_AT_MOST:
        edges = [[edges[0][0], edges[-1][1]]]
    return tuple((as_instant(since * BUCKET_US), as_instant(until * BUCKET_US - 1)) for since, until in edges)
