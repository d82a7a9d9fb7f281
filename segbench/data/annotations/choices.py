"""What a person may choose when masks are drawn from annotations."""

from __future__ import annotations

from enum import StrEnum


class Overlap(StrEnum):
    """What a pixel is that regions of several classes cover."""

    SMALLER = "smaller"
    LATER = "later"
    VOID = "void"


OVERLAP_RULES = {
    Overlap.SMALLER: "the region of fewer pixels wins",
    Overlap.LATER: "the region that the file lists later wins",
    Overlap.VOID: "such pixels are void",
}


class Others(StrEnum):
    """What labels become that a list of classes does not name."""

    BACKGROUND = "background"
    VOID = "void"
