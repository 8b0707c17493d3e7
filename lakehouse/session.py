"""The one place that builds a Spark session."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir

import pyspark
from pyspark.sql import SparkSession

from lakehouse.files import on_disk
from lakehouse.settings import Settings

ROOT = Path(__file__).resolve().parent.parent  # the checkout, site-packages, or a wheel
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
HOUSE = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.streaming.stateStore.providerClass": (
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
    ),
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    "spark.sql.streaming.noDataMicroBatches.enabled": "false",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.databricks.delta.schema.autoMerge.enabled": "false",
    # What Spark remembers of finished work, for its pages and for nobody else, lies in the driver's heap. A stream
    # finishes some hundred plans a minute; by default a thousand are kept.
    "spark.sql.ui.retainedExecutions": "50",
    "spark.ui.retainedJobs": "100",
    "spark.ui.retainedStages": "100",
    "spark.ui.retainedTasks": "1000",
}
# Columns of prints that hold another value in nearly every row: a dictionary of them is begun and given up, and bounds
# of a row group's values skip nothing.
VARIED = ("trade_id", "bronze_ref", "ord", "received_at")
UNBOUNDED = (
    *VARIED, "price", "size", "eligibility", "position", "conditions", "venue", "feed", "ref_trade_id", "kind",
    "session",
)  # fmt: skip
PARQUET = {f"spark.hadoop.parquet.enable.dictionary#{name}": "false" for name in VARIED}
PARQUET |= {f"spark.hadoop.parquet.column.statistics.enabled#{name}": "false" for name in UNBOUNDED}
# Arrow's own switches: it checks the bounds of a buffer at every value that Spark reads from a Python worker.
UNCHECKED_ARROW = "-Darrow.enable_unsafe_memory_access=true -Darrow.enable_null_check_for_get=false"
LOCAL = {
    "spark.ui.enabled": "false",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:+UseParallelGC " + UNCHECKED_ARROW,
}


def local_jars(folder: Path | None = None) -> str:
    """The Delta and Kafka jars that `make setup` fetched, as the comma list Spark wants; empty where there are none."""
    folder = folder or Path(os.environ.get("TICKHOUSE_JARS", ".work/jars/spark"))
    return ",".join(sorted(str(jar.resolve()) for jar in folder.glob("*.jar")))


def checkpoint_files() -> dict[str, str]:
    """On a disk, let checkpoints be written by Hadoop's older file interface.

    The newer one, Spark's default, asks `readlink` twice before each rename, in a process of its own: seventy in one
    cycle of the stream (DECISIONS 22). Both rename a finished draft; neither is safe for two runs of one query, which
    the lease forbids.
    """
    package = "org.apache.spark.sql.execution.streaming"
    if tuple(int(one) for one in pyspark.__version__.split(".")[:2]) >= (4, 1):
        package += ".checkpointing"
    return {"spark.sql.streaming.checkpointFileManagerClass": f"{package}.FileSystemBasedCheckpointFileManager"}


def ready_workers() -> dict[str, str]:
    """Let workers be forked from our own daemon, and find our packages where this process has found them.

    Under spark-submit the JVM began before us, and PySpark hands on archives of --py-files, but not wheels.
    """
    return {"spark.python.daemon.module": "lakehouse.worker_daemon", "spark.executorEnv.PYTHONPATH": str(ROOT)}


def spark_conf(settings: Settings) -> dict[str, str]:
    """Every Spark setting in force, the house's first and the settings' own last."""
    conf = {**DELTA, **HOUSE, **PARQUET, "spark.sql.shuffle.partitions": str(settings.spark.shuffle_partitions)}
    if settings.spark.master and settings.spark.master.startswith("local"):
        conf |= LOCAL | ready_workers() | {"spark.driver.memory": settings.spark.driver_memory}
        if on_disk(settings.paths.checkpoints):
            conf |= checkpoint_files()
        conf["spark.sql.warehouse.dir"] = str((on_disk(settings.paths.warehouse) or Path(gettempdir())) / "_spark")
    jars = settings.spark.jars if settings.spark.jars is not None else local_jars()
    if jars:
        conf["spark.jars"] = jars
    return conf | settings.spark.conf


def prepare_workers() -> None:
    """Let local Python workers run this interpreter and find our packages, and put this process on UTC as Spark is.

    PySpark gives timestamps as naive local times: in any other zone they would not be the instants the tables hold.
    """
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ["TZ"] = "UTC"
    time.tzset()
    path = os.environ.get("PYTHONPATH", "")
    if str(ROOT) not in path.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(part for part in (str(ROOT), path) if part)


@contextmanager
def set_for_now(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Settings of a session while the block lasts; afterwards they are what they were before."""
    before = {key: spark.conf.get(key, None) for key in values}
    for key, value in values.items():
        spark.conf.set(key, value)
    try:
        yield
    finally:
        for key, old in before.items():
            spark.conf.unset(key) if old is None else spark.conf.set(key, old)


@contextmanager
def spark_session(settings: Settings, *, app_name: str) -> Iterator[SparkSession]:
    """A configured session that is stopped at the end, whatever happens."""
    prepare_workers()
    builder = SparkSession.builder.appName(app_name)
    if settings.spark.master:
        builder = builder.master(settings.spark.master)
    for key, value in spark_conf(settings).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        yield spark
    finally:
        spark.stop()
