"""Claims about figures: what is drawn is what was stored, named and told in words."""

from __future__ import annotations

import re

import matplotlib as mpl
import numpy as np
import pytest
from stored import HOSTILE, iou_of

from segbench.report import figures
from segbench.report.figures import accuracy_throughput, class_iou, class_scores, learning_curves, plots, save
from segbench.report.leaderboard import leaderboard
from segbench.report.networks import distinguish
from segbench.report.runs import load_histories, load_results
from segbench.results.record import Outcome, Status


@pytest.fixture
def read(results):
    def read():
        runs = distinguish(load_results(results))
        return leaderboard(runs), runs, load_histories(runs)

    return read


def legend(plot):
    return [text.get_text().strip() for text in plot.figure.axes[-1].get_legend().get_texts()]


def test_every_figure_has_title_labels_with_units_and_a_caption(add, read):
    add("a", 0)
    add("a", 1, 70)
    drawn = plots(*read())
    assert [plot.name for plot in drawn] == ["accuracy-throughput", "learning-curves", "class-iou"]
    for plot in drawn:
        axes = plot.figure.axes[0]
        assert axes.get_title()
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert re.search(r"Protocol [0-9a-f]{8}, test data test; 1 network, n = 2 seeds, 2 test images\.", plot.caption)
    assert "images/s" in drawn[0].figure.axes[0].get_xlabel()
    assert "sample standard deviation over seeds" in drawn[0].caption
    assert "sample standard deviation over seeds" in drawn[1].caption


def test_one_seed_is_said_to_have_no_spread(add, read):
    add("a")
    assert all("no spread is known" in plot.caption for plot in plots(*read()))


def test_the_scatter_shows_means_and_spread(add, read):
    add("a", 0, 80, speed=10.0)
    add("a", 1, 60, speed=30.0)
    axes = accuracy_throughput(read()[0]).figure.axes[0]
    point = next(line for line in axes.get_lines() if line.get_label() == "a")
    mean = (iou_of(80) + iou_of(60)) / 2
    assert point.get_xydata()[0] == pytest.approx([20.0, mean])
    bars = [np.ptp(path.vertices, axis=0) for bar in axes.collections for path in bar.get_paths()]
    spread = abs(iou_of(80) - iou_of(60)) / np.sqrt(2)
    assert sorted(bar.max() for bar in bars) == pytest.approx([2 * spread, 2 * 20 / np.sqrt(2)])


def test_pretrained_networks_have_hollow_marks(add, read):
    add("a", pretrained=True)
    add("b")
    lines = {line.get_label(): line for line in accuracy_throughput(read()[0]).figure.axes[0].get_lines()}
    assert lines["a"].get_markerfacecolor() == "white"
    assert lines["b"].get_markerfacecolor() != "white"


def test_very_different_speeds_get_a_logarithmic_axis(add, read):
    add("a", speed=1.0)
    add("b", speed=4.0)
    assert accuracy_throughput(read()[0]).figure.axes[0].get_xscale() == "linear"
    add("c", speed=400.0)
    assert accuracy_throughput(read()[0]).figure.axes[0].get_xscale() == "log"


def test_learning_curves_are_means_over_seeds(add, read):
    add("a", 0, history="epoch,loss\n1,1.0\n2,0.5\n")
    add("a", 1, history="epoch,loss\n1,3.0\n2,1.5\n")
    board, _, histories = read()
    plot = learning_curves(board, histories)
    assert len(plot.figure.axes) == 1
    assert plot.figure.axes[0].get_lines()[0].get_xydata().tolist() == [[1.0, 2.0], [2.0, 1.0]]


def test_validation_scores_get_a_panel_where_there_are_some(add, read):
    add("a", history="epoch,loss,validation_mean_iou\n1,1.0,\n2,0.5,0.25\n")
    board, _, histories = read()
    axes = learning_curves(board, histories).figure.axes
    assert [panel.get_title() for panel in axes] == ["Training loss by epoch", "Validation mean IoU by epoch"]
    assert axes[1].get_lines()[0].get_xydata().tolist() == [[2.0, 0.25]]


def test_words_and_infinities_in_a_history_are_left_out(add, read):
    add("a", history="epoch,loss\n1,oops\n2,inf\n3,0.5\n")
    board, _, histories = read()
    assert learning_curves(board, histories).figure.axes[0].get_lines()[0].get_xydata().tolist() == [[3.0, 0.5]]


def test_the_heat_map_holds_each_class_of_each_network(add, read):
    add("a", 0, 80)
    add("a", 1, 60)
    add("b", 0, 90)
    board, runs, _ = read()
    table = class_iou(runs)
    assert table.loc["a"].tolist() == pytest.approx([(iou_of(80) + iou_of(60)) / 2] * 3)
    axes = class_scores(board, runs).figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["sky", "road", "car"]
    assert axes.collections[0].get_array().ravel()[:3].tolist() == pytest.approx([iou_of(90)] * 3)


def test_classes_of_one_name_stay_apart(add, read):
    add("a", classes=("x", "x", "model"))
    assert list(class_iou(read()[1]).columns) == ["x", "x (1)", "model (2)"]


def test_only_the_best_networks_are_drawn_and_the_caption_says_so(add, read, monkeypatch):
    monkeypatch.setattr(figures, "MOST_NETWORKS", 2)
    for number, name in enumerate("abc"):
        add(name, hits=50 + number)
    board, runs, histories = read()
    drawn = plots(board, runs, histories)
    assert legend(drawn[0]) == legend(drawn[1]) == ["c", "b"]
    assert all("the best 2 of 3 networks" in plot.caption for plot in drawn)


def test_nothing_completed_gives_no_figures(add, read):
    add("a", outcome=Outcome(status=Status.FAILED, reason="x"))
    assert plots(*read()) == []


def test_hostile_names_are_drawn_literally(hostile, read, tmp_path):
    board, runs, histories = read()
    drawn = plots(board[board["protocol"].notna()], runs, histories)
    assert "$\\frac{1}{2}$" in legend(drawn[0])
    assert "_hidden" in legend(drawn[0])
    assert len(legend(drawn[0])) == len(HOSTILE)
    for plot in drawn:
        save(plot, tmp_path / "figures")
    svg = (tmp_path / "figures" / "class-iou.svg").read_text(encoding="utf-8")
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "網路 сеть" in svg
    assert ">$\\frac{1}{2}$</text>" in svg
    assert ">$x$</text>" in svg


def test_equal_figures_give_equal_files(add, read, tmp_path):
    add("a", 0)
    add("a", 1, 70)
    for folder in ("one", "two"):
        files = [file for plot in plots(*read()) for file in save(plot, tmp_path / folder, suffix="-x")]
    assert [file.name for file in files[:2]] == ["accuracy-throughput-x.svg", "accuracy-throughput-x.png"]
    for file in files:
        assert file.read_bytes() == (tmp_path / "one" / file.name).read_bytes(), file.name


def test_drawing_leaves_matplotlib_as_it_was(add, read):
    add("a")
    before = dict(mpl.rcParams)
    plots(*read())
    assert {key: value for key, value in mpl.rcParams.items() if before[key] != value} == {}
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []
