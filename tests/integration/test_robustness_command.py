"""``segbench robustness``: by hand, by ``segbench run``, and refused."""

from __future__ import annotations

import json

import pytest

from segbench.results.retests.store import ROBUSTNESS

BLOCK = {"corruptions": ["fog", "contrast"], "severities": [3], "images": 4}


@pytest.mark.slow(reason="trains, and starts three commands")
def test_a_suite_with_a_robustness_block_is_tested_again_after_its_runs(tiny_file, segbench, tmp_path):
    suite = tiny_file(models=["cnn"], robustness=BLOCK, train={"epochs": 1})
    done = segbench("run", suite, "--no-estimate", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "2 tests to do, 0 done before" in done.stderr
    found = ROBUSTNESS.scan(tmp_path / "results" / "tiny" / "robustness")
    assert [test.record.condition.key for test in found.tests] == ["contrast-3", "fog-3"]
    assert "Other weather" in (tmp_path / "reports" / "tiny" / "leaderboard.md").read_text(encoding="utf-8")
    again = segbench("robustness", suite, "--json")
    assert again.returncode == 0, again.stderr
    assert "0 tests to do, 2 done before" in again.stderr
    (table,) = json.loads(again.stdout)
    assert set(table["rows"][0]["by_condition"]) == {"contrast-3", "fog-3"}
    left = segbench("robustness", suite, "--severities", "5", "--time-limit", "0.001s")
    assert left.returncode == 3
    assert "the same command goes on" in left.stderr


def test_there_is_nothing_to_test_before_networks_are_trained(tiny_file, segbench):
    done = segbench("robustness", tiny_file(robustness=BLOCK), "--device", "cpu")
    assert done.returncode == 2
    assert "no trained network to test; 'segbench run' trains them first" in done.stderr
