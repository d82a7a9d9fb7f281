"""Claims about what a paper gets: figures of its columns' widths in 8 point text, a table, and the papers to cite."""

from __future__ import annotations

import re
import shutil
import subprocess
from xml.etree import ElementTree as ET

import pytest
from stored import HOSTILE, some_images

from segbench.report.figures import accuracy_parameters, plots
from segbench.report.figures.plot import save_for_paper
from segbench.report.figures.style import PAPER_POINTS, column_width
from segbench.report.formats.bibtex import to_bibtex
from segbench.report.formats.paper_table import paper_table
from segbench.report.paper import COLUMN_INCHES, write_paper
from segbench.report.ranking.citations import papers_of_data, papers_of_network
from segbench.report.ranking.ranking import rank
from segbench.report.runs.load import load_histories


@pytest.fixture
def two(add):
    """Two networks, three seeds each, on enough images for intervals."""
    recipe = {"dataset": {"name": "camvid"}, "train": {"epochs": 2, "select": "last"}}
    for seed in range(3):
        add("U-Net", seed, matrices=some_images(80, seed=seed), recipe=recipe, name="unet", parameters=31_000_000)
        add("FCN & co", seed, matrices=some_images(60, seed=seed), recipe=recipe, name="fcn8s", parameters=134_000_000)


def test_a_figure_is_as_wide_as_the_column_and_its_text_has_8_points(two, results):
    board = rank(results).board
    for inches in COLUMN_INCHES.values():
        with column_width(inches):
            figure = accuracy_parameters(board).figure
        assert figure.get_size_inches()[0] == inches
        axes = figure.axes[0]
        assert axes.get_title() == ""
        texts = [axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()]
        assert {text.get_fontsize() for text in texts} == {PAPER_POINTS}
    outside = accuracy_parameters(board).figure
    assert outside.get_size_inches()[0] != COLUMN_INCHES["1-column"]
    assert outside.axes[0].xaxis.label.get_fontsize() != PAPER_POINTS


@pytest.mark.slow(reason="writes a report with all its figures")
def test_every_text_of_every_figure_for_papers_has_8_points(two, results, tmp_path):
    known = rank(results)
    with column_width(COLUMN_INCHES["1-column"]):
        drawn = list(plots(known.board, known.runs, load_histories(known.runs), known.pairs))
        for plot in drawn:
            _, svg = save_for_paper(plot, tmp_path, name=plot.name)
            sizes = set(re.findall(r"font: (?:\w+ )*([\d.]+)px", svg.read_text()))
            assert sizes <= {"8"}, (plot.name, sizes)


@pytest.mark.slow(reason="writes a report with all its figures")
def test_the_folder_holds_pdf_and_svg_of_each_width_the_table_and_the_references(two, results, tmp_path, monkeypatch):
    from segbench.report import paper

    def some(*tables):
        return (plot for plot in plots(*tables) if plot.name == "mean-iou-intervals")

    monkeypatch.setattr(paper, "plots", some)
    ranking = rank(results)
    files = write_paper(ranking, tmp_path)
    assert files.folder == tmp_path / "paper"
    stems = {re.sub(r"-[0-9a-f]{8}-", "-", file.name) for file in files.figures}
    ends = ("1-column.pdf", "1-column.svg", "2-columns.pdf", "2-columns.svg")
    assert stems == {f"mean-iou-intervals-{end}" for end in ends}
    for file in files.figures:
        if file.suffix == ".svg":
            assert ET.parse(file).getroot().get("width").endswith("pt")
        else:
            assert file.read_bytes().startswith(b"%PDF")
    before = {file: file.read_bytes() for file in files.figures}
    write_paper(ranking, tmp_path)
    assert {file: file.read_bytes() for file in before} == before, "equal figures give equal files"
    text = files.references.read_text(encoding="utf-8")
    assert all(f"{{{key}," in text for key in ("ronneberger2015unet", "long2015fcn", "brostow2009camvid"))


def test_the_table_has_six_columns_intervals_and_the_best_in_bold(two, results):
    text = paper_table(rank(results).board, {"U-Net": "unet", "FCN & co": "fcn8s"})
    assert re.search(r"\\begin\{tabular\}\{lrrrrr\}", text)
    first, second = [line for line in text.splitlines() if line.startswith(("U-Net", "FCN"))]
    assert first.startswith(r"U-Net~\cite{ronneberger2015unet} & \textbf{0.")
    assert r"$\pm$" in first
    assert second.startswith(r"FCN \& co~\cite{long2015fcn} & 0.")
    assert r"\textbf{31.0 M}" in first, "fewer parameters are better"
    assert r"\textbf" not in second.replace(r"\textbf{20.4 G}", ""), "equal work is bold in both rows"
    assert "over trainings and test images" in text


def test_references_stand_once_and_what_is_not_known_is_said():
    papers = [*papers_of_network("fcn8s"), *papers_of_network("fcn32s"), *papers_of_data("camvid")]
    text = to_bibtex(papers, ["torchvision:x\n@evil{"])
    assert text.count("@inproceedings{long2015fcn,") == 1
    assert text.startswith("% No paper is known to segbench of: torchvision:x @evil{\n")
    assert text.count("{") == text.count("}") + 1  # the one in the comment


def test_every_network_of_a_paper_has_the_reference_that_its_module_cites():
    from segbench.models.networks import deeplab, fc_densenet, fcn, segnet, unet

    cited = {
        "unet": unet.CITATION,
        "fcn8s": fcn.CITATION,
        "segnet": segnet.CITATION,
        "fc_densenet103": fc_densenet.CITATION,
        "deeplab_largefov": deeplab.LARGEFOV_CITATION,
        "deeplabv3plus": deeplab.V3PLUS_CITATION,
    }
    for name, words in cited.items():
        (paper,) = papers_of_network(name)
        assert paper.title in words
        assert f"arXiv:{paper.arxiv}" in words
        assert str(paper.year) in words


@pytest.mark.slow(reason="runs pdflatex once for each hostile name")
def test_pdflatex_compiles_the_table(add, results, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("needs pdflatex with booktabs: apt-get install texlive-latex-recommended")
    for name in HOSTILE:
        if name.isascii():
            add(name)
    document = "\n".join(
        [
            r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs}",
            r"\DeclareUnicodeCharacter{00B7}{\textperiodcentered}\begin{document}",
            paper_table(rank(results).board, {HOSTILE[0]: "unet"}),
            r"\end{document}",
        ]
    )
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "t.pdf").read_bytes().startswith(b"%PDF")
