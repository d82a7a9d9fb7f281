"""Names the folder of a report, and tells what of an earlier report there a new one takes away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from segbench.report.text import printable
from segbench.results.store import SUITE_FILE
from segbench.results.wording import joined

PAPER_FOLDER = "paper"
"""Folder of what ``--paper`` writes, within a report's."""
_NAMED = 4


def suite_name(run: Any) -> str:
    """Return the name of the suite that a row of ``load_results`` is of: that of its folder, if it was renamed."""
    folder = Path(str(run.path)).resolve().parent
    return folder.name if (folder / SUITE_FILE).is_file() else str(run.suite)


def earlier_report_notes(folder: Path, leaderboard: Path, text: str) -> tuple[str, ...]:
    """Compare a report's ``leaderboard.json`` with the one that it replaces.

    Args:
        folder: The report's folder.
        leaderboard: The file.
        text: Its new content.

    Returns:
        Sentences about rows that are gone, and about files for papers that are not of these runs any more.
    """
    try:
        before = leaderboard.read_text(encoding="utf-8")
        earlier = _trainings(before)
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    now = _trainings(text)
    gone = list(dict.fromkeys(printable(key[-1]) for key, seeds in earlier.items() if now.get(key, 0) < seeds))
    notes = []
    if gone:
        shown = [*gone[:_NAMED], *([f"{len(gone) - _NAMED} others"] if len(gone) > _NAMED else [])]
        notes.append(
            f"{folder} held a report of more trainings (of {joined(shown)}), which this one replaces; "
            "'segbench report' writes it again from its results, and --out DIR keeps both"
        )
    if before != text and (folder / PAPER_FOLDER).is_dir():
        notes.append(f"{folder / PAPER_FOLDER} is of an earlier report; --paper writes it anew")
    return tuple(notes)


def _trainings(text: str) -> dict[tuple[str, ...], int]:
    """Return the number of trainings of each row by protocol, test data and network."""
    rows = [row for row in json.loads(text)["rows"] if row["seeds"]]
    return {(str(row["protocol"]), str(row["test_data"]), str(row["model"])): int(row["seeds"]) for row in rows}
