"""Check that this machine can run Tickhouse; every failure comes with the exact fix.

Looks at Python, Java, Spark, the jars and their sha256, settings, disk and ports. Changes nothing. Exit code 1 where
anything failed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlparse

from rich.table import Table

from jobs import cli
from lakehouse.errors import SettingsError
from lakehouse.settings import CONF, Settings

JAVA, OLDEST_PYTHON, NEWEST_PYTHON = 17, (3, 11), (3, 13)
FREE_GIB = 5
LOCKS = CONF.parent / "jars"
IN_THIS_ENVIRONMENT = "run it through bin/tickhouse, which sets it"


@dataclass(frozen=True)
class Finding:
    """What one check saw; `fix` is empty where all is well."""

    what: str
    found: str
    fix: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Check everything, then say all of it."""
    return cli.run(body, cli.parser(__doc__), argv)


def body(args: argparse.Namespace) -> int:
    """One row for each check."""
    findings = list(examine(args))
    failures = [finding for finding in findings if finding.fix]
    if args.json:
        cli.print_json([vars(finding) for finding in findings])
    else:
        cli.console().print(as_table(findings))
        print(f"{len(findings) - len(failures)} of {len(findings)} checks passed")
    return cli.FAILED if failures else cli.OK


def examine(args: argparse.Namespace) -> Iterator[Finding]:
    """Every check, in the order in which a start would trip over them."""
    settings = Settings()
    try:
        settings = cli.settings_of(args)
        yield Finding("settings", f"conf/{args.env}.yaml and overrides load")
    except SettingsError as error:
        yield Finding("settings", str(error), "correct each line above; `tickhouse config show` prints the rest")
    yield from (python(), java(), spark_home(), pyspark_python(), jars(settings), disk(settings), loopback())
    yield from endpoints(settings)


def python(running: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """The interpreter is one the pinned packages exist for."""
    found = ".".join(map(str, running))
    fits = OLDEST_PYTHON <= running[:2] <= NEWEST_PYTHON
    return Finding("Python 3.11 to 3.13", found, "" if fits else "make setup PYTHON=python3.11")


def java() -> Finding:
    """Spark starts JAVA_HOME's java, else the one on PATH; it must be 17."""
    what = f"Java {JAVA}"
    home = os.environ.get("JAVA_HOME")
    command = str(Path(home, "bin", "java")) if home else shutil.which("java")
    fix = f"`make setup` installs it where apt can; then {IN_THIS_ENVIRONMENT}, or export JAVA_HOME=$(bin/java-home)"
    if not command or not Path(command).is_file():
        return Finding(what, f"none at {command}" if command else "none on PATH, and JAVA_HOME is not set", fix)
    said = subprocess.run([command, "-version"], capture_output=True, text=True, check=False, timeout=60).stderr
    major = re.search(r'version "(\d+)', said)
    found = f"{major[1] if major else 'unknown'} at {command}"
    return Finding(what, found, "" if major and int(major[1]) == JAVA else fix)


def spark_home() -> Finding:
    """A SPARK_HOME of another Spark would be used in place of the installed package."""
    what, home = "PySpark", os.environ.get("SPARK_HOME")
    try:
        found = f"{version('pyspark')}, delta-spark {version('delta-spark')}"
    except PackageNotFoundError as error:
        return Finding(what, f"{error.name} is not installed", "make setup")
    if home and "pyspark" not in Path(home).parts:
        return Finding(what, f"{found}, but SPARK_HOME={home} comes first", "unset SPARK_HOME")
    return Finding(what, found)


def pyspark_python() -> Finding:
    """Workers must run the interpreter of the driver, or they miss its packages."""
    given = os.environ.get("PYSPARK_PYTHON")
    same = given is None or Path(shutil.which(given) or given).absolute() == Path(sys.executable).absolute()
    fix = "" if same else f"export PYSPARK_PYTHON={sys.executable}"
    return Finding("PYSPARK_PYTHON", given or "not set: the driver's is used", fix)


def jars(settings: Settings) -> Finding:
    """Delta and Kafka jars are there, each with the sha256 that is locked."""
    what = "jars"
    if settings.spark.jars is not None:
        return Finding(what, f"left to the platform (spark.jars = {settings.spark.jars!r})")
    folder = Path(os.environ.get("TICKHOUSE_JARS", ".work/jars/spark"))
    here = {jar.name: jar for jar in folder.glob("*.jar")}
    lock = LOCKS / f"{folder.name}.sha256"
    if not here:
        return Finding(what, f"none in {folder}", f"make setup; then {IN_THIS_ENVIRONMENT} (TICKHOUSE_JARS)")
    if not lock.is_file():
        return Finding(what, f"{len(here)} in {folder}, not compared: there is no {lock.name} here")
    locked = {name: digest for digest, name in map(str.split, lock.read_text(encoding="ascii").splitlines())}
    wrong = sorted(
        [f"{name} is missing" for name in locked.keys() - here.keys()]
        + [f"{name} is not locked" for name in here.keys() - locked.keys()]
        + [f"{name} has another sha256" for name in locked.keys() & here.keys() if sha256(here[name]) != locked[name]]
    )
    fix = f"rm -r {folder}; make setup" if wrong else ""
    return Finding(what, "; ".join(wrong) or f"{len(here)} in {folder}, as locked", fix)


def sha256(file: Path) -> str:
    """The digest of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def disk(settings: Settings, free_of: Callable[[Path], int] = lambda place: shutil.disk_usage(place).free) -> Finding:
    """The warehouse's disk has room, and this user may write there."""
    what, warehouse = "warehouse", settings.paths.warehouse
    if "://" in warehouse:
        return Finding(what, f"{warehouse}, not on this machine")
    place = Path(warehouse).absolute()
    while not place.exists():
        place = place.parent
    free = free_of(place) / 2**30
    if not os.access(place, os.W_OK):
        return Finding(what, f"{place} cannot be written", f"chown it to {os.getuid()}, or --set paths.warehouse=...")
    fix = "" if free >= FREE_GIB else "free some, `make clean`, or --set paths.warehouse=... on another disk"
    return Finding(what, f"{warehouse}: {free:.1f} GiB free, {FREE_GIB} wanted", fix)


def loopback() -> Finding:
    """Spark and the local services listen on free ports of 127.0.0.1."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 5):
            return Finding("ports", "127.0.0.1 takes connections")
    except OSError as error:
        return Finding("ports", f"127.0.0.1: {error}", "bring the loopback interface up: ip link set lo up")


def endpoints(settings: Settings) -> Iterator[Finding]:
    """The server the source reads from answers, where the settings name one."""
    kafka, kinesis = settings.source.kafka, settings.source.kinesis
    if settings.source.kind == "kafka":
        for server in kafka.bootstrap_servers.split(","):
            yield _answers("source.kafka.bootstrap_servers", server.strip())
    elif settings.source.kind == "kinesis" and kinesis.endpoint:
        address = urlparse(kinesis.endpoint)
        port = address.port or (443 if address.scheme == "https" else 80)
        yield _answers("source.kinesis.endpoint", f"{address.hostname}:{port}")


def _answers(key: str, server: str) -> Finding:
    host, _, port = server.rpartition(":")
    if not host or not port.isdigit():
        return Finding(key, f"{server!r} is not host:port", f"--set {key}=host:port")
    try:
        with socket.create_connection((host, int(port)), timeout=5):
            return Finding(key, f"{server} takes connections")
    except OSError as error:
        return Finding(key, f"{server}: {error}", f"start that server, or --set {key}=...")


def as_table(findings: Sequence[Finding]) -> Table:
    """Findings for people; failures stand out and say what to do."""
    table = Table("", "check", "found", "fix")
    for one in findings:
        table.add_row("FAIL" if one.fix else "ok", one.what, one.found, one.fix, style="bold red" if one.fix else "")
    return table


if __name__ == "__main__":
    sys.exit(main())
