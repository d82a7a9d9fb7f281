"""The meaning of each column of a ranked table, and when a page shows it."""

from __future__ import annotations

from typing import NamedTuple

ACCURACY, SPEED, SIZE = "accuracy", "speed", "size"
"""Choices of columns that a page offers beside the most important ones."""


class Meaning(NamedTuple):
    """What a column means.

    Attributes:
        words: In words, with the unit.
        preset: The choice of columns that shows it; empty for one of the most important ones alone.
        lower: Whether less is better.
        told: Whether a page first shows it in another form: as a bar or as a note on the row.
    """

    words: str
    preset: str = ""
    lower: bool = False
    told: bool = False


def meaning_of(title: str) -> Meaning:
    """Return what a column means, by its heading; those that are not listed are of the suites' own metrics."""
    return MEANINGS.get(title, Meaning("A metric of the suite's own.", ACCURACY))


MEANINGS = {
    "#": Meaning("Rank by mean IoU.", lower=True),
    "model": Meaning("The network, by its label in the suite."),
    "tuned": Meaning("The values that its tuning chose."),
    "mIoU": Meaning("Mean IoU over classes on the test split, 0 to 1."),
    "95 % interval": Meaning("95 % interval of the mean IoU.", told=True),
    "ranks": Meaning("Ranks that the comparisons leave open.", ACCURACY, lower=True),
    "group": Meaning("Networks that share a letter cannot be told apart."),
    "differs in": Meaning("What was not as for most rows.", told=True),
    "weights": Meaning("What training started from.", SIZE),
    "predicts": Meaning("Labelled classes that it never predicts.", told=True),
    "seeds": Meaning("How many trainings the figures are means of."),
    "published": Meaning("Mean IoU in a paper.", ACCURACY),
    "pixel acc.": Meaning("Share of labelled pixels that are right."),
    "mean recall": Meaning("Mean over classes of the share found."),
    "fw-IoU": Meaning("IoU weighted by how frequent classes are.", ACCURACY),
    "Dice": Meaning("Mean Dice coefficient (F1) over classes.", ACCURACY),
    "precision": Meaning("Mean over classes of the share of predicted pixels that are right.", ACCURACY),
    "boundary F1": Meaning("F1 of class contours.", ACCURACY),
    "boundary IoU": Meaning("IoU near class contours.", ACCURACY),
    "ECE": Meaning("Expected calibration error of the softmax, 0 to 1.", ACCURACY, lower=True),
    "img/s": Meaning("Images a second, of the fastest batch measured.", SPEED),
    "batch": Meaning("The batch size of images a second.", SPEED),
    "p50 ms": Meaning("Median latency of a single image, in milliseconds.", SPEED, lower=True),
    "p90 ms": Meaning("90th percentile of the latency, in milliseconds.", SPEED, lower=True),
    "memory": Meaning("Peak memory of inference, smallest batch.", SIZE, lower=True),
    "J/img": Meaning("Energy of an image, in joules.", SPEED, lower=True),
    "step img/s": Meaning("Images a second in training steps.", SPEED),
    "step memory": Meaning("Peak memory of a training step.", SIZE, lower=True),
    "Pareto": Meaning("No other network is both more accurate and faster.", SPEED),
    "test img/s": Meaning("Images a second while testing, data loading included.", SPEED),
    "train img/s": Meaning("Images a second while training, data loading included.", SPEED),
    "params": Meaning("Learned parameters.", SIZE, lower=True),
    "MACs": Meaning("Multiply-adds of one test image.", SIZE, lower=True),
    "activations/img": Meaning("Bytes that training keeps of an image.", SIZE, lower=True),
    "weights on disk": Meaning("Size of the stored weights.", SIZE, lower=True),
    "classes": Meaning("Classes that the means are taken over.", ACCURACY),
    "same data": Meaning("Whether it was trained on the same data as most rows."),
}
"""By heading."""
