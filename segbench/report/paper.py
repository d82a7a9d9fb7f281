"""What a paper needs of stored runs: figures as wide as its columns, its table, and the papers to cite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segbench.errors import StoreError
from segbench.report.document.tuning import tuning_plots
from segbench.report.efficiency.figure import NAME as EFFICIENCY
from segbench.report.efficiency.figure import efficiency_curves
from segbench.report.efficiency.table import efficiency_tables
from segbench.report.figures import plots
from segbench.report.figures.plot import Plot, save_for_paper
from segbench.report.figures.style import column_width
from segbench.report.formats.bibtex import to_bibtex
from segbench.report.formats.earlier_report import PAPER_FOLDER
from segbench.report.formats.paper_table import paper_table
from segbench.report.ranking.citations import Reference, papers_of_data, papers_of_network
from segbench.report.ranking.ranking import Ranking
from segbench.report.runs.load import load_histories
from segbench.report.runs.network_identity import drop_copies
from segbench.report.text import is_absent, short_id
from segbench.report.verdict import judged_tables
from segbench.results.files import replace_text
from segbench.results.record import Status

COLUMN_INCHES = {"1-column": 3.3, "2-columns": 7.0}
"""How wide figures are, by the end of their names."""


@dataclass(frozen=True)
class PaperFiles:
    """What was written.

    Attributes:
        folder: The folder ``paper`` of the report.
        table: The LaTeX table.
        references: The BibTeX file.
        figures: PDF and SVG of each figure at both widths.
    """

    folder: Path
    table: Path
    references: Path
    figures: tuple[Path, ...]


def write_paper(ranking: Ranking, report: Path) -> PaperFiles:
    """Write figures, table and references into the folder ``paper`` of a report.

    Args:
        ranking: The runs, read and ranked.
        report: The report's folder.

    Raises:
        StoreError: There is nothing to report, or the files cannot be written.
    """
    if ranking.runs.empty:
        raise StoreError("only trials of a tuning are done; there is nothing to report yet")
    folder = report / PAPER_FOLDER
    runs = drop_copies(ranking.runs)
    completed = runs[runs["status"] == Status.COMPLETED]
    factories = {str(run.model): str(run.name) for run in completed[["model", "name"]].itertuples(index=False)}
    figures: list[Path] = []
    for ending, inches in COLUMN_INCHES.items():
        with column_width(inches):
            for name, plot in _plots(ranking):
                figures += save_for_paper(plot, folder, name=f"{name}-{ending}")
                plot.figure.clear()
    table, references = folder / "table.tex", folder / "references.bib"
    replace_text(table, paper_table(ranking.board, factories))
    replace_text(references, to_bibtex(*_papers(ranking, list(factories.values()))))
    return PaperFiles(folder, table, references, tuple(figures))


def _plots(ranking: Ranking) -> Iterator[tuple[str, Plot]]:
    """Yield every figure of a report with the stem of its files."""
    for table, runs, pairs in judged_tables(ranking):
        for plot in plots(table.rows, runs, load_histories(runs), pairs):
            yield f"{plot.name}-{table.file_id}", plot
    for protocol, plot in tuning_plots(drop_copies(ranking.runs)):
        yield f"{plot.name}-{short_id(protocol)}", plot
    for found in efficiency_tables(ranking.runs):
        yield f"{EFFICIENCY}-{short_id(found.key)}", efficiency_curves(found)


def _papers(ranking: Ranking, factories: list[str]) -> tuple[list[Reference], list[str]]:
    """Return the papers of networks and data, and the names of those that have none."""
    recipes = [recipe for recipe in ranking.runs["recipe"] if not is_absent(recipe)]
    data = dict.fromkeys(str((recipe.get("dataset") or {}).get("name")) for recipe in recipes)
    found = [(name, papers_of_network(name)) for name in dict.fromkeys(factories)]
    found += [(name, papers_of_data(name)) for name in data if name != "None"]
    return [paper for _, papers in found for paper in papers], [name for name, papers in found if not papers]
