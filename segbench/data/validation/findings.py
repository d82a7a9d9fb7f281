"""Findings of a data check: problems, which stop a run, and notes, which are only shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

SHOWN_PROBLEMS = 10
"""Number of problems listed in an error."""


class Level(StrEnum):
    """The severity of a finding."""

    PROBLEM = "problem"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """A finding of a data check.

    Attributes:
        kind: The kind, such as ``one-class``; ``dataset.allow`` takes some of them.
        level: A problem stops the run; a note is only shown.
        split: Name of the split.
        message: The finding and, for a problem, what to do.
    """

    kind: str
    level: Level
    split: str
    message: str

    def __str__(self) -> str:
        """Return the message with its split in front."""
        return f"{self.split}: {self.message}"


def listed(problems: Sequence[object]) -> str:
    """List problems, one per line; only the first if there are many."""
    lines = [f"  {problem}" for problem in problems[:SHOWN_PROBLEMS]]
    more = len(problems) - SHOWN_PROBLEMS
    return "\n".join([*lines, *([f"  … and {more:,} more; 'segbench data check' lists all"] if more > 0 else [])])


def problems_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings without duplicates, problems before notes."""
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.level is Level.NOTE)


def problems_among(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that stop a run."""
    return [finding for finding in findings if finding.level is Level.PROBLEM]


def notes_among(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that do not stop a run."""
    return [finding for finding in findings if finding.level is Level.NOTE]
