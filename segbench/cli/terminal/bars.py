"""Progress bars that fit the terminal: rate and time left are never cut off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

from rich import progress
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column
from rich.text import Text

from segbench.cli.terminal.output import figure

UNRATED = "runs"
"""A unit without a rate: there are too few."""

_WITH_NOTES = 130
"""Terminal width in columns from which notes are shown."""

_NOTE_WIDTH = 36


def open_bars(stream: TextIO) -> progress.Progress:
    """Return bars for a terminal; their tasks have the fields ``unit`` and ``note``."""
    return bars_on(Console(file=stream))


def bars_on(console: Console) -> progress.Progress:
    """Return bars as wide as a console; their tasks have the fields ``unit`` and ``note``."""
    columns = [
        LabelColumn(table_column=Column(ratio=3, no_wrap=True)),
        progress.BarColumn(bar_width=None, table_column=Column(ratio=1, no_wrap=True)),
        progress.MofNCompleteColumn(table_column=Column(no_wrap=True)),
        RateColumn(table_column=Column(no_wrap=True)),
        progress.TimeRemainingColumn(elapsed_when_finished=True, table_column=Column(no_wrap=True)),
    ]
    if console.width >= _WITH_NOTES:
        width = Column(no_wrap=True, overflow="ellipsis", max_width=_NOTE_WIDTH)
        columns.append(progress.TextColumn("{task.fields[note]}", markup=False, table_column=width))
    return progress.Progress(*columns, console=console, transient=True, expand=True, speed_estimate_period=600.0)


class LabelColumn(progress.ProgressColumn):
    """Column with the current activity."""

    def render(self, task: progress.Task) -> Label:
        """Return the text; it is cut to the column's width."""
        return Label(task.description)


class RateColumn(progress.ProgressColumn):
    """Column with units per second, or per minute if slow."""

    def render(self, task: progress.Task) -> Text:
        """Return the rate, or only the unit if the rate is unknown."""
        speed, unit = task.speed, task.fields["unit"]
        if not speed or unit == UNRATED:
            return Text(unit)
        return Text(f"{unit} {figure(speed)}/s" if speed >= 0.1 else f"{unit} {figure(speed * 60)}/min")


@dataclass(frozen=True)
class Label:
    """A text that is cut to the width of its column."""

    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the part that fits."""
        yield Text(cut(self.text, options.max_width))


def cut(text: str, width: int) -> str:
    """Cut a text to at most ``width`` columns; in ``label: stage``, only the label is cut."""
    if len(text) <= width:
        return text
    label, colon, stage = text.rpartition(": ")
    room = width - len(colon) - len(stage) - 1
    return f"{label[:room]}…{colon}{stage}" if label and room > 0 else text[: width - 1] + "…"
