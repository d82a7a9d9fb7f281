"""Claims about stored runs under other tools' conventions."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from stored import matrices
from typer.testing import CliRunner

from segbench.api.leaderboard import leaderboard
from segbench.cli.app import app
from segbench.metrics.conventions import CONVENTIONS
from segbench.report.ranking.conventions import COLUMNS, ranked_anew, rescored
from segbench.report.runs.load import load_results
from segbench.results.arrays.matrices import ImageMatrices

PAIR = np.array([[[50, 0, 0], [0, 50, 0], [0, 0, 0]], [[98, 0, 0], [2, 0, 0], [0, 0, 0]]])
"""Image by image 0.745, over all pixels 0.974, and a third class that is nowhere."""

WORSE = np.array([[[40, 0, 10], [10, 40, 0], [0, 0, 0]], [[98, 0, 0], [1, 1, 0], [0, 0, 0]]])
"""On the same labels. By image, the second class has 40/50 and 1/2, the third 0 and nothing: 0.325 for both."""


@pytest.fixture
def toy(add, results):
    add("toy", matrices=ImageMatrices(("a", "b"), PAIR))
    add("unet", matrices=ImageMatrices(("a", "b"), WORSE))
    return results


def segbench(*arguments):
    return CliRunner().invoke(app, ["leaderboard", *map(str, arguments)])


def test_every_ranked_network_is_scored_by_every_convention_in_the_leaderboards_order(toy):
    frame = rescored(load_results(toy))
    assert tuple(frame.columns) == COLUMNS
    assert list(frame["convention"]) == [*CONVENTIONS, *CONVENTIONS]
    assert list(dict.fromkeys(frame["model"])) == ["toy", "unet"]


def test_the_scores_are_those_of_the_stored_matrices(toy):
    scores = rescored(load_results(toy)).set_index(["model", "convention"])["mean_iou"]
    assert scores["toy", "torchmetrics"] == pytest.approx(0.745)
    assert scores["toy", "segbench"] == pytest.approx(0.974, abs=5e-4)
    assert scores["toy", "paddleseg"] == pytest.approx(2 / 3 * scores["toy", "segbench"])
    assert math.isnan(scores["toy", "torchvision"])


def test_our_own_convention_is_the_leaderboard(toy):
    runs = load_results(toy)
    own = rescored(runs, ["segbench"])
    board = leaderboard(runs)
    assert list(own["mean_iou"]) == list(board["mean_iou"])
    assert list(own["mean_accuracy"]) == list(board["mean_recall"])


def test_seeds_are_averaged_each_in_its_own_right(add, results):
    for seed, hits in ((0, 80), (1, 60)):
        add(seed=seed, hits=hits)
    (row,) = rescored(load_results(results), ["mmsegmentation"]).to_dict("records")
    assert row["mean_iou"] == pytest.approx((80 / 120 + 60 / 140) / 2)
    assert row["seeds"] == 2


def test_the_command_shows_one_convention_with_its_rule(toy):
    done = segbench(toy, "--convention", "nnunet")
    assert done.exit_code == 0, done.output
    assert "without the first (background)" in done.output
    assert [line.split()[:3:2] for line in done.stdout.splitlines()[3:]] == [["-", "0.325"], ["-", "NaN"]]


def test_void_as_error_orders_and_ranks_the_table(add, results):
    """Without void 'a' is ahead; its 120 void pixels predicted as sky cost it the lead."""
    for label, hits, on_void in (("a", 80, 120), ("b", 75, 0)):
        counted = matrices(hits)
        void = np.zeros((2, 3), np.int64)
        void[0, 0] = on_void
        for seed in (0, 1):
            add(label, seed, matrices=replace(counted, void_predicted=void))
    by_default = segbench(results, "--convention", "segbench").stdout
    by_void = segbench(results, "--convention", "void-as-error").stdout
    assert [line.split()[:2] for line in by_default.splitlines()[3:]] == [["1", "a"], ["2", "b"]]
    assert [line.split()[:2] for line in by_void.splitlines()[3:]] == [["1", "b"], ["2", "a"]]
    frame = ranked_anew(rescored(load_results(results), ["void-as-error"])).set_index("model")
    assert frame.loc["a", "mean_iou"] == pytest.approx((160 / 360 + 2 * 160 / 240) / 3)
    assert frame.loc["b", "mean_iou"] == pytest.approx(75 / 125)


def test_equal_scores_share_a_rank(add, results):
    for label, hits in (("a", 80), ("b", 80), ("c", 70)):
        for seed in (0, 1):
            add(label, seed, hits=hits)
    frame = ranked_anew(rescored(load_results(results), ["mmsegmentation"]))
    assert dict(zip(frame["model"], frame["rank"], strict=True)) == {"a": 1, "b": 1, "c": 3}


@pytest.mark.slow(reason="shows tables in every form")
@pytest.mark.parametrize("form", ["table", "markdown", "csv", "json"])
def test_a_run_without_a_void_row_is_shown_as_unknown_with_the_reason(add, results, form):
    add("known", matrices=replace(matrices(60), void_predicted=np.ones((2, 3), np.int64)))
    add("half known", 0, matrices=replace(matrices(80), void_predicted=np.ones((2, 3), np.int64)))
    for label, seed in (("half known", 1), ("early", 0)):
        add(label, seed, hits=90)
    done = segbench(results, "--convention", "void-as-error", "--format", form)
    assert done.exit_code == 0, done.output
    if form == "json":
        (first, *rest) = json.loads(done.stdout)
        assert (first["model"], first["rank"], first["reason"]) == ("known", 1, None)
        assert [(row["mean_iou"], row["rank"]) for row in rest] == [(None, None)] * 2
    elif form in ("table", "markdown"):
        assert done.stdout.count("unknown") == 4  # mIoU and accuracy of two rows
        assert "early is not known: what was predicted on void pixels was not counted; " in done.stderr
        assert "half known is not known: what was predicted on void pixels was not counted in 1 of 2" in done.stderr
    if form in ("csv", "json"):
        assert "not counted in 1 of 2 seeds" in done.stdout
    narrow = segbench(results, "--convention", "all").stdout
    assert "?" in narrow
    assert max(map(len, narrow.splitlines())) <= 80


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "json"])
def test_the_command_shows_all_conventions_in_every_format(toy, form):
    done = segbench(toy, "--convention", "all", "--format", form)
    assert done.exit_code == 0, done.output
    assert all(name in (done.output if form == "table" else done.stdout) for name in CONVENTIONS)
    if form == "json":
        assert len(json.loads(done.stdout)) == 2 * len(CONVENTIONS)


def test_an_unknown_convention_and_an_empty_folder_exit_with_2(toy, tmp_path):
    assert segbench(toy, "--convention", "mmseg").exit_code == 2
    shutil.rmtree(toy / "toy")
    assert segbench(toy, "--convention", "all").exit_code == 2
