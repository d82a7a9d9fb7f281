"""Shows progress in Python: bars in notebooks, elsewhere as on the command line."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from segbench.cli.terminal.bars import bars_on
from segbench.cli.terminal.output import escaped
from segbench.cli.terminal.progress import BarObserver, observing
from segbench.engine.events import Event, Observer, Progress

if TYPE_CHECKING:
    from rich.console import Console

REFRESH_SECONDS = 0.2
"""Seconds between two updates of the bars in a notebook; other events are shown at once."""

_WIDTH = 100
"""Characters per line of a notebook's output."""

_HTML = '<pre style="white-space:pre; line-height:normal; font-family:monospace">{code}</pre>'


def showing() -> AbstractContextManager[Observer]:
    """Return an observer that shows a suite's runs, in a notebook or on the terminal."""
    return notebook_bars() if in_notebook() else observing()


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


@contextmanager
def notebook_bars() -> Iterator[Observer]:
    """Yield an observer that shows a suite's runs as bars below a notebook's cell; only the lines stay."""
    from IPython.display import display

    handle: Any = display(_bundle(""), raw=True, display_id=True)  # type: ignore[no-untyped-call]
    shown = NotebookObserver(lambda content: handle.update(_bundle(content), raw=True))
    try:
        yield shown
    finally:
        shown.finish()


class NotebookObserver(BarObserver):
    """Shows finished runs as lines and active ones as bars, in one output that is replaced.

    Needs no widgets.

    Args:
        update: Called with the rich renderable to show.
        clock: Monotonic clock in seconds.
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
        """Remove the bars."""
        self._draw()

    def _line(self, text: str) -> None:
        self.lines.append(escaped(text))

    def _draw(self, *below: Any) -> None:
        from rich.console import Group
        from rich.text import Text

        self._drawn = self._clock()
        self._update(Group(*map(Text, self.lines), *below))


def _console() -> Console:
    """Return a rich console for notebooks, in colour."""
    from rich.console import Console

    return Console(file=io.StringIO(), width=_WIDTH, record=True, force_terminal=True, force_jupyter=False)


def _bundle(content: Any) -> dict[str, str]:
    """Render something with rich to a MIME bundle for notebooks."""
    console = _console()
    console.print(content, end="")
    html = console.export_html(code_format=_HTML, inline_styles=True, clear=False)
    return {"text/plain": console.export_text().rstrip("\n"), "text/html": html}
