"""Claims about ranking: hand-worked scores, seeds, failures."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from stored import iou_of, matrices

from segbench.api.leaderboard import leaderboard
from segbench.report.formats import columns
from segbench.report.ranking.leaderboard import COLUMNS, MEASURED
from segbench.report.runs.load import DETAIL_SCORES, SCORES, load_results
from segbench.results.record import Outcome, Status

OTHER = {"dataset": {"name": "scenes"}, "train": {"epochs": 9, "select": "last"}}


@pytest.fixture
def board(results):
    return lambda: leaderboard(load_results(results))


def test_networks_are_ordered_by_mean_iou(add, board):
    add("worst", hits=20)
    add("best", hits=90)
    add("middle", hits=50)
    rows = board()
    assert tuple(rows.columns) == COLUMNS
    assert list(rows["model"]) == ["best", "middle", "worst"]
    assert list(rows["position"]) == [1, 2, 3]
    assert list(rows["mean_iou"]) == pytest.approx([iou_of(90), iou_of(50), iou_of(20)])


def test_one_training_ranks_nothing_and_a_second_of_any_network_all(add, board):
    add("a", hits=20)
    add("b", hits=90)
    assert board()["rank"].isna().all()
    add("a", seed=1, hits=21)
    assert list(board()["rank"]) == [1, 2]


def test_weights_that_were_only_evaluated_are_ranked(add, board):
    for name, hits in (("a", 20), ("b", 90)):
        add(name, hits=hits, recipe={"dataset": {"name": "scenes"}, "train": None})
    assert list(zip(board()["model"], board()["rank"], strict=True)) == [("b", 1), ("a", 2)]


def test_seeds_give_mean_and_sample_standard_deviation(add, board):
    add(seed=0, hits=80, speed=40.0)
    add(seed=1, hits=60, speed=60.0)
    row = board().iloc[0]
    a, b = 80 / 120, 60 / 140
    assert row["seeds"] == 2
    assert row["mean_iou"] == pytest.approx((a + b) / 2)
    assert row["mean_iou_std"] == pytest.approx(abs(a - b) / math.sqrt(2))
    assert row["evaluation_images_per_second"] == 50.0
    assert row["evaluation_images_per_second_std"] == pytest.approx(20 / math.sqrt(2))


def test_rates_of_runs_that_shared_a_device_are_marked(add, board):
    add("alone", hits=50)
    add("partly", 0, 60)
    add("partly", 1, 60, runs_at_once=4)
    rows = board().set_index("model")
    assert rows["runs_at_once"].to_dict() == {"alone": 1, "partly": 4}
    shown = {column.title: column.show for column in columns.COLUMNS}
    for title, rate in (("test img/s", "50.0"), ("train img/s", "12.5")):
        assert shown[title](rows.loc["alone"]) == rate
        assert shown[title](rows.loc["partly"]) == f"{rate} ± 0.0 (shared)"


def test_one_seed_has_no_spread(add, board):
    add()
    assert board()[[f"{name}_std" for name in MEASURED]].isna().all(axis=None)


def test_a_score_that_one_seed_lacks_is_no_mean_over_the_others(add, results):
    for seed in (0, 1):
        add("whole", seed)
        add("partly", seed, 50)
    runs = load_results(results)
    for name, value in zip(DETAIL_SCORES, (0.5, 0.25, 0.125), strict=True):
        runs[name] = value
    runs.loc[(runs["model"] == "partly") & (runs["seed"] == 1), list(DETAIL_SCORES)] = math.nan
    rows = leaderboard(runs).set_index("model")
    assert rows.loc["whole", list(DETAIL_SCORES)].tolist() == [0.5, 0.25, 0.125]
    known = [column for name in DETAIL_SCORES for column in (name, f"{name}_std")]
    assert rows.loc["partly", known].isna().all()
    assert rows.loc["partly", "seeds"] == 2


def test_rows_of_different_protocol_are_never_ranked_together(add, board):
    add("a", hits=50)
    add("b", hits=60)
    add("a", hits=99, recipe=OTHER)
    rows = board()
    assert list(rows["model"]) == ["b", "a", "a"]
    assert list(rows["position"]) == [1, 2, 1]
    assert rows["protocol"].nunique() == 2


def test_equal_scores_share_a_rank(add, board):
    for name, hits in (("b", 50), ("a", 50), ("c", 40)):
        for seed in (0, 1):
            add(name, seed, hits=hits)
    rows = board()
    assert list(zip(rows["model"], rows["rank"], strict=True)) == [("a", 1), ("b", 1), ("c", 3)]


def test_failures_come_after_the_scored_rows_with_reason_and_without_position(add, board):
    add("a", outcome=Outcome(status=Status.FAILED, reason="NaN loss"))
    add("b")
    (add("c") / "run.json").write_text("{")
    rows = board()
    assert list(rows["status"]) == ["completed", "failed", "damaged"]
    assert rows["position"].isna().tolist() == [False, True, True]
    assert rows["reason"][1] == "seed 0: NaN loss"
    assert "is damaged" in rows["reason"][2]
    assert rows["protocol"].isna().tolist() == [False, False, True]


def test_a_network_some_of_whose_seeds_failed_has_both_rows(add, board):
    add("a", 0, 50)
    for seed in (1, 2):
        add("a", seed, outcome=Outcome(status=Status.FAILED, reason="out of memory"))
    add("a", 3, outcome=Outcome(status=Status.SKIPPED))
    rows = board()
    assert list(rows["seeds"]) == [1, 0, 0]
    assert list(rows["reason"])[1:] == ["seeds 1, 2: out of memory", "seed 3: no reason is recorded"]


def test_pretrained_is_told_from_scratch(add, board):
    add("a", hits=60, pretrained=True)
    add("b", hits=50)
    assert list(board()["pretrained"]) == ["pretrained", "scratch"]


def test_different_networks_of_one_label_are_no_seeds_of_each_other(add, board):
    add("unet", 0, 80, suite="one", options={"width": 1.0, "norm": "batch"})
    add("unet", 1, 40, suite="two", options={"width": 0.5, "norm": "batch"})
    rows = board()
    assert list(rows["model"]) == ["unet (width=1.0)", "unet (width=0.5)"]
    assert list(rows["seeds"]) == [1, 1]


def test_networks_that_differ_in_weights_alone_are_numbered(add, board):
    add("unet", 0, 80, suite="one", weights_digest="x")
    add("unet", 0, 40, suite="two", weights_digest="y")
    assert list(board()["model"]) == ["unet", "unet #2"]


def test_a_copied_run_is_no_second_seed(add, board):
    add(suite="one")
    add(suite="two")
    assert list(board()["seeds"]) == [1]


def test_all_void_is_a_row_without_rank_that_says_why(add, board):
    empty = type(matrices(0))(("a",), np.zeros((1, 3, 3), np.int64))
    add("void", matrices=empty)
    add("good")
    rows = board()
    assert list(rows["model"]) == ["good", "void"]
    assert pd.isna(rows["position"][1])
    assert "no pixel" in rows["reason"][1]


def test_rows_tested_on_other_data_are_never_ranked_together(add, board):
    add("a", hits=50, test_digest="here")
    add("b", hits=60, test_digest="here")
    add("c", hits=99, test_digest="there")
    rows = board()
    assert rows["protocol"].nunique() == 1
    assert list(zip(rows["test_data"], rows["model"], rows["position"], strict=True)) == [
        ("here", "b", 1),
        ("here", "a", 2),
        ("there", "c", 1),
    ]


def test_the_same_network_on_two_folders_of_data_is_two_rows_and_no_mean(add, board):
    add("a", hits=80, suite="one", test_digest="x")
    add("a", hits=40, suite="two", test_digest="y")
    rows = board()
    assert list(rows["seeds"]) == [1, 1]
    assert sorted(rows["mean_iou"]) == pytest.approx([iou_of(40), iou_of(80)])


def test_rows_trained_on_other_data_than_most_are_marked_and_keep_their_rank(add, board):
    for seed in (0, 1):
        add("a", seed, hits=90)
        add("b", seed, hits=80, train_digest="other")
        add("c", seed, hits=70)
    rows = board()
    assert list(rows["rank"]) == [1, 2, 3]
    assert list(rows["same_data"]) == [True, False, True]


def test_where_no_training_data_has_a_majority_no_row_is_called_the_same(add, board):
    add("a", train_digest="x")
    add("b", train_digest="y")
    assert list(board()["same_data"]) == [False, False]


def test_data_is_compared_seed_by_seed(add, board):
    for name in ("a", "b", "c"):
        add(name, 0)
        add(name, 1, train_digest="swapped" if name == "c" else "train-1")
    assert dict(zip(board()["model"], board()["same_data"], strict=True)) == {"a": True, "b": True, "c": False}


def test_networks_evaluated_as_loaded_have_the_same_data(add, board):
    add("a", train_digest=None)
    add("b", train_digest=None)
    assert list(board()["same_data"]) == [True, True]


def test_no_runs_give_an_empty_leaderboard(tmp_path, board, add):
    (tmp_path / "empty").mkdir()
    rows = leaderboard(load_results(tmp_path / "empty"))
    assert rows.empty
    assert tuple(rows.columns) == COLUMNS


def test_costs_stand_in_ranked_and_unranked_rows_and_may_be_absent(add, board):
    add("a", activation_bytes=5_000, weights_bytes=7_000)
    add("b", activation_bytes=None, weights_bytes=None, hits=70)
    add("c", activation_bytes=11, outcome=Outcome(status=Status.FAILED, reason="boom"))
    rows = board().set_index("model")
    assert (rows.loc["a", "activation_bytes"], rows.loc["a", "weights_bytes"]) == (5_000, 7_000)
    assert rows.loc["b", ["activation_bytes", "weights_bytes"]].isna().all()
    assert rows.loc["c", "activation_bytes"] == 11


def test_the_index_of_the_runs_does_not_matter(add, results):
    add("a", hits=50)
    add("b", hits=60, train_digest="other")
    runs = load_results(results)
    doubled = pd.concat([runs, runs])  # the index now repeats
    pd.testing.assert_frame_equal(leaderboard(doubled), leaderboard(runs))


def test_means_agree_with_pandas_on_random_runs(add, results):
    generator = np.random.default_rng(0)
    for name in "abcd":
        for seed in range(4):
            add(name, seed, int(generator.integers(1, 100)))
    runs = load_results(results)
    rows = leaderboard(runs).set_index("model")
    expected = runs.groupby("model")[list(SCORES)].agg(["mean", "std"])
    for name in SCORES:
        assert list(rows[name].sort_index()) == pytest.approx(list(expected[name]["mean"]))
        assert list(rows[f"{name}_std"].sort_index()) == pytest.approx(list(expected[name]["std"]))
    assert list(rows["mean_iou"]) == sorted(rows["mean_iou"], reverse=True)
