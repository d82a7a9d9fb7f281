"""The rows of a robustness table, and its verdict."""

from __future__ import annotations

from dataclasses import dataclass

from segbench.metrics.trainings import Scope
from segbench.metrics.uncertainty import Interval
from segbench.report.ranking.paired_order import OrderChanges


@dataclass(frozen=True, eq=False)
class RobustnessRow:
    """One network.

    Attributes:
        label: Its label.
        seeds: How many trainings.
        clean: Mean IoU on the clean images, a fraction of 1.
        corrupted: The mean over corruptions and severities, and seeds.
        loss: ``corrupted`` less ``clean``, with its 95 % interval; None where the images are too few.
        relative_loss: The share of the clean score that is lost.
        by_corruption: By corruption, the mean over its severities.
        by_condition: By condition, the mean over seeds.
        worst: The corruption under which it is worst.
        rank_clean: Best and worst rank that the clean images leave open; None where nothing is known of networks.
        rank_corrupted: The same under corruption.
        calibration_error: The mean over conditions and seeds; NaN where it is not known.
        elsewhere: By label, mean IoU on other data sets.
        train: Mean IoU on training images; None where it was not measured.
        failures: By condition, why something is missing.
    """

    label: str
    seeds: int
    clean: float
    corrupted: float
    loss: Interval | None
    relative_loss: float
    by_corruption: dict[str, float]
    by_condition: dict[str, float]
    worst: str | None
    rank_clean: tuple[int, int] | None
    rank_corrupted: tuple[int, int] | None
    calibration_error: float
    elsewhere: dict[str, float]
    train: float | None
    failures: dict[str, str]


@dataclass(frozen=True, eq=False)
class RobustnessTable:
    """All networks of one protocol that were tested under the same corruptions.

    Attributes:
        rows: Best under corruption first.
        scope: Of what intervals speak: networks, or these weights.
        kept: Pairs of networks that are told apart on clean images and under corruption, in one order.
        turned: Pairs that are told apart in both, in opposite orders: better clean, better corrupted.
        lost: Pairs that are told apart on clean images only.
        gained: Pairs that are told apart under corruption only.
        images: How many images.
    """

    rows: tuple[RobustnessRow, ...]
    scope: Scope
    kept: tuple[tuple[str, str], ...]
    turned: tuple[tuple[str, str], ...]
    lost: tuple[tuple[str, str], ...]
    gained: tuple[tuple[str, str], ...]
    images: int

    @property
    def verdict(self) -> str:
        """Whether corruption changed the ranking, in a sentence or two."""
        worst = max(self.rows, key=lambda row: row.relative_loss)
        least = min(self.rows, key=lambda row: row.relative_loss)
        told = (
            f"Corrupted images cost {least.label} {least.relative_loss:.0%} of its mean IoU and {worst.label} "
            f"{worst.relative_loss:.0%}. "
            if len(self.rows) > 1
            else f"Corrupted images cost {worst.label} {worst.relative_loss:.0%} of its mean IoU. "
        )
        changes = OrderChanges(self.kept, self.turned, self.lost, self.gained)
        return told + changes.verdict(
            self.scope, before="on clean images", after="on corrupted ones", told_apart="clean images tell"
        )
