"""Finds runs that are stored more than once, under one seed or several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from segbench.report.runs.network_identity import network_key
from segbench.report.text import is_absent, plural, printable
from segbench.results.wording import joined


def copy_notes(runs: pd.DataFrame) -> Iterator[str]:
    """Yield how many copies are counted once, which copies differ, and which runs look like copies of others.

    Args:
        runs: Runs of one table, copies included.
    """
    copies = _copies(runs)
    spare = sum(len(same) - 1 for same in copies)
    if spare:
        yield f"{plural(spare, 'run')} of the same network and seed as another counted once only."
    for text in differing_copies(runs):
        yield (
            f"{text}: only the first is counted, so that the order of the folders decides. Leave out the folder that "
            "does not count."
        )
    yield from _fed_alike([first for first, *_ in copies])


def differing_copies(runs: pd.DataFrame) -> Iterator[str]:
    """Yield which runs of one table are stored with several results, with their scores."""
    for first, *others in _copies(runs):
        scores = list(dict.fromkeys(f"{run.mean_iou:.4f}" for run in (first, *others) if not is_absent(run.mean_iou)))
        if len(scores) > 1:
            yield (
                f"{printable(first.model)}, seed {first.seed}, is stored with several results (mean IoU "
                f"{', '.join(scores)})"
            )


def _copies(runs: pd.DataFrame) -> list[list[Any]]:
    """Return the stored copies of each run of a table."""
    copies: dict[tuple[Any, ...], list[Any]] = {}
    for run in runs.itertuples():
        copies.setdefault((*network_key(run), run.seed), []).append(run)
    return list(copies.values())


def _fed_alike(runs: list[Any]) -> Iterator[str]:
    """Yield which seeds of a network were fed the same images in the same order, as no two seeds are."""
    by_order: dict[tuple[Any, ...], list[Any]] = {}
    for run in runs:
        if isinstance(run.train_digest, str):
            by_order.setdefault((*network_key(run), run.train_digest), []).append(run)
    for same in by_order.values():
        if len(same) > 1:
            seeds = joined(run.seed for run in same)
            yield (
                f"seeds {seeds} of {printable(same[0].model)} were trained on the same images in the same order: they "
                "look like one training under several seeds, which narrows intervals wrongly."
            )
