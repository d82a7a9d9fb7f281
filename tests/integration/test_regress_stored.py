"""``segbench regress save`` and ``check``, and pytest-benchmark's files: every exit code, from real measurements."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from segbench.cli.app import app
from segbench.results.speed.baseline import read_baseline
from segbench.speed.measure.timer import LEAST_SLOW_SAMPLES

pytestmark = pytest.mark.slow(reason="measures networks in fresh processes, each of which imports torch")

NETWORK = ("--models", "cnn", "--size", "32x32", "--classes", "4")


def segbench(*arguments):
    return CliRunner().invoke(app, ["regress", *map(str, arguments)])


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    """A baseline of one small network."""
    file = tmp_path_factory.mktemp("baseline") / "base.json"
    done = segbench("save", *NETWORK, "--restarts", 2, "--seconds", 0.02, "--device", "cpu", "--out", file)
    assert done.exit_code == 0, done.output
    return file


def rewritten(baseline, tmp_path, change):
    """Return a copy of the baseline that was changed."""
    document = json.loads(baseline.read_text())
    del document["checksum"]  # as a baseline of earlier versions
    change(document["records"])
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(document))
    return file


def times(factor, spread=0.01):
    """Return a change: five restarts of made-up times."""

    def change(records):
        first = records[0]["restarts"][0]
        numbers = [1.0, 1 + spread, 1 - spread, 1 + 2 * spread, 1 - 2 * spread]
        records[0]["restarts"] = [first | {"host_seconds": [factor * number] * 3} for number in numbers]

    return change


def test_a_baseline_holds_every_sample_of_every_restart(baseline):
    (record,) = read_baseline([baseline])
    assert len(record.restarts) == 2
    assert all(len(restart.host_seconds) >= LEAST_SLOW_SAMPLES for restart in record.restarts)


def test_a_measurement_that_is_far_slower_than_the_baseline_exits_1(baseline, tmp_path):
    fast = rewritten(baseline, tmp_path, times(1e-7))
    done = segbench("check", "--baseline", fast, "--seconds", 0.02, "--device", "cpu")
    assert done.exit_code == 1, done.output
    assert "regressed" in done.stdout
    assert "confirmed in fresh processes" in done.output


def test_a_measurement_that_is_far_faster_than_the_baseline_exits_0(baseline, tmp_path):
    slow = rewritten(baseline, tmp_path, times(1e3))
    files = tmp_path / "check.json", tmp_path / "check.md"
    written = ("--json", files[0], "--markdown", files[1])
    done = segbench("check", "--baseline", slow, "--seconds", 0.02, "--device", "cpu", *written)
    assert done.exit_code == 0, done.output
    assert files[1].read_text(encoding="utf-8").startswith("### Speed against the baseline: passed")
    document = json.loads(files[0].read_text(encoding="utf-8"))
    assert document["exit_code"] == 0
    assert document["cases"][0]["decision"]["verdict"] == "passed"
    assert len(document["cases"][0]["head_seconds"]) == 5


def test_figures_that_scatter_too_much_exit_3(baseline, tmp_path):
    before, now = tmp_path / "before", tmp_path / "now"
    before.mkdir()
    now.mkdir()
    noisy = rewritten(baseline, before, times(1.0, spread=0.3))
    slower = rewritten(baseline, now, times(1.05, spread=0.3))
    done = segbench("check", "--baseline", noisy, "--current", slower)
    assert done.exit_code == 3
    assert "inconclusive" in done.stdout


def test_a_renamed_case_exits_4_and_is_named(baseline, tmp_path):
    renamed = rewritten(baseline, tmp_path, lambda records: records[0]["case"]["model"].update(width=0.5))
    done = segbench("check", "--baseline", baseline, "--current", renamed)
    assert done.exit_code == 4
    assert "missing: this case is in the baseline" in done.output
    assert "new, not in the baseline" in done.output


def test_another_machine_exits_4_with_both_values(baseline, tmp_path):
    elsewhere = rewritten(baseline, tmp_path, lambda records: records[0]["environment"].update(processor="Abacus"))
    done = segbench("check", "--baseline", elsewhere, "--seconds", 0.02, "--device", "cpu")
    assert done.exit_code == 4
    assert "processor: 'Abacus' before" in done.output


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), ("{", "is not JSON"), ("{}", "is no speed baseline")]
)
def test_a_baseline_that_cannot_be_read_exits_2_and_is_named(tmp_path, content, message):
    file = tmp_path / "base.json"
    if content is not None:
        file.write_text(content)
    done = segbench("check", "--baseline", file)
    assert done.exit_code == 2
    assert f"{file}: {message}" in done.output
    assert "Traceback" not in done.output


def test_what_cannot_be_measured_is_not_saved(tmp_path):
    out = tmp_path / "base.json"
    raising = ("--models", "python:misbehaving.raising", "--size", "32x32", "--restarts", 2, "--seconds", 0.01)
    done = segbench("save", *raising, "--out", out)
    assert done.exit_code == 2
    assert "flux capacitor" in done.output
    assert "no baseline was written" in done.output
    assert not out.exists()


def test_a_network_that_is_gone_exits_4_with_the_reason(baseline, tmp_path):
    gone = rewritten(baseline, tmp_path, lambda records: records[0]["case"]["model"].update(name="no_such_network"))
    done = segbench("check", "--baseline", gone, "--seconds", 0.02, "--device", "cpu")
    assert done.exit_code == 4, done.output
    assert "no_such_network" in done.output


@pytest.mark.parametrize("command", ["save", "check"])
def test_a_crash_is_no_regression(command, baseline, tmp_path, monkeypatch):
    monkeypatch.setattr("segbench.speed.run_cases.measure_cases", lambda *_, **__: 1 / 0)
    given = {"save": (*NETWORK, "--out", tmp_path / "out.json"), "check": ("--baseline", baseline, "--device", "cpu")}
    done = segbench(command, *given[command])
    assert done.exit_code == 2
    assert "the gate crashed: ZeroDivisionError" in done.output


def test_the_loading_of_data_has_no_baseline(baseline, tmp_path):
    loading = rewritten(baseline, tmp_path, lambda records: records[0]["case"].update(task="loading"))
    done = segbench("check", "--baseline", loading)
    assert done.exit_code == 2
    assert "only its suite can" in done.output


BENCHMARK = """
import pytest

def test_network(speed_case):
    speed_case({"name": "cnn", "width": 0.0625}, size=(32, 32), classes=4)
"""


@pytest.fixture(scope="module")
def benchmarks(tmp_path_factory):
    """Two files that pytest-benchmark wrote of the fixture ``speed_case``, each in a process of its own."""
    folder = tmp_path_factory.mktemp("benchmarks")
    (folder / "test_speed.py").write_text(BENCHMARK)
    files = [folder / f"{number}.json" for number in (1, 2)]
    # pytest-benchmark measures nothing where it takes itself for one of several workers
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    for file in files:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--benchmark-max-time", "0.05"]
        loaded = [] if _registered() else ["-p", "segbench.speed.pytest_plugin"]
        done = subprocess.run(
            [*command, *loaded, "--benchmark-json", str(file), "test_speed.py"],
            cwd=folder,
            env=alone,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return files


def _registered():
    from importlib.metadata import entry_points

    return any(entry.value == "segbench.speed.pytest_plugin" for entry in entry_points(group="pytest11"))


def test_speed_cases_are_ordinary_benchmarks_that_can_be_checked(benchmarks):
    document = json.loads(benchmarks[0].read_text())
    (benchmark,) = document["benchmarks"]
    assert benchmark["extra_info"]["case"].startswith("inference · cnn · 32x32")
    (record,) = read_baseline(benchmarks)
    assert len(record.restarts) == 2
    assert record.case.model["width"] == 0.0625
    one = segbench("check", "--baseline", benchmarks[0], "--current", benchmarks[1])
    assert one.exit_code == 3
    assert "holds one restart" in one.output


def test_a_benchmark_on_the_same_machine_is_comparable(benchmarks, tmp_path):
    again = [slowed(file, tmp_path / file.name, 1.00001) for file in benchmarks[:2]]
    done = segbench(
        *("check", "--baseline", benchmarks[0], "--baseline", benchmarks[1]),
        *("--current", again[0], "--current", again[1]),
    )
    assert done.exit_code in (0, 3), done.output  # the same figures; how far the two files scatter is the machine's
    assert "+0.0 %" in done.stdout


def test_a_benchmark_is_not_compared_with_itself(benchmarks):
    done = segbench("check", "--baseline", benchmarks[0], "--current", benchmarks[0])
    assert done.exit_code == 2
    assert "a copy is no new evidence" in done.output


def test_files_of_pytest_benchmark_tell_a_slowdown(benchmarks, tmp_path):
    alike = [slowed(benchmarks[0], tmp_path / f"alike-{number}.json", 1 + number / 1e4) for number in (1, 2)]
    slower = [slowed(benchmarks[0], tmp_path / f"slower-{number}.json", 2 + number / 1e4) for number in (1, 2)]
    done = segbench(
        "check",
        *(part for file in alike for part in ("--baseline", file)),
        *(part for file in slower for part in ("--current", file)),
    )
    assert done.exit_code == 1, done.output
    assert "regressed" in done.stdout


def slowed(file, copy, factor):
    """Write a copy of a pytest-benchmark file all of whose times are that much longer."""
    document = json.loads(file.read_text(encoding="utf-8"))
    for benchmark in document["benchmarks"]:
        benchmark["stats"]["data"] = [factor * seconds for seconds in benchmark["stats"]["data"]]
    copy.write_text(json.dumps(document), encoding="utf-8")
    return copy
