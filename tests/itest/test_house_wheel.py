"""The wheel holds all a job needs: every package, conf/ and the SQL, and works far from any checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.itest

HOUSE = Path(__file__).resolve().parents[2]
TRAVELS = ("pyproject.toml", "README.md", "requirements", "lakehouse", "streaming", "ml", "serving", "jobs", "conf")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the checkout stays clean."""
    source = tmp_path_factory.mktemp("source")
    for name in TRAVELS:
        copy = shutil.copytree if (HOUSE / name).is_dir() else shutil.copy
        copy(HOUSE / name, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(source / "dist")]
    subprocess.run(command, cwd=source, capture_output=True, check=True, timeout=200)
    return next((source / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content where pip would put it."""
    folder = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def run(site: Path, place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("TICKHOUSE")}
    environ |= {"PYTHONPATH": str(site), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(command, cwd=place, env=environ, capture_output=True, text=True, check=False, timeout=120)


def test_every_file_the_code_reads_is_in_the_wheel(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())

    wanted = {
        file.relative_to(HOUSE).as_posix()
        for folder in ("lakehouse", "streaming", "ml", "serving", "jobs", "conf")
        for file in (HOUSE / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert wanted - inside == set()
    assert [name for name in inside if name.startswith(("tests/", "benchmarks/"))] == []


def test_the_console_script_is_declared(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        entry = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "tickhouse = jobs.__main__:main" in archive.read(entry).decode()


def test_an_installed_wheel_finds_its_settings_from_anywhere(site: Path, tmp_path: Path) -> None:
    done = run(site, tmp_path, sys.executable, "-m", "jobs", "config", "show", "paths.warehouse", "--json")

    assert done.returncode == 0, done.stderr
    assert '"origin": "conf/local.yaml:' in done.stdout


def test_a_job_file_runs_under_spark_submit_and_hands_on_its_exit_code(site: Path, tmp_path: Path) -> None:
    submit = ["spark-submit", "--master", "local[1]", "--conf", "spark.ui.enabled=false"]

    well = run(site, tmp_path, *submit, str(site / "jobs" / "config.py"), "show", "--json")
    badly = run(site, tmp_path, *submit, str(site / "jobs" / "config.py"), "show", "--set", "paths.here=x")

    assert well.returncode == 0, well.stderr
    assert '"key": "paths.warehouse"' in well.stdout
    assert badly.returncode == 1
    assert "error: --set: paths.here: expected a known setting" in badly.stdout + badly.stderr


def test_workers_of_a_submitted_job_have_what_py_files_bring(wheel: Path, tmp_path: Path) -> None:
    """Spark's JVM began before the job's Python there, and its own path knows nothing of ours."""
    script = tmp_path / "listed.py"
    script.write_text(
        "from lakehouse.session import spark_session\n"
        "from lakehouse.settings import Settings, SparkSettings\n"
        "from lakehouse.workers import in_arrow\n"
        "settings = Settings(spark=SparkSettings(master='local[1]'))\n"
        "with spark_session(settings, app_name='listed') as spark:\n"
        "    rows = in_arrow(spark.range(3), lambda batches: batches, 'id bigint').collect()\n"
        "    print('rows', sorted(row[0] for row in rows))\n",
        encoding="utf-8",
    )
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    submit = ["spark-submit", "--master", "local[1]", "--py-files", str(wheel), str(script)]

    done = subprocess.run(submit, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=200)

    assert "rows [0, 1, 2]" in done.stdout, done.stdout[-2000:] + done.stderr[-3000:]
