"""Shows a spinner on the terminal while a command writes nothing."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

SILENT_SECONDS = 0.7
"""Seconds without output before the spinner appears."""

_TICK_SECONDS = 0.1
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
_CLEAR = "\r\x1b[2K"

_doing = ["working"]


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Set the text of the spinner, such as ``reading the results``."""
    _doing.append(what)
    try:
        yield
    finally:
        _doing.pop()


@contextmanager
def sign_of_life() -> Iterator[None]:
    """Show the spinner during silences; does nothing if standard error is not a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    whole, streams = threading.Event(), (sys.stdout, sys.stderr)
    sign = Sign(sys.stderr)
    sys.stdout, sys.stderr = sign.watching(sys.stdout), sign.watching(sys.stderr)

    def tick() -> None:
        while not whole.wait(_TICK_SECONDS):
            sign.tick()

    ticking = threading.Thread(target=tick, daemon=True)
    ticking.start()
    try:
        yield
    finally:
        whole.set()
        ticking.join()
        sign.clear()
        sys.stdout, sys.stderr = streams


class Sign:
    """The spinner: drawn by ``tick`` after a silence, and removed before other output."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._lock = threading.RLock()
        self._last = clock()
        self._at_line_start, self._drawn, self._frame = True, False, 0

    def watching(self, stream: TextIO) -> Any:
        """Wrap a stream so that the spinner is removed before each write."""
        return _Watched(stream, self)

    def tick(self) -> None:
        """Draw the spinner after a silence, unless the cursor is within a line, such as after a prompt."""
        with self._lock:
            silent = self._clock() - self._last
            if silent < SILENT_SECONDS or not self._at_line_start:
                return
            frame = _FRAMES[self._frame % len(_FRAMES)]
            self._stream.write(f"{_CLEAR}{frame} {_doing[-1]} … {silent:.0f} s")
            self._stream.flush()
            self._frame, self._drawn = self._frame + 1, True

    def clear(self) -> None:
        """Remove the spinner."""
        with self._lock:
            if self._drawn:
                self._stream.write(_CLEAR)
                self._stream.flush()
                self._drawn = False

    def write(self, stream: TextIO, text: str) -> int:
        """Write to a wrapped stream."""
        with self._lock:
            seen = _CONTROL.sub("", text)
            if seen:
                self.clear()
                self._last, self._at_line_start = self._clock(), seen.endswith("\n")
            return stream.write(text)


class _Watched:
    """A stream that reports its writes to the spinner."""

    def __init__(self, stream: TextIO, sign: Sign) -> None:
        self._stream, self._sign = stream, sign

    def write(self, text: str) -> int:
        return self._sign.write(self._stream, text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
