"""What happens while a suite runs, as values that a terminal or a log can show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from segbench.results.record import Status

Stage = Literal["data", "training", "evaluation"]


@dataclass(frozen=True)
class RunStarted:
    """A run begins.

    Attributes:
        run_id: The run's id.
        label: The row's name.
        seed: The run's seed.
        number: Its position among the runs that are to be done, from 1.
        total: How many runs are to be done.
    """

    run_id: str
    label: str
    seed: int
    number: int
    total: int


@dataclass(frozen=True)
class Progress:
    """Something advanced.

    Attributes:
        run_id: The run's id; empty for what concerns the whole suite.
        stage: What advanced.
        done: Units done.
        total: Units in all.
        unit: What is counted, such as ``images`` or ``steps``.
        fields: Figures to show beside, such as the loss.
    """

    run_id: str
    stage: Stage
    done: int
    total: int
    unit: str
    fields: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class EpochEnded:
    """A run has another line of its learning curve.

    Attributes:
        run_id: The run's id.
        figures: The line of ``history.csv``.
    """

    run_id: str
    figures: Mapping[str, float]


@dataclass(frozen=True)
class RunEnded:
    """A run is over.

    Attributes:
        run_id: The run's id.
        label: The row's name.
        status: How it ended.
        reason: Why it was skipped or failed.
        seconds: How long it took.
        mean_iou: The score of a completed run.
    """

    run_id: str
    label: str
    status: Status
    reason: str | None
    seconds: float
    mean_iou: float | None


@dataclass(frozen=True)
class RunStopped:
    """A run was stopped on its way, or not begun for want of time; the same command goes on with it.

    Attributes:
        run_id: The run's id.
        label: The row's name.
        reason: Where it stands.
    """

    run_id: str
    label: str
    reason: str


@dataclass(frozen=True)
class Notice:
    """Something that the person should know, such as a result that the suite no longer names."""

    text: str


Event = RunStarted | Progress | EpochEnded | RunEnded | RunStopped | Notice
Observer = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Observe nothing."""
