"""One local Spark session for every test, and a lake of its own for each test that asks for one."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from pyspark.sql import SparkSession

from lakehouse.lake import Lake
from lakehouse.session import spark_session
from lakehouse.settings import Paths, Settings, SparkSettings

SHARED_DATA = Path(os.environ.get("TICKHOUSE_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))

# Tiny frames: compiling code for them, by Spark or by the JVM's second compiler, costs more than it ever saves; what
# dies young dies in a young generation of half the heap, and classes of pinned jars need no verifying.
QUICK = {
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": (
        "-Duser.timezone=UTC -XX:+UseSerialGC -XX:NewRatio=1 -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m "
        "-XX:-UsePerfData -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
    ),
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}

# A loaded machine is slow, not wrong: no property fails for the time one example takes.
hypothesis_settings.register_profile("house", deadline=None)
hypothesis_settings.load_profile("house")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one session of the test run: two cores, one shuffle partition, UTC, no UI."""
    root = tmp_path_factory.mktemp("spark")
    settings = Settings(
        paths=Paths(warehouse=str(root / "lake")),
        spark=SparkSettings(shuffle_partitions=1, conf=QUICK),
    )
    with spark_session(settings, app_name="tickhouse-tests") as session:
        yield session


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose every path lies in the test's own folder."""
    return Settings(
        paths=Paths(
            warehouse=str(tmp_path / "lake"),
            checkpoints=str(tmp_path / "checkpoints"),
            landing=str(tmp_path / "landing"),
            archive=str(tmp_path / "archive"),
            logs=str(tmp_path / "logs"),
            data_docs=str(tmp_path / "data_docs"),
        ),
        spark=SparkSettings(shuffle_partitions=1),
    )


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """A folder that the first of several processes makes, while the others wait for it."""
    with folder.with_name(f"{folder.name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not folder.exists():
            draft = folder.with_name(f"{folder.name}.draft")
            make(draft)
            draft.rename(folder)
    return folder


@pytest.fixture(scope="session")
def empty_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with every declared table and no rows, made once a run; tests get copies (creating one takes seconds)."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    return made_once(shared / "empty_lake", lambda root: Lake(spark, str(root)).create_all())


@pytest.fixture
def lake(spark: SparkSession, settings: Settings, empty_lake: Path) -> Lake:
    """An empty lake of the test's own, with every declared table."""
    shutil.copytree(empty_lake, settings.paths.warehouse)
    return Lake(spark, settings.paths.warehouse)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it skip, and say so, where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real data is not here: {SHARED_DATA} does not exist (set TICKHOUSE_SHARED_DATA)")
    return SHARED_DATA
