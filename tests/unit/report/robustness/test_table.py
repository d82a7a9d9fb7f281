"""What is lost under corruption, against hand-worked scores, and whether the order of networks changes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from retests import FOG, NOISE, network, retest
from stored import some_images, write_run

from segbench.metrics.trainings import Scope
from segbench.report.robustness.load import load_retests
from segbench.report.robustness.rows import RobustnessTable
from segbench.report.robustness.table import robustness_tables
from segbench.results.arrays.matrices import ImageMatrices
from segbench.results.record import FoldFacts
from segbench.results.retests.record import Calibration, Condition
from segbench.results.retests.store import ROBUSTNESS


def table_of(root: Path) -> RobustnessTable:
    """Return the only table of the suite."""
    (table,) = robustness_tables(load_retests(root / "toy"))
    return table


def test_what_is_lost_is_worked_out_by_hand(tmp_path):
    for seed in range(2):
        run = write_run(tmp_path, "unet", seed, hits=80)
        counted = write_run(tmp_path / "other", "x", seed, hits=60)
        from segbench.results.arrays.matrices import load_matrices

        retest(run, FOG, load_matrices(counted / "confusion.npz"))
    row = table_of(tmp_path).rows[0]
    assert row.clean == pytest.approx(80 / 120)
    assert row.corrupted == pytest.approx(60 / 140)
    assert row.relative_loss == pytest.approx(1 - (60 / 140) / (80 / 120))
    assert row.worst == "fog"
    assert row.loss is None  # two images are too few for an interval


def test_an_interval_of_the_loss_is_paired_over_images(tmp_path):
    network(tmp_path, "unet", clean=80, fog=70, noise=60)
    row = table_of(tmp_path).rows[0]
    assert row.loss is not None
    assert row.loss.low < row.corrupted - row.clean < row.loss.high < 0
    assert row.worst == "gaussian_noise"


def test_an_order_that_turns_round_is_told(tmp_path):
    network(tmp_path, "sharp", clean=90, fog=50, noise=50)
    network(tmp_path, "sturdy", clean=80, fog=75, noise=75)
    table = table_of(tmp_path)
    assert table.turned == (("sharp", "sturdy"),)
    assert [row.label for row in table.rows] == ["sturdy", "sharp"]
    assert table.rows[0].rank_clean == (2, 2)
    assert table.rows[0].rank_corrupted == (1, 1)
    assert "The ranking changed: sharp leads on clean images, sturdy on corrupted ones." in table.verdict


def test_an_order_that_stays_is_told(tmp_path):
    network(tmp_path, "good", clean=90, fog=80, noise=80)
    network(tmp_path, "bad", clean=70, fog=60, noise=60)
    table = table_of(tmp_path)
    assert table.kept == (("good", "bad"),)
    assert "No order is seen to turn round: 1 of 1 pairs that clean images tell apart stay so." in table.verdict


def test_one_training_says_nothing_of_networks(tmp_path):
    network(tmp_path, "sharp", clean=90, fog=50, noise=50, seeds=1)
    network(tmp_path, "sturdy", clean=80, fog=75, noise=75, seeds=1)
    table = table_of(tmp_path)
    assert table.scope is Scope.WEIGHTS
    assert table.turned == ()
    assert table.rows[0].rank_clean is None
    assert "One training cannot tell" in table.verdict


def test_only_conditions_that_all_networks_have_count(tmp_path):
    network(tmp_path, "whole", clean=80, fog=70, noise=20)
    for seed in range(3):
        run = write_run(tmp_path, "half", seed, matrices=some_images(80, images=40, seed=seed))
        retest(run, FOG, some_images(70, images=40, seed=seed))
        retest(run, NOISE, None, reason="ran out of memory")
    rows = {row.label: row for row in table_of(tmp_path).rows}
    assert rows["whole"].by_corruption.keys() == rows["half"].by_corruption.keys() == {"fog"}
    assert rows["half"].failures == {"gaussian_noise-3": "ran out of memory"}


def test_few_images_are_compared_with_the_same_clean_ones(tmp_path):
    whole = some_images(80, images=40)
    run = write_run(tmp_path, matrices=whole)
    few = ImageMatrices(whole.names[5:25], whole.matrices[5:25])
    retest(run, FOG, few)
    row = table_of(tmp_path).rows[0]
    assert row.clean == pytest.approx(row.corrupted)
    assert row.loss is not None
    assert (row.loss.low, row.loss.high) == pytest.approx((0, 0))


def test_tests_of_an_earlier_run_are_left_out_and_told(tmp_path):
    run = write_run(tmp_path, matrices=some_images(80, images=40))
    retest(run, FOG, some_images(70, images=40), identity="0" * 64)
    found = load_retests(tmp_path / "toy")
    assert "some tests are of an earlier run" in found.problems[0]
    assert not found.runs[0].conditions


def test_images_that_the_run_was_not_tested_on_are_told(tmp_path):
    run = write_run(tmp_path, matrices=some_images(80, images=40))
    retest(run, FOG, some_images(70, images=40, prefix="other"))
    found = load_retests(tmp_path / "toy")
    assert found.runs == ()
    assert "of images that it was not tested on" in found.problems[0]


def test_damaged_records_are_told(tmp_path):
    run = write_run(tmp_path, matrices=some_images(80, images=40))
    retest(run, FOG, some_images(70, images=40))
    retest(run, NOISE, some_images(70, images=40))
    folder = run.parent / ROBUSTNESS.folder / run.name
    (folder / "fog-3.json").write_text("{", encoding="utf-8")
    (folder / "gaussian_noise-3.npz").unlink()
    problems = load_retests(tmp_path / "toy").problems
    assert any("fog-3.json: is no record of a test" in text for text in problems)
    assert any("gaussian_noise-3.npz: is missing" in text for text in problems)


def test_calibration_under_corruption_is_worked_out_by_hand(tmp_path):
    run = write_run(tmp_path, hits=80)
    calibration = Calibration(pixels=(0,) * 14 + (10,), correct=(0,) * 14 + (5,), confidence=(0.0,) * 14 + (9.5,))
    counted = some_images(70, images=2)
    retest(run, FOG, counted, calibration=calibration)
    row = table_of(tmp_path).rows[0]
    assert row.calibration_error == pytest.approx(0.45)


def test_other_data_and_training_images_stand_beside(tmp_path):
    run = write_run(tmp_path, hits=80)
    retest(run, Condition(kind="dataset", name="night"), some_images(40, images=30, prefix="n"))
    retest(run, Condition(kind="train_split", name="train"), some_images(95, images=12, prefix="t"))
    row = table_of(tmp_path).rows[0]
    assert row.elsewhere.keys() == {"night"}
    assert row.train is not None
    assert row.train > row.clean > row.elsewhere["night"]
    assert math.isnan(row.corrupted)


def test_folds_of_a_network_are_one_run(tmp_path):
    for seed in range(2):
        for fold in (1, 2):
            facts = FoldFacts(index=fold, folds=2, pool_fingerprint="p")
            counted = some_images(80, images=20, seed=seed, prefix=f"fold{fold}-")
            run = write_run(tmp_path, "unet", seed, matrices=counted, fold=facts)
            retest(run, FOG, some_images(60, images=20, seed=seed, prefix=f"fold{fold}-"))
    table = table_of(tmp_path)
    assert (table.images, table.rows[0].seeds) == (40, 2)
    assert table.rows[0].loss is not None


def test_a_fold_that_was_not_tested_leaves_the_network_out(tmp_path):
    run = write_run(tmp_path, matrices=some_images(80), fold=FoldFacts(index=1, folds=2, pool_fingerprint="p"))
    retest(run, FOG, some_images(60))
    found = load_retests(tmp_path / "toy")
    assert found.runs == ()
    assert "only 1 of 2 folds were tested" in found.problems[0]


def test_images_of_a_group_are_drawn_together(tmp_path):
    for seed in range(2):
        for fold in (1, 2):
            patients = tuple(f"{fold}-{place // 2}" for place in range(24))
            facts = FoldFacts(index=fold, folds=2, pool_fingerprint="p", groups=patients)
            run = write_run(
                tmp_path, "unet", seed, matrices=some_images(80, images=24, seed=seed, prefix=f"f{fold}-"), fold=facts
            )
            retest(run, FOG, some_images(60, images=24, seed=seed + 9, prefix=f"f{fold}-"))
    (run_of_both, _) = load_retests(tmp_path / "toy").runs
    assert run_of_both.groups is not None
    assert len(set(run_of_both.groups)) == 24
    assert table_of(tmp_path).rows[0].loss is not None


def test_networks_that_were_fed_other_pixels_are_not_compared_and_told(tmp_path):
    for label, digest in (("a", "1"), ("b", "2")):
        run = write_run(tmp_path, label, matrices=some_images(80, images=40))
        retest(run, FOG, some_images(70, images=40), test_digest=digest)
        retest(run, NOISE, some_images(70, images=40), test_digest="same")
    assert {name for row in table_of(tmp_path).rows for name in row.by_corruption} == {"gaussian_noise"}
    assert (
        "fog-3: left out, since not all networks were fed the same pixels" in load_retests(tmp_path / "toy").problems[0]
    )


def test_a_network_whose_options_changed_is_a_network_of_its_own(tmp_path):
    for width in (0.5, 1.0):
        run = write_run(tmp_path, matrices=some_images(80, images=40), options={"width": width})
        retest(run, FOG, some_images(70, images=40))
    other = write_run(tmp_path, "cnn", matrices=some_images(60, images=40))
    retest(other, FOG, some_images(50, images=40))
    found = load_retests(tmp_path / "toy")
    assert found.problems == ()
    assert {row.label for row in table_of(tmp_path).rows} == {"unet (width=0.5)", "unet (width=1.0)", "cnn"}


def test_conditions_that_a_network_was_not_tested_under_are_told(tmp_path):
    for label, conditions in (("whole", (FOG, NOISE)), ("half", (FOG,))):
        run = write_run(tmp_path, label, matrices=some_images(80, images=40))
        for condition in conditions:
            retest(run, condition, some_images(70, images=40))
    (problem,) = load_retests(tmp_path / "toy").problems
    assert problem == "gaussian_noise-3: left out of the means, since these have no result under it: half, seed 0"
    assert table_of(tmp_path).corruptions == ("fog",)


def test_networks_tested_on_other_images_stand_in_tables_of_their_own(tmp_path):
    whole = some_images(80, images=40)
    for label, last in (("a", 40), ("b", 25)):
        run = write_run(tmp_path, label, matrices=whole)
        retest(run, FOG, ImageMatrices(whole.names[:last], whole.matrices[:last]))
    tables = robustness_tables(load_retests(tmp_path / "toy"))
    assert sorted(table.images for table in tables) == [25, 40]
