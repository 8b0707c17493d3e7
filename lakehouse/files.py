"""Files beside the tables (identities, leases), on whatever file system the warehouse lies: disk or S3."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession


def on_disk(path: str) -> Path | None:
    """A path of this machine's disk, None where it is an address of a store."""
    plain = path.removeprefix("file://").removeprefix("file:")
    return None if "://" in plain else Path(plain).absolute()


@dataclass(frozen=True)
class Entry:
    """A file or folder in a folder."""

    name: str
    size: int
    is_folder: bool


@dataclass(frozen=True)
class Files:
    """Small text files through Hadoop's public FileSystem, so one code serves disk and S3."""

    spark: SparkSession

    def _at(self, path: str) -> tuple[Any, Any]:
        jvm: Any = self.spark._jvm
        place = jvm.org.apache.hadoop.fs.Path(path)
        return place.getFileSystem(self.spark._jsc.hadoopConfiguration()), place

    def _plain(self, path: str) -> tuple[Any, Any]:
        """The same without Hadoop's checksum files beside local files: they and the file are not replaced at once."""
        system, place = self._at(path)
        if on_disk(path) is None:
            return system, place
        jvm: Any = self.spark._jvm
        disk = jvm.org.apache.hadoop.fs.RawLocalFileSystem()
        disk.initialize(jvm.java.net.URI.create("file:///"), self.spark._jsc.hadoopConfiguration())
        return disk, place

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""
        system, place = self._at(path)
        return bool(system.exists(place))

    def size(self, path: str) -> int | None:
        """How many bytes a file has, None where there is none."""
        system, place = self._at(path)
        return int(system.getFileStatus(place).getLen()) if system.exists(place) else None

    def read_text(self, path: str) -> str:
        """The whole of a small UTF-8 file."""
        system, place = self._plain(path)
        stream = system.open(place)
        try:
            jvm: Any = self.spark._jvm
            return str(jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
        finally:
            stream.close()

    def write_text(self, path: str, text: str, *, overwrite: bool = True) -> None:
        """Write a small UTF-8 file; without `overwrite` an existing one is an error of the file system."""
        system, place = self._plain(path)
        stream = system.create(place, overwrite)
        try:
            stream.write(bytearray(text.encode("utf-8")))
        finally:
            stream.close()

    def replace_text(self, path: str, text: str) -> None:
        """Write a small UTF-8 file so that a reader sees the old text or the new one, never a part."""
        draft = f"{path}.draft"
        self.write_text(draft, text)
        self.rename(draft, path)

    def rename(self, path: str, to: str) -> None:
        """Move a file, over whatever file is there; folders on the way are made."""
        source, target = on_disk(path), on_disk(to)
        if source is not None and target is not None:  # Hadoop would delete the old file first, and then move the new
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            return
        jvm: Any = self.spark._jvm
        gateway: Any = self.spark.sparkContext._gateway
        options = gateway.new_array(jvm.org.apache.hadoop.fs.Options.Rename, 1)
        options[0] = jvm.org.apache.hadoop.fs.Options.Rename.OVERWRITE
        system, place = self._at(to)
        system.mkdirs(place.getParent())
        context = jvm.org.apache.hadoop.fs.FileContext.getFileContext(
            system.getUri(), self.spark._jsc.hadoopConfiguration()
        )
        context.rename(jvm.org.apache.hadoop.fs.Path(path), place, options)

    def put(self, local: str, path: str) -> None:
        """Copy a local file to a path, over whatever is there."""
        system, place = self._at(path)
        jvm: Any = self.spark._jvm
        system.copyFromLocalFile(False, True, jvm.org.apache.hadoop.fs.Path(local), place)

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it."""
        system, place = self._at(path)
        system.mkdirs(place)

    def delete(self, path: str) -> None:
        """Delete a file or a folder with all that is in it."""
        system, place = self._at(path)
        system.delete(place, True)

    def names(self, folder: str) -> list[str]:
        """Names of what lies in a folder, sorted; empty where there is no such folder."""
        return [one.name for one in self.entries(folder)]

    def entries(self, folder: str) -> list[Entry]:
        """What lies in a folder, sorted by name; empty where there is no such folder."""
        system, place = self._at(folder)
        if not system.exists(place):
            return []
        found = (
            Entry(str(one.getPath().getName()), int(one.getLen()), bool(one.isDirectory()))
            for one in system.listStatus(place)
        )
        return sorted(found, key=lambda entry: entry.name)
