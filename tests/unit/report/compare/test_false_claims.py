"""Five trainings of two networks, measured once, and what must not be claimed of one, two or three of them.

The scores are those of a quickstart: over five seeds the two networks differ, and single trainings say so, say nothing,
or say the opposite. Each is rebuilt as images with that mean IoU.
"""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from stored import write_run

from segbench.api.leaderboard import leaderboard
from segbench.metrics.resampling import counts_by_image
from segbench.report.compare.caveats import caveats
from segbench.report.compare.compare import compare
from segbench.report.ranking.intervals import certainty
from segbench.report.ranking.leaderboard import ranked
from segbench.report.runs.load import load_results
from segbench.results.arrays.matrices import ImageMatrices

UNET = (0.737, 0.653, 0.639, 0.648, 0.732)
FC_DENSENET = (0.722, 0.739, 0.742, 0.721, 0.733)
IMAGES, PIXELS, CLASSES = 40, 10_000, 3


def images_with(mean_iou, *, seed=0):
    """Images of one mean IoU in all; some are hard for every network, and each training errs a little on its own."""
    hits = 2 * mean_iou / (1 + mean_iou)  # of the share of hits, h / (2 - h) is the IoU
    hard = np.random.default_rng(0).normal(0, 0.03, IMAGES)
    own = np.random.default_rng([seed, 1]).normal(0, 0.01, IMAGES)
    right = hits + (hard - hard.mean()) + (own - own.mean())
    right = np.rint(PIXELS * right).astype(np.int64)[:, None, None]
    one = np.eye(CLASSES, dtype=np.int64)
    cells = right * one + (PIXELS - right) * np.roll(one, 1, axis=1)
    return ImageMatrices(tuple(f"image{index}" for index in range(IMAGES)), cells)


def store(root, label, scores, *, seeds=None):
    """Write a network's trainings."""
    for seed, score in zip(seeds or range(len(scores)), scores, strict=False):
        write_run(root, label, seed, matrices=images_with(score, seed=100 * len(label) + seed), options={"name": label})


@pytest.mark.parametrize(("first", "second"), list(product(range(5), range(5))))
def test_no_pair_of_single_trainings_separates_two_networks(tmp_path, first, second):
    store(tmp_path, "U-Net", UNET[first : first + 1])
    store(tmp_path, "FC-DenseNet", FC_DENSENET[second : second + 1])
    found = ranked(load_results(tmp_path))
    assert found.board["rank"].isna().all()
    assert found.board["group"].isna().all()
    assert found.pairs.empty
    assert set(found.board["scope"]) == {"weights"}


def test_two_trainings_of_one_network_are_called_the_same_network_and_no_difference_of_networks(tmp_path):
    for seed, name in enumerate("ab"):
        store(tmp_path / name, "U-Net", UNET[seed : seed + 1], seeds=[seed])
    found = compare(load_results(tmp_path / "a"), load_results(tmp_path / "b")).networks
    assert found["difference"].iloc[0] == pytest.approx(-0.084, abs=0.001)
    assert found["p_value"].isna().all()
    said = " ".join(caveats(found))
    assert "U-Net: the same network on both sides, seeds 0 | 1" in said
    assert "One training cannot tell networks apart" in said


def test_a_lucky_lone_seed_is_first_in_the_order_and_separated_from_nobody(tmp_path):
    store(tmp_path, "U-Net", (0.80,))
    store(tmp_path, "FC-DenseNet", FC_DENSENET)
    store(tmp_path, "Other", tuple(score - 0.01 for score in UNET))
    board = leaderboard(load_results(tmp_path)).set_index("model")
    assert board.index[0] == "U-Net"
    assert (board.loc["U-Net", "rank_best"], board.loc["U-Net", "rank_worst"]) == (1, 3)
    width = board["mean_iou_high"] - board["mean_iou_low"]
    assert width["U-Net"] == width.max()


@pytest.mark.parametrize("seeds", [*combinations(range(5), 2), *combinations(range(5), 3)])
def test_two_or_three_seeds_never_call_the_network_better_that_five_show_to_be_worse(tmp_path, seeds):
    store(tmp_path, "U-Net", [UNET[seed] for seed in seeds])
    store(tmp_path, "FC-DenseNet", [FC_DENSENET[seed] for seed in seeds])
    found = ranked(load_results(tmp_path))
    (pair,) = found.pairs.to_dict("records")
    ahead = pair["first"] if pair["difference"] > 0 else pair["second"]
    assert pair["p_value"] > 0.05 or ahead == "FC-DenseNet"
    assert found.board["mean_iou_low"].ge(0).all()
    assert found.board["mean_iou_high"].le(1).all()


@pytest.mark.parametrize("seeds", [2, 3])
def test_of_nine_equal_networks_few_tables_separate_any(seeds):
    """Thirty tables, of which one and a half may be wrong; six or more would happen once in two hundred times."""
    rng = np.random.default_rng(seeds)
    wrong = 0
    for _ in range(30):
        scores = 0.7 + 0.01 * rng.normal(size=(9, seeds))
        networks = [
            [counts_by_image(images_with(score, seed=int(1e6 * score)).matrices) for score in row] for row in scores
        ]
        wrong += any(pair.separable for pair in certainty(networks, resamples=200).pairs)
    assert wrong < 6


def test_networks_that_differ_by_far_more_than_their_trainings_are_told_apart(tmp_path):
    store(tmp_path, "U-Net", UNET[:3])
    store(tmp_path, "FC-DenseNet", FC_DENSENET[:3])
    for number, score in enumerate((0.1, 0.2, 0.3, 0.4)):
        store(tmp_path, f"small {number}", (score, score + 0.01, score - 0.01))
    board = leaderboard(load_results(tmp_path)).set_index("model")
    assert set(board.loc[["U-Net", "FC-DenseNet"], "rank_worst"]) == {2}
    assert set(board["group"]) >= {"a", "b"}
