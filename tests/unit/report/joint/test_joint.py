"""Several leaderboards in one view: ranks and profiles worked out by hand, never a mean of scores."""

from __future__ import annotations

import pytest
from stored import some_images, write_run

from segbench.errors import StoreError
from segbench.metrics.resampling import counts_by_image
from segbench.report.joint.joint import joint
from segbench.report.joint.orders import order_of
from segbench.report.runs.load import load_results


def network(root, label, hits, *, suite, seeds=3, images=60):
    """Store a network with about these hits of 100 in a suite of its own data set."""
    recipe = {"dataset": {"name": suite}, "train": {"epochs": 2, "select": "last"}}
    for seed in range(seeds):
        matrices = some_images(hits, images=images, seed=seed, prefix=suite)
        write_run(root, label, seed, suite=suite, recipe=recipe, matrices=matrices)


def three_by_two(root, **options):
    """Store three networks on two data sets, of which one is much easier."""
    for label, easy, hard in (("a", 95, 30), ("b", 90, 60), ("c", 70, 50)):
        network(root, label, easy, suite="easy", **options)
        network(root, label, hard, suite="hard", **options)
    return joint(load_results(root))


def test_mean_ranks_are_those_worked_out_by_hand(tmp_path):
    found = three_by_two(tmp_path)
    assert [(row.label, row.mean_rank) for row in found.rows] == [("b", 1.5), ("a", 2.0), ("c", 2.5)]
    assert {name: place.rank for name, place in found.rows[1].places.items()} == {"easy": 1, "hard": 3}


def test_bounds_of_the_mean_rank_hold_it(tmp_path):
    found = three_by_two(tmp_path)
    assert found.undecided == {}
    for row in found.rows:
        assert 1 <= row.low <= row.mean_rank <= row.high <= 3
    assert found.rows[0].low == found.rows[0].high == 1.5  # these are far apart: nothing is left open


def test_one_training_leaves_every_rank_open(tmp_path):
    found = three_by_two(tmp_path, seeds=1)
    assert found.undecided == dict.fromkeys(("easy", "hard"), "each network was trained once")
    assert {(row.low, row.high) for row in found.rows} == {(1.0, 3.0)}


def test_profiles_are_shares_of_data_sets(tmp_path):
    found = {row.label: row for row in three_by_two(tmp_path).rows}
    assert found["b"].profile(1.0) == 0.5  # best on one of two
    assert found["a"].profile(0.99) == 0.5
    assert found["a"].profile(0.1) == 1.0
    assert found["c"].places["easy"].ratio == pytest.approx(
        found["c"].places["easy"].mean_iou / found["a"].places["easy"].mean_iou
    )


def test_networks_that_a_table_lacks_are_left_out_and_named(tmp_path):
    network(tmp_path, "only", 80, suite="easy")
    found = three_by_two(tmp_path)
    assert found.left_out == {"only": ("hard",)}
    assert "only" not in [row.label for row in found.rows]


def test_one_table_is_refused(tmp_path):
    network(tmp_path, "a", 80, suite="easy")
    with pytest.raises(StoreError, match="at least two data sets"):
        joint(load_results(tmp_path))


def test_tables_without_two_common_networks_are_refused(tmp_path):
    network(tmp_path, "a", 80, suite="easy")
    network(tmp_path, "b", 80, suite="hard")
    with pytest.raises(StoreError, match="no two networks are in all"):
        joint(load_results(tmp_path))


def test_an_order_that_turns_is_told_with_the_tables_on_either_side(tmp_path):
    found = three_by_two(tmp_path)
    turning = {(pair.first, pair.second): (pair.ahead, pair.behind) for pair in found.pairs if pair.turns}
    assert turning == {("a", "b"): (("easy",), ("hard",)), ("a", "c"): (("easy",), ("hard",))}
    kept = next(pair for pair in found.pairs if not pair.turns)
    assert (kept.first, kept.second, kept.ahead, kept.behind) == ("b", "c", ("easy", "hard"), ())


def test_of_one_training_no_order_is_told(tmp_path):
    assert all(pair.ahead == pair.behind == () for pair in three_by_two(tmp_path, seeds=1).pairs)


def test_more_tables_need_more_evidence():
    """What is told of one table alone may not be told of twenty: p values are multiplied by their number."""
    counts = [
        [counts_by_image(some_images(hits, images=40, seed=seed).matrices) for seed in range(3)] for hits in (80, 83)
    ]
    alone, among_many = (order_of(counts, tables=tables) for tables in (1, 10**9))
    assert alone.leads == {(0, 1): -1}
    assert alone.ranks == ((2, 2), (1, 1))
    assert among_many.leads == {(0, 1): 0}
    assert among_many.ranks == ((1, 2), (1, 2))


def test_too_few_test_images_decide_nothing(tmp_path):
    found = three_by_two(tmp_path, images=9)
    assert found.undecided == dict.fromkeys(("easy", "hard"), "there are fewer than 10 test images")


def test_networks_that_score_nothing_are_equal_to_the_best(tmp_path):
    for label in ("a", "b"):
        network(tmp_path, label, 0, suite="none")
        network(tmp_path, label, 50, suite="some")
    found = joint(load_results(tmp_path))
    assert {row.places["none"].ratio for row in found.rows} == {1.0}
