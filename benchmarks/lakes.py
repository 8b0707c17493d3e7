"""Lakes to run in: every declared table, the market's reference rows, and its data, put in place without a copy."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from pathlib import Path

from benchmarks.data import ADDS, CACHE, bronze_files, reference_rows, silver_files
from benchmarks.hosts import Place
from benchmarks.market import Market
from lakehouse.lake import Lake
from lakehouse.settings import Paths, Settings
from lakehouse.tables import ALL_TABLES, Table
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.tables.silver import TRADES


def fresh_settings(place: Place, contender: str) -> Settings:
    """Settings with folders no run has used before; what an earlier run of this contender left is removed."""
    home = place.scratch / contender
    shutil.rmtree(home, ignore_errors=True)
    root = (home / uuid.uuid4().hex[:8]).absolute()
    root.mkdir(parents=True)
    return place.settings.model_copy(update={"paths": Paths(**{name: str(root / name) for name in Paths.model_fields})})


def fresh_lake(place: Place, contender: str, market: Market, *, silver: bool = False, commits: int = 1) -> Settings:
    """A lake with the market's bronze records, or its silver rows, in so many commits; all else is empty."""
    settings = fresh_settings(place, contender)
    root = Path(settings.paths.warehouse)
    shutil.copytree(template(place, market), root)
    table, files = (TRADES, silver_files(market)) if silver else (MARKET_EVENTS, bronze_files(market))
    put(files, root / table.layer.value / table.name, commits)
    return settings


def template(place: Place, market: Market) -> Path:
    """A lake with every declared table and the market's reference rows, made once for each declaration."""
    folder = template_folder(market)
    if not folder.exists():
        draft = folder.with_name(f"{folder.name}.draft-{uuid.uuid4().hex[:8]}")
        lake = Lake(place.spark, str(draft.absolute()))
        lake.create_all()
        for table, rows in reference_rows(market):
            lake.append(table, place.spark.createDataFrame(rows))
        draft.rename(folder)
    return folder


def template_folder(market: Market) -> Path:
    """Where the lake without prints lies, whether or not it has been made."""
    wanted = repr((ALL_TABLES, market.symbols, market.days, market.layout)).encode()
    return CACHE / "lakes" / hashlib.sha256(wanted).hexdigest()[:12]


def put(files: Path, table: Path, commits: int) -> None:
    """Add data files to a table that exists, by links, in so many commits of its log."""
    adds = json.loads((files / ADDS).read_text(encoding="utf-8"))
    log, per_commit = table / "_delta_log", -(-len(adds) // commits)
    version = max(int(entry.stem) for entry in log.glob("*.json")) + 1
    for number in range(commits):
        lines = []
        for add in adds[number * per_commit : (number + 1) * per_commit]:
            os.link(files / add["path"], table / add["path"])
            changed = {"modificationTime": int(time.time() * 1000), "dataChange": True, "partitionValues": {}}
            lines.append(json.dumps({"add": {**add, **changed, "stats": json.dumps(add["stats"])}}))
        (log / f"{version + number:020d}.json").write_text("\n".join(lines) + "\n", encoding="utf-8")


def path_of(settings: Settings, table: Table) -> str:
    """Where a table of these settings lies."""
    return f"{settings.paths.warehouse}/{table.layer.value}/{table.name}"
