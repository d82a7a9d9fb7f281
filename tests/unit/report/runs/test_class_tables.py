"""Tables of classes for Python, against matrices worked by hand."""

import numpy as np
import pandas as pd
import pytest
from stored import CLASSES, iou_of, matrices

from segbench import class_iou, confusion_matrix, leaderboard, load_results
from segbench.errors import UnknownNameError, UsageError
from segbench.results.record import Outcome, Status


@pytest.fixture
def runs(add, results):
    """Two networks, of two seeds each; the second is better."""
    for seed, hits in ((0, 40), (1, 60)):
        add("unet", seed=seed, hits=hits)
        add("fcn", seed=seed, hits=hits + 20)
    return load_results(results)


def test_class_iou_is_the_mean_over_seeds_best_network_first(runs):
    table = class_iou(runs)
    assert list(table.index) == ["fcn", "unet"] == list(leaderboard(runs)["model"])
    assert list(table.columns) == list(CLASSES)
    assert table.loc["unet"].tolist() == pytest.approx([(iou_of(40) + iou_of(60)) / 2] * 3)
    assert table.loc["fcn", "road"] == pytest.approx((iou_of(60) + iou_of(80)) / 2)


def test_class_iou_of_each_seed(runs):
    table = class_iou(runs, per_seed=True)
    assert table.index.names == ["model", "seed"]
    assert {key: row["car"] for key, row in table.iterrows()} == pytest.approx(
        {("fcn", 0): iou_of(60), ("fcn", 1): iou_of(80), ("unet", 0): iou_of(40), ("unet", 1): iou_of(60)}
    )


def test_a_class_that_is_nowhere_has_no_iou(add, results):
    only_two = matrices(80, classes=2)
    padded = np.pad(only_two.matrices, ((0, 0), (0, 1), (0, 1)))
    add("unet", matrices=type(only_two)(only_two.names, padded))
    table = class_iou(load_results(results))
    assert table.isna().loc["unet"].tolist() == [False, False, True]


def test_the_confusion_matrix_adds_up_pixels_of_seeds_and_images(runs):
    table = confusion_matrix(runs, "unet")
    assert (table.index.name, table.columns.name) == ("label", "prediction")
    assert list(table.index) == list(table.columns) == list(CLASSES)
    # two seeds of two images: 40 and 60 of 100 pixels right, the others taken for the next class
    assert table.to_numpy().tolist() == [[200, 200, 0], [0, 200, 200], [200, 0, 200]]
    assert confusion_matrix(runs, "unet", seed=1).to_numpy().tolist() == [[120, 80, 0], [0, 120, 80], [80, 0, 120]]


def test_the_confusion_matrix_gives_the_class_iou(runs):
    table = confusion_matrix(runs, "fcn", seed=0)
    right = pd.Series(np.diag(table), index=table.index)
    assert (right / (table.sum(axis=0) + table.sum(axis=1) - right)).tolist() == pytest.approx(
        class_iou(runs, per_seed=True).loc[("fcn", 0)].tolist()
    )


def test_a_copied_run_counts_once(runs, add, results):
    add("unet", seed=0, hits=40, suite="copy")
    copied = load_results(results)
    assert len(copied) == 5
    pd.testing.assert_frame_equal(confusion_matrix(copied, "unet"), confusion_matrix(runs, "unet"))
    pd.testing.assert_frame_equal(class_iou(copied), class_iou(runs))


def test_runs_that_were_not_completed_are_left_out(runs, add, results):
    add("failed", outcome=Outcome(status=Status.FAILED, reason="no memory"))
    (add("damaged", seed=3) / "run.json").write_text("{")
    pd.testing.assert_frame_equal(class_iou(load_results(results)), class_iou(runs))


@pytest.mark.parametrize("change", [{"recipe": {"train": {"epochs": 9}}}, {"test_digest": "other"}])
def test_scores_that_do_not_compare_are_not_put_together(runs, add, results, change):
    add("unet", seed=5, hits=90, **change)
    both = load_results(results)
    for function in (class_iou, lambda given: confusion_matrix(given, "unet")):
        with pytest.raises(UsageError, match="of several protocols or test data") as raised:
            function(both)
    chosen = both[(both.protocol == runs.protocol[0]) & (both.test_digest == runs.test_digest[0])]
    pd.testing.assert_frame_equal(class_iou(chosen), class_iou(runs))
    assert runs.protocol[0] in str(raised.value)


def test_what_is_not_there_is_named(runs):
    with pytest.raises(UnknownNameError, match="unknown network of these runs: 'uent', did you mean 'unet'"):
        confusion_matrix(runs, "uent")
    with pytest.raises(UsageError, match=r"unet has no completed run of seed 7; there are \[0, 1\]"):
        confusion_matrix(runs, "unet", seed=7)
    with pytest.raises(UsageError, match="none of these runs is completed"):
        class_iou(runs[runs["seed"] == 7])


def test_classes_of_one_name_are_told_apart(add, results):
    add("unet", classes=("a", "a", "b"))
    assert list(class_iou(load_results(results)).columns) == ["a", "a (2)", "b"]
