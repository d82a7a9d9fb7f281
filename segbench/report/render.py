"""Writing a report: leaderboard, figures and protocol of stored runs as files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from segbench.report import sections
from segbench.report.figures import plots, save
from segbench.report.networks import once_each
from segbench.report.protocols import comparisons, protocol_differences, protocol_groups
from segbench.report.ranked import RankedTable, tables_of
from segbench.report.ranking import Ranking, rank
from segbench.report.runs import load_histories
from segbench.report.speed_section import speed_section
from segbench.report.tables import markdown_of, to_csv, to_json
from segbench.report.text import short_id
from segbench.results.files import replace_text, safe_name, storing

_OUR_FIGURES = re.compile(r"(accuracy-throughput|learning-curves|class-iou)-[\w-]+\.(svg|png)")


@dataclass(frozen=True)
class ReportFiles:
    """What was written.

    Attributes:
        folder: The report's folder.
        markdown: The report to read.
        csv: Its leaderboard in full precision.
        json: The same for programs, with protocols and notes.
        figures: Every figure, as SVG and PNG.
    """

    folder: Path
    markdown: Path
    csv: Path
    json: Path
    figures: tuple[Path, ...]


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
    runs, board, notes = ranking.runs, ranking.board, ranking.notes
    folder = Path(out) / safe_name("+".join(dict.fromkeys(map(str, runs["suite"]))))
    written = _markdown(board, runs, notes, folder / "figures")
    markdown, csv, json = (folder / f"leaderboard.{kind}" for kind in ("md", "csv", "json"))
    files = ReportFiles(folder, markdown, csv, json, tuple(written.figures))
    replace_text(files.markdown, written.text)
    replace_text(files.csv, to_csv(board))
    replace_text(files.json, _json(board, runs, notes))
    _remove_others(folder / "figures", written.figures)
    return files


class _Written(NamedTuple):
    """The report's text, and the figures that it shows."""

    text: str
    figures: list[Path]


def _markdown(board: pd.DataFrame, runs: pd.DataFrame, notes: list[str], folder: Path) -> _Written:
    """Put the report's text together and write its figures to ``folder``."""
    compared = {(protocol, test_data): once_each(group) for protocol, test_data, group in comparisons(runs)}
    runs = once_each(runs)
    parts = [sections.opening(runs, notes), "## Ranking"]
    figures: list[Path] = []
    for table in tables_of(board):
        shown = _table(table, compared[table.protocol, table.test_data], folder)
        parts.append(shown.text)
        figures += shown.figures
    parts.append(speed_section(runs))
    known = [group for group in protocol_groups(runs) if group.protocol is not None]
    parts.append(sections.differences(protocol_differences(runs), [str(group.protocol) for group in known]))
    parts += [sections.protocol(str(protocol), group) for protocol, group in known]
    parts += [sections.environment(runs), sections.reproduction(runs)]
    return _Written("\n\n".join(part for part in parts if part) + "\n", figures)


def _table(table: RankedTable, runs: pd.DataFrame, folder: Path) -> _Written:
    """Put one table together with the figures and the scores by class of its rows."""
    parts = [markdown_of(table)]
    figures: list[Path] = []
    ids = [table.protocol, *([table.test_data] if table.rivals else [])]
    suffix = "".join(f"-{safe_name(short_id(part))}" for part in ids)
    for plot in plots(table.rows, runs, load_histories(runs)):
        written = save(plot, folder, suffix=suffix)
        parts.append(sections.figure(plot, f"{folder.name}/{written[0].name}"))
        figures += written
    parts.append(sections.class_table(table.rows, runs))
    return _Written("\n\n".join(part for part in parts if part), figures)


def _json(board: pd.DataFrame, runs: pd.DataFrame, notes: list[str]) -> str:
    runs = once_each(runs)
    return to_json(
        board,
        suites=list(dict.fromkeys(map(str, runs["suite"]))),
        protocols={protocol: group["recipe"].iloc[0] for protocol, group in protocol_groups(runs) if protocol},
        differences=[{"key": key, "values": values} for key, values in protocol_differences(runs)],
        notes=notes,
    )


def _remove_others(folder: Path, figures: list[Path]) -> None:
    """Remove figures of an earlier report that this one does not have; other files stay."""
    if not folder.is_dir():
        return
    with storing(folder):
        for file in folder.iterdir():
            if file not in figures and _OUR_FIGURES.fullmatch(file.name):
                file.unlink()
