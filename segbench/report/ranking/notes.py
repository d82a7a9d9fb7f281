"""Notes that a reader needs before comparing rows: sentences that know which rows and columns they are about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

RUN_SPEED = ("test img/s", "train img/s")
"""Titles of the columns that hold the runs' own speed."""

MEASURED_SPEED = ("img/s", "batch", "p50 ms", "p90 ms", "memory", "J/img", "step img/s", "step memory", "Pareto")
"""Titles of the columns that hold the speed measured by ``segbench speed``."""


class Note(str):
    """A sentence.

    Attributes:
        protocol: The protocol of the rows it is about; None before it belongs to a table.
        test_data: The digest of their test data; None if it is about all tables of the protocol.
        models: The networks it is about; empty if it is about the whole table.
        columns: Titles of the only columns it is about; empty if it is about rows.
        sentence: The same without the name of the table in front.
    """

    __slots__ = ("columns", "models", "protocol", "sentence", "test_data")
    protocol: str | None
    test_data: str | None
    models: tuple[str, ...]
    columns: tuple[str, ...]
    sentence: str

    @classmethod
    def about(cls, models: Iterable[str], sentence: str) -> Note:
        """Return a note on some networks of a table."""
        note = cls.of("", sentence)
        note.models = tuple(models)
        return note

    @classmethod
    def of(cls, table: str, sentence: str, *, protocol: str | None = None, test_data: str | None = None) -> Note:
        """Return a note on a table, whose name stands in front; networks and columns are those of the sentence."""
        note = cls(f"{table}: {sentence}" if table else sentence)
        note.protocol, note.test_data, note.sentence = protocol, test_data, sentence
        note.models = getattr(sentence, "models", ())
        note.columns = getattr(sentence, "columns", ())
        return note

    def is_of(self, protocol: str | None, test_data: str | None) -> bool:
        """Return whether it is about rows of one table."""
        return self.protocol == protocol and self.test_data in (None, test_data)

    def concerns(self, titles: Collection[str]) -> bool:
        """Return whether a reader who sees the columns of these titles needs it."""
        return not self.columns or bool(set(self.columns) & set(titles))


def about_columns(columns: tuple[str, ...], sentences: Iterable[str]) -> Iterator[Note]:
    """Yield sentences as notes on some columns alone."""
    for sentence in sentences:
        note = Note.of("", sentence)
        note.models, note.columns = getattr(sentence, "models", ()), columns
        yield note


def of_table(notes: Iterable[Note], protocol: str | None, test_data: str | None) -> list[Note]:
    """Return the notes on one table."""
    return [note for note in notes if note.is_of(protocol, test_data)]
