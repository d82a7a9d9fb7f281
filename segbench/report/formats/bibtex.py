"""The papers behind a report as BibTeX."""

from __future__ import annotations

from collections.abc import Iterable

from segbench.report.ranking.citations import Reference


def to_bibtex(references: Iterable[Reference], unknown: Iterable[str] = ()) -> str:
    """Return references as BibTeX entries, each once.

    Args:
        references: The papers.
        unknown: Registered names without a known paper; a comment lists them.
    """
    entries = [_entry(reference) for reference in sorted(set(references))]
    names = [" ".join(name.split()) for name in dict.fromkeys(unknown)]
    comment = [f"% No paper is known to segbench of: {', '.join(names)}"] if names else []
    return "\n\n".join([*comment, *entries]) + "\n"


def _entry(reference: Reference) -> str:
    kind, venue = ("article", "journal") if reference.journal else ("inproceedings", "booktitle")
    fields = {
        "author": reference.authors,
        "title": f"{{{reference.title}}}",
        venue: reference.venue,
        "year": str(reference.year),
    }
    if reference.arxiv:
        fields |= {"eprint": reference.arxiv, "archivePrefix": "arXiv"}
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items()]
    return f"@{kind}{{{reference.key},\n" + ",\n".join(lines) + "\n}"
