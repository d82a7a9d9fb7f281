"""The section of a report shows every network and target, draws them, and says what is missing."""

from __future__ import annotations

import json

import pytest
from deployments import EAGER, INT8, deployment, timing
from stored import HOSTILE, some_images, write_run

from segbench.report.blocks import Drawing
from segbench.report.deployment.figure import deployment_figure
from segbench.report.deployment.load import load_deployments
from segbench.report.deployment.section import deployment_section, deployments_of
from segbench.report.deployment.table import deployment_tables
from segbench.report.runs.load import load_results
from segbench.report.write import write_report
from segbench.results.deployments.record import DeployedTo


def stored(root, labels=("unet", "segnet"), seeds=1):
    """Store networks that were deployed."""
    for place, label in enumerate(labels):
        for seed in range(seeds):
            counted = some_images(85 - 5 * place, images=20, seed=seed)
            run = write_run(root, label, seed, matrices=counted)
            deployment(run, EAGER, counted)
            deployment(run, INT8, some_images(80 - 5 * place, images=20, seed=seed))
    return root / "toy"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    folder = stored(root)
    other = write_run(root, "opaque", matrices=some_images(60, images=20))
    deployment(other, EAGER, some_images(60, images=20))
    deployment(other, INT8, None, reason="cannot be exported")
    return write_report(folder, root / "reports")


@pytest.mark.slow(reason="writes a report with all its figures")
def test_a_report_has_verdict_table_reasons_and_figure(report):
    text = report.markdown.read_text(encoding="utf-8")
    section = text.partition("## Other runtimes, smaller forms")[2].partition("\n## ")[0]
    assert "segbench deploy" in section
    assert "one training cannot tell" in section
    assert "so that this holds for these weights" in section
    assert section.count("| onnxruntime int8 |") == 3
    assert "opaque, onnxruntime int8: cannot be exported" in section
    assert "![" in section
    assert [file.name for file in report.figures if file.name.startswith("deployment-")]
    assert "Other runtimes, smaller forms" in report.page.read_text(encoding="utf-8")


def test_programs_get_the_same(report):
    (suite,) = json.loads(report.json.read_text(encoding="utf-8"))["deployment"]
    rows = suite["tables"][0]["rows"]
    assert {row["label"] for row in rows} == {"unet", "segnet", "opaque"}
    missing = next(row for row in rows if row["reason"])
    assert missing["mean_iou"] is None


def test_a_report_without_deployments_has_no_such_section(tmp_path):
    write_run(tmp_path, "unet", matrices=some_images(80))
    report = write_report(tmp_path / "toy", tmp_path / "reports")
    assert "Other runtimes" not in report.markdown.read_text(encoding="utf-8")
    assert "deployment" not in json.loads(report.json.read_text(encoding="utf-8"))


def test_a_figure_shows_every_point_and_an_arrow_to_each_target(tmp_path):
    (table,) = deployment_tables(load_deployments(stored(tmp_path)))
    plot = deployment_figure(table)
    left, right = plot.figure.axes
    for axes in (left, right):
        assert len(axes.lines) == 4
        assert len(axes.texts) == 2  # arrows
    assert {line.get_xdata()[0] for line in left.lines} == {11.0}
    assert {line.get_xdata()[0] for line in right.lines} == {4000.0}
    assert "2 networks" in plot.caption
    assert "20 test images" in plot.caption
    assert "unet in onnxruntime int8" in plot.alternative


def test_many_networks_and_targets_are_told_apart_and_their_names_fit(tmp_path):
    labels = ("unet", "fcn8s", "enet", "pspnet", "segnet", "a-network-with-a-rather-long-name")
    targets = [
        (runtime, precision, prune)
        for runtime in ("eager", "onnxruntime")
        for precision in ("fp32", "fp16")
        for prune in (None, 0.25, 0.5)
    ]
    for place, label in enumerate(labels):
        run = write_run(tmp_path, label, matrices=some_images(90 - 4 * place))
        for number, (runtime, precision, prune) in enumerate(targets):
            target = DeployedTo(runtime=runtime, precision=precision, prune=prune, device="cpu")
            deployment(run, target, some_images(88 - 4 * place - number), timings=(timing(10.0 + number),))
    (table,) = deployment_tables(load_deployments(tmp_path / "toy"))
    plot = deployment_figure(table)
    left, right = plot.figure.axes
    looks = [(line.get_color(), line.get_marker()) for line in left.lines]
    assert len(looks) == len(set(looks)) == 4 * 10
    assert {line.get_color() for line in left.lines} == {line.get_color() for line in right.lines}
    assert "the best 4 of 6 networks" in plot.caption
    assert "The table has 2 further targets." in plot.caption
    plot.figure.draw_without_rendering()
    (legend,) = plot.figure.legends
    bounds, whole = legend.get_window_extent(), plot.figure.bbox
    assert whole.x0 <= bounds.x0 < bounds.x1 <= whole.x1
    colors = [handle.get_color() for handle in legend.legend_handles[:4]]
    assert len(set(colors)) == 4


def test_figures_of_two_suites_of_one_protocol_have_names_of_their_own(tmp_path):
    for suite in ("first", "second"):
        run = write_run(tmp_path, suite=suite, matrices=some_images(80))
        deployment(run, EAGER, some_images(80))
        deployment(run, INT8, some_images(70))
    ends = []
    deployment_section(
        deployments_of(load_results(tmp_path)), lambda plot, whose: ends.append(whose) or Drawing.of(plot, plot.name)
    )
    assert len(ends) == len(set(ends)) == 2


def test_nothing_is_drawn_of_one_target(tmp_path):
    run = write_run(tmp_path, "unet", matrices=some_images(80))
    deployment(run, EAGER, some_images(80))
    (table,) = deployment_tables(load_deployments(tmp_path / "toy"))
    assert deployment_figure(table) is None


@pytest.mark.slow(reason="writes a report with all its figures")
def test_names_as_hostile_as_anybody_may_choose_are_shown(tmp_path):
    folder = stored(tmp_path, labels=HOSTILE)
    (table,) = deployment_tables(load_deployments(folder))
    plot = deployment_figure(table)
    assert f"the best 8 of {len(HOSTILE)} networks" in plot.caption
    page = write_report(folder, tmp_path / "reports").page.read_text(encoding="utf-8")
    assert "<script>alert(1)</script>" not in page
