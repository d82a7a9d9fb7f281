"""Claims about the certainty of a leaderboard: of these weights or of the networks, from enough images, everywhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from stored import some_images

from segbench.api.leaderboard import leaderboard
from segbench.metrics.resampling import counts_by_image, image_spread
from segbench.metrics.trainings import estimate
from segbench.metrics.uncertainty import intervals
from segbench.report.formats.leaderboard import to_markdown
from segbench.report.formats.tables import to_csv, to_json
from segbench.report.ranking.intervals import CERTAINTY, LEAST_IMAGES, certainty
from segbench.report.runs.load import load_results

OF_NETWORKS = ["rank", "rank_best", "rank_worst", "group"]


@pytest.fixture
def board(results):
    return lambda: leaderboard(load_results(results)).set_index("model")


def test_every_score_has_the_interval_of_its_spread_over_images(add, board):
    given = some_images(80)
    add("a", matrices=given)
    row = board().loc["a"]
    for name, spread in image_spread([counts_by_image(given.matrices)]).items():
        assert (row[f"{name}_low"], row[f"{name}_high"]) == intervals(estimate(spread, [1]))[0]
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_networks_that_were_trained_once_have_an_order_and_intervals_but_no_ranks(add, board):
    for label, hits in (("worst", 50), ("best", 90)):
        add(label, matrices=some_images(hits))
    rows = board()
    assert list(rows.index) == ["best", "worst"]
    assert list(rows["position"]) == [1, 2]
    assert rows[OF_NETWORKS].isna().all(axis=None)
    assert set(rows["scope"]) == {"weights"}
    assert rows["mean_iou_low"].notna().all()


def test_networks_far_apart_in_several_trainings_have_ranks_and_groups_of_their_own(train, board):
    for label, hits in (("best", 90), ("middle", 70), ("worst", 50)):
        train(label, hits)
    rows = board()
    found = zip(rows["rank"], rows["rank_best"], rows["rank_worst"], rows["group"], strict=True)
    assert list(found) == [(1, 1, 1, "a"), (2, 2, 2, "b"), (3, 3, 3, "c")]
    assert set(rows["scope"]) == {"networks"}


def test_networks_that_only_chance_tells_apart_share_a_letter_and_their_ranks(add, train, board):
    for network in range(3):
        for seed in range(3):
            add(f"net{network}", seed=seed, matrices=some_images(75, seed=10 * network + seed))
    train("worst", 40)
    rows = board()
    assert set(rows["group"][:3]) == {"a"}
    assert rows["group"]["worst"] == "b"
    assert set(rows["rank_worst"][:3]) == {3}
    assert set(rows["rank_best"][:3]) == {1}


def test_with_several_seeds_the_interval_is_wider_than_over_images_alone(add, board):
    for seed, hits in enumerate((70, 80, 90)):
        add("seeds", seed=seed, matrices=some_images(hits, seed=seed))
    of_networks = board()
    add("steady", matrices=some_images(80))
    of_both = board()
    width = of_both["mean_iou_high"] - of_both["mean_iou_low"]
    assert width["steady"] >= width["seeds"]  # one training is never surer than three
    assert of_networks["scope"]["seeds"] == "networks"


def test_a_network_that_loses_two_of_three_seeds_is_not_told_apart_from_others_by_it(add, board):
    for network, scores in {"a": (70, 72, 74), "b": (71, 73, 75), "lone": (76,)}.items():
        for seed, hits in enumerate(scores):
            add(network, seed=seed, matrices=some_images(hits, seed=seed))
    rows = board()
    assert next(iter(rows.index)) == "lone"
    assert rows["rank_worst"]["lone"] == 3
    assert rows["group"]["lone"] == rows["group"]["a"] == "a"


def test_weights_that_were_only_loaded_are_ranked_themselves():
    networks = [[counts_by_image(some_images(hits).matrices)] for hits in (90, 50)]
    found = certainty(networks, trained=False)
    assert [(row["scope"], row["rank_best"], row["rank_worst"]) for row in found.rows] == [
        ("weights", 1, 1),
        ("weights", 2, 2),
    ]
    assert certainty(networks).pairs == []


def test_groups_of_images_are_the_sample():
    matrices = some_images(80, images=2 * LEAST_IMAGES).matrices
    doubled = np.repeat(matrices, 2, axis=0)
    patients = [f"patient {index // 2}" for index in range(len(doubled))]
    grouped = certainty([[counts_by_image(doubled)]], image_groups=patients).rows[0]
    alone = certainty([[counts_by_image(matrices)]]).rows[0]
    assert grouped["mean_iou_low"] == pytest.approx(alone["mean_iou_low"])
    few = [f"patient {index % (LEAST_IMAGES - 1)}" for index in range(len(doubled))]
    assert certainty([[counts_by_image(doubled)]], image_groups=few).rows[0]["mean_iou_low"] is None


@pytest.mark.parametrize("images", [LEAST_IMAGES - 1, LEAST_IMAGES])
def test_few_images_say_nothing_of_all_others(images, add, board):
    for seed in range(2):
        add("a", seed=seed, matrices=some_images(80, images=images, seed=seed))
    known = board()[list(CERTAINTY)].notna().all(axis=None)
    assert known == (images >= LEAST_IMAGES)


def test_other_images_are_not_compared(add, board):
    add("a", matrices=some_images(80))
    add("b", matrices=some_images(80, prefix="other"))
    assert board()[list(CERTAINTY)].isna().all(axis=None)


def test_intervals_stand_in_every_format(train, results):
    train("a", 80)
    train("b", 60)
    rows = leaderboard(load_results(results))
    low, high = rows["mean_iou_low"][0], rows["mean_iou_high"][0]
    text = to_markdown(rows)
    assert f"| {low:.3f} to {high:.3f} | 1 | a |" in text
    assert "95 % intervals over trainings and test images (10,000 resamples of the 20 test images" in text
    assert str(low) in to_csv(rows)
    assert '"rank_worst": 1' in to_json(rows)


def test_one_training_each_is_called_what_it_is(add, results):
    add("a", matrices=some_images(80))
    add("b", matrices=some_images(60))
    text = to_markdown(leaderboard(load_results(results)))
    assert "2 networks, n = 1 seed each, not ranked" in text
    assert "95 % intervals of these weights over test images (10,000 resamples" in text
    assert "One seed: variation between trainings is not included, so that no network is ranked." in text
    assert "| group |" not in text
    assert "| ranks |" not in text
    assert "| # |" not in text


def test_a_network_that_failed_has_no_certainty(add, board):
    add("a", matrices=some_images(80))
    (add("b", matrices=some_images(60)) / "run.json").write_text("{")
    rows = board()
    assert rows["scope"].notna().sum() == 1
    assert pd.isna(rows["mean_iou_low"].iloc[1])
