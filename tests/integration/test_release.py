"""What is released stands alone: built, installed without the repository, run by name, and typed."""

from __future__ import annotations

import tarfile
import tomllib
from email import message_from_bytes
from pathlib import Path
from textwrap import dedent
from zipfile import ZipFile

import pytest
from installed import ROOT, Environment, build

pytest.importorskip("hatchling", reason="the extra 'test' has it")

NAME = f"segbench-{tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))['project']['version']}"
KEYS = (
    "train.steps=4",
    "train.schedule.warmup_steps=1",
    "dataset.train_images=16",
    "dataset.test_images=4",
    "seeds=[0]",
)
SMALL = [word for key in KEYS for word in ("--set", key)]
"""Makes the quickstart short."""

STRANGER = """\
from pathlib import Path
from typing import assert_type

import pandas as pd
from matplotlib.figure import Figure

import segbench
from segbench.config.suite import Suite
from segbench.engine.suite.run_suite import SuiteOutcome
from segbench.errors import SuiteError


def trained(file: Path) -> SuiteOutcome:
    try:
        suite = assert_type(segbench.load_suite(file, overrides=["train.epochs=1"]), Suite)
    except SuiteError as error:
        raise SystemExit(assert_type(error.problem, str)) from None
    labels = [model.label for model in suite.models]
    assert_type(labels, list[str])
    return assert_type(segbench.run_suite(suite, results="results", models=labels, progress=False), SuiteOutcome)


def summary(folder: Path) -> list[str]:
    runs = assert_type(segbench.load_results(folder), pd.DataFrame)
    board: pd.DataFrame = segbench.leaderboard(runs)
    assert_type(segbench.class_iou(runs), pd.DataFrame)
    assert_type(segbench.confusion_matrix(runs, "U-Net"), pd.DataFrame)
    assert_type(segbench.figure_names(), list[str])
    assert_type(segbench.figure(runs, "class-iou"), Figure)
    return [f"segbench {segbench.__version__}", *map(str, board["model"])]


if __name__ == "__main__":
    print("\\n".join(summary(Path("results"))))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of the sdist and the wheel."""
    out = tmp_path_factory.mktemp("dist")
    for kind in ("sdist", "wheel"):
        build(kind, source=ROOT, out=out)
    return out


@pytest.fixture(scope="module")
def wheel(built):
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """An environment in which the wheel is installed, and nothing of the repository."""
    found = Environment(tmp_path_factory.mktemp("installed"))
    done = found.run("pip", "install", "-q", wheel, cwd=wheel.parent)
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture(scope="module")
def quickstart(environment, tmp_path_factory):
    """An empty folder in which the shipped quickstart was run by its name, with few images and steps."""
    folder = tmp_path_factory.mktemp("anywhere")
    done = environment.run("segbench", "run", "quickstart", *SMALL, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "DeepLab-LargeFOV" in done.stdout
    return folder


def contents(wheel):
    """Return the checksum of each file of a wheel, by name."""
    with ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


@pytest.mark.slow(reason="builds the packages")
def test_the_wheel_holds_the_package_its_suites_and_its_licence_and_nothing_else(wheel):
    package = {f"segbench/{file.relative_to(ROOT / 'segbench')}" for file in (ROOT / "segbench").rglob("*")}
    package = {name for name in package if (ROOT / name).is_file() and "__pycache__" not in name}
    suites = {f"segbench/suites/{file.name}" for file in (ROOT / "suites").glob("*.yaml")}
    about = {f"{NAME}.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
    assert set(contents(wheel)) == {*package, *suites, *about, f"{NAME}.dist-info/licenses/LICENSE"}
    assert {"segbench/py.typed", "segbench/report/templates/report.html.j2", "segbench/suites/quickstart.yaml"} <= {
        *package,
        *suites,
    }


@pytest.mark.slow(reason="builds the packages")
def test_the_wheel_says_what_it_needs_and_what_it_is(wheel):
    with ZipFile(wheel) as archive:
        about = message_from_bytes(archive.read(f"{NAME}.dist-info/METADATA"))
        assert "segbench = segbench.__main__:main" in archive.read(f"{NAME}.dist-info/entry_points.txt").decode()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (about["Version"], about["License-Expression"]) == (project["version"], "Apache-2.0")
    needed = [line for line in about.get_all("Requires-Dist") if "extra ==" not in line]
    assert sorted(needed) == sorted(project["dependencies"])
    assert "Typing :: Typed" in about.get_all("Classifier")


@pytest.mark.slow(reason="builds the packages twice")
def test_the_sdist_builds_the_same_wheel(built, wheel, tmp_path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    source = tmp_path / NAME
    assert not (source / "published").exists()
    assert all((source / name).is_file() for name in ("LICENSE", "CHANGELOG.md", "CITATION.cff", "docs/suites.md"))
    assert contents(build("wheel", source=source, out=tmp_path)) == contents(wheel)


@pytest.mark.slow(reason="installs the wheel into an environment of its own, and trains")
def test_the_quickstart_runs_by_its_name_where_the_repository_is_not(quickstart, environment):
    assert (quickstart / "reports" / "quickstart" / "index.html").is_file()
    assert len(list((quickstart / "results" / "quickstart").glob("*/run.json"))) == 6
    where = environment.run("python", "-c", "import segbench; print(segbench.__file__)", cwd=quickstart).stdout
    assert Path(where.strip()).is_relative_to(environment.bin.parent)
    listed = environment.run("segbench", "suites", cwd=quickstart).stdout
    assert all(file.stem in listed for file in (ROOT / "suites").glob("*.yaml"))


@pytest.mark.slow(reason="checks types through torch and pandas")
def test_a_strangers_module_is_typed_by_the_wheel_alone(quickstart, environment):
    (quickstart / "stranger.py").write_text(STRANGER, encoding="utf-8")
    strict = ("-m", "mypy", "--strict", "--cache-dir", "cache")
    done = environment.run("python", *strict, "stranger.py", cwd=quickstart)
    assert done.stdout == "Success: no issues found in 1 source file\n", done.stdout + done.stderr
    wrong = """\
        import segbench

        segbench.lead_suite("voc")
        segbench.run_suite("voc")
        """
    (quickstart / "wrong.py").write_text(dedent(wrong), encoding="utf-8")
    found = environment.run("python", *strict, "wrong.py", cwd=quickstart).stdout.splitlines()
    assert [line.rpartition("[")[2] for line in found] == ["attr-defined]", "arg-type]", found[-1]]
    said = environment.run("python", "stranger.py", cwd=quickstart)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[0] == NAME.replace("-", " ")
    assert "U-Net" in said.stdout
