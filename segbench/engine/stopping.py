"""Decides when to stop: at a deadline, or after SIGTERM."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType


@dataclass(eq=False)
class Stop:
    """The stop condition of a command, or of a run in a separate process.

    Attributes:
        deadline: Seconds since the Unix epoch; None sets no limit.
        terminated: Whether the process was asked to end.
    """

    deadline: float | None = None
    terminated: bool = False
    _also: list[Callable[[], None]] = field(default_factory=list)

    @classmethod
    def after(cls, seconds: float | None) -> Stop:
        """Return a stop condition with a deadline in a number of seconds; None sets no limit."""
        return cls(None if seconds is None else time.time() + seconds)

    @property
    def due(self) -> bool:
        """Whether to stop now."""
        return self.terminated or self.seconds_left == 0

    @property
    def seconds_left(self) -> float | None:
        """The seconds left, at least 0; None without a limit."""
        return None if self.deadline is None else max(0.0, self.deadline - time.time())

    def terminate(self) -> None:
        """Mark the process as asked to end, and call all listeners."""
        self.terminated = True
        for tell in tuple(self._also):
            tell()

    @contextmanager
    def telling(self, tell: Callable[[], None]) -> Iterator[None]:
        """Register a listener for ``terminate`` within the context."""
        self._also.append(tell)
        try:
            yield
        finally:
            self._also.remove(tell)

    @contextmanager
    def on_sigterm(self) -> Iterator[None]:
        """Stop on SIGTERM within the context.

        The previous handler is called too. Only the main thread can handle signals; in other threads nothing changes.
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
"""A stop condition that never applies; shared, so it must not be terminated."""
