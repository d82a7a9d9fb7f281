"""Claims about stored runs under other tools' conventions."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from segbench.cli.app import app
from segbench.metrics.conventions import CONVENTIONS
from segbench.report.leaderboard import leaderboard
from segbench.report.rescored import COLUMNS, rescored
from segbench.report.runs import load_results
from segbench.results.matrices import ImageMatrices

PAIR = np.array([[[50, 0, 0], [0, 50, 0], [0, 0, 0]], [[98, 0, 0], [2, 0, 0], [0, 0, 0]]])
"""Image by image 0.745, over all pixels 0.974, and a third class that is nowhere."""


@pytest.fixture
def toy(add, results):
    add("toy", matrices=ImageMatrices(("a", "b"), PAIR))
    add("unet", hits=80)
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
    assert [line.split()[:3:2] for line in done.stdout.splitlines()[3:]] == [["1", "0.667"], ["-", "NaN"]]


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
