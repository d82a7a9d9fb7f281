"""When work has to stop: its time is over, or the process was told to end (SIGTERM)."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

SignalHandler = Callable[[int, FrameType | None], object]


@dataclass(eq=False)
class Stop:
    """When a command, or a run in a process of its own, has to stop.

    Attributes:
        deadline: Seconds since the epoch; None sets no limit.
        terminated: Whether the process was told to end.
    """

    deadline: float | None = None
    terminated: bool = False
    _also: list[Callable[[], None]] = field(default_factory=list)

    @classmethod
    def after(cls, seconds: float | None) -> Stop:
        """Return one whose time is over after so many seconds; None sets no limit."""
        return cls(None if seconds is None else time.time() + seconds)

    @property
    def due(self) -> bool:
        """Whether it is time."""
        return self.terminated or self.seconds_left == 0

    @property
    def seconds_left(self) -> float | None:
        """The time that is left, at least 0; None without a limit."""
        return None if self.deadline is None else max(0.0, self.deadline - time.time())

    def terminate(self) -> None:
        """Note that the process was told to end, and tell those that depend on it."""
        self.terminated = True
        for tell in tuple(self._also):
            tell()

    @contextmanager
    def telling(self, tell: Callable[[], None]) -> Iterator[None]:
        """Have something else called, too, when the process is told to end, for as long as the context lasts."""
        self._also.append(tell)
        try:
            yield
        finally:
            self._also.remove(tell)

    @contextmanager
    def on_sigterm(self) -> Iterator[None]:
        """Take SIGTERM as the word to stop, for as long as the context lasts.

        Whoever handled it before is told, too. Only a process's first thread can handle signals: elsewhere nothing
        changes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGTERM)

        def handle(number: int, frame: FrameType | None) -> None:
            self.terminate()
            if callable(before):
                before(number, frame)

        signal.signal(signal.SIGTERM, handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


NEVER = Stop()
"""No limit, and nobody who tells; shared, so never to be terminated."""
