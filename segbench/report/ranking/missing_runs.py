"""Tells which runs of a suite's plan are not stored, so that an unfinished table is not taken for a whole one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from segbench.report.ranking.notes import Note
from segbench.report.text import printable, short_id
from segbench.results.run_files import RECORD_FILE
from segbench.results.store import LOCK_FILE


def missing_notes(runs: pd.DataFrame) -> Iterator[Note]:
    """Yield for each protocol which planned runs are stored in none of the folders.

    Args:
        runs: The rows of ``load_results``. A suite without a plan beside its runs has no note.
    """
    folders = list(dict.fromkeys(Path(str(path)).parent for path in runs["path"]))
    read = set(runs["run"])  # in folders of other names, too
    planned = {run["id"]: run for folder in folders for run in _plan(folder)}
    for protocol in dict.fromkeys(runs["protocol"].dropna()):
        members = [run for run in planned.values() if run["protocol_id"] == protocol]
        missing = [
            run
            for run in members
            if run["id"] not in read and not any((folder / run["id"] / RECORD_FILE).exists() for folder in folders)
        ]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            sentence = f"{len(missing)} of the {len(members)} planned runs {verb} not stored: {_listed(missing)}."
            yield Note.of(f"Protocol {short_id(protocol)}", sentence, protocol=protocol)


def _plan(folder: Path) -> Sequence[Mapping[str, Any]]:
    """Return the planned runs of a suite; none where there is no plan that can be read."""
    try:
        runs = json.loads((folder / LOCK_FILE).read_text(encoding="utf-8"))["runs"]
        return [run for run in runs if run["id"] and run["protocol_id"] and run["model"]["name"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _listed(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return networks with their seeds."""
    seeds: dict[str, list[int]] = {}
    for run in runs:
        of_network = seeds.setdefault(str(run["model"].get("label") or run["model"]["name"]), [])
        of_network += [run["seed"]] if run["seed"] not in of_network else []
    return ", ".join(
        f"{printable(label)} (seed{'s' * (len(given) > 1)} {', '.join(map(str, given))})"
        for label, given in seeds.items()
    )
