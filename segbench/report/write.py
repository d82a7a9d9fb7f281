"""Writing a report: page, text, tables and figures of stored runs as files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from segbench.errors import StoreError
from segbench.report.blocks import Block, Drawing, Heading, Paragraph, Table
from segbench.report.deployment import section as deployment
from segbench.report.document import sections
from segbench.report.document.efficiency import efficiency_section
from segbench.report.document.speed import speed_section
from segbench.report.document.summary import verdicts
from segbench.report.document.table_part import lead_figure, table_part
from segbench.report.document.top import top
from segbench.report.document.tuning import tuning_answers, tuning_facts, tuning_plots, tuning_section
from segbench.report.efficiency.curves import smaller_fractions
from segbench.report.efficiency.figure import efficiency_curves
from segbench.report.figures import DRAWINGS, plots
from segbench.report.figures.plot import Plot, PlotFiles, save
from segbench.report.formats.earlier_report import earlier_report_notes, suite_name
from segbench.report.formats.html import Download, to_html
from segbench.report.formats.latex import to_latex
from segbench.report.formats.leaderboard import filled_columns
from segbench.report.formats.markdown import FIGURES_FOLDER, render_markdown
from segbench.report.formats.tables import to_csv, to_json
from segbench.report.further import FURTHER_FIGURES, Further
from segbench.report.joint import section as over_tables
from segbench.report.joint.figure import NAME as RANKS
from segbench.report.joint.joint import Joint
from segbench.report.ranking.notes import of_table
from segbench.report.ranking.ranking import Ranking, rank
from segbench.report.robustness import section as robustness
from segbench.report.runs.load import load_histories
from segbench.report.runs.network_identity import drop_copies
from segbench.report.runs.protocols import protocol_differences, protocol_groups
from segbench.report.text import printable, short_id
from segbench.report.verdict import judged_tables
from segbench.results.files import replace_text, safe_name, storing

_EARLIER_FIGURES = ("rank-intervals",)
_OUR_FIGURES = re.compile(
    rf"({'|'.join((*DRAWINGS, 'tuning', *FURTHER_FIGURES, RANKS, *_EARLIER_FIGURES))})-[\w-]+\.(svg|png)"
)


@dataclass(frozen=True)
class ReportFiles:
    """What was written.

    Attributes:
        folder: The report's folder.
        page: The report to open: one file that needs no other.
        markdown: The same as text.
        csv: Its leaderboard in full precision.
        json: The same for programs, with pairs, protocols and notes.
        latex: Its tables for papers.
        figures: Every figure: SVG on light and on dark paper, and PNG.
        notes: What the writing changed for the worse: rows of an earlier report that are gone, and other files beside
            it that are not of these runs any more.
    """

    folder: Path
    page: Path
    markdown: Path
    csv: Path
    json: Path
    latex: Path
    figures: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def write_report(results_folders: str | Path | Iterable[str | Path], out: str | Path) -> ReportFiles:
    """Write the report of stored runs to ``out/<suite>/``.

    Args:
        results_folders: Results roots, suites' folders or runs' folders; several are merged where protocols agree.
        out: The folder of all reports.

    Raises:
        StoreError: A folder does not exist, holds no runs, or the report cannot be written.
    """
    given = [results_folders] if isinstance(results_folders, str | Path) else list(results_folders)
    return write_ranking(rank(*given), out)


def write_ranking(ranking: Ranking, out: str | Path) -> ReportFiles:
    """Write the report of runs that are read and ranked already; see ``write_report``."""
    if ranking.runs.empty:
        raise StoreError("only trials of a tuning are done; there is nothing to report yet")
    folder = Path(out) / safe_name("+".join(dict.fromkeys(map(suite_name, ranking.runs.itertuples()))))
    further, joint = Further.of(ranking.runs), over_tables.joint_of(ranking)
    report = _composed(ranking, further, joint, folder / FIGURES_FOLDER)
    texts = {"csv": to_csv(ranking.board), "json": report_json(ranking, further, joint), "tex": to_latex(ranking.board)}
    page, markdown = folder / "index.html", folder / "leaderboard.md"
    csv, json, latex = (folder / f"leaderboard.{kind}" for kind in texts)
    notes = earlier_report_notes(folder, json, texts["json"])
    with storing(folder):
        text = to_html(report.blocks, drawings=report.drawings, downloads=_downloads(texts))
    replace_text(page, text)
    few = [block.overview() if isinstance(block, Table) else block for block in report.blocks]
    replace_text(markdown, render_markdown(few) + "\n")
    for file, content in zip((csv, json, latex), texts.values(), strict=True):
        replace_text(file, content)
    figures = tuple(file for drawn in report.drawings.values() for file in drawn)
    _remove_others(folder / FIGURES_FOLDER, figures)
    return ReportFiles(folder, page, markdown, csv, json, latex, figures, notes)


_OF_EVERY_TABLE = ("mean-iou-intervals",)
"""Figures of tables that are told in brief; all figures of each would make pages of many megabytes."""


@dataclass
class _Report:
    """A report as it comes together.

    Attributes:
        blocks: What it says.
        drawings: The files of its figures by the stem of their names.
    """

    blocks: list[Block] = field(default_factory=list)
    drawings: dict[str, PlotFiles] = field(default_factory=dict)


def _composed(ranking: Ranking, further: Further, joint: Joint | None, figures: Path) -> _Report:
    """Put the report together and write its figures."""
    runs, judged, report = drop_copies(ranking.runs), judged_tables(ranking), _Report()

    def draw(plot: Plot, whose: str) -> Drawing:
        return _drawn(report, plot, figures, whose)

    smaller = smaller_fractions(runs)
    brief = smaller | over_tables.told_in_brief(joint)
    changes, answers = tuning_answers(runs), verdicts([one for one in judged if one.table.protocol not in brief])
    if smaller:
        answers = [f"With all training images, {answer}" for answer in answers]
    if joint and brief > smaller and len(answers) == 1:
        answers = [f"Under '{printable(joint.tables[0])}', {answers[0]}"]
    titles = {column.title for one in judged if len(one.table.scored) for column in filled_columns(one.table.scored)}
    concerning = [note for note in ranking.notes if note.concerns(titles)]
    report.blocks += top(runs, changes or answers, concerning)
    slopes = [draw(plot, short_id(protocol)) for protocol, plot in tuning_plots(runs)]
    parts = [
        (
            one,
            {
                plot.name: draw(plot, one.table.file_id)
                for plot in plots(one.table.rows, one.runs, load_histories(one.runs), one.pairs)
                if one.table.protocol not in brief or plot.name in _OF_EVERY_TABLE
            },
        )
        for one in judged
    ]
    opens = not (slopes or further.efficiency or brief > smaller)
    lead = lead_figure([(one.table, drawings) for one, drawings in parts if opens])
    report.blocks += [replace(drawing, level=2) for drawing in (*slopes, *lead)]
    drawn = [draw(efficiency_curves(table), short_id(table.key)) for table in further.efficiency]
    report.blocks += efficiency_section(further.efficiency, drawn)
    report.blocks += over_tables.joint_section(joint, draw)
    report.blocks += [Paragraph.of(answer, lead=True) for answer in (answers if changes else [])]
    report.blocks += [Heading("Ranking", link="Ranking"), Paragraph.of(sections.HOW_SCORED)]
    report.blocks += [Paragraph.of(sections.LARGEST_ALONE)] if smaller else []
    report.blocks += [Paragraph.of(over_tables.FIRST_ALONE)] if brief > smaller else []
    for one, drawings in parts:
        notes = of_table(concerning, one.table.protocol, one.table.test_data)
        leads = any(figure in lead for figure in drawings.values())
        alone, linked = len(parts) == 1, len(parts) > 1 and one.table.protocol not in brief
        report.blocks += table_part(one, drawings, notes, leads=leads, alone=alone, linked=linked)
    report.blocks += tuning_section(runs, ranking.trials)
    report.blocks += robustness.robustness_section(further.retested, draw)
    report.blocks += deployment.deployment_section(further.deployed, draw)
    report.blocks += speed_section(runs)
    report.blocks += sections.reproduction(runs)
    known = [group for group in protocol_groups(runs) if group.protocol is not None]
    report.blocks += sections.differences(protocol_differences(runs), [str(group.protocol) for group in known])
    report.blocks += sections.protocols(known)
    report.blocks += [*sections.environment(runs), *sections.suites_as_run(runs)]
    return report


def _drawn(report: _Report, plot: Plot, figures: Path, whose: str) -> Drawing:
    """Write a figure's files and return its place in the report."""
    name = f"{plot.name}-{whose}"
    report.drawings[name] = save(plot, figures, name=name)
    drawing = Drawing.of(plot, name)
    plot.figure.clear()  # its parts refer to each other, so that they would stay until the next collection
    return drawing


def _downloads(texts: dict[str, str]) -> list[Download]:
    kinds = {"csv": ("CSV", "text/csv"), "json": ("JSON", "application/json"), "tex": ("LaTeX", "application/x-tex")}
    return [
        Download(title, f"leaderboard.{kind}", texts[kind], media_type) for kind, (title, media_type) in kinds.items()
    ]


def report_json(ranking: Ranking, further: Further, joint: Joint | None) -> str:
    """Return the ``leaderboard.json`` of a report."""
    runs = drop_copies(ranking.runs)
    return to_json(
        ranking.board,
        suites=list(dict.fromkeys(map(str, runs["suite"]))),
        protocols={protocol: group["recipe"].iloc[0] for protocol, group in protocol_groups(runs) if protocol},
        differences=[{"key": key, "values": values} for key, values in protocol_differences(runs)],
        tuning=tuning_facts(runs, ranking.trials),
        pairs=ranking.pairs.astype(object).where(ranking.pairs.notna(), None).to_dict("records"),
        notes=ranking.notes,
        **further.facts(),
        **({"joint": over_tables.joint_facts(joint)} if joint else {}),
    )


def _remove_others(folder: Path, figures: Iterable[Path]) -> None:
    """Remove figures of an earlier report that this one does not have; other files stay."""
    kept = set(figures)
    if not folder.is_dir():
        return
    with storing(folder):
        for file in folder.iterdir():
            if file not in kept and _OUR_FIGURES.fullmatch(file.name):
                file.unlink()
