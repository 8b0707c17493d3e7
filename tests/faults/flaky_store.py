"""An object store that answers 503: local folders under the scheme `flaky`, where one request in many fails as on S3.

The request with the wanted number fails once: a read or listing is refused, a PUT is refused with nothing stored, or
was stored although the answer says otherwise. The classes are compiled by the compiler that Spark has with it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

SCHEME = "flaky"
FAIL_AT, IS_STORED = "spark.hadoop.flaky.fail.at", "spark.hadoop.flaky.is.stored"
SAID = "503 SlowDown"
SOURCE = """
package house;

import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.DelegateToFileSystem;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.util.Progressable;

public class Store extends RawLocalFileSystem {
    static final AtomicInteger LEFT = new AtomicInteger(-1);
    static boolean isStored = false;
    static boolean isSet = false;

    public void initialize(URI uri, Configuration conf) throws IOException {
        super.initialize(uri, conf);
        synchronized (LEFT) {
            if (!isSet) {
                isSet = true;
                isStored = conf.getBoolean("flaky.is.stored", false);
                LEFT.set(conf.getInt("flaky.fail.at", -1));
            }
        }
    }

    public URI getUri() { return URI.create("flaky:///"); }
    public String getScheme() { return "flaky"; }

    static boolean isNow() { return LEFT.get() > 0 && LEFT.decrementAndGet() == 0; }

    static IOException refusal(String what, Path path) {
        return new IOException("503 SlowDown: please reduce your request rate (" + what + " " + path + ")");
    }

    static void may(String what, Path path) throws IOException {
        if (isNow()) { throw refusal(what, path); }
    }

    public FSDataInputStream open(Path path, int bufferSize) throws IOException {
        may("GET", path);
        return super.open(path, bufferSize);
    }

    public FileStatus[] listStatus(Path path) throws IOException {
        may("LIST", path);
        return super.listStatus(path);
    }

    public FileStatus getFileStatus(Path path) throws IOException {
        may("HEAD", path);
        return super.getFileStatus(path);
    }

    public boolean rename(Path from, Path to) throws IOException {
        may("COPY", from);
        return super.rename(from, to);
    }

    public FSDataOutputStream create(Path path, boolean overwrite, int bufferSize, short replication, long blockSize,
            Progressable progress) throws IOException {
        FSDataOutputStream out = super.create(path, overwrite, bufferSize, replication, blockSize, progress);
        return isNow() ? new FSDataOutputStream(new Doomed(this, path, out), null) : out;
    }

    static class Doomed extends FilterOutputStream {
        private final Store store;
        private final Path path;

        Doomed(Store store, Path path, OutputStream out) {
            super(out);
            this.store = store;
            this.path = path;
        }

        public void write(byte[] bytes, int from, int count) throws IOException { out.write(bytes, from, count); }

        public void close() throws IOException {
            out.close();
            if (!isStored) { store.delete(path, false); }
            throw refusal("PUT", path);
        }
    }

    public static class Context extends DelegateToFileSystem {
        public Context(URI uri, Configuration conf) throws IOException, URISyntaxException {
            super(uri, new Store(), conf, "flaky", false);
        }
        public int getUriDefaultPort() { return -1; }
        public boolean isValidName(String name) { return true; }
    }
}
"""
CONF = {
    "spark.hadoop.fs.flaky.impl": "house.Store",
    "spark.hadoop.fs.AbstractFileSystem.flaky.impl": "house.Store$Context",
    "spark.delta.logStore.flaky.impl": "io.delta.storage.S3SingleDriverLogStore",
}


def store_jar(spark: SparkSession, folder: Path) -> Path:
    """A jar with the store's classes."""
    jvm: Any = spark._jvm
    jar = folder / "flaky-store.jar"
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.cook(SOURCE)
    with zipfile.ZipFile(jar, "w") as archive:
        for name, code in compiler.getBytecodes().items():
            archive.writestr(f"{name.replace('.', '/')}.class", bytes(code))
    return jar
