"""Claims about what may be compared with what."""

from __future__ import annotations

import numpy as np
import pytest
from stored import CLASSES, matrices

from segbench.report.leaderboard import observations, protocol_differences
from segbench.report.protocols import distinguish, protocol_groups
from segbench.report.runs import load_results
from segbench.results.matrices import ImageMatrices


def recipe(**train):
    return {
        "dataset": {"name": "scenes"},
        "transforms": {"train": [{"name": "resize", "size": [32, 48]}]},
        "train": train,
    }


@pytest.fixture
def notes(results):
    return lambda: observations(load_results(results))


def test_equal_protocols_have_no_differences(add, results, notes):
    add("a")
    add("b")
    assert protocol_differences(load_results(results)) == []
    assert notes() == []


def test_differing_keys_are_named_with_their_values(add, results):
    add("a", recipe=recipe(epochs=2, lr=0.1))
    add("b", recipe=recipe(epochs=4, lr=0.1))
    runs = load_results(results)
    ((key, values),) = protocol_differences(runs)
    assert key == "train.epochs"
    assert sorted(values.values()) == [2, 4]
    assert set(values) == set(runs["protocol"])


def test_a_step_within_a_list_and_a_missing_key_are_named(add, results):
    other = recipe(epochs=2, ema=0.9)
    other["transforms"] = {"train": [{"name": "resize", "size": [64, 96]}]}
    add("a", recipe=recipe(epochs=2))
    add("b", recipe=other)
    found = dict(protocol_differences(load_results(results)))
    assert set(found) == {"transforms.train[0].size", "train.ema"}
    assert list(found["train.ema"].values()) == [0.9]


def test_evaluation_without_training_differs_from_training(add, results):
    add("a", recipe={"train": None})
    add("b", recipe={"train": {"epochs": 1}})
    assert {key for key, _ in protocol_differences(load_results(results))} == {"train", "train.epochs"}


def test_the_protocol_with_most_runs_comes_first_and_unknown_ones_last(add, results):
    (add("x") / "run.json").write_text("{")
    add("a", recipe=recipe(epochs=1))
    for name in "bc":
        add(name, recipe=recipe(epochs=2))
    groups = protocol_groups(load_results(results))
    assert [len(group) for _, group in groups] == [2, 1, 1]
    assert groups[-1][0] is None


def test_different_test_data_is_pointed_out(add, notes):
    add("a")
    add("b")
    add("c", test_digest="other")
    (note,) = notes()
    assert "not all rows were tested on the same data" in note
    assert "a, b | c" in note


def test_different_training_data_is_pointed_out_with_its_seed(add, notes):
    add("a", 5)
    add("b", 5, train_digest="other")
    (note,) = notes()
    assert "with seed 5, not all rows were trained on the same data" in note


def test_unequal_seeds_copies_and_machines_are_pointed_out(add, notes):
    add("a", 0)
    add("a", 1)
    add("b", 0, environment={"processor": "Other CPU"})
    add("b", 0, suite="copy", environment={"processor": "Other CPU"})
    text = "\n".join(notes())
    assert "not all rows have equally many seeds (1 to 2)" in text
    assert "1 run of the same network and seed as another counted once only" in text
    assert "2 different environments, so that their speeds do not compare" in text


def test_classes_that_no_label_holds_are_named(add, notes):
    counts = np.zeros((1, 3, 3), np.int64)
    counts[0, 0] = [5, 0, 2]
    add("a", matrices=ImageMatrices(("x",), counts))
    add("b", matrices=ImageMatrices(("x",), counts * np.array([1, 1, 0])))
    text = "\n".join(notes())
    assert f"a predicts classes that no test label holds; their IoU counts as 0: {CLASSES[2]}" in text
    assert "not taken over equally many classes in all rows (1 to 2)" in text


def test_long_lists_of_networks_are_cut(add, notes):
    for name in "abcdefg":
        add(name)
    add("z", test_digest="other")
    assert "a, b, c, d, e, … | z" in notes()[0]


def test_telling_networks_apart_twice_changes_nothing(add, results):
    add("unet", options={"width": 1.0})
    add("unet", options={"width": 0.5, "norm": "none"})
    once = distinguish(load_results(results))
    assert set(once["model"]) == {"unet (width=1.0)", "unet (norm=none, width=0.5)"}
    assert list(distinguish(once)["model"]) == list(once["model"])


def test_the_toy_matrices_are_what_the_tests_take_them_for():
    assert matrices(80).total.tolist() == [[160, 40, 0], [0, 160, 40], [40, 0, 160]]
