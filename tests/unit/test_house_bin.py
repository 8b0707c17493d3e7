"""The scripts behind make: Java 17 is found beside newer ones, and jars other than the locked ones are refused."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]


def jdk(home: Path, version: str) -> Path:
    """A folder that looks like a JDK of that version."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    (home / "release").write_text(f'JAVA_VERSION="{version}"\n')
    return home


def java_home(*at_least: str, **environ: str) -> subprocess.CompletedProcess[str]:
    path = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}
    command = [str(HOUSE / "bin" / "java-home"), *at_least]
    return subprocess.run(command, env=path | environ, capture_output=True, text=True, check=False, timeout=60)


def test_a_java_17_in_java_home_is_taken(tmp_path: Path) -> None:
    home = jdk(tmp_path / "mine", "17.0.9")

    assert java_home(JAVA_HOME=str(home)).stdout.strip() == str(home)


def test_a_newer_java_home_is_never_taken(tmp_path: Path) -> None:
    newer = jdk(tmp_path / "newer", "25.0.1")
    seventeen = jdk(tmp_path / ".sdkman" / "candidates" / "java" / "17.0.9-tem", "17.0.9")

    done = java_home(JAVA_HOME=str(newer), HOME=str(tmp_path), PATH=f"{newer}/bin:{os.environ['PATH']}")

    taken = Path(done.stdout.strip())
    assert taken != newer
    assert taken == seventeen or 'JAVA_VERSION="17' in (taken / "release").read_text()


def test_a_jdk_without_a_release_file_is_asked(tmp_path: Path) -> None:
    home = jdk(tmp_path / "bare", "17.0.9")
    (home / "release").unlink()

    assert java_home(JAVA_HOME=str(home)).stdout.strip() == str(home)


@pytest.mark.parametrize("version", ["24", "25.0.1"])
def test_where_a_version_is_asked_for_a_java_from_that_one_on_is_taken(tmp_path: Path, version: str) -> None:
    home = jdk(tmp_path / "mine", version)

    assert java_home("24", JAVA_HOME=str(home)).stdout.strip() == str(home)


def test_an_older_java_than_asked_for_is_never_taken(tmp_path: Path) -> None:
    older = jdk(tmp_path / "older", "1.8.0_392")

    done = java_home("900", JAVA_HOME=str(older))

    assert (done.returncode, done.stdout) == (1, "")
    assert "No Java 900 or newer here" in done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one pom, its lock, and a Maven that hands out what lies in `delivered/`."""
    house = tmp_path / "house"
    shutil.copytree(HOUSE / "bin", house / "bin")
    (house / "jars").mkdir()
    (house / "jars" / "pom-things.xml").write_text("<project/>")
    (house / "jars" / "things.sha256").write_text(f"{hashlib.sha256(b'good').hexdigest()}  a.jar\n")
    tools, delivered = tmp_path / "tools", tmp_path / "delivered"
    tools.mkdir()
    delivered.mkdir()
    (tools / "mvn").write_text(
        "#!/usr/bin/env bash\n"
        f'for a in "$@"; do case $a in -DoutputDirectory=*) cp {delivered}/* "${{a#*=}}";; esac; done\n'
        f"echo called >>{tmp_path}/calls\n"
    )
    (tools / "mvn").chmod(0o755)
    jdk(tmp_path / "jdk", "17.0.9")
    return house


def fetch(house: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    home = house.parent
    environ = {"PATH": f"{home / 'tools'}:{os.environ['PATH']}", "JAVA_HOME": str(home / "jdk"), "HOME": str(home)}
    command = [str(house / "bin" / "fetch-jars"), "things", *flags]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)


def deliver(house: Path, **jars: str) -> None:
    for name, content in jars.items():
        (house.parent / "delivered" / f"{name}.jar").write_text(content)


def test_jars_that_are_as_locked_are_installed_and_not_fetched_again(checkout: Path) -> None:
    deliver(checkout, a="good")

    codes = [fetch(checkout).returncode, fetch(checkout).returncode]

    assert codes == [0, 0]
    assert (checkout / ".work" / "jars" / "things" / "a.jar").read_text() == "good"
    assert (checkout.parent / "calls").read_text() == "called\n"


@pytest.mark.parametrize("jars", [{"a": "evil"}, {"a": "good", "b": "stray"}, {"b": "good"}])
def test_jars_that_are_not_as_locked_are_refused_and_none_is_installed(checkout: Path, jars: dict[str, str]) -> None:
    deliver(checkout, **jars)

    done = fetch(checkout)

    assert done.returncode == 1
    assert "none was installed" in done.stderr
    assert not (checkout / ".work" / "jars" / "things").exists()
    assert [file.name for file in (checkout / ".work" / "jars").iterdir()] == [".lock"]


def test_a_maven_that_fails_shows_what_it_said_and_what_to_do(checkout: Path) -> None:
    (checkout.parent / "tools" / "mvn").write_text("#!/bin/sh\necho 'cannot reach the repository'\nexit 1\n")

    done = fetch(checkout)

    assert done.returncode == 1
    assert "cannot reach the repository" in done.stderr
    assert "none was installed" in done.stderr
    assert [file.name for file in (checkout / ".work" / "jars").iterdir()] == [".lock"]


def test_a_jar_that_was_tampered_with_later_is_fetched_again(checkout: Path) -> None:
    deliver(checkout, a="good")
    fetch(checkout)
    installed = checkout / ".work" / "jars" / "things" / "a.jar"
    installed.write_text("evil")

    assert fetch(checkout).returncode == 0
    assert installed.read_text() == "good"


@pytest.fixture
def archive(checkout: Path) -> Path:
    """A server's archive is delivered: a jar in lib, and one of two plugins, which the second has as a link."""
    server = checkout.parent / "server-1"
    for folder in ("lib", "plugin/another", "plugin/wanted"):
        (server / folder).mkdir(parents=True)
    (server / "lib" / "a.jar").write_text("good")
    (server / "plugin" / "another" / "b.jar").write_text("good")
    (server / "plugin" / "wanted" / "b.jar").hardlink_to(server / "plugin" / "another" / "b.jar")
    with tarfile.open(checkout.parent / "delivered" / "server-1.tar.gz", "w:gz") as packed:
        packed.add(server, "server-1")
    (checkout / "jars" / "pom-things.xml").write_text("<kept>lib plugin/wanted</kept>")
    digest = hashlib.sha256(b"good").hexdigest()
    (checkout / "jars" / "things.sha256").write_text(f"{digest}  lib/a.jar\n{digest}  plugin/wanted/b.jar\n")
    return checkout


def test_of_an_archive_the_folders_are_kept_that_the_pom_names(archive: Path) -> None:
    kept = archive / ".work" / "jars" / "things"

    assert fetch(archive).returncode == 0
    (kept / ".stamp").touch()
    assert fetch(archive).returncode == 0

    assert sorted(file.relative_to(kept).as_posix() for file in kept.rglob("*.*")) == [
        ".stamp", "lib/a.jar", "plugin/wanted/b.jar"
    ]  # fmt: skip
    assert (archive.parent / "calls").read_text() == "called\n"


def test_an_archive_whose_jars_are_not_as_locked_is_refused(archive: Path) -> None:
    lock = archive / "jars" / "things.sha256"
    lock.write_text(lock.read_text().replace("plugin/wanted/b.jar", "plugin/wanted/c.jar"))

    done = fetch(archive)

    assert done.returncode == 1
    assert "none was installed" in done.stderr
    assert [file.name for file in (archive / ".work" / "jars").iterdir()] == [".lock"]


def test_lock_writes_down_what_came(checkout: Path) -> None:
    deliver(checkout, a="newer")

    assert fetch(checkout, "--lock").returncode == 0
    assert (checkout / "jars" / "things.sha256").read_text() == f"{hashlib.sha256(b'newer').hexdigest()}  a.jar\n"
    assert fetch(checkout).returncode == 0


def test_a_python_that_is_too_old_or_too_new_is_refused_with_what_was_found(tmp_path: Path) -> None:
    other = tmp_path / "python3"
    other.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit 0\nexit 1\n')
    other.chmod(0o755)
    command = [str(HOUSE / "bin" / "find-python")]

    done = subprocess.run(
        command, env=os.environ | {"PYTHON": str(other)}, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 1
    assert "found: Python 3.9.2" in done.stderr


NEEDED = ("bash", "dirname", "readlink", "grep", "id", "env", "cat")


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """A PATH with next to nothing on it: a Python without venv, no Maven, and an apt-get that notes its arguments."""
    path = tmp_path / "path"
    path.mkdir()
    for name in NEEDED:
        (path / name).symlink_to(shutil.which(name) or name)
    scripts = {
        "python3": 'case "$2" in *sys.executable*) echo "$0";; *ensurepip*) exit 1;; *%d*) echo 3.11;; esac',
        "apt-get": f'echo "$*" >>{tmp_path}/apt; [ "$1" = update ] || [ ! -e {tmp_path}/apt-fails ]',
        "sudo": 'shift; exec "$@"',
    }
    for name, script in scripts.items():
        (path / name).write_text(f"#!/usr/bin/env bash\n{script}\n")
        (path / name).chmod(0o755)
    jdk(tmp_path / "jdk", "17.0.9")
    return tmp_path


def system_packages(machine: Path) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": str(machine / "path"), "JAVA_HOME": str(machine / "jdk"), "HOME": str(machine)}
    command = ["bash", str(HOUSE / "bin" / "system-packages")]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)


def test_what_is_missing_is_installed_by_apt_after_an_update(bare_machine: Path) -> None:
    done = system_packages(bare_machine)

    assert done.returncode == 0, done.stderr
    assert (bare_machine / "apt").read_text().splitlines() == [
        "update -q",
        "install -y -q --no-install-recommends maven python3.11-venv",
    ]


def test_an_apt_that_fails_ends_setup_with_what_to_do(bare_machine: Path) -> None:
    (bare_machine / "apt-fails").touch()

    done = system_packages(bare_machine)

    assert done.returncode == 1
    assert "apt could not install maven python3.11-venv" in done.stderr


def test_a_machine_without_apt_is_told_what_to_install(bare_machine: Path) -> None:
    (bare_machine / "path" / "apt-get").unlink()

    done = system_packages(bare_machine)

    assert done.returncode == 1
    assert "sudo apt-get install maven python3.11-venv" in done.stderr


def test_make_help_names_every_target_a_person_types() -> None:
    done = subprocess.run(["make"], cwd=HOUSE, capture_output=True, text=True, check=True, timeout=60)

    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert {
        "setup",
        "demo",
        "test",
        "itest",
        "lint",
        "fmt",
        "bench",
        "bench-quick",
        "soak",
        "docs",
        "clean",
        "lock",
    } <= listed


def test_make_refuses_a_spark_it_does_not_know() -> None:
    done = subprocess.run(
        ["make", "test", "SPARK=3.5"], cwd=HOUSE, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 2
    assert "SPARK=3.5 is not one of 4.0 and 4.1" in done.stderr
