"""Calls a function in a separate process, which frees its memory at the end; a crash becomes an exception."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

from segbench.engine.events import Event, Observer, ignore
from segbench.errors import SegbenchError

T = TypeVar("T")

ENDING_SECONDS = 10.0
"""A process that has sent its result gets so long to end; threads that it left behind may keep it for ever."""

PRELOADED = [
    "torch",
    "torchvision",
    "timm",
    "sklearn.datasets",
    "segbench.engine.run.execute",
    "segbench.engine.suite.preflight_models",
]
"""Modules imported once by the server process that all others are forked from."""


class ProcessDied(SegbenchError):  # noqa: N818 - says what happened
    """The process ended without a result.

    Attributes:
        traceback: The traceback of an unexpected error; None if the process was killed.
    """

    def __init__(self, reason: str, *, traceback: str | None = None) -> None:
        self.traceback = traceback
        super().__init__(reason)


@dataclass(frozen=True)
class Returned:
    """The result of the function."""

    value: Any


@dataclass(frozen=True)
class Raised:
    """The error of the function: a SegbenchError, or an unexpected error as ProcessDied."""

    error: SegbenchError


class CallStopped(SegbenchError):  # noqa: N818 - says what happened
    """The call was stopped by ``stop_calls``; it has no result, and this is no error."""


@dataclass(frozen=True)
class Limit:
    """How long a call may take; without a number, as long as it likes.

    Attributes:
        seconds: In all.
        silent_seconds: Without an event, such as progress.
        keys: What sets the two, for messages.
    """

    seconds: float | None = None
    silent_seconds: float | None = None
    keys: tuple[str, str] = ("the time limit", "the time limit")

    def left(self, *, began: float, heard: float, now: float) -> float | None:
        """Return the seconds until one of the limits is reached; None without limits."""
        ends = [start + most - now for start, most in ((began, self.seconds), (heard, self.silent_seconds)) if most]
        return max(0.0, min(ends)) if ends else None

    def reached(self, *, began: float, now: float) -> str:
        """Describe the limit that was reached."""
        if self.seconds is not None and now - began >= self.seconds:
            return f"was not done after {_duration(self.seconds)} ({self.keys[0]}), and was ended"
        assert self.silent_seconds is not None
        return f"made no progress for {_duration(self.silent_seconds)} ({self.keys[1]}), and was ended"


NO_LIMIT = Limit()


class _Calls:
    """The processes of current calls, and which of them were stopped."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may run while its thread holds the lock
        self._running: set[Any] = set()
        self._stopped: set[Any] = set()
        self._terminating = False

    def began(self, process: Any) -> None:
        with self._lock:
            self._running.add(process)
            if self._terminating:  # the signal came while the process was starting
                process.terminate()

    def ended(self, process: Any) -> bool:
        """Remove a process; return whether it was stopped."""
        with self._lock:
            self._running.discard(process)
            stopped = process in self._stopped
            self._stopped.discard(process)
            return stopped

    def stop(self) -> None:
        with self._lock:
            for process in self._running - self._stopped:
                self._stopped.add(process)
                process.kill()

    def terminate(self) -> None:
        with self._lock:
            self._terminating = True
            for process in self._running:
                process.terminate()

    def let_begin(self) -> None:
        with self._lock:
            self._terminating = False


_calls = _Calls()


def stop_calls() -> None:
    """Kill the processes of all current calls; their callers get ``CallStopped``."""
    _calls.stop()


def terminate_calls() -> None:
    """Send SIGTERM to the processes of all current calls; runs save their state before they end.

    Later calls are terminated at once too, until ``let_calls_begin``.
    """
    _calls.terminate()


def let_calls_begin() -> None:
    """Allow new calls again after ``terminate_calls``."""
    _calls.let_begin()


def call_in_process(
    function: Callable[..., T], *arguments: Any, observer: Observer | None = None, limit: Limit = NO_LIMIT
) -> T:
    """Call ``function(*arguments)`` in a separate process and return its result.

    With an observer the function is given one too, ``observer=…``, which sends its events here.

    Raises:
        SegbenchError: Raised by the function.
        ProcessDied: The process crashed, was killed, or reached a limit.
        CallStopped: The call was stopped by ``stop_calls``.
    """
    return _call(_context(), function, arguments, observer, limit)


def _call(
    context: BaseContext,
    function: Callable[..., T],
    arguments: tuple[Any, ...],
    observer: Observer | None = None,
    limit: Limit = NO_LIMIT,
) -> T:
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(  # type: ignore[attr-defined]
        target=_serve, args=(sender, function, arguments, observer is not None), name=f"segbench {function.__name__}"
    )
    try:
        with _holding_interrupts():
            _start(process)
    except (EOFError, ConnectionError) as error:  # a signal to all processes ends the server that forks them, too
        receiver.close()
        raise ProcessDied(
            f"the run's process could not be started: its server ended ({type(error).__name__})"
        ) from None
    finally:
        sender.close()
    _calls.began(process)
    try:
        outcome = _listen(receiver, observer or ignore, limit)
        process.join(ENDING_SECONDS)
    finally:
        if process.is_alive():
            process.kill()  # on SIGTERM it would save first
            process.join()
        receiver.close()
        stopped = _calls.ended(process)
    if outcome is None and stopped:
        raise CallStopped(f"{function.__name__} was stopped")
    if outcome is None:
        raise ProcessDied(describe_exit(process.exitcode or 0))
    if isinstance(outcome, Raised):
        raise outcome.error
    value: T = outcome.value
    return value


def _start(process: Any) -> None:
    """Start a process; its server may just have been killed, and refuse connections until it is gone.

    Raises:
        EOFError: The server ended meanwhile.
        ConnectionError: Likewise, or it goes on refusing.
    """
    until = time.monotonic() + ENDING_SECONDS
    while True:
        try:
            process.start()
            return
        except ConnectionRefusedError:  # nothing was sent, so that nothing has begun
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


@contextmanager
def _holding_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back while a process starts.

    The new process inherits that, and the server that it is forked from: while they import, before they ignore it, it
    would end them. This process gets it after the block.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # its start, else within the block, would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def call_in_fresh_process(function: Callable[..., T], *arguments: Any) -> T:
    """Like ``call_in_process``, but in a newly started interpreter.

    Forked processes share the memory layout of their libraries, which affects speed. So repeated timings need newly
    started processes.
    """
    return _call(multiprocessing.get_context("spawn"), function, arguments)


def call_here(
    function: Callable[..., T], *arguments: Any, observer: Observer | None = None, limit: Limit = NO_LIMIT
) -> T:
    """Like ``call_in_process``, but in this process, for debugging; nothing ends it at a limit."""
    del limit
    return function(*arguments) if observer is None else function(*arguments, observer=observer)


def describe_exit(exit_code: int) -> str:
    """Describe an exit code in words."""
    if exit_code >= 0:
        return f"the run's process ended with exit code {exit_code} and no result"
    name = signal.Signals(-exit_code).name if -exit_code in set(signal.Signals) else f"signal {-exit_code}"
    hint = ", probably because memory ran out" if name == "SIGKILL" else ""
    return f"the run's process was killed by {name}{hint}"


def _context() -> BaseContext:
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _listen(receiver: Connection, observer: Observer, limit: Limit) -> Returned | Raised | None:
    """Forward events until the outcome arrives; None if the process ends without one.

    Raises:
        ProcessDied: A limit was reached.
    """
    began = heard = time.monotonic()
    while True:
        if not receiver.poll(limit.left(began=began, heard=heard, now=time.monotonic())):
            raise ProcessDied(limit.reached(began=began, now=time.monotonic()))
        try:
            message: Event | Returned | Raised = receiver.recv()
        except EOFError:
            return None
        heard = time.monotonic()
        if isinstance(message, Returned | Raised):
            return message
        observer(message)


def _duration(seconds: float) -> str:
    """Return a time limit as people write it: seconds below two minutes, minutes above."""
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"


def _serve(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...], observed: bool) -> None:
    """Call the function and send its events and outcome; runs in the separate process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        sender.send(Returned(call_here(function, *arguments, observer=sender.send if observed else None)))
    except SegbenchError as error:
        sender.send(Raised(error))
    except BaseException as error:  # a network may raise anything, and the parent can show it
        text = f"{type(error).__name__}: {error}"
        sender.send(Raised(ProcessDied(text, traceback="".join(traceback.format_exception(error)))))


@contextmanager
def ending_this_process(*, after: float) -> Iterator[None]:
    """End this process if the block takes too long and a caller waits for it; the caller continues.

    Args:
        after: Time limit in seconds.
    """
    watch = threading.Timer(after, os._exit, [1])
    watch.daemon = True
    if multiprocessing.parent_process() is not None:
        watch.start()
    try:
        yield
    finally:
        watch.cancel()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
