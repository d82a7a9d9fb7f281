"""The rows of a robustness table, and its verdict."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from segbench.metrics.trainings import Scope
from segbench.metrics.uncertainty import Interval
from segbench.report.further_tests import without_nan
from segbench.report.ranking.paired_order import OrderChanges


@dataclass(frozen=True)
class AtSeverity:
    """One network at one severity, the mean over all corruptions.

    Attributes:
        severity: 1 to 5, or 0 for clean images.
        mean_iou: By seed, the mean IoU.
        calibration_error: By seed, the expected calibration error; NaN where it is not known.
    """

    severity: int
    mean_iou: tuple[float, ...]
    calibration_error: tuple[float, ...]


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
        calibration_error: The expected calibration error, a mean over corruptions, severities and seeds; NaN where it
            is not known.
        clean_calibration_error: The same on the clean images.
        by_severity: Clean images, then each severity that all corruptions have.
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
    clean_calibration_error: float
    by_severity: tuple[AtSeverity, ...]
    elsewhere: dict[str, float]
    train: float | None
    failures: dict[str, str]

    @property
    def gap(self) -> float | None:
        """Mean IoU on training images less that on clean test images; None where it was not measured."""
        return None if self.train is None else self.train - self.clean

    def lost(self, corruption: str) -> float:
        """The share of the clean score that a corruption costs; NaN where the clean score is 0."""
        return 1 - self.by_corruption[corruption] / self.clean if self.clean else math.nan


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
        protocol: The protocol of all runs.
    """

    rows: tuple[RobustnessRow, ...]
    scope: Scope
    kept: tuple[tuple[str, str], ...]
    turned: tuple[tuple[str, str], ...]
    lost: tuple[tuple[str, str], ...]
    gained: tuple[tuple[str, str], ...]
    images: int
    protocol: str

    @property
    def corruptions(self) -> tuple[str, ...]:
        """The corruptions that all networks were tested under."""
        return tuple(self.rows[0].by_corruption)

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """The labels of other data sets that any network was tested on."""
        return tuple(dict.fromkeys(label for row in self.rows for label in row.elsewhere))

    @property
    def verdict(self) -> str:
        """Whether corruption changed the ranking, in a sentence or two."""
        changes = OrderChanges(self.kept, self.turned, self.lost, self.gained)
        return self._cost() + changes.verdict(
            self.scope, before="on clean images", after="on corrupted ones", told_apart="clean images tell"
        )

    def _cost(self) -> str:
        """Return what corruption costs the networks that lose least and most, as a sentence."""
        scored = [row for row in self.rows if not math.isnan(row.relative_loss)]
        if not scored:
            return ""
        least, most = (choose(scored, key=lambda row: row.relative_loss) for choose in (min, max))
        words = f"Corrupted images cost {least.label} {percent(least.relative_loss)} of its mean IoU"
        return words + (f" and {most.label} {percent(most.relative_loss)}. " if most is not least else ". ")

    def facts(self) -> dict[str, Any]:
        """Return the table for programs, with its verdict; what is not known is None."""
        facts = {**asdict(self), "verdict": self.verdict if self.corruptions else None}
        found: dict[str, Any] = without_nan(facts)
        return found


def percent(share: float) -> str:
    """Return a share in whole percent, such as ``12 %``; a dash where it is not known."""
    return "-" if math.isnan(share) else f"{round(100 * share)} %"
