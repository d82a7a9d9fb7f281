"""What a target costs, against hand-worked scores and times, and whether the order of networks changes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from deployments import EAGER, INT8, ORT, deployment, timing
from stored import iou_of, matrices, some_images, write_run

from segbench.metrics.trainings import Scope
from segbench.report.deployment.cells import columns_of, reasons_of
from segbench.report.deployment.load import load_deployments
from segbench.report.deployment.rows import DeploymentTable
from segbench.report.deployment.table import deployment_tables
from segbench.results.deployments.record import DeployedTo
from segbench.results.record import FoldFacts
from segbench.results.speed.record import Restart, SpeedStatus


def table_of(root: Path) -> DeploymentTable:
    """Return the only table of the suite."""
    (table,) = deployment_tables(load_deployments(root / "toy"))
    return table


def row_of(root: Path, label: str, target: str):
    return next(row for row in table_of(root).rows if (row.label, row.target) == (label, target))


def network(root: Path, label: str, *, eager: int, int8: int, seeds: int = 3) -> None:
    """Store a network whose every training has about these hits of 100."""
    for seed in range(seeds):
        before, after = (some_images(hits, images=40, seed=seed) for hits in (eager, int8))
        run = write_run(root, label, seed, matrices=before)
        deployment(run, EAGER, before)
        deployment(run, INT8, after)


def test_scores_and_times_are_worked_out_by_hand(tmp_path):
    run = write_run(tmp_path, "unet", hits=80)
    deployment(run, EAGER, matrices(80), timings=(timing(20.0, 24.0, 22.0),))
    deployment(run, INT8, matrices(60), timings=(timing(10.0, 11.0, 12.0), timing(40.0, batch_size=8)))
    row = row_of(tmp_path, "unet", "onnxruntime-int8")
    assert row.mean_iou == pytest.approx(iou_of(60))
    assert row.change == pytest.approx(iou_of(60) - iou_of(80))
    assert row.change_interval is None  # two images are too few
    assert row.agreement == pytest.approx(0.99)
    assert (row.latency_ms, row.latency_low_ms, row.latency_high_ms) == pytest.approx((11.0, 10.0, 12.0))
    assert row.speedup == pytest.approx(2.0)
    assert row.images_per_second == pytest.approx(200.0)  # 8 images in 40 ms
    assert row.peak_memory_bytes == 10**8
    assert row.file_bytes == 4000
    eager = row_of(tmp_path, "unet", "eager-fp32")
    assert (eager.change, eager.speedup) == (0.0, 1.0)


def test_an_interval_of_the_change_is_paired_over_images(tmp_path):
    network(tmp_path, "unet", eager=80, int8=78)
    row = row_of(tmp_path, "unet", "onnxruntime-int8")
    assert row.change_interval.low < row.change < row.change_interval.high < 0
    assert row.change_interval.high - row.change_interval.low < 0.01  # images scatter by ten times as much


def test_an_order_that_turns_round_is_told(tmp_path):
    network(tmp_path, "brittle", eager=90, int8=50)
    network(tmp_path, "sturdy", eager=80, int8=78)
    table = table_of(tmp_path)
    assert table.scope is Scope.NETWORKS
    assert table.changes["onnxruntime-int8"].turned == (("brittle", "sturdy"),)
    assert table.verdicts[-1] == ("The ranking changed: brittle leads in PyTorch, sturdy in onnxruntime int8.")
    rows = {(row.label, row.target): row for row in table.rows}
    assert rows["brittle", "onnxruntime-int8"].rank_before == (1, 1)
    assert rows["brittle", "onnxruntime-int8"].rank == (2, 2)
    assert [row.label for row in table.rows] == ["brittle", "brittle", "sturdy", "sturdy"]


def test_an_order_that_stays_is_told_with_the_pairs(tmp_path):
    network(tmp_path, "good", eager=90, int8=89)
    network(tmp_path, "poor", eager=60, int8=59)
    verdict = table_of(tmp_path).verdicts[-1]
    assert verdict == "No order is seen to turn round: 1 of 1 pairs that PyTorch tells apart stay so."


def test_the_largest_loss_is_told_with_its_interval_and_the_largest_gain(tmp_path):
    network(tmp_path, "brittle", eager=90, int8=50)
    network(tmp_path, "sturdy", eager=80, int8=78)
    row = row_of(tmp_path, "brittle", "onnxruntime-int8")
    loss, gain, _ = table_of(tmp_path).verdicts
    bounds = f"(95 % interval {row.change_interval.low:+.3f} to {row.change_interval.high:+.3f})"
    assert loss == f"brittle loses most, in onnxruntime int8: {row.change:+.3f} mean IoU {bounds}."
    assert gain == "No target is faster than PyTorch."  # both were stored with the same times


def test_targets_that_change_nothing_are_said_to_cost_nothing_on_these_images(tmp_path):
    network(tmp_path, "unet", eager=80, int8=80)
    assert table_of(tmp_path).verdicts[0] == "On these images no target costs a network 0.001 of its mean IoU."


def test_one_training_says_nothing_of_networks(tmp_path):
    network(tmp_path, "brittle", eager=90, int8=50, seeds=1)
    network(tmp_path, "sturdy", eager=80, int8=78, seeds=1)
    table = table_of(tmp_path)
    assert table.scope is Scope.WEIGHTS
    assert "train more seeds" in table.verdicts[-1]
    assert all(row.rank is None for row in table.rows)


def test_what_has_no_result_is_a_row_with_its_reason(tmp_path):
    network(tmp_path, "unet", eager=80, int8=78, seeds=1)
    other = write_run(tmp_path, "opaque", matrices=some_images(70, images=40))
    deployment(other, EAGER, some_images(70, images=40))
    deployment(other, INT8, None, reason="cannot be exported to ONNX")
    table = table_of(tmp_path)
    row = row_of(tmp_path, "opaque", "onnxruntime-int8")
    assert math.isnan(row.mean_iou)
    assert reasons_of(table) == ["opaque, onnxruntime int8: cannot be exported to ONNX"]
    assert columns_of(table)["mIoU"][table.rows.index(next(r for r in table.rows if r.reason))].text == "-"
    assert table.changes.keys() == {"onnxruntime-int8"}
    json.dumps(table.facts(), allow_nan=False)


def test_a_target_that_was_not_timed_says_why(tmp_path):
    failed = Restart(status=SpeedStatus.FAILED, reason="the run's process was killed by SIGSEGV")
    run = write_run(tmp_path, "unet", hits=80)
    deployment(run, EAGER, matrices(80))
    deployment(run, INT8, matrices(80), timings=(timing(1.0).model_copy(update={"restarts": (failed,)}),))
    row = row_of(tmp_path, "unet", "onnxruntime-int8")
    assert row.latency_ms is None
    assert row.reason == "not timed: the run's process was killed by SIGSEGV"


def test_networks_fed_with_other_pixels_than_pytorch_are_not_compared(tmp_path):
    run = write_run(tmp_path, "unet", hits=80)
    deployment(run, EAGER, matrices(80), test_digest="a")
    deployment(run, INT8, matrices(80), test_digest="b")
    assert math.isnan(row_of(tmp_path, "unet", "onnxruntime-int8").mean_iou)


def test_devices_have_tables_of_their_own(tmp_path):
    run = write_run(tmp_path, "unet", hits=80)
    for device in ("cpu", "cuda"):
        deployment(run, EAGER.model_copy(update={"device": device}), matrices(80))
    tables = deployment_tables(load_deployments(tmp_path / "toy"))
    assert sorted(table.device for table in tables) == ["cpu", "cuda"]
    assert {row.target for table in tables for row in table.rows} == {"eager-fp32"}


def test_targets_stand_in_the_order_of_runtimes_precisions_and_pruning(tmp_path):
    run = write_run(tmp_path, "unet", hits=80)
    for runtime, precision, prune in [
        *(("openvino", "fp32", None), ("onnxruntime", "int8", None), ("eager", "fp32", 0.5)),
        *(("onnxruntime", "fp32", None), ("eager", "fp32", None)),
    ]:
        target = DeployedTo(runtime=runtime, precision=precision, prune=prune, device="cpu")
        deployment(run, target, matrices(80))
    assert [row.name for row in table_of(tmp_path).rows] == [
        *("eager fp32", "eager fp32, 50 % pruned"),
        *("onnxruntime fp32", "onnxruntime int8", "openvino fp32"),
    ]


def test_folds_are_scored_together_and_a_missing_one_is_told(tmp_path):
    for index in (1, 2):
        counted = some_images(80, images=10, seed=index, prefix=f"fold{index}-")
        groups = tuple(f"patient{index}-{number // 2}" for number in range(10))
        fold = FoldFacts(index=index, folds=2, groups=groups)
        run = write_run(tmp_path, "unet", matrices=counted, fold=fold)
        deployment(run, EAGER, counted)
        if index == 1:
            assert "only 1 of 2 folds" in load_deployments(tmp_path / "toy").problems[0]
    (found,) = load_deployments(tmp_path / "toy").runs
    assert len(found.images) == 20
    assert len(set(found.groups)) == 10


def test_deployments_of_an_earlier_run_are_left_out(tmp_path):
    run = write_run(tmp_path, "unet", hits=80)
    deployment(run, EAGER, matrices(80))
    deployment(run, INT8, matrices(70), identity="0" * 64)
    found = load_deployments(tmp_path / "toy")
    assert "are of an earlier run" in found.problems[0]
    assert found.runs[0].counts.keys() == {"eager-fp32"}


def test_a_target_tested_on_other_images_is_left_out_alone_and_told(tmp_path):
    run = write_run(tmp_path, "unet", matrices=some_images(80, images=12))
    deployment(run, EAGER, some_images(80, images=12))
    deployment(run, ORT, some_images(80, images=12))
    deployment(run, INT8, some_images(80, images=10))
    (problem,) = load_deployments(tmp_path / "toy").problems
    assert problem.startswith("unet, seed 0, onnxruntime int8: left out, since it was tested on other images")
    assert [row.target for row in table_of(tmp_path).rows] == ["eager-fp32", "onnxruntime-fp32"]


def test_a_network_whose_options_changed_is_a_network_of_its_own(tmp_path):
    for width in (0.5, 1.0):
        run = write_run(tmp_path, "unet", matrices=some_images(80), options={"width": width})
        deployment(run, EAGER, some_images(80))
    assert load_deployments(tmp_path / "toy").problems == ()
    assert {row.label for row in table_of(tmp_path).rows} == {"unet (width=0.5)", "unet (width=1.0)"}


def test_a_run_in_two_folders_counts_once_with_the_deployments_of_both(tmp_path):
    for place, target in (("here", INT8), ("there", ORT)):
        run = write_run(tmp_path / place, "unet", matrices=some_images(80))
        deployment(run, EAGER, some_images(80))
        deployment(run, target, some_images(80))
    found = load_deployments(tmp_path / "here" / "toy", tmp_path / "there" / "toy")
    (one,) = found.runs
    assert found.problems == ()
    assert one.counts.keys() == {"eager-fp32", "onnxruntime-int8", "onnxruntime-fp32"}
    assert len(one.images) == 20
