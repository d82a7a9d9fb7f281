"""What the scripts in benchmarks/ measure is what they say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from segbench.report.runs.load import load_results

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def report_scale(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "report_scale", raising=False)
    import report_scale

    return report_scale


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
