"""What a report says of other weather and other data, and what its figures are drawn from."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest
from retests import FOG, NOISE, network, retest
from stored import iou_of, matrices, some_images, write_run

from segbench.report.blocks import Bullets, Drawing, Table
from segbench.report.figures.style import INK
from segbench.report.robustness.heat_map import heat_map
from segbench.report.robustness.load import load_retests
from segbench.report.robustness.section import robustness_facts, robustness_of, robustness_section
from segbench.report.robustness.severity_curves import severity_curves
from segbench.report.robustness.table import robustness_tables
from segbench.report.runs.load import load_results
from segbench.report.write import write_report
from segbench.results.arrays.details import ImageDetails, save_details
from segbench.results.arrays.matrices import ImageMatrices
from segbench.results.retests.record import Calibration, Condition


def corruption(name, severity):
    return Condition(kind="corruption", name=name, severity=severity)


def table_of(root):
    """Return the only table of the suite."""
    (table,) = robustness_tables(load_retests(root / "toy"))
    return table


def blocks_of(*folders):
    """Return the section without its figures."""
    return robustness_section(robustness_of(load_results(*folders)), lambda plot, whose: Drawing.of(plot, plot.name))


def table_in(blocks):
    (table,) = [block for block in blocks if isinstance(block, Table)]
    return {title: [row[place].text for row in table.rows] for place, title in enumerate(table.titles)}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of two networks whose order turns round."""
    root = tmp_path_factory.mktemp("turned")
    network(root / "results", "sharp", clean=90, fog=50, noise=50)
    network(root / "results", "sturdy", clean=80, fog=75, noise=75)
    return write_report(root / "results", root / "reports")


@pytest.mark.slow(reason="writes a report with all its figures")
def test_a_report_has_verdict_table_and_both_figures(report):
    text = report.markdown.read_text(encoding="utf-8")
    section = text.split("## Other weather, other data")[1].split("\n## ")[0]
    assert "The ranking changed: sharp leads on clean images, sturdy on corrupted ones." in section
    assert "| model | clean | corrupted | loss | lost | worst under | rank |" in section
    assert section.count("](figures/robustness-") == 2
    assert len([file for file in report.figures if file.name.startswith("robustness-")]) == 6
    page = report.page.read_text(encoding="utf-8")
    assert 'href="#robustness"' in page
    assert '"kind":"heat"' in page


def test_programs_get_the_same(report):
    (facts,) = json.loads(report.json.read_text(encoding="utf-8"))["robustness"]
    assert facts["suite"] == "toy"
    assert [row["label"] for row in facts["tables"][0]["rows"]] == ["sturdy", "sharp"]
    assert facts["tables"][0]["turned"] == [["sharp", "sturdy"]]


def test_a_report_without_further_tests_does_not_speak_of_them(tmp_path):
    write_run(tmp_path)
    assert blocks_of(tmp_path) == []


def test_figures_of_two_suites_of_one_protocol_have_names_of_their_own(tmp_path):
    for suite in ("first", "second"):
        run = write_run(tmp_path, suite=suite, matrices=some_images(80))
        retest(run, FOG, some_images(60))
    ends = []
    robustness_section(
        robustness_of(load_results(tmp_path)),
        lambda plot, whose: ends.append((plot.name, whose)) or Drawing.of(plot, plot.name),
    )
    assert len(ends) == len(set(ends)) > 1


def test_the_heat_map_holds_the_share_of_the_clean_score_that_is_lost(tmp_path):
    run = write_run(tmp_path, hits=80)
    retest(run, FOG, matrices(60))
    retest(run, NOISE, matrices(70))
    plot = heat_map(table_of(tmp_path))
    fog, noise = (100 * (1 - iou_of(hits) / iou_of(80)) for hits in (60, 70))
    drawn = plot.figure.axes[0].collections[0].get_array()
    assert np.ravel(drawn).tolist() == pytest.approx([fog, noise])  # what costs most stands at the top
    rows = plot.chart["rows"]
    assert [row["name"] for row in rows] == ["fog", "gaussian noise"]
    assert rows[0]["cells"][0]["text"] == f"{fog:.0f} %"
    assert rows[0]["cells"][0]["share"] == pytest.approx(fog / 40, rel=1e-5)  # the scale ends at the next ten percent
    assert plot.chart["scale"][1] == "40 %"


def test_figures_of_the_heat_map_are_read_on_every_colour(tmp_path):
    run = write_run(tmp_path, hits=90)
    for severity, hits in enumerate((90, 70, 50, 30, 10), start=1):
        retest(run, corruption(f"kind{severity}", severity), matrices(hits))
    axes = heat_map(table_of(tmp_path)).figure.axes[0]
    for text, color in zip(axes.texts, axes.collections[0].get_facecolors(), strict=True):
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color[:3]]
        bright = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        contrast = (bright + 0.05) / 0.05 if text.get_color() == "#000000" else 1.05 / (bright + 0.05)
        assert contrast > 4.5
        assert text.get_color() != INK  # which becomes pale on dark paper


@pytest.mark.parametrize(("clean", "fog"), [(60, 80), (0, 0)], ids=["gained", "nothing to lose"])
def test_a_gain_and_a_score_of_0_have_no_shade_beyond_the_scale(tmp_path, clean, fog):
    retest(write_run(tmp_path, hits=clean), FOG, matrices(fog))
    cell = heat_map(table_of(tmp_path)).chart["rows"][0]["cells"][0]
    assert cell["share"] in (0.0, None)
    assert (cell["share"] is None) == (clean == 0) == (cell["text"] == "-")


def test_severities_are_means_over_the_corruptions_that_have_all_of_them(tmp_path):
    run = write_run(tmp_path, hits=90)
    for severity, fog, noise in ((1, 80, 60), (3, 70, 50)):
        retest(run, corruption("fog", severity), matrices(fog))
        retest(run, corruption("gaussian_noise", severity), matrices(noise))
    retest(run, corruption("snow", 1), matrices(10))
    (row,) = table_of(tmp_path).rows
    assert [at.severity for at in row.by_severity] == [0, 1, 3]
    found = [at.mean_iou[0] for at in row.by_severity]
    assert found == pytest.approx([iou_of(90), (iou_of(80) + iou_of(60)) / 2, (iou_of(70) + iou_of(50)) / 2])


def test_curves_are_means_over_seeds_with_their_spread_in_the_networks_own_look(tmp_path):
    for seed, hits in enumerate((70, 60)):
        run = write_run(tmp_path, "unet", seed, hits=80)
        retest(run, FOG, matrices(hits))
    plot = severity_curves(table_of(tmp_path))
    (line,) = plot.chart["panels"][0]["lines"]
    middle, spread = np.mean([iou_of(70), iou_of(60)]), np.std([iou_of(70), iou_of(60)], ddof=1)
    assert line["y"] == pytest.approx([iou_of(80), middle], abs=1e-5)
    assert line["low"][1] == pytest.approx(middle - spread, abs=1e-5)
    assert (line["x"], line["color"], line["marker"]) == ([0, 3], "#0173b2", "o")
    assert len(plot.chart["panels"]) == 1  # calibration was not counted


def calibrated(run, names, errors):
    """Give a run's test images counts of 100 pixels of confidence 0.95, a share of which is wrong."""
    bins = np.zeros((len(names), 15))
    pixels, correct, sure = bins.copy(), bins.copy(), bins.copy()
    pixels[:, -1], correct[:, -1], sure[:, -1] = 100, [100 * (1 - error) for error in errors], 95
    arrays = {"pixels": pixels.astype(np.int64), "correct": correct.astype(np.int64), "confidence": sure}
    save_details(run / "details.npz", ImageDetails(tuple(names), {f"calibration_{n}": a for n, a in arrays.items()}))


def test_clean_calibration_is_that_of_the_images_that_were_corrupted(tmp_path):
    whole = some_images(80, images=4)
    run = write_run(tmp_path, matrices=whole)
    calibrated(run, whole.names, [0.9, 0.25, 0.25, 0.9])
    few = ImageMatrices(whole.names[1:3], whole.matrices[1:3])
    worse = Calibration(pixels=(0,) * 14 + (10,), correct=(0,) * 14 + (5,), confidence=(0.0,) * 14 + (9.5,))
    retest(run, FOG, few, calibration=worse)
    (row,) = table_of(tmp_path).rows
    assert row.clean_calibration_error == pytest.approx(0.2)  # 0.95 sure, 0.75 right
    assert table_in(blocks_of(tmp_path))["ECE"] == ["0.200 → 0.450"]
    assert [at.calibration_error[0] for at in row.by_severity] == pytest.approx([0.2, 0.45])
    assert len(severity_curves(table_of(tmp_path)).chart["panels"]) == 2


def test_the_gap_is_training_less_clean_test_images_and_empty_columns_are_left_out(tmp_path):
    run = write_run(tmp_path, hits=60)
    retest(run, Condition(kind="train_split", name="train"), matrices(80))
    blocks = blocks_of(tmp_path)
    assert not any("cost" in str(block) for block in blocks)
    assert table_in(blocks) == {
        "model": ["unet"],
        "clean": [f"{iou_of(60):.3f}"],
        "train": [f"{iou_of(80):.3f}"],
        "gap": [f"{iou_of(80) - iou_of(60):+.3f}"],
    }


@pytest.mark.parametrize("kind", ["other pixels", "damaged record", "failed", "part of the folds"])
def test_what_is_missing_is_told_in_the_report(tmp_path, kind):
    for label in ("a", "b"):
        run = write_run(tmp_path, label, hits=80)
        retest(run, FOG, matrices(60), test_digest=label if kind == "other pixels" else None)
        retest(run, NOISE, matrices(60))
    told = {
        "other pixels": "fog-3: left out, since not all networks were fed the same pixels",
        "damaged record": "fog-3.json: is no record of a test",
        "failed": "b, fog-3: ran out of memory",
        "part of the folds": "only 1 of 2 folds were tested",
    }[kind]
    if kind == "damaged record":
        (run.parent / "robustness" / run.name / "fog-3.json").write_text("{", encoding="utf-8")
    if kind == "failed":
        retest(run, FOG, None, reason="ran out of memory")
    if kind == "part of the folds":
        from segbench.results.record import FoldFacts

        fold = write_run(tmp_path, "c", hits=80, fold=FoldFacts(index=1, folds=2, pool_fingerprint="p"))
        retest(fold, FOG, matrices(60))
    (bullets,) = [block for block in blocks_of(tmp_path) if isinstance(block, Bullets)]
    assert any(told in item for item in bullets.items)


def test_folders_of_one_suite_are_one_table_in_which_copies_count_once(tmp_path):
    for seed in range(3):
        run = write_run(tmp_path / f"machine{seed % 2}", "unet", seed, hits=80 + seed)
        retest(run, FOG, matrices(60 + seed))
    shutil.copytree(tmp_path / "machine1", tmp_path / "copy")
    blocks = blocks_of(tmp_path / "machine0", tmp_path / "machine1", tmp_path / "copy")
    assert table_in(blocks)["clean"] == [f"{np.mean([iou_of(80 + seed) for seed in range(3)]):.3f}"]
    (one,) = robustness_of(load_results(*(tmp_path / name for name in ("machine0", "machine1", "copy"))))
    assert one.tables[0].rows[0].seeds == 3


def test_a_copy_without_tests_does_not_hide_them(tmp_path):
    run = write_run(tmp_path / "b", "unet", hits=80)
    shutil.copytree(tmp_path / "b", tmp_path / "a")
    retest(run, FOG, matrices(60))
    assert table_in(blocks_of(tmp_path / "a", tmp_path / "b"))["model"] == ["unet"]


def test_suites_stand_apart(tmp_path):
    for suite in ("day", "night"):
        retest(write_run(tmp_path, suite=suite, hits=80), FOG, matrices(60))
    facts = robustness_facts(robustness_of(load_results(tmp_path)))
    assert [one["suite"] for one in facts] == ["day", "night"]
    headings = [block.text for block in blocks_of(tmp_path) if getattr(block, "level", 0) == 3]
    assert [text.split(",")[0] for text in headings] == ["day", "night"]


def test_only_the_runs_of_the_report_are_in_its_section(tmp_path):
    runs = [write_run(tmp_path, label, hits=80) for label in ("a", "b")]
    for run in runs:
        retest(run, FOG, matrices(60))
    assert table_in(blocks_of(runs[0]))["model"] == ["a"]


def test_facts_for_programs_hold_no_nan(tmp_path):
    retest(write_run(tmp_path, hits=0), FOG, matrices(0))
    text = json.dumps(robustness_facts(robustness_of(load_results(tmp_path))), allow_nan=False)
    assert json.loads(text)[0]["tables"][0]["rows"][0]["calibration_error"] is None
    assert math.isnan(table_of(tmp_path).rows[0].calibration_error)
