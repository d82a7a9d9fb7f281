"""Several leaderboards in one view: ranks and profiles worked out by hand, never a mean of scores."""

from __future__ import annotations

import numpy as np
import pytest
from stored import some_images, write_run

from segbench.errors import StoreError
from segbench.metrics.uncertainty import Comparison, Interval
from segbench.report.joint.joint import joint
from segbench.report.joint.orders import order_of
from segbench.report.ranking.ranking import rank
from segbench.results.arrays.matrices import ImageMatrices

TOO_FEW = "networks were tested on too few images, or not on the same ones"


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
    return joint(rank(root))


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
    with pytest.raises(StoreError, match="needs two leaderboards"):
        joint(rank(tmp_path))


def test_tables_without_two_common_networks_are_refused(tmp_path):
    network(tmp_path, "a", 80, suite="easy")
    network(tmp_path, "b", 80, suite="hard")
    with pytest.raises(StoreError, match="no two of these tables share two networks"):
        joint(rank(tmp_path))


def test_an_order_that_turns_is_told_with_the_tables_on_either_side(tmp_path):
    found = three_by_two(tmp_path)
    turning = {(pair.first, pair.second): (pair.ahead, pair.behind) for pair in found.pairs if pair.turns}
    assert turning == {("a", "b"): (("easy",), ("hard",)), ("a", "c"): (("easy",), ("hard",))}
    kept = next(pair for pair in found.pairs if not pair.turns)
    assert (kept.first, kept.second, kept.ahead, kept.behind) == ("b", "c", ("easy", "hard"), ())


def test_of_one_training_no_order_is_told(tmp_path):
    assert all(pair.ahead == pair.behind == () for pair in three_by_two(tmp_path, seeds=1).pairs)


@pytest.mark.parametrize(("p_value", "tables", "told"), [(0.02, 1, True), (0.02, 2, True), (0.02, 3, False)])
def test_p_values_are_multiplied_by_the_number_of_tables(p_value, tables, told):
    pair = Comparison(0, 1, difference=0.1, interval=Interval(0.0, 0.2), p_value=p_value)
    order = order_of(3, [pair], tables=tables)
    assert order.leads == {(0, 1): int(told), (0, 2): 0, (1, 2): 0}
    assert order.ranks == (((1, 2), (2, 3), (1, 3)) if told else ((1, 3),) * 3)


def test_a_table_that_compares_nothing_does_not_count_against_the_others(tmp_path):
    """The factor is the number of tables that compare networks: a table of one seed makes no claim."""
    for label, hits in (("a", 80), ("b", 82)):
        network(tmp_path, label, hits, suite="first")
        network(tmp_path, label, hits, suite="second")
        network(tmp_path, label, hits, suite="once", seeds=1)
    found = joint(rank(tmp_path))
    assert found.undecided == {"once": "each network was trained once"}
    assert found.decided == 2


def test_a_table_of_one_network_is_left_out_and_named(tmp_path):
    network(tmp_path, "a", 90, suite="begun")
    found = three_by_two(tmp_path)
    assert found.tables == ("easy", "hard")
    assert [(table.name, table.lacks) for table in found.incomplete] == [("begun", ("b", "c"))]
    assert len(found.rows) == 3


def test_a_network_that_fails_in_one_of_many_tables_costs_that_table_alone(tmp_path):
    for suite in ("one", "two", "three", "four"):
        for label, hits in (("a", 90), ("b", 80), ("c", 60)):
            if (label, suite) != ("c", "two"):
                network(tmp_path, label, hits, suite=suite, seeds=1)
    found = joint(rank(tmp_path))
    assert [(table.name, table.lacks) for table in found.incomplete] == [("two", ("c",))]
    assert {row.label for row in found.rows} == {"a", "b", "c"}
    assert found.left_out == {}


def test_labels_whose_pixels_do_not_count_make_no_table(tmp_path):
    network(tmp_path, "a", 0, suite="void")
    nothing = ImageMatrices(tuple(f"void{number}" for number in range(60)), np.zeros((60, 3, 3), np.int64))
    for label in ("a", "b"):
        recipe = {"dataset": {"name": "void"}, "train": {"epochs": 2, "select": "last"}}
        write_run(tmp_path / "nothing", label, suite="void", recipe=recipe, matrices=nothing)
    for suite in ("easy", "hard"):
        network(tmp_path / "nothing", "a", 90, suite=suite)
        network(tmp_path / "nothing", "b", 60, suite=suite)
    assert joint(rank(tmp_path / "nothing")).tables == ("easy", "hard")


def test_networks_of_one_label_that_differ_between_suites_are_matched_and_named(tmp_path):
    for suite, width in (("one", 1.0), ("two", 0.5)):
        recipe = {"dataset": {"name": suite}, "train": {"epochs": 2, "select": "last"}}
        for label, hits in (("a", 90), ("b", 60)):
            options = {"width": width if label == "a" else 1.0}
            write_run(tmp_path, label, suite=suite, recipe=recipe, options=options, hits=hits)
    found = joint(rank(tmp_path))
    assert [row.label for row in found.rows] == ["a", "b"]
    assert found.differing == {"a": ("width",)}


def test_two_networks_of_one_label_in_a_table_are_never_pooled_as_seeds(tmp_path):
    for suite in ("one", "two"):
        recipe = {"dataset": {"name": suite}, "train": {"epochs": 2, "select": "last"}}
        for width in (1.0, 0.5):
            write_run(tmp_path, "a", suite=suite, recipe=recipe, options={"width": width})
    found = joint(rank(tmp_path))
    assert sorted(row.label for row in found.rows) == ["a (width=0.5)", "a (width=1.0)"]
    assert found.seeds == (1, 1)


def test_too_few_test_images_decide_nothing(tmp_path):
    found = three_by_two(tmp_path, images=9)
    assert found.undecided == dict.fromkeys(("easy", "hard"), TOO_FEW)


def test_networks_that_score_nothing_are_equal_to_the_best(tmp_path):
    for label in ("a", "b"):
        network(tmp_path, label, 0, suite="none")
        network(tmp_path, label, 50, suite="some")
    found = joint(rank(tmp_path))
    assert {row.places["none"].ratio for row in found.rows} == {1.0}
