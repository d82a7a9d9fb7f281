"""One sentence that a reader must know before comparing rows, and the columns that it is about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

RUN_SPEED = ("test img/s", "train img/s")
"""Titles of the columns that hold the runs' own speed."""

MEASURED_SPEED = ("img/s", "batch", "p50 ms", "p90 ms", "memory", "J/img", "step img/s", "step memory", "Pareto")
"""Titles of the columns that hold what was measured apart."""


class Caveat(str):
    """A sentence.

    Attributes:
        columns: Titles of the only columns that it is about; empty where it is about rows.
    """

    __slots__ = ("columns",)
    columns: tuple[str, ...]

    def __new__(cls, text: str, columns: tuple[str, ...] = ()) -> Caveat:
        """Make a sentence."""
        made = super().__new__(cls, text)
        made.columns = columns
        return made

    def under(self, heading: str) -> Caveat:
        """Return the sentence with the table that it belongs to."""
        return Caveat(f"{heading}: {self}", self.columns)

    def concerns(self, titles: Collection[str]) -> bool:
        """Tell whether a reader who sees the columns of these titles has to know it."""
        return not self.columns or bool(set(self.columns) & set(titles))


def about(columns: tuple[str, ...], sentences: Iterable[str]) -> Iterator[Caveat]:
    """Yield sentences that are about some columns alone."""
    return (Caveat(sentence, columns) for sentence in sentences)
