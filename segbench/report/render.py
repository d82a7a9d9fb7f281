"""Writing a report: leaderboard, figures and protocol of stored runs as files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from segbench.errors import StoreError
from segbench.report import sections
from segbench.report.figures import plots, save
from segbench.report.leaderboard import leaderboard
from segbench.report.protocols import distinguish, observations, once_each, protocol_differences, protocol_groups
from segbench.report.runs import load_histories, load_results
from segbench.report.tables import to_csv, to_json, to_markdown
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
    runs = load_results(*given)
    if runs.empty:
        raise StoreError(f"{', '.join(map(str, given))}: there are no runs here; 'segbench run SUITE' writes some")
    folder = Path(out) / safe_name("+".join(dict.fromkeys(map(str, runs["suite"]))))
    board, notes, runs = leaderboard(runs), observations(distinguish(runs)), once_each(distinguish(runs))
    text, figures = _markdown(board, runs, notes, folder / "figures")
    files = ReportFiles(
        folder, folder / "leaderboard.md", folder / "leaderboard.csv", folder / "leaderboard.json", tuple(figures)
    )
    replace_text(files.markdown, text)
    replace_text(files.csv, to_csv(board))
    replace_text(files.json, _json(board, runs, notes))
    _remove_others(folder / "figures", figures)
    return files


def _markdown(board: pd.DataFrame, runs: pd.DataFrame, notes: list[str], folder: Path) -> tuple[str, list[Path]]:
    """Return the report's text and the figures, which are written to ``folder``."""
    parts = [sections.opening(runs, notes), "## Ranking"]
    figures: list[Path] = []
    groups = protocol_groups(runs)
    for protocol, group in groups:
        rows = board[board["protocol"].isna() if protocol is None else board["protocol"] == protocol]
        parts.append(to_markdown(rows).rstrip("\n"))
        for plot in plots(rows, group, load_histories(group)):
            written = save(plot, folder, suffix=f"-{safe_name(short_id(protocol))}")
            parts.append(sections.figure(plot, f"{folder.name}/{written[0].name}"))
            figures += written
        parts.append(sections.class_table(rows, group))
    known = [(protocol, group) for protocol, group in groups if protocol is not None]
    parts.append(sections.differences(protocol_differences(runs), [protocol for protocol, _ in known]))
    parts += [sections.protocol(protocol, group) for protocol, group in known]
    parts += [sections.environment(runs), sections.reproduction(runs)]
    return "\n\n".join(part for part in parts if part) + "\n", figures


def _json(board: pd.DataFrame, runs: pd.DataFrame, notes: list[str]) -> str:
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
