"""What the check of a data set finds: problems, which stop a run, and notes, which are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

SHOWN_PROBLEMS = 10
"""Problems that a refusal lists."""


class Level(StrEnum):
    """What a finding means for a run."""

    PROBLEM = "problem"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """Something that the check of a data set found.

    Attributes:
        kind: What kind of thing, such as ``one-class``; ``dataset.allow`` names some of them.
        level: A problem stops the run; a note is told.
        split: What the split is called.
        message: What was found and, of a problem, what to do.
    """

    kind: str
    level: Level
    split: str
    message: str

    def __str__(self) -> str:
        """Return it with its split in front."""
        return f"{self.split}: {self.message}"


def listed(problems: Sequence[object]) -> str:
    """Return problems, one a line, the first of them where there are many."""
    lines = [f"  {problem}" for problem in problems[:SHOWN_PROBLEMS]]
    more = len(problems) - SHOWN_PROBLEMS
    return "\n".join([*lines, *([f"  … and {more:,} more; 'segbench data check' lists all"] if more > 0 else [])])


def problems_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, each once, the problems before the notes."""
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.level is Level.NOTE)


def problems_among(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that stop a run."""
    return [finding for finding in findings if finding.level is Level.PROBLEM]


def notes_among(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that stop nothing."""
    return [finding for finding in findings if finding.level is Level.NOTE]
