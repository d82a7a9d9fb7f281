"""Claims about figures: what is drawn is what was stored, named and told in words."""

from __future__ import annotations

import json
import re
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from stored import HOSTILE, iou_of, matrices, some_images, without_checksums

from segbench.metrics.boundary import BoundaryCounts
from segbench.metrics.calibration import BINS
from segbench.report.figures import (
    accuracy_parameters,
    accuracy_throughput,
    class_scores,
    confusion_matrices,
    latency_distributions,
    learning_curves,
    mean_iou_intervals,
    memory,
    paired_differences,
    picture_grid,
    plots,
    reliability,
)
from segbench.report.figures import captions as shown
from segbench.report.figures import predictions as pictures
from segbench.report.figures.canvas import canvas
from segbench.report.figures.learning_curves import spread_out
from segbench.report.figures.looks import looks, name_points
from segbench.report.figures.plot import save
from segbench.report.figures.style import DARK, INK, PAPER
from segbench.report.figures.tuned import tuning_slopes
from segbench.report.ranking.leaderboard import ranked
from segbench.report.runs.class_iou import class_iou
from segbench.report.runs.load import load_histories, load_results
from segbench.report.runs.network_identity import disambiguate_labels
from segbench.report.runs.pictures import mark_of, wrong
from segbench.results.arrays.details import ImageDetails, save_details
from segbench.results.arrays.gallery import GALLERY_FOLDER, Gallery, GalleryImage, write_gallery
from segbench.results.record import Outcome, Status


@pytest.fixture
def read(results):
    def read():
        runs = disambiguate_labels(load_results(results))
        found = ranked(runs)
        return found.board, runs, load_histories(runs), found.pairs

    return read


def names_in(plot):
    """The names that are written at points or at the ends of curves."""
    return {text.get_text() for text in plot.figure.axes[-1].texts}


def test_every_figure_has_labels_with_units_and_a_caption(add, read):
    add("a", 0)
    add("a", 1, 70)
    drawn = list(plots(*read()))
    assert [plot.name for plot in drawn] == [
        *("accuracy-throughput", "accuracy-parameters", "class-iou", "confusion", "learning-curves")
    ]
    for plot in drawn:
        axes = plot.figure.axes[0]
        assert plot.title
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert re.search(r"Protocol [0-9a-f]{8}, test data test; 1 network, n = 2 seeds, 2 test images\.", plot.caption)
    assert "images/s" in drawn[0].figure.axes[0].get_xlabel()
    assert "sample standard deviation over seeds" in drawn[0].caption
    assert "sample standard deviation over seeds" in drawn[-1].caption


def test_one_seed_is_said_to_have_no_spread(add, read):
    add("a")
    told = {plot.name for plot in plots(*read()) if "variation between trainings is not known" in plot.caption}
    assert told == {"accuracy-throughput", "accuracy-parameters", "class-iou", "learning-curves"}


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


def test_speeds_of_runs_that_shared_a_device_are_not_drawn(add, read):
    add("a")
    add("b", runs_at_once=2)
    add("c")
    labels = [line.get_label() for line in accuracy_throughput(read()[0]).figure.axes[0].get_lines()]
    assert {"a", "c"} <= set(labels)
    assert "b" not in labels


def test_the_speed_of_one_network_of_several_is_no_comparison_and_not_drawn(add, read):
    add("a")
    assert accuracy_throughput(read()[0]) is not None
    add("b", runs_at_once=2)
    assert accuracy_throughput(read()[0]) is None


def test_pretrained_networks_have_hollow_marks(add, read):
    add("a", pretrained=True)
    add("b")
    lines = {line.get_label(): line for line in accuracy_throughput(read()[0]).figure.axes[0].get_lines()}
    assert lines["a"].get_markerfacecolor() == PAPER
    assert lines["b"].get_markerfacecolor() != PAPER


def test_very_different_speeds_get_a_logarithmic_axis(add, read):
    add("a", speed=1.0)
    add("b", speed=4.0)
    assert accuracy_throughput(read()[0]).figure.axes[0].get_xscale() == "linear"
    add("c", speed=400.0)
    assert accuracy_throughput(read()[0]).figure.axes[0].get_xscale() == "log"


def test_learning_curves_are_means_over_seeds(add, read):
    add("a", 0, history="epoch,loss\n1,1.0\n2,0.5\n")
    add("a", 1, history="epoch,loss\n1,3.0\n2,1.5\n")
    board, _, histories, _ = read()
    plot = learning_curves(board, histories)
    assert len(plot.figure.axes) == 1
    assert plot.figure.axes[0].get_lines()[0].get_xydata().tolist() == [[1.0, 2.0], [2.0, 1.0]]


def test_validation_scores_get_a_panel_where_there_are_some(add, read):
    add("a", history="epoch,loss,validation_mean_iou\n1,1.0,\n2,0.5,0.25\n")
    board, _, histories, _ = read()
    axes = learning_curves(board, histories).figure.axes
    assert [panel.get_ylabel() for panel in axes] == ["Training loss", "Validation mean IoU (fraction)"]
    assert axes[1].get_lines()[0].get_xydata().tolist() == [[2.0, 0.25]]


def test_words_and_infinities_in_a_history_are_left_out(add, read):
    add("a", history="epoch,loss\n1,oops\n2,inf\n3,0.5\n")
    board, _, histories, _ = read()
    assert learning_curves(board, histories).figure.axes[0].get_lines()[0].get_xydata().tolist() == [[3.0, 0.5]]


def test_the_heat_map_holds_each_class_of_each_network(add, read):
    add("a", 0, 80)
    add("a", 1, 60)
    add("b", 0, 90)
    board, runs, _, _ = read()
    table = class_iou(runs)
    assert table.loc["a"].tolist() == pytest.approx([(iou_of(80) + iou_of(60)) / 2] * 3)
    axes = class_scores(board, runs).figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["sky", "road", "car"]
    assert axes.collections[0].get_array().ravel()[:3].tolist() == pytest.approx([iou_of(90)] * 3)


def test_classes_of_one_name_stay_apart(add, read):
    add("a", classes=("x", "x", "model"))
    assert list(class_iou(read()[1]).columns) == ["x", "x (2)", "model"]


def test_only_the_best_networks_are_drawn_and_the_caption_says_so(add, read, monkeypatch):
    monkeypatch.setattr(shown, "MOST_NETWORKS", 2)
    for number, name in enumerate("abc"):
        add(name, hits=50 + number)
    drawn = [plot for plot in plots(*read()) if plot.name != "confusion"]
    assert names_in(drawn[0]) == names_in(drawn[-1]) == {"b", "c"}
    assert all("the best 2 of 3 networks" in plot.caption for plot in drawn)


def test_nothing_completed_gives_no_figures(add, read):
    add("a", outcome=Outcome(status=Status.FAILED, reason="x"))
    assert list(plots(*read())) == []


@pytest.mark.slow(reason="writes a report with all its figures")
def test_hostile_names_are_drawn_literally(hostile, read, tmp_path):
    board, runs, histories, pairs = read()
    drawn = list(plots(board[board["protocol"].notna()], runs, histories, pairs))
    assert "$\\frac{1}{2}$" in names_in(drawn[0])
    assert "_hidden" in names_in(drawn[0])
    assert len(names_in(drawn[0])) == len(HOSTILE)
    for plot in drawn:
        save(plot, tmp_path / "figures")
    svg = (tmp_path / "figures" / "class-iou.svg").read_text(encoding="utf-8")
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "網路 сеть" in svg
    assert ">$\\frac{1}{2}$</text>" in svg
    assert ">$x$</text>" in svg


@pytest.mark.slow(reason="writes a report with all its figures")
def test_very_long_names_are_cut_and_leave_room_for_the_drawing(add, read, tmp_path):
    classes = tuple(f"{number}{'x' * 100}" for number in range(12))
    for number in range(3):
        counted = matrices(90 - number, images=12, classes=12)
        for seed in (0, 1):
            add(f"{number}{'y' * 100}", seed, matrices=counted, classes=classes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = {plot.name: plot for plot in plots(*read())}
        for plot in drawn.values():
            save(plot, tmp_path)
    assert drawn.keys() >= {"class-iou", "confusion", "paired-differences", "mean-iou-intervals"}
    for name in ("class-iou", "confusion"):
        axes = drawn[name].figure.axes[0]
        assert [label.get_text() for label in axes.get_yticklabels()][1][:3].endswith(("xx", "yy"))
        assert all(label.get_text().endswith("…") for label in axes.get_yticklabels())
        assert axes.get_window_extent().width > 0.2 * drawn[name].figure.bbox.width


@pytest.mark.slow(reason="writes a report with all its figures")
def test_equal_figures_give_equal_files(add, read, tmp_path):
    add("a", 0)
    add("a", 1, 70)
    for folder in ("one", "two"):
        files = [file for plot in plots(*read()) for file in save(plot, tmp_path / folder, name=f"{plot.name}-x")]
    names = [f"accuracy-throughput-x{ending}" for ending in (".svg", "-dark.svg", ".png")]
    assert [file.name for file in files[:3]] == names
    for file in files:
        assert file.read_bytes() == (tmp_path / "one" / file.name).read_bytes(), file.name


def test_drawing_leaves_matplotlib_as_it_was(add, read):
    add("a")
    before = dict(mpl.rcParams)
    list(plots(*read()))
    assert {key: value for key, value in mpl.rcParams.items() if before[key] != value} == {}
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []


def test_fewer_parameters_and_more_accuracy_make_the_front(add, read):
    add("small", hits=60, parameters=1_000)
    add("large", hits=90, parameters=50_000_000)
    add("beaten", hits=50, parameters=2_000)
    axes = accuracy_parameters(read()[0]).figure.axes[0]
    front = next(line for line in axes.get_lines() if line.get_label() == "Pareto front")
    assert front.get_xydata().tolist() == [[1_000, pytest.approx(iou_of(60))], [50_000_000, pytest.approx(iou_of(90))]]
    assert axes.get_xscale() == "log"


def test_bars_of_accuracy_are_the_intervals_where_they_are_known(add, read):
    add("a", matrices=matrices(80, images=12))
    board = read()[0]
    plot = accuracy_throughput(board)
    assert "Vertical bars: 95 % intervals over test images, of these weights; one seed: variation" in plot.caption
    bars = [path.vertices for bar in plot.figure.axes[0].collections for path in bar.get_paths()]
    ends = [value for bar in bars for value in bar[:, 1]]
    assert min(ends) == pytest.approx(board["mean_iou_low"].iloc[0])
    assert max(ends) == pytest.approx(board["mean_iou_high"].iloc[0])


def test_each_rank_has_those_that_its_comparisons_leave_open(train, read):
    for name, hits in (("a", 90), ("b", 70), ("c", 50)):
        train(name, hits)
    board = read()[0]
    left, right = mean_iou_intervals(board).figure.axes
    bars = [line.get_xdata().tolist() for line in left.get_lines()[::2]]
    assert bars == board[["mean_iou_low", "mean_iou_high"]].to_numpy().tolist()
    assert [label.get_text() for label in left.get_yticklabels()] == ["a", "b", "c"]
    assert [label.get_text() for label in right.get_yticklabels()] == ["rank 1 · a", "rank 2 · b", "rank 3 · c"]


def test_one_training_each_draws_intervals_without_ranks_and_no_pairs(add, read):
    for name, hits in (("a", 90), ("b", 50)):
        add(name, matrices=some_images(hits))
    board, _, _, pairs = read()
    plot = mean_iou_intervals(board)
    assert len(plot.figure.axes) == 1
    assert "of these weights" in plot.caption
    assert "rank" not in plot.alternative
    assert paired_differences(board, pairs) is None


def test_too_few_images_draw_neither_intervals_nor_pairs(add, read):
    add("a")
    add("b", hits=50)
    board, _, _, pairs = read()
    assert mean_iou_intervals(board) is None
    assert paired_differences(board, pairs) is None


def test_differences_of_pairs_stand_once_and_those_of_chance_in_brackets(add, read):
    for seed in (0, 1):
        add("a", seed, matrices=matrices(90, images=12))
        add("same", seed, matrices=matrices(90, images=12), name="other")
        add("worse", seed, matrices=matrices(50, images=12))
    board, _, _, pairs = read()
    axes = paired_differences(board, pairs).figure.axes[0]
    texts = np.array([text.get_text() for text in axes.texts]).tolist()
    lead = 100 * (iou_of(90) - iou_of(50))
    assert texts.count(f"+{lead:.1f}") == 2
    assert f"-{lead:.1f}" not in texts
    assert {"(+0.0)", "(-0.0)"} & set(texts)
    assert len(texts) == 3


def test_confusion_matrices_are_shares_of_each_label(add, read):
    add("a", 0, 80)
    add("a", 1, 60)
    board, runs, _, _ = read()
    image = confusion_matrices(board, runs).figure.axes[0].get_images()[0].get_array()
    assert image[0].tolist() == pytest.approx([0.7, 0.3, 0.0])


def test_latencies_of_single_images_are_those_that_were_stored(add, measure, read):
    add("a")
    measure("a", 0.010, 0.030)
    add("b", hits=50)
    board, runs, _, _ = read()
    plot = latency_distributions(board, runs)
    axes = plot.figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert "n = 6 calls in 2 processes of each network" in plot.caption
    assert "a: median 20 ms, 6 calls" in plot.alternative
    first = plot.chart["points"][0]
    assert (first["name"], first["x"]) == ("a", pytest.approx(20.0))
    assert first["across"][0] <= first["box"][0] <= 20.0 <= first["box"][1] <= first["across"][1]


def test_only_the_networks_that_were_measured_are_counted_as_drawn(add, measure, read):
    for number, name in enumerate("abcd"):
        add(name, hits=90 - number, options={"width": 1.0 + number})
    for name, width, seconds in (("b", 2.0, (0.010,)), ("d", 4.0, (0.020, 0.030, 0.020))):
        measure(name, *seconds, options={"width": width})
    board, runs, histories, _ = read()
    board.loc[board["model"].isin(["b", "d"]), "inference_memory_bytes"] = 64_000_000
    for plot, those in (
        (accuracy_throughput(board), "whose speed was measured"),
        (latency_distributions(board, runs), "whose latency was measured"),
        (memory(board), "whose memory was measured"),
    ):
        assert f"; 2 of 4 networks, those {those}, n = 1 seed each" in plot.caption
        assert "the best" not in plot.caption
    assert "n = 3 to 9 calls in 1 to 3 processes of each network" in latency_distributions(board, runs).caption
    assert "median of 1 to 3 processes" in accuracy_throughput(board).caption
    assert "the largest of 1 to 3 processes" in memory(board).caption
    some = histories[histories["model"] != "a"]
    assert "3 of 4 networks, those whose curve was kept" in learning_curves(board, some).caption


def test_the_slowest_hundredth_is_marked_of_enough_calls_only(add, measure, read):
    for name, width in (("few", 1.0), ("many", 2.0)):
        add(name, options={"width": width})
    measure("few", 0.01, options={"width": 1.0})
    board, runs, _, _ = read()
    assert "slowest hundredth" not in latency_distributions(board, runs).caption
    measure("many", *[0.01] * 334, options={"width": 2.0})  # of three calls each
    board, runs, _, _ = read()
    plot = latency_distributions(board, runs)
    assert "grey mark: the slowest hundredth begins (of 1,000 calls or more)" in plot.caption
    marks = [line for line in plot.figure.axes[0].get_lines() if line.get_marker() == "|"]
    assert [mark.get_xydata()[0].tolist() for mark in marks] == [[pytest.approx(10.0), 1]]


def test_more_measured_networks_than_a_figure_shows_are_counted_among_the_measured(add, measure, read, monkeypatch):
    monkeypatch.setattr(shown, "MOST_NETWORKS", 1)
    for number, name in enumerate("abc"):
        add(name, hits=90 - number, options={"width": 1.0 + number})
    for name, width in (("b", 2.0), ("c", 3.0)):
        measure(name, 0.01, options={"width": width})
    board, runs, _, _ = read()
    plot = latency_distributions(board, runs)
    assert "the best 1 of the 2 networks whose latency was measured (of 3)" in plot.caption
    assert [label.get_text() for label in plot.figure.axes[0].get_yticklabels()] == ["b"]


def test_bars_of_rows_with_and_without_several_seeds_are_told_apart(add, read):
    for seed in (0, 1):
        add("a", seed, matrices=some_images(80, seed=seed))
    add("b", matrices=some_images(60))
    caption = accuracy_throughput(read()[0]).caption
    assert "Vertical bars: 95 % intervals over test images and trainings." in caption
    assert "± one sample standard deviation over seeds, where there are several." in caption
    assert "n = 1 to 2 seeds each" in caption


def test_without_measured_speed_there_is_neither_latency_nor_memory(add, read):
    add("a")
    board, runs, _, _ = read()
    assert latency_distributions(board, runs) is None
    assert memory(board) is None


def test_memory_is_drawn_where_it_was_measured(add, measure, read):
    add("a")
    measure("a", 0.010)
    board = read()[0]
    board["inference_memory_bytes"] = 64_000_000
    axes = memory(board).figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [64_000_000.0]


def test_memory_has_a_panel_for_each_measure_and_each_network_its_colour(add, measure, read):
    for name, width in (("a", 1.0), ("b", 2.0)):
        add(name, options={"width": width})
        measure(name, 0.010, options={"width": width})
    board = read()[0]
    board["inference_memory_bytes"], board["training_memory_bytes"] = [64e6, 32e6], [128e6, None]
    plot = memory(board)
    assert ["inference" in axes.get_xlabel() for axes in plot.figure.axes] == [True, False]
    colors = [look.color for look in looks(["a", "b"])]
    for axes in plot.figure.axes:
        assert [mpl.colors.to_hex(bar.get_facecolor()) for bar in axes.patches] == colors
        assert axes.get_legend() is None
    _, training = plot.chart["panels"]
    assert [(point["x"], point["tip"]) for point in training["points"]] == [
        (128.0, ["128 MB"]),
        (0.0, ["not measured"]),
    ]


def boxes(axes):
    """Where the names stand, in pixels."""
    axes.figure.draw_without_rendering()
    return {text.get_text(): text.get_window_extent() for text in axes.texts}


@pytest.mark.parametrize("line", [((0.2, 0.5), (0.9, 0.5)), ((0.5, 0.1), (0.5, 0.9)), ((0.5, 0.5), (0.5, 0.9))])
def test_no_line_crosses_a_name(line):
    _, axes = canvas(7.0, 4.4)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    name_points(axes, ["a network", "another"], [(0.5, 0.5), (0.2, 0.2)], [line])
    (left, low), (right, high) = axes.transData.transform(line)
    for name, box in boxes(axes).items():
        apart = box.x0 > right or box.x1 < left or box.y0 > high or box.y1 < low
        assert apart, name


@pytest.mark.slow(reason="writes a report with all its figures")
@pytest.mark.parametrize("classes", [2, 3, 8, 11, 21, 40])
def test_confusion_matrices_are_no_wider_than_a_page_and_fill_it(add, read, classes):
    board, runs = confused(add, read, networks=6, classes=classes)
    width = confusion_matrices(board, runs).figure.get_size_inches()[0]
    assert 8.0 < width <= 13.0


def confused(add, read, *, networks, classes):
    """Networks with a confusion matrix of so many classes."""
    names = tuple(f"class {number}" for number in range(classes))
    for number in range(networks):
        add(f"network {number}", classes=names, matrices=matrices(50 + number, classes=classes))
    board, runs, _, _ = read()
    return board, runs


def hang(folder, *runs, protocol, test_digest="test", classes=3):
    """Store a gallery of three images of 6 x 8 pixels for some runs."""
    place = folder / GALLERY_FOLDER / protocol[:8]
    place.mkdir(parents=True)
    label = (np.arange(48).reshape(6, 8) % classes).astype(np.uint8)
    wrong = label.copy()
    wrong[0] = (wrong[0] + 1) % classes
    images = []
    for role in ("easiest", "hardest", "median"):
        Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(place / f"{role}-image.png")
        for kind, pixels in (("label", label), ("000", wrong)):
            picture = Image.fromarray(pixels)
            picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
            picture.save(place / f"{role}-{kind}.png")
        names = {"image": f"{role}-image.png", "label": f"{role}-label.png"}
        given = {"predictions": dict.fromkeys(runs, f"{role}-000.png"), "scores": dict.fromkeys(runs, 0.5)}
        images.append(GalleryImage(role=role, index=1, name=f"<{role}>", mean_iou=0.5, **names, **given))
    write_gallery(place, Gallery(protocol_id=protocol, test_digest=test_digest, test_images=9, images=tuple(images)))
    return place


def test_the_grid_shows_image_label_prediction_and_errors_hardest_first(add, read):
    run = add("a")
    add("b", hits=50)
    board, runs, _, _ = read()
    hang(run.parent, run.name, protocol=board["protocol"].iloc[0])
    plot = picture_grid(board, runs)
    axes = plot.figure.axes
    assert len(axes) == 3 * 2 * 2  # three images, two rows, the image and one network
    assert [axes[place].get_title() for place in (0, 4, 8)] == ["hardest", "median", "easiest"]
    errors = axes[3].get_images()[0].get_array()
    assert (errors[0] == (230, 0, 190)).all()
    assert (errors[1:] == 110).all(), "a black image in pale grey"
    assert "of 9: hardest (<hardest>, 0.500)" in plot.caption
    assert "1 of 2 networks, those whose predictions were kept, one seed of each" in plot.caption


def test_the_grid_says_when_it_shows_the_best_only(add, read, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_PICTURED", 2)
    runs = [add(name, hits=90 - number).name for number, name in enumerate("abc")]
    board, rows, _, _ = read()
    hang(add("a", hits=90).parent, *runs, protocol=board["protocol"].iloc[0])
    plot = picture_grid(board, rows)
    assert "the best 2 of 3 networks, one seed of each" in plot.caption
    assert len(plot.figure.axes) == 3 * 2 * 3


@pytest.mark.parametrize("part", ["predictions", "scores"])
def test_a_run_that_one_image_of_the_gallery_lacks_is_not_shown(add, read, part):
    first, second = add("a"), add("b", hits=50)
    board, runs, _, _ = read()
    place = hang(first.parent, first.name, second.name, protocol=board["protocol"].iloc[0])
    file = place / "gallery.json"
    facts = json.loads(file.read_text())
    del facts["images"][1][part][second.name], facts["checksum"]
    file.write_text(json.dumps(facts))
    plot = picture_grid(board, runs)
    assert [axes.get_title().split("\n")[0] for axes in plot.figure.axes[:2]] == ["hardest", "a"]
    assert len(plot.figure.axes) == 3 * 2 * 2


def damaged(file, kind):
    """Damage a picture in one of the ways in which files are damaged."""
    whole = file.read_bytes()
    if kind == "cut off":
        file.write_bytes(whole[: len(whole) // 2])
    elif kind == "altered":
        file.write_bytes(whole[:-30] + bytes(10) + whole[-20:])
    elif kind == "no picture":
        file.write_bytes(b"GIF89a nothing")
    elif kind == "other size":
        Image.open(file).resize((3, 4)).save(file)
    elif kind == "no palette":
        Image.open(file).convert("RGB").save(file)
    else:
        file.unlink()


@pytest.mark.slow(reason="writes a report with all its figures")
@pytest.mark.parametrize("kind", ["cut off", "altered", "no picture", "other size", "no palette", "missing"])
@pytest.mark.parametrize("name", ["median-label.png", "easiest-000.png"])
def test_a_picture_that_cannot_be_read_takes_the_grid_away(add, read, name, kind):
    run = add("a")
    board, runs, _, _ = read()
    place = hang(run.parent, run.name, protocol=board["protocol"].iloc[0])
    assert picture_grid(board, runs) is not None
    damaged(place / name, kind)
    assert picture_grid(board, runs) is None


def test_a_picture_that_cannot_be_read_takes_no_other_figure_away(add, read):
    run = add("a")
    tables = read()
    place = hang(run.parent, run.name, protocol=tables[0]["protocol"].iloc[0])
    assert "pictures" in {plot.name for plot in plots(*tables)}
    damaged(place / "median-label.png", "cut off")
    assert {plot.name for plot in plots(*tables)} == {
        *("accuracy-throughput", "accuracy-parameters", "class-iou", "confusion", "learning-curves")
    }


@pytest.mark.parametrize("fault", ["other data", "torn", "outside", "none"])
def test_a_gallery_that_does_not_serve_is_left_out(add, read, fault, tmp_path):
    run = add("a")
    board, runs, _, _ = read()
    if fault != "none":
        digest = "another" if fault == "other data" else "test"
        place = hang(run.parent, run.name, protocol=board["protocol"].iloc[0], test_digest=digest)
        if fault == "torn":
            (place / "median-label.png").write_bytes(b"\x89PNG")
        if fault == "outside":
            file = place / "gallery.json"
            file.write_text(file.read_text().replace("median-label.png", "../../../etc/passwd"))
    assert picture_grid(board, runs) is None


def test_a_figure_for_dark_paper_has_dark_paper_and_light_ink(add, read, tmp_path):
    add("a")
    files = save(accuracy_throughput(read()[0]), tmp_path)
    light, dark = files.light.read_text(), files.dark.read_text()
    assert INK in light
    assert PAPER in light
    assert INK not in dark
    assert PAPER not in dark
    assert DARK[INK] in dark
    assert DARK[PAPER] in dark


def test_memory_of_training_steps_alone_is_drawn(add, measure, read):
    add("a")
    measure("a", 0.010, task="training")
    board = read()[0].assign(training_memory_bytes=64_000_000, speed_situation=None)
    assert "Measured peak of memory. " in memory(board).caption


def test_a_network_has_one_look_in_every_report_whatever_its_rank():
    shipped = ("U-Net", "FCN-8s", "SegNet", "SegNet-Basic", "DeconvNet", "FCN-32s", "DeepLab-LargeFOV")
    first, turned = looks(shipped), looks(shipped[::-1])[::-1]
    assert first == turned
    assert len({look.color for look in first}) == len(shipped)
    others = [f"network {number}" for number in range(60)]
    assert looks([*others, "U-Net"])[-1] == first[0]
    assert len(set(looks(others))) == len(others)
    assert looks(["my net"]) == looks(["my net", "U-Net"])[:1]


def test_a_logarithmic_axis_says_so_and_has_labelled_ticks(add, read):
    add("a", parameters=1_000)
    add("b", hits=50, parameters=90_000)
    axes = accuracy_parameters(read()[0]).figure.axes[0]
    assert axes.get_xlabel() == "Learned parameters, log scale"
    low, high = axes.get_xlim()
    shown = [label.get_text() for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
    assert len([text for text in shown if text]) >= 3


def test_names_at_points_cover_no_point_and_no_other_name(add, read):
    for number, name in enumerate(("one", "two", "three", "four")):
        add(name, hits=60 + number, parameters=1000 + number)
    axes = accuracy_parameters(read()[0]).figure.axes[0]
    axes.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 4
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])


@pytest.mark.parametrize(
    ("values", "gap", "places"),
    [
        ([0.1, 0.5, 0.9], 0.1, [0.1, 0.5, 0.9]),
        ([0.5, 0.5], 0.2, [0.4, 0.6]),
        ([0.0, 0.0, 1.0], 0.2, [0.0, 0.2, 1.0]),
        ([0.9, 1.0, 1.0], 0.2, [0.6, 0.8, 1.0]),
        ([0.5] * 5, 1.0, [0.0, 0.25, 0.5, 0.75, 1.0]),
    ],
)
def test_names_at_the_ends_of_curves_are_moved_apart_as_little_as_is_needed(values, gap, places):
    assert spread_out(values, gap=gap, low=0.0, high=1.0) == pytest.approx(places)


@pytest.mark.parametrize(
    ("palette", "mark"),
    [
        ([0, 0, 0, 0, 128, 0], (230, 0, 190)),
        ([244, 35, 232, 0, 0, 0], (255, 60, 0)),
        ([244, 35, 232, 255, 80, 20], (0, 200, 255)),
        ([], (230, 0, 190)),
    ],
)
def test_errors_have_a_colour_that_no_class_looks_like(palette, mark):
    assert mark_of(palette) == mark


def test_void_pixels_are_no_errors():
    label = np.array([[0, 1, 255]], np.uint8)
    assert wrong(label, np.array([[1, 1, 1]], np.uint8)).tolist() == [[True, False, False]]


def test_a_reliability_diagram_holds_the_shares_that_were_counted(add, read):
    folder = add("a")
    pixels = np.zeros((2, BINS), np.int64)
    pixels[:, 7], pixels[:, 14] = 100, 300
    correct = np.zeros((2, BINS), np.int64)
    correct[:, 7], correct[:, 14] = 25, 300
    counts = {"pixels": pixels, "correct": correct, "confidence": pixels * np.linspace(0, 1, BINS)}
    arrays = {f"calibration_{name}": array for name, array in counts.items()}
    boundary = {f"boundary_{name}": np.ones((2, 3), np.int64) for name in BoundaryCounts._fields}
    save_details(folder / "details.npz", ImageDetails(("image0", "image1"), {**arrays, **boundary}))
    without_checksums(folder)
    board, runs, _, _ = read()
    plot = reliability(board, runs)
    curve = next(line for line in plot.figure.axes[0].get_lines() if line.get_marker() == "o")
    assert curve.get_xydata().tolist() == pytest.approx(np.array([[0.5, 0.25], [1.0, 1.0]]))
    assert "ECE 0.062" in plot.alternative  # a quarter of the pixels, off by a quarter
    (panel,) = plot.chart["panels"]
    held = [(one["x"], one["y"], one["share"]) for one in panel["bins"] if one["share"]]
    assert held == [(0.5, 0.25, 0.25), (1.0, 1.0, 0.75)]
    assert panel["told"] == "ECE 0.062"


def test_a_figure_as_data_is_the_figure(add, read):
    for seed in (0, 1):
        add("a", seed, matrices=some_images(80, seed=seed), history="epoch,loss\n1,1.0\n2,0.5\n")
        add("b", seed, matrices=some_images(60, seed=seed), history="epoch,loss\n1,3.0\n2,1.5\n")
    board, _, histories, _ = read()
    point = accuracy_throughput(board).chart["points"][0]
    assert (point["name"], point["y"]) == ("a", pytest.approx(board["mean_iou"].iloc[0], abs=1e-5))
    assert point["up"] == pytest.approx(board[["mean_iou_low", "mean_iou_high"]].iloc[0].tolist(), abs=1e-5)
    assert [one["y"] for one in mean_iou_intervals(board).chart["points"]] == [0, 1]
    (panel,) = learning_curves(board, histories).chart["panels"]
    assert [(line["name"], line["y"]) for line in panel["lines"]] == [("a", [1.0, 0.5]), ("b", [3.0, 1.5])]


def test_what_tuning_changed_is_drawn_from_the_identical_recipe_to_the_tuned_one():
    both = pd.DataFrame(
        {"first": ["a", "b"], "first_value": [0.5, 0.6], "second_value": [0.7, 0.55], "difference": [0.2, -0.05]}
    )
    plot = tuning_slopes(both, ("0" * 64, "1" * 64))
    axes = plot.figure.axes[0]
    assert [line.get_xydata().tolist() for line in axes.get_lines()] == [[[0, 0.5], [1, 0.7]], [[0, 0.6], [1, 0.55]]]
    texts = {text.get_text() for text in axes.texts}
    assert texts == {"a  0.500", "b  0.600", "a  0.700 (+0.200)", "b  0.550 (-0.050)"}
    axes.figure.draw_without_rendering()
    inside = axes.figure.bbox
    assert all(inside.containsx(text.get_window_extent().x1) for text in axes.texts)
    assert plot.alternative == "a: 0.500 to 0.700; b: 0.600 to 0.550."
    assert [(line["name"], line["y"], line["change"]) for line in plot.chart["lines"]] == [
        ("a", [0.5, 0.7], "+0.200"),
        ("b", [0.6, 0.55], "-0.050"),
    ]
