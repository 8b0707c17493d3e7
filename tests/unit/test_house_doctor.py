"""The doctor: what is wrong is found, and each failure says how to put it right."""

from __future__ import annotations

import argparse
import hashlib
import json
import socket
import sys
from pathlib import Path

import pytest

from jobs import doctor
from lakehouse.settings import KafkaSettings, KinesisSettings, Paths, Settings, SourceSettings, SparkSettings


@pytest.fixture
def jar_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two jars with their lock, as `make setup` leaves them."""
    folder, locks = tmp_path / "spark41", tmp_path / "locks"
    folder.mkdir()
    locks.mkdir()
    for name in ("a.jar", "b.jar"):
        (folder / name).write_text(name)
    lines = [f"{hashlib.sha256(name.encode()).hexdigest()}  {name}\n" for name in ("a.jar", "b.jar")]
    (locks / "spark41.sha256").write_text("".join(lines))
    monkeypatch.setenv("TICKHOUSE_JARS", str(folder))
    monkeypatch.setattr(doctor, "LOCKS", locks)
    return folder


def fake_java(folder: Path, version: str) -> Path:
    """A home whose java prints a version the way JDKs do."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    java.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("running", "fits"), [((3, 10, 9), False), ((3, 11, 0), True), ((3, 13, 9), True), ((3, 14, 0), False)]
)
def test_only_pythons_with_pinned_packages_pass(running: tuple[int, ...], fits: bool) -> None:
    assert (doctor.python(running).fix == "") == fits


@pytest.mark.parametrize(
    ("version", "fits"), [("17.0.15", True), ("25", False), ("21.0.2", False), ("1.8.0_412", False)]
)
def test_only_java_17_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, fits: bool) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "jdk", version)))

    found = doctor.java()

    assert (found.fix == "") == fits
    assert str(tmp_path) in found.found


def test_a_java_home_without_java_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    assert "make setup" in doctor.java().fix


def test_a_missing_java_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert doctor.java().found == "none on PATH, and JAVA_HOME is not set"


def test_another_spark_on_this_machine_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_HOME", raising=False)
    assert doctor.spark_home().fix == ""

    monkeypatch.setenv("SPARK_HOME", "/opt/spark-3.5")

    assert doctor.spark_home().fix == "unset SPARK_HOME"


def test_workers_with_another_python_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    assert doctor.pyspark_python().fix == ""

    monkeypatch.setenv("PYSPARK_PYTHON", "/usr/bin/python2")

    assert doctor.pyspark_python().fix == f"export PYSPARK_PYTHON={sys.executable}"


def test_jars_as_locked_pass(jar_folder: Path) -> None:
    found = doctor.jars(Settings())

    assert (found.fix, found.found) == ("", f"2 in {jar_folder}, as locked")


def test_a_changed_a_missing_and_a_stray_jar_are_each_named(jar_folder: Path) -> None:
    (jar_folder / "a.jar").write_text("changed")
    (jar_folder / "b.jar").unlink()
    (jar_folder / "c.jar").write_text("stray")

    found = doctor.jars(Settings())

    assert found.found == "a.jar has another sha256; b.jar is missing; c.jar is not locked"
    assert found.fix == f"rm -r {jar_folder}; make setup"


def test_no_jars_at_all_point_to_setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKHOUSE_JARS", str(tmp_path / "nothing"))

    assert "make setup" in doctor.jars(Settings()).fix
    assert doctor.jars(Settings(spark=SparkSettings(jars=""))).fix == ""


def test_a_full_disk_fails_and_a_bucket_is_not_judged(tmp_path: Path) -> None:
    here = Settings(paths=Paths(warehouse=str(tmp_path / "not" / "yet")))
    bucket = Settings(paths=Paths(warehouse="s3a://bucket/lake"))

    assert doctor.disk(here, lambda _: 6 * 2**30).fix == ""
    assert "free some" in doctor.disk(here, lambda _: 4 * 2**30).fix
    assert doctor.disk(bucket, lambda _: 0).fix == ""


def test_loopback_takes_connections() -> None:
    assert doctor.loopback().fix == ""


def test_a_server_the_source_reads_from_must_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        kafka = Settings(
            source=SourceSettings(kind="kafka", kafka=KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}"))
        )
        up = list(doctor.endpoints(kafka))
    down = list(doctor.endpoints(kafka))
    kinesis = KinesisSettings(endpoint=f"http://127.0.0.1:{port}")

    assert [finding.fix for finding in up] == [""]
    assert "start that server" in down[0].fix
    assert (
        "start that server"
        in next(doctor.endpoints(Settings(source=SourceSettings(kind="kinesis", kinesis=kinesis)))).fix
    )
    assert list(doctor.endpoints(Settings())) == []


def test_broken_settings_are_one_finding_and_the_rest_is_still_checked() -> None:
    args = argparse.Namespace(env="local", set=["stream.grace_seconds=soon"])

    findings = list(doctor.examine(args))

    assert "stream.grace_seconds: expected a number" in findings[0].found
    assert findings[0].fix
    assert len(findings) > 5


def test_one_failure_is_exit_code_1_and_none_is_0(
    jar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "jdk", "17.0.1")))
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.delenv("SPARK_HOME", raising=False)
    here = ["--json", "--set", f"paths.warehouse={tmp_path}"]
    monkeypatch.setattr(doctor, "FREE_GIB", 0)

    well = doctor.main(here)
    findings = json.loads(capsys.readouterr().out)
    (jar_folder / "a.jar").unlink()

    assert [one for one in findings if one["fix"]] == []
    assert well == 0
    assert doctor.main(here) == 1
