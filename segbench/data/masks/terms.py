"""What the things that a person says of masks are called in messages: keys of a suite, or options of a command."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MaskTerms:
    """Names of what is said of masks; those of a suite by default.

    Attributes:
        classes: How many classes there are, or their names.
        values: The numbers of the classes.
        palette: Their colours.
        ignore: The numbers that count nowhere.
        ignore_color: The colours that count nowhere.
        nothing: What says that nothing is ignored.
    """

    classes: str = "classes"
    values: str = "values"
    palette: str = "palette"
    ignore: str = "ignore"
    ignore_color: str = "ignore_color"
    nothing: str = "null"

    def quoted(self, term: str) -> str:
        """Return a term as it stands in a sentence: a key in quotes, an option as it is."""
        return term if term.startswith("-") else f"'{term}'"

    def given(self, term: str, value: str) -> str:
        """Return how a term is given a value."""
        return f"{term} {value}" if term.startswith("-") else f"{term}: {value}"


KEYS = MaskTerms()
"""The keys of ``dataset: folder``."""
