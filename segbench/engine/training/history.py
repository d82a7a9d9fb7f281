"""The learning curve, written to ``history.csv`` after each epoch."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class History:
    """Writes ``history.csv`` line by line, so that a long run can be followed.

    Args:
        file: The file to write.
        tell: Called with every line.

    Attributes:
        lines: The lines so far.
    """

    def __init__(self, file: Path, tell: Callable[[Mapping[str, float]], None] = lambda line: None) -> None:
        self.file, self.tell = file, tell
        self.lines: list[dict[str, float]] = []

    def add(self, line: Mapping[str, float]) -> None:
        """Add one epoch's figures; new columns are added to the file's header."""
        known = set(self.columns)
        self.lines.append(dict(line))
        if known >= line.keys() and self.file.exists():
            with self.file.open("a", newline="") as stream:
                csv.DictWriter(stream, self.columns).writerow(line)
        else:
            self._write_all()
        self.tell(line)

    def restore(self, lines: Sequence[Mapping[str, float]]) -> None:
        """Restore the lines of an interrupted run."""
        self.lines = [dict(line) for line in lines]
        if self.lines:
            self._write_all()

    @property
    def columns(self) -> list[str]:
        """All columns, in order of appearance."""
        return list(dict.fromkeys(column for line in self.lines for column in line))

    def _write_all(self) -> None:
        with self.file.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, self.columns)
            writer.writeheader()
            writer.writerows(self.lines)
