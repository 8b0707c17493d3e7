"""A Trino with the Delta connector over one local folder, and a client of its statement API.

Tests ask it where Athena, an engine of the same family, would be asked.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pyarrow as pa

from streaming.emulators import free_port, service

START_SECONDS = 240.0  # some 20 on a quiet machine
CONFIG = """\
node.environment=test
node.bind-ip=127.0.0.1
node.internal-address=127.0.0.1
coordinator=true
node-scheduler.include-coordinator=true
http-server.http.port={port}
discovery.uri=http://127.0.0.1:{port}
catalog.config-dir={folder}/catalog
plugin.dir={jars}/plugin
"""
CATALOG = """\
connector.name=delta_lake
hive.metastore=file
hive.metastore.catalog.dir=local:///metastore
fs.native-local.enabled=true
local.location={root}
delta.register-table-procedure.enabled=true
"""
JAVA_FLAGS = (
    "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Duser.timezone=UTC",
    "-Djdk.attach.allowAttachSelf=true", "--add-modules=jdk.incubator.vector",
    "--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED",
)  # fmt: skip
TYPES = {
    "boolean": pa.bool_(), "integer": pa.int32(), "bigint": pa.int64(), "double": pa.float64(), "date": pa.date32(),
    "varbinary": pa.binary(),
}  # fmt: skip


@dataclass(frozen=True)
class Trino:
    """A server that answers. It sees what lies in `root`, and names it from there: `local:///lake/gold/bars`."""

    address: str
    root: Path

    def ask(self, statement: str, *, zone: str = "UTC") -> pa.Table:
        """The rows of a statement, in the types the lake's other readers give, to somebody who lives in a zone."""
        page = self._fetch(f"{self.address}/v1/statement", statement.encode(), {"X-Trino-Time-Zone": zone})
        columns, rows = page.get("columns"), page.get("data", [])
        while "nextUri" in page:
            page = self._fetch(page["nextUri"])
            columns = columns or page.get("columns")
            rows += page.get("data", [])
        if "error" in page:
            raise RuntimeError(f"Trino refuses: {page['error']['message']}\nThe statement was: {statement}")
        return _table(columns or [], rows)

    def has_an_active_node(self) -> bool:
        """Whether queries can run."""
        try:
            return self.ask("SELECT node_id FROM system.runtime.nodes WHERE state = 'active'").num_rows > 0
        except (URLError, OSError, RuntimeError):
            return False

    def _fetch(self, address: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
        request = Request(address, data=body, headers={"X-Trino-User": "test"} | (headers or {}))
        with urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


@contextmanager
def trino_server(java: Path, jars: Path, folder: Path, root: Path) -> Iterator[Trino]:
    """A server of the jars of io.trino:trino-server that reads Delta tables below `root`; gone at the end."""
    port = free_port()
    (folder / "catalog").mkdir(parents=True)
    (folder / "catalog" / "delta.properties").write_text(CATALOG.format(root=root), encoding="utf-8")
    config = folder / "config.properties"
    config.write_text(CONFIG.format(port=port, folder=folder, jars=jars), encoding="utf-8")
    words = [*JAVA_FLAGS, f"-Dconfig={config}", "-cp", f"{jars}/lib/*", "io.trino.server.TrinoServer"]
    command = [str(java / "bin" / "java"), *words]
    trino = Trino(f"http://127.0.0.1:{port}", root)
    log = folder / "server.log"
    with service("trino", command, trino.has_an_active_node, folder=folder, log=log, patience=START_SECONDS):
        yield trino


def _table(columns: list[dict[str, Any]], rows: list[list[Any]]) -> pa.Table:
    arrays, names = [], [column["name"] for column in columns]
    for at, column in enumerate(columns):
        kind, read = _reader(column["type"])
        arrays.append(pa.array([None if row[at] is None else read(row[at]) for row in rows], kind))
    return pa.Table.from_arrays(arrays, names=names)


def _reader(name: str) -> tuple[pa.DataType, Callable[[Any], Any]]:
    """The Arrow type of a Trino type, and how its values in JSON are read."""
    if size := re.fullmatch(r"decimal\((\d+),(\d+)\)", name):
        return pa.decimal128(int(size[1]), int(size[2])), Decimal
    if name.startswith("timestamp"):
        return pa.timestamp("us", "UTC"), lambda text: datetime.fromisoformat(text.removesuffix(" UTC") + "+00:00")
    readers: dict[str, Callable[[Any], Any]] = {
        "date": date.fromisoformat, "varbinary": base64.b64decode, "double": float
    }  # fmt: skip
    return TYPES.get(name, pa.string()), readers.get(name, lambda value: value)
