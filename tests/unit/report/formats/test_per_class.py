"""The IoU of every class: means over seeds, in the terminal, Markdown, CSV and JSON; grids and checkpoints in words."""

import csv
import io
import json
import math

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from stored import CLASSES, iou_of, matrices
from typer.testing import CliRunner

from segbench.cli.app import app
from segbench.config.plan import digest
from segbench.report.formats.leaderboard import to_markdown
from segbench.report.formats.tables import rich_tables, to_csv, to_json
from segbench.report.ranking.ranking import rank
from segbench.results.arrays.matrices import ImageMatrices

GRID = {"train": {"epochs": 2, "select": "last"}}


def shown(board, width=80):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(rich_tables(board, width=width, per_class=True))
    return console.file.getvalue()


def test_classes_have_the_mean_and_spread_of_the_seeds(add, results):
    add("unet", 0, 80)
    add("unet", 1, 60)
    mean, spread = (iou_of(80) + iou_of(60)) / 2, abs(iou_of(80) - iou_of(60)) / math.sqrt(2)
    board = rank(results).board
    (row,) = csv.DictReader(io.StringIO(to_csv(board)))
    for name in CLASSES:
        assert float(row[f"iou_{name}"]) == pytest.approx(mean)
        assert float(row[f"iou_{name}_std"]) == pytest.approx(spread)
    assert json.loads(to_json(board))["rows"][0]["class_iou"] == pytest.approx(dict.fromkeys(CLASSES, mean))
    assert f"road          {mean:.3f} ± {spread:.3f}" in shown(board)
    assert f"| road | {mean:.3f} ± {spread:.3f} |" in to_markdown(board, per_class=True)


def test_a_class_that_is_nowhere_has_no_figure(add, results):
    counted = np.zeros((2, 3, 3), dtype=np.int64)
    counted[:, 0, 0] = counted[:, 1, 1] = 50
    add("unet", matrices=ImageMatrices(("a", "b"), counted))
    board = rank(results).board
    (row,) = csv.DictReader(io.StringIO(to_csv(board)))
    assert (row["iou_sky"], row["iou_car"]) == ("1.0", "")
    assert json.loads(to_json(board))["rows"][0]["class_iou"]["car"] is None
    assert [line.split() for line in shown(board).splitlines() if line.startswith("car")] == [["car", "-"]]


def test_many_networks_stand_in_blocks_that_fit_the_line(add, results):
    for number in range(9):
        for seed in (0, 1):
            add(f"a network with quite a long name {number}", seed, 50 + 3 * number + seed)
    text = shown(rank(results).board)
    assert max(map(cell_len, text.splitlines())) <= 80
    blocks = [line for line in text.splitlines() if line.startswith("IoU by class")]
    assert len(blocks) == 3  # 12 for the classes leave 68 signs; a network takes 20 of them
    assert text.count("car  ") == 3
    assert text.count(" ± ") >= 9 * 3


def test_two_classes_of_one_name_stay_two(add, results):
    add("unet", matrices=matrices(70), classes=("x", "x", "y"))
    (row,) = csv.DictReader(io.StringIO(to_csv(rank(results).board)))
    assert [key for key in row if key.startswith("iou_") and not key.endswith("_std")] == [
        "iou_x",
        "iou_x (2)",
        "iou_y",
    ]


def test_the_command_shows_classes_on_request_and_refuses_what_does_not_go_together(add, results):
    add("unet")
    answer = CliRunner().invoke(app, ["leaderboard", str(results), "--per-class"])
    assert "IoU by class" in answer.stdout
    assert "IoU by class" not in CliRunner().invoke(app, ["leaderboard", str(results)]).stdout
    refused = CliRunner().invoke(app, ["leaderboard", str(results), "--per-class", "--convention", "all"])
    assert refused.exit_code == 2
    assert "--convention" in refused.stderr


def test_the_heading_says_the_values_of_the_grid(add, results):
    for rate in (0.1, 0.2):
        recipe = {"dataset": {"name": "scenes"}, "train": {"epochs": 2, "select": "last", "lr": rate}}
        add("unet", recipe=recipe, point={"train.optimizer.lr": rate, "models.0.width": 0.5})
    text = to_markdown(rank(results).board)
    for rate in (0.1, 0.2):
        recipe = {"dataset": {"name": "scenes"}, "train": {"epochs": 2, "select": "last", "lr": rate}}
        assert f"Protocol {digest(recipe)[:8]} (lr={rate})" in text
    assert "width" not in text


def test_a_checkpoint_that_fits_in_part_says_so_below_the_leaderboard(add, results):
    left_out = {"missing": ["a", "b", "c", "d"], "unexpected": [], "misshapen": []}
    recipe = {"dataset": {"name": "scenes"}, "train": None}
    add("part", pretrained=True, weights_share=0.934, weights_left_out=left_out, recipe=recipe)
    add("whole", pretrained=True, weights_share=1.0, recipe=recipe)
    ranking = rank(results)
    (note,) = [note for note in ranking.notes if "checkpoint" in note]
    missing = "4 tensors of the network are missing in the file: a, b, c and 1 more"
    assert f"the checkpoint of part fits 93 % of the network ({missing})" in note
    assert "the rest of it was scored as drawn at random" in note
    assert "pretrained (93 %)" in to_markdown(ranking.board)
    (row,) = [row for row in csv.DictReader(io.StringIO(to_csv(ranking.board))) if row["model"] == "part"]
    assert row["weights_share"] == "0.934"


def test_what_was_taken_by_another_name_and_what_was_not_used_stand_below_the_leaderboard(add, results):
    unused = ["criterion.weight", "iou.confmat", "mean", "std"]
    add("net", pretrained=True, weights_share=1.0, weights_unused=unused, weights_moved="backbone.* as encoder.*")
    notes = [note.partition(": ")[2] for note in rank(results).notes]
    beside = "holds 4 tensors beside the network, not used: criterion.weight, iou.confmat, mean and 1 more."
    assert f"the checkpoint of net {beside}" in notes
    assert "a part of net has another name in its checkpoint, and was taken: backbone.* as encoder.*." in notes


def test_rows_of_one_checkpoint_under_two_maps_are_two_networks(add, results):
    for outputs in ([0], [1]):
        mapped = {"sky": outputs, "road": [2], "car": [3]}
        add("unet", weights_digest="ab", classes_map=mapped, suite=f"toy{outputs[0]}")
    ranking = rank(results)
    assert len(ranking.board) == 2
    assert any("sky: 1; road: 2; car: 3" in note for note in ranking.notes)
