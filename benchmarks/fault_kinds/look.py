"""Looks at a results folder independently of segbench: which runs are whole, and which of an earlier look are lost."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np

from segbench.errors import SegbenchError
from segbench.report.runs.load import load_results
from segbench.results.store import Store

SUITE = "faults"
"""The name of the suite, which is that of its folder too."""

SCORED = ("confusion.npz", "details.npz", "history.csv")
"""What tables are made from, beside the record."""

Whole = dict[str, tuple[str, ...]]
"""By run: the SHA-256 of its record and of the files that tables are made from."""


def whole_runs(results: Path) -> Whole:
    """Return the completed runs whose record can be read, whose files have its checksums and whose matrices load."""
    found = {file.parent.name: _checksums(file.parent) for file in sorted(results.glob(f"{SUITE}/[!.]*/run.json"))}
    return {run: checksums for run, checksums in found.items() if checksums}


def lost(before: Whole, after: Whole) -> list[str]:
    """Return the runs that were whole and are not any more, or are others."""
    return [run for run, checksums in before.items() if after.get(run) != checksums]


def half_done(results: Path, suite: str = SUITE) -> list[str]:
    """Return the runs that segbench takes for completed, or ranks, and that are not whole by an independent look."""
    whole = whole_runs(results)
    return sorted((_done(results, suite) | _ranked(results)) - whole.keys())


def is_reported_as_damaged(results: Path, run: str) -> bool:
    """Return whether a run is a damaged row, neither ranked nor done."""
    table = load_results(results)
    rows = table[table["path"].map(lambda path: Path(path).name == run)]
    return list(rows["status"]) == ["damaged"] and run not in _done(results, SUITE)


def _done(results: Path, suite: str) -> set[str]:
    """Return the runs that ``segbench run`` would skip."""
    store = Store(results, suite)
    folders = [folder for folder in store.folder.glob("[!.]*") if (folder / "run.json").is_file()]
    found = {folder.name: store.find(folder.name) for folder in folders}
    return {run for run, record in found.items() if record is not None and record.outcome.status == "completed"}


def _ranked(results: Path) -> set[str]:
    try:
        table = load_results(results)
    except SegbenchError:  # there is no folder yet
        return set()
    return {Path(path).name for path in table[table["status"] == "completed"]["path"]}


def _checksums(run: Path) -> tuple[str, ...]:
    try:
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        if record["outcome"]["status"] != "completed" or record["id"] != run.name:
            return ()
        known = {name: record["checksums"][name] for name in SCORED}
        if {name: _sha256(run / name) for name in SCORED} != known:
            return ()
        with np.load(run / "confusion.npz", allow_pickle=False) as arrays:
            if not {name: arrays[name] for name in arrays.files}["count"].size:
                return ()
    except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile):
        return ()
    return (_sha256(run / "run.json"), *known.values())


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
