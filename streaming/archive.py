"""The raw feed as files for people and crawlers: `<archive>/date=YYYY-MM-DD/symbol=TICKER/part-000000042.jsonl.gz`.

Streams from bronze with a checkpoint of its own. A batch is first written aside, then its files are moved to names that
follow from the batch number: a batch that is repeated after a crash overwrites its own files, so every record is there
once. Bronze stays the source of truth; the archive can be deleted and made again.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from lakehouse.crashpoints import crashpoint
from lakehouse.errors import CheckpointError
from lakehouse.files import Files
from lakehouse.lake import Lake
from lakehouse.reference.calendar import exchange_zone
from lakehouse.settings import Settings
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.workers import in_arrow
from streaming.archive_lines import LINE_DDL, archive_lines

IDENTITY = "_tickhouse.json"
ASIDE = "_aside"
MOVES_AT_ONCE = 8
Report = Callable[[int, int, int], None]


def start_archive(lake: Lake, settings: Settings, report: Report) -> StreamingQuery:
    """Archive every record of bronze that is not archived yet, then end. `report` hears batch, records and files."""
    archive, checkpoint = settings.paths.archive.rstrip("/"), settings.checkpoint("archive_raw")
    require_own_checkpoint(lake.files, archive, checkpoint)
    reader = lake.spark.readStream.format("delta")
    records = reader.option("maxBytesPerTrigger", settings.stream.max_bytes_per_trigger).load(lake.path(MARKET_EVENTS))
    to_lines = partial(
        archive_lines,
        zone=exchange_zone(settings.reference.exchange),
        max_bytes=settings.stream.max_payload_bytes,
    )

    def write(batch: DataFrame, batch_id: int) -> None:
        lines = in_arrow(batch.select("arrived_at", "shard", "sequence", "payload"), to_lines, LINE_DDL)
        report(batch_id, *archive_batch(lake.files, archive, lines, batch_id))

    named = records.writeStream.queryName("archive_raw").option("checkpointLocation", checkpoint)
    return named.trigger(availableNow=True).foreachBatch(write).start()


def archive_batch(files: Files, archive: str, lines: DataFrame, batch_id: int) -> tuple[int, int]:
    """Write one batch of lines; repeating it changes nothing. Returns records and files."""
    aside = f"{archive}/{ASIDE}"
    files.delete(aside)
    seen = Observation("archive")
    counted = lines.observe(seen, F.count(F.lit(1)).alias("records"))
    in_order = ("date", "symbol", "arrived_at", "shard", F.length("sequence"), "sequence")
    (
        counted.repartition("date", "symbol")
        .sortWithinPartitions(*in_order)
        .select("date", "symbol", "value")
        .write.partitionBy("date", "symbol")
        .option("compression", "gzip")
        .text(aside)
    )
    crashpoint("archive.before_publish")
    moved = publish(files, archive, batch_id)
    files.delete(aside)
    return int(seen.get["records"]), moved


def publish(files: Files, archive: str, batch_id: int) -> int:
    """Move the files of a batch to their places, each whole or not at all; returns how many."""
    moves = planned_moves(files, archive, batch_id)
    if moves:
        files.rename(*moves[0])
        crashpoint("archive.mid_publish")
    with ThreadPoolExecutor(MOVES_AT_ONCE) as pool:
        list(pool.map(lambda move: files.rename(*move), moves[1:]))
    return len(moves)


def planned_moves(files: Files, archive: str, batch_id: int) -> list[tuple[str, str]]:
    """From where to where: file n of a folder becomes part-BATCH, or part-BATCH-n where there are more than one."""
    aside, moves = f"{archive}/{ASIDE}", []
    for day in _folders(files, aside, "date="):
        for symbol in _folders(files, f"{aside}/{day}", "symbol="):
            names = [name for name in files.names(f"{aside}/{day}/{symbol}") if name.startswith("part-")]
            for number, name in enumerate(names):
                part = f"part-{batch_id:09d}{f'-{number}' if number else ''}.jsonl.gz"
                moves.append((f"{aside}/{day}/{symbol}/{name}", f"{archive}/{day}/{symbol}/{part}"))
    return moves


def _folders(files: Files, folder: str, prefix: str) -> list[str]:
    return [name for name in files.names(folder) if name.startswith(prefix)]


def require_own_checkpoint(files: Files, archive: str, checkpoint: str) -> None:
    """Archive and checkpoint carry the same mark, or both are new. Another checkpoint would number its files anew."""
    kept, found = (_mark(files, f"{folder.rstrip('/')}/{IDENTITY}") for folder in (archive, checkpoint))
    is_empty = kept is None and not _folders(files, archive, "date=")
    is_fresh = is_empty and not files.names(f"{checkpoint.rstrip('/')}/commits")
    is_ours = kept is not None and kept == found
    if not (is_fresh or is_ours):
        raise CheckpointError(
            f"{checkpoint}: the checkpoint of 'archive_raw' is lost or foreign: {archive} was written under {kept}, "
            f"the checkpoint says {found}. Nothing was read or written. Point paths.checkpoints and paths.archive at "
            f"folders that belong together; or make the archive anew from bronze: `tickhouse archive-raw --rebuild`."
        )
    if kept is None:
        text = json.dumps({"id": found or uuid.uuid4().hex})
        for folder in (checkpoint, archive):
            files.replace_text(f"{folder.rstrip('/')}/{IDENTITY}", text)


def _mark(files: Files, path: str) -> str | None:
    return str(json.loads(files.read_text(path))["id"]) if files.exists(path) else None


def forget(files: Files, archive: str, checkpoint: str) -> None:
    """Delete what the archive holds, and its checkpoint, so that the next run makes it anew from bronze."""
    root = archive.rstrip("/")
    for name in (*_folders(files, root, "date="), ASIDE, IDENTITY):
        files.delete(f"{root}/{name}")
    files.delete(checkpoint)
