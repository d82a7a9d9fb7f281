"""Claims about what may be compared with what."""

from __future__ import annotations

from stored import matrices

from segbench.report.runs.load import load_results
from segbench.report.runs.protocols import comparisons, protocol_differences, protocol_groups
from segbench.results.record import Outcome, Status

FAILED = Outcome(status=Status.FAILED, reason="out of memory")


def recipe(**train):
    return {
        "dataset": {"name": "scenes"},
        "transforms": {"train": [{"name": "resize", "size": [32, 48]}]},
        "train": train,
    }


def compared(results):
    """The networks of each comparison."""
    return [(table.test_data, sorted(table.runs["model"])) for table in comparisons(load_results(results))]


def test_equal_protocols_have_no_differences(add, results):
    add("a")
    add("b")
    assert protocol_differences(load_results(results)) == []


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


def test_runs_of_one_protocol_are_compared_only_on_the_same_test_data(add, results):
    add("a")
    add("b", test_digest="other")
    add("c")
    add("d", recipe=recipe(epochs=9))
    assert compared(results) == [("test", ["a", "c"]), ("other", ["b"]), ("test", ["d"])]


def test_seeds_tested_on_different_data_stand_apart(add, results):
    add("a", 0)
    add("a", 1)
    add("a", 2, test_digest="other")
    found = comparisons(load_results(results))
    assert [list(table.runs["seed"]) for table in found] == [[0, 1], [2]]


def test_a_run_that_was_not_evaluated_stands_with_those_of_its_test_split(add, results):
    for name in "abc":
        add(name, fingerprints={"train": "t", "test": "here"})
    add("d", fingerprints={"test": "there"}, test_digest="other")
    add("e", fingerprints={"test": "there"}, test_digest=None, outcome=FAILED)
    assert compared(results) == [("test", ["a", "b", "c"]), ("other", ["d", "e"])]


def test_a_run_that_was_not_evaluated_stands_with_those_whose_test_files_decode_to_the_same_pixels(add, results):
    for name in "abc":
        add(name, fingerprints={"test": "here"})
    add("d", fingerprints={"test": "png"}, pixel_digests={"test": "pixels"}, test_digest="other")
    add("e", fingerprints={"test": "webp"}, pixel_digests={"test": "pixels"}, test_digest=None, outcome=FAILED)
    assert compared(results) == [("test", ["a", "b", "c"]), ("other", ["d", "e"])]


def test_a_run_of_unknown_test_data_stands_with_most_if_it_failed_and_alone_if_it_has_scores(add, results):
    add("a")
    add("b")
    add("c", test_digest="other")
    add("d", test_digest=None, outcome=FAILED)
    assert compared(results) == [("test", ["a", "b", "d"]), ("other", ["c"])]
    add("e", test_digest=None)
    assert (None, ["e"]) in compared(results)


def test_nothing_but_failures_are_one_comparison(add, results):
    add("a", test_digest=None, outcome=FAILED)
    add("b", test_digest=None, outcome=FAILED)
    assert compared(results) == [(None, ["a", "b"])]


def test_the_toy_matrices_are_what_the_tests_take_them_for():
    assert matrices(80).total.tolist() == [[160, 40, 0], [0, 160, 40], [40, 0, 160]]
