"""The details of a ranked row, shown when it is opened."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from segbench.config.titles import in_words
from segbench.report.blocks import Block, Cell, Curve, Gallery, PicturesOf, RowFacts, Table
from segbench.report.figures.captions import MOST_NETWORKS
from segbench.report.ranking.citations import family_of, papers_of_network
from segbench.report.ranking.notes import Note
from segbench.report.ranking.tables import RankedTable
from segbench.report.runs.class_iou import class_iou
from segbench.report.runs.folds import folders_of
from segbench.report.text import byte_count, count, is_absent, printable, shown_path, with_spread
from segbench.results.record import Status
from segbench.results.store import SUITE_FILE


def row_facts(
    table: RankedTable, runs: pd.DataFrame, notes: Sequence[Note], *, curves: str | None, pictures: Gallery | None
) -> list[RowFacts]:
    """Return the facts of each row that has a score.

    Args:
        table: The table.
        runs: The runs that it is made of.
        notes: The caveats of the table.
        curves: The name of the figure of its learning curves; None without.
        pictures: The gallery; None without one.
    """
    completed = runs[runs["status"] == Status.COMPLETED]
    scores = class_iou(runs)
    found = []
    for place, (_, row) in enumerate(table.scored.iterrows()):
        model = str(row["model"])
        own = completed[completed["model"] == model]
        about = tuple(note.sentence for note in notes if model in note.models)
        blocks: list[Block] = [_facts(row, own)]
        if curves and place < MOST_NETWORKS:
            blocks.append(Curve(model, curves))
        if model in scores.index:
            blocks.append(_classes(scores.loc[model]))
        if pictures and any(tile.network == model for tile in pictures.images[0].tiles):
            blocks.append(PicturesOf(model, pictures.drawing.name))
        name = "" if own.empty else str(own["name"].iloc[0])
        found.append(RowFacts(family_of(name) if name else "", about, tuple(blocks)))
    return found


def _facts(row: pd.Series[Any], own: pd.DataFrame) -> Table:
    """Return a table of a network's facts, its cost and the command that repeats its runs."""
    first = own.iloc[0]
    options = {} if is_absent(first["options"]) else first["options"]
    papers = papers_of_network(str(first["name"]))
    facts = {
        "Network": Cell(str(first["name"]), code=True),
        "Options": Cell(in_words(options) if options else "the defaults"),
        "Tuned to": Cell("" if is_absent(row["tuned"]) else str(row["tuned"])),
        "Citation": Cell("; ".join(paper.in_words() for paper in papers)),
        "Size": Cell(_size(row)),
        "Cost": Cell(_cost(own)),
        "Environment": Cell(_environment(row, first)),
        "Runs": Cell(", ".join(_places(own)), code=True),
        "Repeat": Cell(_command(own), code=True),
    }
    rows: list[list[Cell | str]] = [[name, cell] for name, cell in facts.items() if cell.text]
    return Table.of("row-facts", ["fact", "value"], rows)


def _size(row: pd.Series[Any]) -> str:
    parts = {
        "parameters": count(row["parameters"]),
        "multiply-adds of a test image": count(row["macs"]),
        "of weights on disk": byte_count(row["weights_bytes"]),
    }
    return ", ".join(f"{value} {name}" for name, value in parts.items() if value)


def _cost(own: pd.DataFrame) -> str:
    """Return the time that its runs took."""
    total, training = own["total_seconds"].dropna(), own["training_seconds"].dropna()
    if total.empty:
        return ""
    each = f", {training.mean():,.0f} s of training each" if len(training) else ""
    return f"{total.sum():,.0f} s in {len(own)} run{'s' if len(own) > 1 else ''}{each}"


def _environment(row: pd.Series[Any], first: pd.Series[Any]) -> str:
    differs = (
        "" if is_absent(row["environment_differs"]) else f"; differs from most rows in {row['environment_differs']}"
    )
    facts: Mapping[str, Any] = {} if is_absent(first["environment"]) else first["environment"]
    versions = facts.get("versions") or {}
    torch = f"torch {versions['torch']}" if isinstance(versions, Mapping) and versions.get("torch") else ""
    device = "" if is_absent(row["device"]) else str(row["device"])
    return ", ".join(part for part in (device, torch) if part) + differs


def _places(own: pd.DataFrame) -> list[str]:
    return ["/".join(folder.parts[-2:]) for run in own.itertuples() for folder in folders_of(run)]


def _command(own: pd.DataFrame) -> str:
    """Return the command that repeats the runs of one network; empty if no suite was stored."""
    folders = [folder for run in own.itertuples() for folder in folders_of(run)]
    suite = Path(folders[0]).resolve().parent
    if not (suite / SUITE_FILE).is_file():
        return ""
    ids = ",".join(folder.name for folder in folders)
    place = f"{shown_path(suite)}/{SUITE_FILE}"
    return shlex.join(["segbench", "run", place, "--set", f"name={suite.name}", "--only", ids, "--results", "again"])


def _classes(scores: Any) -> Table:
    """Return the IoU of each class, drawn as a bar too."""
    rows: list[list[Cell | str]] = []
    for name, value in scores.items():
        if is_absent(value):
            rows.append([printable(name), "-"])
        else:
            rows.append(
                [printable(name), Cell(with_spread(value, None), float(value), bar=(0.0, float(value), float(value)))]
            )
    return Table.of("row-classes", ["class", "IoU"], rows, ":-")
