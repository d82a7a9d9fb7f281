"""A suite's own metrics stand beside its scores, computed anew from the stored matrices."""

import json
import sys

import numpy as np
import pytest
import yaml
from stored import CLASSES, iou_of

from segbench.api.leaderboard import leaderboard
from segbench.metrics.foreign import python_metric
from segbench.report.formats.columns import COLUMNS as SHOWN
from segbench.report.formats.columns import columns_of
from segbench.report.formats.leaderboard import to_markdown
from segbench.report.formats.tables import to_csv, to_json
from segbench.report.ranking.caveats import caveats
from segbench.report.ranking.leaderboard import COLUMNS
from segbench.report.runs.load import load_results
from segbench.report.runs.own_metrics import bounds
from segbench.report.write import write_report
from segbench.results.store import SUITE_FILE

SOURCE = """
import numpy as np

def mean_iou(matrix):
    hits = np.diag(matrix)
    return (hits / (matrix.sum(0) + matrix.sum(1) - hits)).mean()

def iou(matrix):
    hits = np.diag(matrix)
    return 100 * hits / (matrix.sum(0) + matrix.sum(1) - hits)

def breaks(matrix): raise ValueError("no such figure")
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "elsewhere_report.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    yield
    sys.modules.pop("elsewhere_report", None)


@pytest.fixture
def names(results):
    """Store a suite that names some metrics."""

    def names(*metrics, suite="toy"):
        (results / suite).mkdir(parents=True, exist_ok=True)
        (results / suite / SUITE_FILE).write_text(yaml.safe_dump({"metrics": list(metrics)}), encoding="utf-8")

    return names


MEAN = {"name": "python:elsewhere_report.mean_iou", "label": "again"}
BY_CLASS = {"name": "python:elsewhere_report.iou", "label": "IoU, %"}


def test_without_own_metrics_the_columns_are_the_usual_ones(results, add):
    add()
    board = leaderboard(load_results(results))
    assert tuple(board.columns) == COLUMNS
    assert columns_of(board) == SHOWN


def test_a_metric_is_a_column_of_means_over_seeds_in_every_form(results, train, names):
    names(MEAN, BY_CLASS)
    train("one", 80)
    train("two", 60)
    runs = load_results(results)
    board = leaderboard(runs)
    np.testing.assert_allclose(board["metric_again"].astype(float), board["mean_iou"])
    np.testing.assert_allclose(board["metric_again_std"], board["mean_iou_std"])
    np.testing.assert_allclose(board["metric_IoU, %"], 100 * board["mean_iou"])
    assert "again" in to_markdown(board).splitlines()[2]
    assert "metric_again" in to_csv(board).splitlines()[0]
    first = json.loads(to_json(board))["rows"][0]
    assert first["metric_again"] == pytest.approx(first["mean_iou"])


def test_its_interval_is_that_of_the_scores_but_for_the_scale_and_the_number_of_resamples(results, train, names):
    names(MEAN, BY_CLASS)
    train("one", 80)
    train("two", 60)
    board = leaderboard(load_results(results))
    for low, high in ((board["metric_again_low"], board["metric_again_high"]),):
        width, theirs = high - low, board["mean_iou_high"] - board["mean_iou_low"]
        np.testing.assert_allclose(width, theirs, rtol=0.1)
        np.testing.assert_allclose((low + high) / 2, board["mean_iou"], rtol=1e-9)
    np.testing.assert_allclose(board["metric_IoU, %_low"], 100 * board["metric_again_low"], rtol=1e-9)


def test_images_of_one_group_are_drawn_together(results, train):
    train("one", 80)
    runs = load_results(results)
    metrics = {"again": python_metric(target="elsewhere_report.mean_iou")}
    runs["own_metrics"] = [{"again": value} for value in runs["mean_iou"]]

    def width(groups):
        runs["image_groups"] = [groups] * len(runs)
        (row,) = bounds([runs], metrics, trained=False)
        return row["metric_again_high"] - row["metric_again_low"]

    images = len(runs["image_names"][0])
    assert width(tuple(map(str, range(images)))) == pytest.approx(width(None))
    assert width(tuple(str(index // 10) for index in range(images))) != pytest.approx(width(None), rel=0.05)


def test_one_for_each_class_has_a_table_in_the_report(results, add, names, tmp_path):
    names(BY_CLASS)
    add(hits=80)
    page = write_report(results, tmp_path / "out").markdown.read_text(encoding="utf-8")
    assert "IoU, % by class" in page
    for name in CLASSES:
        assert f"| {name} | {100 * iou_of(80):.3f} |" in page.replace("  ", " ")


@pytest.mark.slow(reason="writes a report with all its figures")
def test_a_missing_module_is_told_and_all_else_is_shown(results, add, names, tmp_path):
    names({"name": "python:nowhere_at_all.metric", "label": "lost"}, MEAN)
    add(hits=80)
    runs = load_results(results)
    board = leaderboard(runs)
    assert "metric_lost" not in board.columns
    assert board["metric_again"][0] == pytest.approx(iou_of(80))
    (note,) = [note for note in caveats(runs) if "lost" in note]
    assert "metric lost is left out: python:nowhere_at_all.metric: there is no module 'nowhere_at_all'" in note
    assert "lost is left out" in write_report(results, tmp_path / "out").markdown.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("metrics", "problem"),
    [
        (({"name": "python:elsewhere_report.breaks"},), "ValueError: no such figure"),
        (({"name": "another:thing"},), "unknown metric 'another:thing'"),
        ((3,), "left out"),
    ],
)
def test_a_metric_that_fails_leaves_its_column_out_and_says_why(results, add, names, metrics, problem):
    names(*metrics)
    add()
    runs = load_results(results)
    assert tuple(leaderboard(runs).columns) == COLUMNS
    assert any(problem in note for note in caveats(runs))


def test_suites_that_call_different_metrics_the_same_are_told_apart(results, add, names):
    names(MEAN)
    names(BY_CLASS | {"label": "again"}, suite="zoo")
    add(hits=80)
    add("other", hits=60, suite="zoo")
    runs = load_results(results)
    assert leaderboard(runs)["metric_again"].tolist() == pytest.approx([iou_of(80), iou_of(60)])
    assert any("several suites have a metric again" in note for note in caveats(runs))


def test_a_metric_called_as_a_column_of_ours_keeps_both(results, add, names):
    names(MEAN | {"label": "mIoU"})
    add(hits=80)
    titles = [column.title for column in columns_of(leaderboard(load_results(results)))]
    assert titles.count("mIoU") == titles.count("mIoU (own)") == 1
