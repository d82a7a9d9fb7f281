"""Describes in words which tensors of a checkpoint and a network do not match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_WORDS = {
    "missing": ("of the network is missing in the file", "of the network are missing in the file"),
    "unexpected": ("of the file fits nothing in the network", "of the file fit nothing in the network"),
    "misshapen": ("has another shape", "have another shape"),
}
"""By kind of mismatch: the phrases for one tensor and for several."""


def in_words(misfits: Mapping[str, Sequence[str]], *, shown: int) -> str:
    """Describe how many tensors of each kind do not match, and name the first of them.

    Args:
        misfits: Names by kind: ``missing``, ``unexpected``, ``misshapen``; empty kinds are left out.
        shown: Number of names listed of each kind.
    """
    return "; ".join(f"{_counted(kind, len(names))}: {first(names, shown)}" for kind, names in misfits.items() if names)


def first(names: Sequence[str], shown: int) -> str:
    """List the first few names and the number of further ones."""
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")


def _counted(kind: str, count: int) -> str:
    one, several = _WORDS.get(kind, (kind, kind))
    return f"1 tensor {one}" if count == 1 else f"{count} tensors {several}"
