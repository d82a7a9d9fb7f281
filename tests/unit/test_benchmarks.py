"""What the scripts in benchmarks/ measure is what they say."""

from __future__ import annotations

from argparse import Namespace
from importlib import import_module
from pathlib import Path

import pytest

from segbench.report.runs.load import load_results

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    """Scripts find each other, as where one is started."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def report_scale():
    return import_module("report_scale")


@pytest.fixture
def submissions():
    return import_module("submissions")


def test_synthetic_runs_are_completed_runs_of_one_data_set(report_scale, tmp_path):
    for network in (0, 1):
        for seed in (0, 1):
            report_scale.write_run(tmp_path, network, seed, images=5, classes=7, present=3)
    runs = load_results(tmp_path)
    assert list(runs["status"]) == ["completed"] * 4, "neither edited nor of other labels"
    assert runs["run"].nunique() == 4
    assert runs["test_digest"].nunique() == 1
    scores = runs.groupby("model")["mean_iou"].mean()
    assert scores["network 1"] > scores["network 0"]


@pytest.mark.parametrize("count", [2, 4, 10, 25])
def test_merges_that_take_the_same_time_do_not_become_slower(submissions, count):
    assert submissions.slowdown([0.5] * count) == 1
    assert submissions.slowdown([*[0.5] * (count - 1), 2.0]) > 1


def test_every_submission_is_packed_and_merged(submissions, tmp_path):
    given = Namespace(suites=2, seeds=2, images=3, classes=4)
    packing, merging, archived = submissions.submit(tmp_path, tmp_path / "results", 8, given)
    assert len(packing) == len(merging) == 8
    assert archived > 0
    for suite in submissions.suites_of(given):
        runs = load_results(tmp_path / "results" / suite)
        assert sorted(zip(runs["model"], runs["seed"], strict=True)) == [
            (f"network {network}", seed) for network in (0, 1) for seed in (0, 1)
        ]
