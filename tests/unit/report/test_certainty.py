"""Claims about the certainty of a leaderboard: from enough images, of the same images, in every format."""

from __future__ import annotations

import pandas as pd
import pytest
from stored import some_images

from segbench.metrics.resampling import counts_by_image, draw
from segbench.metrics.uncertainty import interval
from segbench.report.board import to_markdown
from segbench.report.certainty import CERTAINTY, LEAST_IMAGES
from segbench.report.leaderboard import leaderboard
from segbench.report.runs import load_results
from segbench.report.tables import to_csv, to_json


@pytest.fixture
def board(results):
    return lambda: leaderboard(load_results(results)).set_index("model")


def test_every_score_has_the_interval_of_its_draws(add, board):
    given = some_images(80)
    add("a", matrices=given)
    row = board().loc["a"]
    for name, (drawn,) in draw([[counts_by_image(given.matrices)]]).items():
        assert (row[f"{name}_low"], row[f"{name}_high"]) == interval(drawn.values)
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_networks_far_apart_have_ranks_and_groups_of_their_own(add, board):
    for label, hits in (("best", 90), ("middle", 70), ("worst", 50)):
        add(label, matrices=some_images(hits))
    rows = board()
    assert list(zip(rows["rank_best"], rows["rank_worst"], rows["group"], strict=True)) == [
        (1, 1, "a"),
        (2, 2, "b"),
        (3, 3, "c"),
    ]


def test_networks_that_only_chance_tells_apart_share_a_letter_and_their_ranks(add, board):
    for seed in range(3):
        add(f"net{seed}", matrices=some_images(75, seed=seed))
    add("worst", matrices=some_images(40))
    rows = board()
    assert set(rows["group"][:3]) == {"a"}
    assert rows["group"]["worst"] == "b"
    assert rows["rank_worst"][:3].max() == 3
    assert rows["rank_best"][:3].min() == 1


def test_with_several_seeds_the_interval_is_wider_than_over_images_alone(add, board):
    for seed, hits in enumerate((70, 80, 90)):
        add("seeds", seed=seed, matrices=some_images(hits, seed=seed))
    add("steady", matrices=some_images(80))
    rows = board()
    width = rows["mean_iou_high"] - rows["mean_iou_low"]
    assert width["seeds"] > 3 * width["steady"]


@pytest.mark.parametrize("images", [LEAST_IMAGES - 1, LEAST_IMAGES])
def test_few_images_say_nothing_of_all_others(images, add, board):
    add("a", matrices=some_images(80, images=images))
    known = board()[list(CERTAINTY)].notna().all(axis=None)
    assert known == (images >= LEAST_IMAGES)


def test_other_images_are_not_compared(add, board):
    add("a", matrices=some_images(80))
    add("b", matrices=some_images(80, prefix="other"))
    assert board()[list(CERTAINTY)].isna().all(axis=None)


def test_intervals_stand_in_every_format(add, results):
    add("a", matrices=some_images(80))
    add("b", matrices=some_images(60))
    rows = leaderboard(load_results(results))
    low, high = rows["mean_iou_low"][0], rows["mean_iou_high"][0]
    text = to_markdown(rows)
    assert f"| {low:.3f} to {high:.3f} | 1 | a |" in text
    assert "95 % intervals from 10,000 resamples of the 20 test images. With one seed, how far seeds scatter" in text
    assert str(low) in to_csv(rows)
    assert '"rank_worst": 1' in to_json(rows)


def test_a_network_that_failed_has_no_certainty(add, board):
    add("a", matrices=some_images(80))
    (add("b", matrices=some_images(60)) / "run.json").write_text("{")
    rows = board()
    assert rows["group"].notna().sum() == 1
    assert pd.isna(rows["mean_iou_low"].iloc[1])
