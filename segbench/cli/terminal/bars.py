"""Progress bars that fit the terminal: rate and time left are never cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from segbench.cli.terminal.output import figure

if TYPE_CHECKING:
    from rich import progress
    from rich.console import Console

UNRATED = "runs"
"""What is counted in so few pieces that a rate says nothing."""

_WIDE = 100
"""From so many columns on, bars are long."""
_WITH_NOTES = 130
"""From so many columns on, there is room for notes."""
_SHORT_BAR, _LONG_BAR, _NOTE = 12, 24, 36
_FIGURES = 13 + 14 + 8 + 4
"""Columns for ``12345/123456``, ``images 1,234/s`` and ``12:34:56``, and the gaps between all columns."""
_SHORTEST_LABEL = 12


def open_bars(stream: TextIO) -> progress.Progress:
    """Return bars for a terminal; their tasks have the fields ``unit`` and ``note``."""
    from rich.console import Console

    return bars_on(Console(file=stream))


def bars_on(console: Console) -> progress.Progress:
    """Return bars as wide as a console; their tasks have the fields ``unit`` and ``note``."""
    from rich import progress
    from rich.table import Column

    bar = progress.BarColumn(bar_width=_bar_width(console.width), table_column=Column(no_wrap=True))
    return progress.Progress(
        _label_column(console),
        bar,
        progress.MofNCompleteColumn(table_column=Column(no_wrap=True)),
        _rate_column(),
        progress.TimeRemainingColumn(elapsed_when_finished=True, table_column=Column(no_wrap=True)),
        _note_column(console),
        console=console,
        transient=True,
        speed_estimate_period=600.0,
    )


def cut(text: str, width: int) -> str:
    """Return a text in at most ``width`` columns; of ``label: stage``, the label is cut."""
    if len(text) <= width:
        return text
    label, colon, stage = text.rpartition(": ")
    room = width - len(colon) - len(stage) - 1
    return f"{label[:room]}…{colon}{stage}" if label and room > 0 else text[: width - 1] + "…"


def label_width(columns: int) -> int:
    """Return how long a label may be on a terminal of so many columns."""
    note = _NOTE + 1 if columns >= _WITH_NOTES else 0
    return max(_SHORTEST_LABEL, columns - _bar_width(columns) - _FIGURES - note - 1)


def _bar_width(columns: int) -> int:
    return _LONG_BAR if columns >= _WIDE else _SHORT_BAR


def _label_column(console: Console) -> progress.ProgressColumn:
    from rich import progress
    from rich.table import Column
    from rich.text import Text

    class Label(progress.ProgressColumn):
        """What is going on."""

        def render(self, task: progress.Task) -> Text:
            return Text(cut(task.description, label_width(console.width)))

    return Label(table_column=Column(no_wrap=True))


def _note_column(console: Console) -> progress.ProgressColumn:
    from rich import progress
    from rich.table import Column
    from rich.text import Text

    class Note(progress.ProgressColumn):
        """Figures such as the loss, where there is room for them."""

        def render(self, task: progress.Task) -> Text:
            return Text(cut(task.fields["note"], _NOTE) if console.width >= _WITH_NOTES else "")

    return Note(table_column=Column(no_wrap=True))


def _rate_column() -> progress.ProgressColumn:
    from rich import progress
    from rich.table import Column
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        """How many units a second, or a minute where it is slow."""

        def render(self, task: progress.Task) -> Text:
            speed, unit = task.speed, task.fields["unit"]
            if not speed or unit == UNRATED:
                return Text(unit)
            return Text(f"{unit} {figure(speed)}/s" if speed >= 0.1 else f"{unit} {figure(speed * 60)}/min")

    return Rate(table_column=Column(no_wrap=True))
