"""Claims about rows that predict one class only, or never predict a class that is labelled."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from segbench.api.leaderboard import leaderboard
from segbench.report.compare.compare import compare
from segbench.report.formats.html import to_fragment
from segbench.report.formats.latex import to_latex
from segbench.report.formats.leaderboard import board_blocks, to_markdown
from segbench.report.formats.tables import rich_tables, to_csv
from segbench.report.ranking.caveats import caveats
from segbench.report.runs.load import load_results
from segbench.results.arrays.matrices import ImageMatrices

ROAD_ONLY = np.array([[0, 100, 0], [0, 100, 0], [0, 100, 0]])
NEVER_CAR = np.array([[100, 0, 0], [0, 100, 0], [20, 80, 0]])
ALL = np.eye(3, dtype=np.int64) * 90 + np.roll(np.eye(3, dtype=np.int64), 1, axis=1) * 10


def of(matrix):
    return ImageMatrices(("i",), np.asarray(matrix, np.int64)[None])


@pytest.fixture
def read(results):
    def read():
        runs = load_results(results)
        return leaderboard(runs), caveats(runs)

    return read


def row_of(board, model):
    (row,) = board[board["model"] == model].to_dict("records")
    return row


def test_a_row_that_predicts_one_class_only_says_so(add, read):
    add("stuck", matrices=of(ROAD_ONLY))
    add("good", matrices=of(ALL))
    board, notes = read()
    row = row_of(board, "stuck")
    assert (row["predicts"], row["predicts_only"]) == ("road only", "road")
    assert row["never_predicted"] == "sky, car"
    assert row["mean_precision"] == pytest.approx(100 / 300)
    assert row["precision_over"] == "over 1 of 3 classes"
    assert any("stuck predicts one class only: road." in note for note in notes)
    assert row_of(board, "good")["predicts"] is None
    assert row_of(board, "good")["precision_over"] is None


def test_the_best_precision_of_a_table_tells_what_it_left_out(add, read):
    """What was once reported: of two classes, one is never predicted, and the other's precision is the mean."""
    names = ("background", "object")
    add("fcn8s", matrices=of([[0, 10], [0, 90]]), classes=names)
    add("unet", matrices=of([[6, 4], [12, 78]]), classes=names)
    board, notes = read()
    best = row_of(board, "fcn8s")
    assert best["mean_precision"] == pytest.approx(0.9)
    assert best["mean_precision"] > row_of(board, "unet")["mean_precision"]
    text = to_markdown(board)
    assert "0.900 over 1 of 2 classes" in text
    assert any("never predicts classes that test labels hold: background" in note for note in notes)
    assert "object only" in text


def test_it_is_told_in_every_form_and_fits_80_signs(add, read, results):
    add("a_network_with_a_really_long_name_of_its_own", 0, matrices=of(NEVER_CAR))
    add("a_network_with_a_really_long_name_of_its_own", 1, matrices=of(ALL))
    add("good", matrices=of(ALL))
    board, _ = read()
    for text in (to_markdown(board), to_fragment(board_blocks(board)), to_latex(board)):
        assert "never car, 1/2 seeds" in text
    console = Console(width=80, file=io.StringIO())
    console.print(rich_tables(board, width=80))
    shown = console.file.getvalue()
    assert "never car, 1/2 seeds" in shown
    assert max(map(cell_len, shown.splitlines())) <= 80
    (line,) = [line for line in csv.DictReader(io.StringIO(to_csv(board))) if line["model"] != "good"]
    assert line["never_predicted"] == "car (1 of 2 seeds)"
    assert line["precision_over"] == "over 2 to 3 of 3 classes"


def test_many_classes_are_counted_where_there_is_no_room_for_their_names(add, read):
    names = tuple(f"class number {index}" for index in range(11))
    matrix = np.zeros((11, 11), np.int64)
    matrix[:, 0], matrix[1, 1] = 10, 10
    add("poor", 0, classes=names, matrices=of(matrix))
    add("poor", 1, classes=names, matrices=of(np.diag(matrix.sum(axis=1))))
    board, notes = read()
    row = row_of(board, "poor")
    assert row["predicts"] == "never 9 of 11 classes, 1/2 seeds"
    assert cell_len(row["predicts"]) <= 32
    assert any("class number 10 (1 of 2 seeds)" in note for note in notes)


def test_one_class_in_some_seeds_is_told_with_their_number(add, read):
    for seed, matrix in enumerate((ROAD_ONLY, ALL, ROAD_ONLY)):
        add("unsteady", seed, matrices=of(matrix))
    board, notes = read()
    row = row_of(board, "unsteady")
    assert row["predicts"] == "road only, 2/3 seeds"
    assert row["predicts_only"] == "road (2 of 3 seeds)"
    assert any("predicts one class only: road (2 of 3 seeds)" in note for note in notes)


def test_a_class_that_no_label_holds_need_not_be_predicted(add, read):
    add("fine", matrices=of([[100, 0, 0], [5, 95, 0], [0, 0, 0]]))
    add("one labelled class", matrices=of([[100, 0, 0], [0, 0, 0], [0, 0, 0]]))
    board, _ = read()
    assert board["predicts"].isna().all()
    assert board["precision_over"].isna().all()


def test_compared_runs_tell_over_how_many_classes_precision_is(add, results):
    first, second = add("a", matrices=of(NEVER_CAR)), add("b", matrices=of(ALL))
    found = compare(load_results(first), load_results(second)).scores
    assert set(found["first_precision_over"]) == {"over 2 of 3 classes"}
    assert found["second_precision_over"].isna().all()


def test_names_of_classes_cannot_steer_a_terminal(add, read):
    add("x", classes=("a\x1b[2J", "<b>", "c|d"), matrices=of(ROAD_ONLY))
    board, notes = read()
    assert all(
        "\x1b" not in text for text in (*notes, to_markdown(board), to_latex(board), row_of(board, "x")["predicts"])
    )
