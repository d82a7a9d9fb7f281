"""Events of a running suite, for display in a terminal or a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from segbench.results.record import Status

Stage = Literal["data", "training", "evaluation"]


@dataclass(frozen=True)
class RunStarted:
    """A run starts.

    Attributes:
        run_id: The run's id.
        label: The row's name.
        seed: The run's seed.
        number: Its number among the runs to execute, from 1.
        total: Total number of runs to execute.
    """

    run_id: str
    label: str
    seed: int
    number: int
    total: int


@dataclass(frozen=True)
class Progress:
    """Progress of a stage.

    Attributes:
        run_id: The run's id; empty for the whole suite.
        stage: Name of the stage.
        done: Units done.
        total: Total number of units.
        unit: Name of the unit, such as ``images`` or ``steps``.
        fields: Further figures to show, such as the loss.
    """

    run_id: str
    stage: Stage
    done: int
    total: int
    unit: str
    fields: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class EpochEnded:
    """A run completed an epoch.

    Attributes:
        run_id: The run's id.
        figures: The line of ``history.csv``.
    """

    run_id: str
    figures: Mapping[str, float]


@dataclass(frozen=True)
class RunEnded:
    """A run ended.

    Attributes:
        run_id: The run's id.
        label: The row's name.
        status: How it ended.
        reason: Why it was skipped or failed.
        seconds: Duration of the run.
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
    """A run was stopped, or not started for lack of time; the same command resumes it.

    Attributes:
        run_id: The run's id.
        label: The row's name.
        reason: Why, and how far it got.
    """

    run_id: str
    label: str
    reason: str


@dataclass(frozen=True)
class Notice:
    """A message for the user, such as a result that the suite no longer names."""

    text: str


Event = RunStarted | Progress | EpochEnded | RunEnded | RunStopped | Notice
Observer = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Ignore an event."""
