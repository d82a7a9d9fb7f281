"""Tables in GitHub-flavoured Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]], alignment: str) -> str:
    """Return a Markdown table of cells that are escaped already.

    Args:
        titles: The headings.
        rows: The cells.
        alignment: One sign a column: ``:`` for flush left, ``-`` for flush right.
    """
    rule = [":---" if sign == ":" else "---:" for sign in alignment]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [titles, rule, *rows])
