"""Progress for Python: bars in a notebook, and elsewhere what the command line shows."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from segbench.cli.terminal.bars import bars_on
from segbench.cli.terminal.progress import BarObserver, observing
from segbench.engine.events import Event, Observer, Progress

if TYPE_CHECKING:
    from rich.console import Console

REFRESH_SECONDS = 0.2
"""Time between two drawings of the bars in a notebook; what is more than an advance is shown at once."""

_WIDTH = 100
"""Signs in a line of a notebook's output."""

_HTML = '<pre style="white-space:pre; line-height:normal; font-family:monospace">{code}</pre>'


def showing() -> AbstractContextManager[Observer]:
    """Give an observer that shows a suite's runs where this process shows its output."""
    return notebook_bars() if in_notebook() else observing()


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


@contextmanager
def notebook_bars() -> Iterator[Observer]:
    """Give an observer that shows a suite's runs as bars in the output of a notebook's cell; lines stay at the end."""
    from IPython.display import display

    handle: Any = display(_bundle(""), raw=True, display_id=True)  # type: ignore[no-untyped-call]
    shown = NotebookObserver(lambda content: handle.update(_bundle(content), raw=True))
    try:
        yield shown
    finally:
        shown.finish()


class NotebookObserver(BarObserver):
    """Shows a suite's runs as bars below lines of what is over, in one drawing that is made anew.

    It needs no widgets: any notebook can replace what a cell shows.

    Args:
        update: Called with what is to be shown, as something that rich renders.
        clock: Seconds that pass.
    """

    def __init__(self, update: Callable[[Any], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(bars_on(_console()))
        self._update, self._clock = update, clock
        self._drawn = clock()
        self.lines: list[str] = []

    def __call__(self, event: Event) -> None:
        """Show one event."""
        super().__call__(event)
        if not isinstance(event, Progress) or self._clock() - self._drawn >= REFRESH_SECONDS:
            self._draw(self.shown.get_renderable())

    def finish(self) -> None:
        """Take the bars away."""
        self._draw()

    def _line(self, text: str) -> None:
        self.lines.append(text)

    def _draw(self, *below: Any) -> None:
        from rich.console import Group
        from rich.text import Text

        self._drawn = self._clock()
        self._update(Group(*map(Text, self.lines), *below))


def _console() -> Console:
    """Return a console that draws in colours, for a notebook."""
    from rich.console import Console

    return Console(file=io.StringIO(), width=_WIDTH, record=True, force_terminal=True, force_jupyter=False)


def _bundle(content: Any) -> dict[str, str]:
    """Return what rich renders as a notebook's output."""
    console = _console()
    console.print(content, end="")
    html = console.export_html(code_format=_HTML, inline_styles=True, clear=False)
    return {"text/plain": console.export_text().rstrip("\n"), "text/html": html}
