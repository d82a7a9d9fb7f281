"""Labels are the same whatever a network predicts: matrices that say otherwise are told, and not ranked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stored import matrices

from segbench.report.runs.load import SCORES, load_results


def moved(hits):
    """Matrices in which the wrong pixels of the first class were given to the second: better by the same file."""
    true = matrices(hits)
    changed = true.matrices.copy()
    changed[:, 0, 1] -= 5
    changed[:, 1, 1] += 5
    return replace(true, matrices=changed)


def test_matrices_of_other_label_counts_are_damaged_where_most_agree(add, results):
    for seed in range(3):
        add("unet", seed, 60)
    add("edited", 0, matrices=moved(60), test_digest="test")
    runs = load_results(results).set_index("model")
    assert list(runs.loc["unet", "status"]) == ["completed"] * 3
    edited = runs.loc["edited"]
    assert edited["status"] == "damaged"
    assert edited["reason"] == (
        "counts other labels than most of the 4 runs on the same test data: its matrices were changed"
    )
    assert edited[list(SCORES)].isna().all()


def test_where_two_contradict_each_other_neither_is_ranked(add, results):
    add("unet", 0, 60)
    add("edited", 0, matrices=moved(60), test_digest="test")
    runs = load_results(results)
    assert list(runs["status"]) == ["damaged"] * 2
    assert all("which of them is right is unknown" in reason for reason in runs["reason"])


@pytest.mark.parametrize("other", [{"test_digest": "other"}, {"pixel_digests": {"test": "other"}}])
def test_other_test_data_may_have_other_labels(add, results, other):
    add("unet", 0, 60)
    add("edited", 0, matrices=moved(60), **({"test_digest": "test"} | other))
    assert list(load_results(results)["status"]) == ["completed"] * 2


def test_what_networks_predict_is_no_contradiction(add, results):
    for hits in (0, 50, 100):
        add(f"net{hits}", 0, hits)
    runs = load_results(results)
    assert list(runs["status"]) == ["completed"] * 3
    assert np.isfinite(runs["mean_iou"]).all()
