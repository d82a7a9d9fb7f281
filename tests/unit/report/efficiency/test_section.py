"""What a report and its figure say of fewer images."""

from __future__ import annotations

import json
import re

import pytest
from matplotlib.text import Text
from short_of import NOT_KNOWN
from stored import HOSTILE

from segbench.report import write as render
from segbench.report.blocks import Drawing, Heading, Paragraph, Table
from segbench.report.document.efficiency import efficiency_facts, efficiency_section
from segbench.report.efficiency.figure import efficiency_curves
from segbench.report.efficiency.table import efficiency_tables
from segbench.report.figures.style import column_width
from segbench.report.runs.load import load_results
from segbench.report.write import write_report

STEADY, STEEP = {50: 70, 100: 75, 400: 84}, {50: 50, 100: 68, 400: 95}


@pytest.fixture
def turned(grow, table_of):
    """Two networks whose order turns round."""
    grow("steady", STEADY)
    grow("steep", STEEP)
    return table_of(scores=[0.6])


def section(*tables):
    """The blocks of the section, with drawings of no file."""
    drawings = [Drawing(f"figure{place}", "", "", "", 1, 1) for place in range(len(tables))]
    return efficiency_section(tables, drawings)


def test_tables_hold_scores_needed_images_and_crossings(turned):
    scores, needs, crossings = [block for block in section(turned) if isinstance(block, Table)]
    assert scores.titles == ("network", "50 images", "100 images", "400 images")
    assert [row[0].text for row in scores.rows] == ["steep", "steady"]
    assert re.fullmatch(r"0\.\d{3} ± 0\.\d{3}", scores.rows[0][1].text)
    assert needs.titles == ("network", "images for 0.6")
    (crossing,) = crossings.rows
    assert [crossing[0].text, crossing[1].text] == ["steady", "steep"]
    assert crossing[4].text in {"50 and 400 images", "100 and 400 images"}
    for table in (scores, needs, crossings):
        assert {len(row) for row in table.rows} == {len(table.titles)} == {len(table.right)}


def test_several_recipes_have_headings_of_their_own(grow):
    grow("unet", STEADY)
    root = grow("unet", STEADY, train={"epochs": 4})
    tables = efficiency_tables(load_results(root), resamples=200)
    headings = [block for block in section(*tables) if isinstance(block, Heading)]
    assert sorted(heading.text for heading in headings) == [
        "From less data: Cell nuclei · 188 steps",
        "From less data: Cell nuclei · 4 epochs",
    ]
    assert len({heading.anchor for heading in headings}) == 2


def test_nothing_is_said_where_no_fraction_varies():
    assert efficiency_section([], []) == []


def test_facts_are_json_without_infinity(turned):
    text = json.dumps(efficiency_facts([turned]), allow_nan=False)
    assert json.loads(text)[0]["pairs"][0]["order"] == "turns"


def test_the_axis_is_logarithmic_and_every_number_of_images_is_a_labelled_tick(turned):
    plot = efficiency_curves(turned)
    (axes,) = plot.figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_xticks().tolist() == [50, 100, 400]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["50", "100", "400"]
    assert axes.get_xticks(minor=True).tolist() == []


def test_curves_and_bands_are_the_means_and_deviations_over_seeds(turned):
    (axes,) = efficiency_curves(turned).figure.axes
    lines = {line.get_label().strip(): line for line in axes.get_lines()}
    for row, band in zip(turned.rows, axes.collections, strict=True):
        assert lines[row.label].get_ydata().tolist() == [point.score for point in row.points]
        ends = {round(float(height), 9) for height in band.get_paths()[0].vertices[:, 1]}
        for point in row.points:
            assert round(point.score + point.spread, 9) in ends
            assert round(point.score - point.spread, 9) in ends


def test_a_crossing_that_is_told_is_a_ring_on_both_curves(turned):
    plot = efficiency_curves(turned)
    (crossing,) = turned.pairs[0].crossings
    rings = [line for line in plot.figure.axes[0].get_lines() if line.get_xdata()[0] == crossing.images]
    assert len(rings) == 1
    assert "Rings: crossings" in plot.caption


def test_one_seed_has_no_band_and_no_ring(grow, table_of):
    grow("steady", STEADY, seeds=1)
    grow("steep", STEEP, seeds=1)
    plot = efficiency_curves(table_of())
    assert not plot.figure.axes[0].collections
    assert "One seed: no bands." in plot.caption
    assert "No crossing is told apart" in plot.caption


@pytest.mark.parametrize(("changes", "reason"), NOT_KNOWN)
def test_tables_say_why_intervals_lack_or_of_what_they_are(grow, table_of, changes, reason):
    for label, hits in (("tuned", STEADY), ("plain", STEEP)):
        options = {"pretrained": label == "tuned"}
        grow(label, hits, name="unet", pretrained=label == "tuned", options=options, **changes)
    table = table_of(scores=[0.6])
    words = ["".join(map(str, block.parts)) for block in section(table) if isinstance(block, Paragraph)]
    for beginning in ("The training images with which", "The mean IoU of a pretrained network less"):
        (told,) = [text for text in words if text.startswith(beginning)]
        assert f"({reason})" in told
    (facts,) = efficiency_facts([table])
    assert facts["no_intervals"] == (reason if "images" in changes else None)
    if "images" in changes:
        assert f"No crossing is told: {reason}." in efficiency_curves(table).caption


def test_a_narrow_column_has_the_names_below_and_all_text_of_8_points(turned):
    with column_width(3.3):
        plot = efficiency_curves(turned)
    assert plot.figure.get_size_inches()[0] == pytest.approx(3.3)
    (legend,) = plot.figure.legends
    assert [text.get_text().strip() for text in legend.get_texts()] == [row.label for row in turned.rows]
    plot.figure.draw_without_rendering()
    assert {text.get_fontsize() for text in plot.figure.findobj(Text) if text.get_text()} == {8.0}


def test_a_report_has_the_section_the_figure_and_the_facts(grow, tmp_path, monkeypatch):
    few = ("learning-curves", "mean-iou-intervals")  # of the other figures, which take most of the time
    drawn = render.plots
    monkeypatch.setattr(render, "plots", lambda *tables: (plot for plot in drawn(*tables) if plot.name in few))
    for place, label in enumerate(HOSTILE[:4]):
        root = grow(label, {size: hits + place for size, hits in STEADY.items()}, name=f"net{place}")
    files = write_report(root, tmp_path / "reports")
    text = files.markdown.read_text(encoding="utf-8")
    assert "## From less data\n" in text
    assert text.index("## From less data") < text.index("## Ranking")
    assert text.count("With all training images, ") == 1
    assert "the largest one has all figures" in text
    pictures = [file.name for file in files.figures if file.suffix == ".png"]
    kinds = ("data-efficiency", "learning-curves", "mean-iou-intervals")
    assert [sum(name.startswith(kind) for name in pictures) for kind in kinds] == [1, 1, 3]
    page = files.page.read_text(encoding="utf-8")
    assert "<script>alert(1)</script>" not in page
    (facts,) = json.loads(files.json.read_text(encoding="utf-8"))["efficiency"]
    assert facts["sizes"] == [50, 100, 400]


def test_a_report_without_fractions_is_as_it_was(grow, tmp_path, monkeypatch):
    monkeypatch.setattr(render, "plots", lambda *tables: iter(()))
    files = write_report(grow("unet", {400: 80}), tmp_path / "reports")
    assert "From less data" not in files.markdown.read_text(encoding="utf-8")
    assert "efficiency" not in json.loads(files.json.read_text(encoding="utf-8"))
