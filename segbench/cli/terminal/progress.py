"""Shows progress on standard error: bars on a terminal, occasional lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from segbench.cli.terminal.output import duration, escaped, figure
from segbench.engine.events import Event, Notice, Observer, Progress, RunEnded, RunStarted, RunStopped
from segbench.report.text import printable
from segbench.results.record import Status

if TYPE_CHECKING:
    from rich import progress as bars

PLAIN_SECONDS = 10.0
"""Seconds between two lines about one task."""

QUIET_SECONDS = 2.0
"""Tasks shorter than this show no progress."""

_TRAINING_SHARE = 0.9
"""Assumed share of training in the time of a run."""


class Advance(Protocol):
    """Callback for progress: the amount done, and the total if known."""

    def __call__(self, done: int, total: int | None, *, title: str | None = None) -> None:
        """Show progress; a title replaces the current one."""


@contextmanager
def observing(stream: TextIO | None = None) -> Iterator[Observer]:
    """Yield an observer that shows a suite's runs on ``stream``, by default standard error."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield PlainObserver(stream)
        return
    from segbench.cli.terminal.bars import open_bars

    with open_bars(stream) as shown:
        yield BarObserver(shown)


@contextmanager
def counting(title: str, unit: str, *, stream: TextIO | None = None) -> Iterator[Advance]:
    """Yield a function to call with (done, total); progress is shown after two seconds.

    Args:
        title: The task, such as ``scoring``.
        unit: The unit, such as ``images``.
        stream: Where to show it; by default standard error.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _plain_advance(title, unit, stream)
        return
    from segbench.cli.terminal.bars import open_bars

    with open_bars(stream) as shown:
        task = shown.add_task(title, total=None, visible=False, unit=unit, note="")
        started = time.monotonic()

        def advance(done: int, total: int | None, *, title: str | None = None) -> None:
            visible = title is not None or time.monotonic() - started > QUIET_SECONDS
            shown.update(task, completed=done, total=total, visible=visible, description=title)

        yield advance


def _plain_advance(title: str, unit: str, stream: TextIO) -> Advance:
    meter = Meter(stream)
    first_title = title

    def advance(done: int, total: int | None, *, title: str | None = None) -> None:
        if title is not None:
            write_line(stream, f"  {title}")
        else:
            meter.show(first_title, done, total=total, unit=unit)

    return advance


class Meter:
    """Writes occasional lines about a task, with rate and remaining time."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream, self.clock = stream, clock
        self.restart()

    def restart(self) -> None:
        """Start measuring a new task."""
        self.title = ""
        self.started = self.told = self.clock()
        self.start = 0

    def show(self, title: str, done: int, *, total: int | None, unit: str, note: str = "") -> None:
        """Write a line if the last one is old enough."""
        now = self.clock()
        if title != self.title or done < self.start:
            self.restart()
            self.title, self.start = title, done
        if now - self.told < (PLAIN_SECONDS if self.told > self.started else QUIET_SECONDS):
            return
        self.told = now
        rate = (done - self.start) / max(now - self.started, 1e-9)
        left = f", {duration((total - done) / rate)} left" if rate and total is not None and total >= done else ""
        share = f"{done}/{total}" if total is not None else f"{done}"
        tail = f", {note}" if note else ""
        write_line(self.stream, f"  {title} {share} {unit}, {figure(rate)} {unit}/s{left}{tail}")


class PlainObserver:
    """Shows a suite's runs as lines; with several running at once, each line names its run."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream, self.clock = stream, clock
        self.meters: dict[str, Meter] = {}
        self.labels: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case RunStarted():
                self.labels[event.run_id] = printable(event.label)
                self._line(f"[{event.number}/{event.total}] {self.labels[event.run_id]}, seed {event.seed}")
            case Progress():
                self._meter(event.run_id).show(
                    f"{self._whose(event.run_id)}{_title(event)}",
                    event.done,
                    total=event.total,
                    unit=_unit(event),
                    note=_note(event),
                )
            case RunEnded() | RunStopped():
                self._line(f"  {self._whose(event.run_id)}{ending(event)}")
                for known in (self.labels, self.meters):
                    known.pop(event.run_id, None)
            case Notice():
                self._line(f"note: {event.text}")

    def _meter(self, run_id: str) -> Meter:
        if run_id not in self.meters:
            self.meters[run_id] = Meter(self.stream, clock=self.clock)
        return self.meters[run_id]

    def _whose(self, run_id: str) -> str:
        return f"{self.labels[run_id]}: " if len(self.labels) > 1 and run_id in self.labels else ""

    def _line(self, text: str) -> None:
        write_line(self.stream, text)


class BarObserver:
    """Shows a suite's runs as bars: one for the suite, one for each active run; finished runs become lines."""

    def __init__(self, shown: bars.Progress) -> None:
        self.shown = shown
        self.suite: bars.TaskID | None = None
        self.ended = 0
        self.shares: dict[str, float] = {}
        self.labels: dict[str, str] = {}
        self.tasks: dict[tuple[str, ...], bars.TaskID] = {}

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case RunStarted():
                self._start(event)
            case Progress():
                self._advance(event)
            case RunEnded() | RunStopped():
                self._end(event.run_id)
                self._line(f"{printable(event.label)}: {ending(event)}")
                self.ended += isinstance(event, RunEnded)
                self._count()
            case Notice():
                self._line(f"note: {event.text}")

    def _start(self, event: RunStarted) -> None:
        self._clear("")
        if not self.labels:
            self.ended = event.number - 1
        self.labels[event.run_id] = f"{printable(event.label)}, seed {event.seed}"
        if self.suite is None:
            self.suite = self.shown.add_task("all runs", total=event.total, unit="runs", note="")
        self._count(total=event.total)

    def _advance(self, event: Progress) -> None:
        key = (event.run_id, event.stage, event.unit)
        if key not in self.tasks:
            self._clear(event.run_id)
            where = self.labels.get(event.run_id, "data")
            self.tasks[key] = self.shown.add_task(f"{where}: {_title(event)}", unit=_unit(event), note="")
        self.shown.update(self.tasks[key], completed=event.done, total=event.total, note=_note(event))
        if event.stage != "data":
            self.shares[event.run_id] = _share(event)
            self._count()

    def _end(self, run_id: str) -> None:
        """Remove everything shown about a run."""
        self._clear(run_id)
        for known in (self.shares, self.labels):
            known.pop(run_id, None)

    def _count(self, *, total: int | None = None) -> None:
        """Update the bar of the suite."""
        if self.suite is not None:
            self.shown.update(self.suite, completed=self.ended + sum(self.shares.values()), total=total)

    def _clear(self, run_id: str) -> None:
        """Remove the bars of a run's earlier stages."""
        for key in [key for key in self.tasks if key[0] == run_id]:
            self.shown.remove_task(self.tasks.pop(key))

    def _line(self, text: str) -> None:
        from rich.text import Text

        self.shown.console.print(Text(escaped(text)))


def write_line(stream: TextIO, text: str) -> None:
    """Write one or several lines, with control characters escaped, and flush."""
    stream.write(escaped(text) + "\n")
    stream.flush()


def ending(event: RunEnded | RunStopped) -> str:
    """Describe the outcome of a run, or why it was stopped."""
    if isinstance(event, RunStopped):
        return event.reason
    text = f"{event.status} after {duration(event.seconds)}"
    if event.status is Status.COMPLETED:
        return text if event.mean_iou is None else f"{text}, mIoU {event.mean_iou:.3f}"
    return f"{text}: {event.reason}"


def _title(event: Progress) -> str:
    return f"reading {event.unit}" if event.stage == "data" else event.stage


def _unit(event: Progress) -> str:
    return "images" if event.stage == "data" else event.unit


def _share(event: Progress) -> float:
    """Return the approximate share of a run that is done, for an early estimate of the remaining time."""
    share = event.done / max(event.total, 1)
    return _TRAINING_SHARE * share if event.stage == "training" else _TRAINING_SHARE + (1 - _TRAINING_SHARE) * share


def _note(event: Progress) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in event.fields.items())
