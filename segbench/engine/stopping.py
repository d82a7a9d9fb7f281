"""Decides when to stop: at a deadline, or after a signal."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from segbench.errors import RunInterrupted

_SIGNALS = tuple(signal.Signals[name] for name in ("SIGTERM", "SIGHUP", "SIGINT") if name in signal.Signals.__members__)


@dataclass(eq=False)
class Stop:
    """The stop condition of a command, or of a run in a separate process.

    Attributes:
        deadline: Seconds since the Unix epoch; None sets no limit.
        terminated: Whether the process was asked to end.
        interrupted: Whether Ctrl-C asked it.
    """

    deadline: float | None = None
    terminated: bool = False
    interrupted: bool = False
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

    def raise_if_due(self, left: str) -> None:
        """Do nothing unless it is time to stop.

        Args:
            left: What the same command goes on with.

        Raises:
            RunInterrupted: It is time.
        """
        if self.due:
            raise RunInterrupted(f"it was time to stop; the same command goes on with the {left} that are left")

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
    def on_signals(self) -> Iterator[None]:
        """Stop on SIGTERM, SIGHUP (the terminal was closed) and Ctrl-C within the context.

        The previous handlers are called too. A second Ctrl-C raises KeyboardInterrupt. Signals that are ignored, as
        under ``nohup``, stay so. Only the main thread can handle signals; in other threads nothing changes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        handled = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}

        def handle(number: int, frame: FrameType | None) -> None:
            first, earlier = not self.terminated, handled[signal.Signals(number)]
            self.interrupted |= number == signal.SIGINT
            if first:
                self.terminate()
            if callable(earlier) and not (first and earlier is signal.default_int_handler):
                earlier(number, frame)

        for number in handled:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in handled.items():
                signal.signal(number, handler)


NEVER = Stop()
"""A stop condition that never applies; shared, so it must not be terminated."""
