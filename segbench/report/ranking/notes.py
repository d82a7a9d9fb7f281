"""Notes that a reader needs before comparing rows: sentences that know which rows they are about."""

from __future__ import annotations

from collections.abc import Iterable


class Note(str):
    """A sentence.

    Attributes:
        protocol: The protocol of the rows it is about; None for those that are not said.
        test_data: The digest of what these were tested on; None where it is of all tables of the protocol.
        models: The networks it is about; empty where it is about the whole table.
        sentence: The same without the name of the table in front.
    """

    __slots__ = ("models", "protocol", "sentence", "test_data")
    protocol: str | None
    test_data: str | None
    models: tuple[str, ...]
    sentence: str

    @classmethod
    def about(cls, models: Iterable[str], sentence: str) -> Note:
        """Return a note on some networks of a table."""
        return cls.of("", sentence, models=tuple(models))

    @classmethod
    def of(
        cls,
        table: str,
        sentence: str,
        *,
        protocol: str | None = None,
        test_data: str | None = None,
        models: tuple[str, ...] | None = None,
    ) -> Note:
        """Return a note on a table, whose name stands in front; ``models`` are by default those of the sentence."""
        note = cls(f"{table}: {sentence}" if table else sentence)
        note.protocol, note.test_data, note.sentence = protocol, test_data, sentence
        note.models = models if models is not None else getattr(sentence, "models", ())
        return note

    def concerns(self, protocol: str | None, test_data: str | None) -> bool:
        """Return whether it is about rows of one table."""
        return self.protocol == protocol and self.test_data in (None, test_data)


def of_table(notes: Iterable[str], protocol: str | None, test_data: str | None) -> list[Note]:
    """Return the notes on one table."""
    return [note for note in notes if isinstance(note, Note) and note.concerns(protocol, test_data)]


def of_no_row(notes: Iterable[str]) -> list[str]:
    """Return the notes that are about no network in particular."""
    return [note for note in notes if not (isinstance(note, Note) and note.models)]
