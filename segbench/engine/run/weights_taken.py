"""Describes what a run loaded from its checkpoint, for its record and in messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from segbench.models.weights.checkpoint import WeightsReport
from segbench.results.misfits import first, in_words
from segbench.results.shares import percent

SHOWN = 3
"""Number of tensors of a kind that a message names; the record lists all."""

TOP = "the names at the top"
"""Name shown for tensors at the top level of a checkpoint."""


def weights_facts(report: WeightsReport) -> dict[str, Any]:
    """Return the facts about a checkpoint for the record."""
    facts: dict[str, Any] = {
        "weights_share": report.share,
        "weights_key": (report.key or TOP) if report.rivals else None,
    }
    if report.unused:
        facts["weights_unused"] = list(report.unused)
    if report.moved is not None:
        facts["weights_moved"] = str(report.moved)
    if not report.complete:
        facts["weights_left_out"] = {kind: list(names) for kind, names in report.misfits.items()}
    return facts


def weights_notes(report: WeightsReport) -> Iterator[str]:
    """Yield messages about a loaded checkpoint."""
    if report.rivals:
        others = ", ".join(key or TOP for key in report.rivals)
        yield f"{report.key or TOP} was taken; {others} would match as well (weights_key)"
    if report.moved is not None:
        yield f"a part has another name there and was taken: {report.moved}"
    if report.auxiliary:
        yield f"the auxiliary head was left out ({_counted(report.auxiliary)})"
    if report.unused:
        yield f"what is beside the network was not used ({_counted(report.unused)})"
    if not report.complete:
        yield f"{percent(report.share)} of the network was taken: {in_words(report.misfits, shown=SHOWN)}"


def _counted(names: tuple[str, ...]) -> str:
    return f"{len(names)} tensor{'s' if len(names) > 1 else ''}: {first(names, SHOWN)}"
