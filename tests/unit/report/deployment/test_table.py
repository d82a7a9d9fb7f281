"""What a target costs, against hand-worked scores and times, and whether the order of networks changes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from deployments import COMPILED, EAGER, INT8, ORT, deployment, timing
from stored import iou_of, matrices, some_images, write_run

from segbench.metrics.trainings import Scope
from segbench.report.deployment.cells import columns_of, facts_of, reasons_of
from segbench.report.deployment.load import load_deployments
from segbench.report.deployment.rows import DeploymentTable
from segbench.report.deployment.table import deployment_tables
from segbench.report.deployment.verdicts import costs, ranking_verdicts
from segbench.results.arrays.matrices import load_matrices
from segbench.results.deployments.record import DeployedTo
from segbench.results.record import FoldFacts
from segbench.results.speed.record import Memory, Restart, SpeedStatus, Warmup


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
    order = table.orders["onnxruntime-int8"]
    assert (order.scope, order.networks, order.seeds) == (Scope.NETWORKS, ("brittle", "sturdy"), (3, 3))
    assert order.changes.turned == (("brittle", "sturdy"),)
    (verdict,) = ranking_verdicts(table)
    assert verdict == (
        "onnxruntime int8 (2 networks, 3 seeds each): the ranking changed: brittle leads in PyTorch, "
        "sturdy in onnxruntime int8."
    )
    rows = {(row.label, row.target): row for row in table.rows}
    assert rows["brittle", "onnxruntime-int8"].rank_before == (1, 1)
    assert rows["brittle", "onnxruntime-int8"].rank == (2, 2)
    assert [row.label for row in table.rows] == ["brittle", "brittle", "sturdy", "sturdy"]


def test_an_order_that_stays_is_told_with_the_pairs(tmp_path):
    network(tmp_path, "good", eager=90, int8=89)
    network(tmp_path, "poor", eager=60, int8=59)
    (verdict,) = ranking_verdicts(table_of(tmp_path))
    assert verdict.endswith(": no order is seen to turn round: 1 of 1 pairs that PyTorch tells apart stay so.")


def test_each_target_has_its_own_verdict_and_equal_ones_are_told_together(tmp_path):
    for label, eager, int8 in (("brittle", 90, 50), ("sturdy", 80, 78)):
        network(tmp_path, label, eager=eager, int8=int8)
        for run in (tmp_path / "toy").glob(f"{label}-*"):
            for target in (ORT, COMPILED):
                deployment(run, target, load_matrices(run / "confusion.npz"))
    same, changed = ranking_verdicts(table_of(tmp_path))
    assert same.startswith("compile fp32; onnxruntime fp32 (2 networks, 3 seeds each): no order is seen to turn round")
    assert changed.startswith("onnxruntime int8 (2 networks, 3 seeds each): the ranking changed")


def test_targets_of_other_trainings_have_a_scope_of_their_own(tmp_path):
    network(tmp_path, "brittle", eager=90, int8=50)
    network(tmp_path, "sturdy", eager=80, int8=78)
    for label in ("one", "two"):
        run = write_run(tmp_path, label, matrices=some_images(70, images=40))
        deployment(run, EAGER, some_images(70, images=40))
        deployment(run, ORT, some_images(70, images=40))
    table = table_of(tmp_path)
    scopes = {target: order.scope for target, order in table.orders.items()}
    assert scopes == {"onnxruntime-fp32": Scope.WEIGHTS, "onnxruntime-int8": Scope.NETWORKS}
    alone, several = ranking_verdicts(table)
    assert alone.startswith("onnxruntime fp32 (2 networks, 1 seed each): one training cannot tell")
    assert several.startswith("onnxruntime int8 (2 networks, 3 seeds each): the ranking changed")
    assert costs(table)[-1] == (
        "4 networks, 1 to 3 seeds each: variation between trainings is included where a target has several seeds of a "
        "network."
    )


def test_a_claim_is_corrected_for_the_number_of_targets(tmp_path):
    network(tmp_path, "unet", eager=80, int8=78)
    alone = row_of(tmp_path, "unet", "onnxruntime-int8")
    for run in (tmp_path / "toy").glob("unet-*"):
        for target in (ORT, COMPILED):
            deployment(run, target, load_matrices(run / "confusion.npz"))
    among = row_of(tmp_path, "unet", "onnxruntime-int8")
    assert 0 < alone.change_p_value < 1e-3
    assert among.change_p_value == pytest.approx(3 * alone.change_p_value)
    assert among.change_interval == pytest.approx(alone.change_interval)
    assert among.changed
    assert row_of(tmp_path, "unet", "onnxruntime-fp32").change_p_value == 1.0


def test_a_loss_that_may_be_chance_is_not_told_as_one(tmp_path):
    for seed in range(2):
        before, after = (some_images(hits, images=40, seed=seed + shift) for hits, shift in ((80, 0), (79, 5)))
        run = write_run(tmp_path, "unet", seed, matrices=before)
        deployment(run, EAGER, before)
        deployment(run, INT8, after)
    row = row_of(tmp_path, "unet", "onnxruntime-int8")
    assert row.change < -0.001
    assert not row.changed
    assert costs(table_of(tmp_path))[0].startswith("No loss is told apart from none; the largest is that of unet in")
    assert "*" not in columns_of(table_of(tmp_path))["change"][1].text


def test_the_largest_loss_is_told_with_its_interval_and_the_largest_gain(tmp_path):
    network(tmp_path, "brittle", eager=90, int8=50)
    network(tmp_path, "sturdy", eager=80, int8=78)
    row = row_of(tmp_path, "brittle", "onnxruntime-int8")
    loss, gain, held = costs(table_of(tmp_path))
    bounds = f"(95 % interval {row.change_interval.low:+.3f} to {row.change_interval.high:+.3f})"
    told = "2 of 2 changes are losses told apart from none."
    assert loss == f"brittle loses most, in onnxruntime int8: {row.change:+.3f} mean IoU {bounds}; {told}"
    assert gain == "No target is faster than PyTorch."  # both were stored with the same times
    assert held == "2 networks, 3 seeds each: variation between trainings is included."
    assert columns_of(table_of(tmp_path))["change"][1].text.startswith(f"{row.change:+.3f}* (")


def test_targets_that_change_nothing_are_said_to_cost_nothing_on_these_images(tmp_path):
    network(tmp_path, "unet", eager=80, int8=80)
    assert costs(table_of(tmp_path))[0] == "On these images no target costs a network 0.001 of its mean IoU."


def test_one_training_says_nothing_of_networks(tmp_path):
    network(tmp_path, "brittle", eager=90, int8=50, seeds=1)
    network(tmp_path, "sturdy", eager=80, int8=78, seeds=1)
    table = table_of(tmp_path)
    assert table.orders["onnxruntime-int8"].scope is Scope.WEIGHTS
    assert "train more seeds" in ranking_verdicts(table)[-1]
    assert costs(table)[-1] == (
        "2 networks, 1 seed each: variation between trainings is not included, so that this holds for these weights."
    )
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
    assert table.orders["onnxruntime-int8"].networks == ("unet",)
    json.dumps(facts_of(table), allow_nan=False)


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
    row = row_of(tmp_path, "unet", "onnxruntime-int8")
    assert math.isnan(row.mean_iou)
    assert row.reason.startswith("was fed other pixels than PyTorch")


def test_trainings_without_a_result_are_named_with_their_reasons(tmp_path):
    for seed in range(3):
        run = write_run(tmp_path, "unet", seed, hits=80)
        deployment(run, EAGER, matrices(80))
        if seed < 2:
            found, reason = (matrices(80), None) if seed == 0 else (None, "ran out of memory")
            deployment(run, INT8, found, reason=reason)
    row = row_of(tmp_path, "unet", "onnxruntime-int8")
    assert math.isnan(row.mean_iou)
    assert row.reason == (
        "seed 1: ran out of memory; seed 2: was not deployed, or not all of its folds; 'segbench deploy' does it"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timings": (timing(5.0, batch_size=4),)}, "timed with batches of 4, PyTorch of 1"),
        ({"environment": {"threads": 4}}, "timed on another machine or with other settings (threads 4, PyTorch 1)"),
        ({"environment": {"threads": 1, "processor": "B"}}, "(processor B, PyTorch missing)"),
        (
            {"timings": (timing(5.0).model_copy(update={"size": (64, 64)}),)},
            "timed with images of 64x64, PyTorch of 32x32",
        ),
    ],
)
def test_speed_ups_are_told_between_equal_measurements_only(tmp_path, changes, reason):
    run = write_run(tmp_path, "unet", hits=80)
    deployment(run, EAGER, matrices(80), environment={"threads": 1})
    deployment(run, ORT, matrices(80), environment={"threads": 1}, timings=(timing(5.5),))
    deployment(run, INT8, matrices(80), **{"environment": {"threads": 1}, **changes})
    assert row_of(tmp_path, "unet", "onnxruntime-fp32").speedup == pytest.approx(2.0)
    row = row_of(tmp_path, "unet", "onnxruntime-int8")
    assert row.speedup is None
    assert row.latency_ms is not None
    assert row.reason.startswith("no speed-up is told: ")
    assert reason in row.reason


@pytest.mark.parametrize(
    ("times", "ending"),
    [((5.0, 6.0), "."), ((5.5,), ", in one process, so that its spread is not known.")],
)
def test_the_largest_speed_up_is_told_as_measured(tmp_path, times, ending):
    run = write_run(tmp_path, "unet", matrices=some_images(80, images=40))
    deployment(run, EAGER, some_images(80, images=40))
    deployment(run, ORT, some_images(78, images=40), timings=(timing(*times),))
    _, gain, _ = costs(table_of(tmp_path))
    where = "that of unet in onnxruntime fp32"
    assert gain == f"The largest speed-up measured is {where}: 2.0 times as fast as PyTorch{ending}"


def test_a_time_that_never_became_steady_is_marked(tmp_path):
    warm = Warmup(first_call_seconds=1.0, calls=9, seconds=2.0, steady=True)
    times = timing(10.0, 12.0)
    first, second = (restart.model_copy(update={"warmup": warm}) for restart in times.restarts)
    restless = second.model_copy(update={"warmup": warm.model_copy(update={"steady": False})})
    run = write_run(tmp_path, "unet", hits=80)
    deployment(run, EAGER, matrices(80), timings=(times.model_copy(update={"restarts": (first, second)}),))
    deployment(run, INT8, matrices(80), timings=(times.model_copy(update={"restarts": (first, restless)}),))
    assert [cell.text for cell in columns_of(table_of(tmp_path))["ms"]] == ["11", "11 (not steady)"]


def test_memory_is_that_of_the_smallest_batch(tmp_path):
    run = write_run(tmp_path, "unet", hits=80)
    large = timing(9.0, batch_size=8)
    huge = large.restarts[0].model_copy(update={"memory": Memory(process_before_bytes=0, process_peak_bytes=10**10)})
    deployment(run, EAGER, matrices(80), timings=(timing(2.0), large.model_copy(update={"restarts": (huge,)})))
    assert row_of(tmp_path, "unet", "eager-fp32").peak_memory_bytes == 10**8


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
