"""Names of mask options in messages: keys of a suite, or options of a command."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MaskTerms:
    """Names of mask options in messages; default: the keys of a suite.

    Attributes:
        classes: Name of the option for the number of classes or their names.
        values: Name of the option for the numbers of the classes.
        palette: Name of the option for their colours.
        ignore: Name of the option for the numbers of void.
        ignore_color: Name of the option for the colours of void.
        nothing: The value for no void.
    """

    classes: str = "classes"
    values: str = "values"
    palette: str = "palette"
    ignore: str = "ignore"
    ignore_color: str = "ignore_color"
    nothing: str = "null"

    def quoted(self, term: str) -> str:
        """Return a term for a sentence: keys in quotes, options unchanged."""
        return term if term.startswith("-") else f"'{term}'"

    def given(self, term: str, value: str) -> str:
        """Return a term with a value."""
        return f"{term} {value}" if term.startswith("-") else f"{term}: {value}"


KEYS = MaskTerms()
"""The keys of ``dataset: folder``."""
