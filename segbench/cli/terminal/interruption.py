"""Ctrl-C at the terminal: once to save and end in good order, twice to end at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from segbench.engine.stopping import Stop

INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells."""

_TOLD = b"\nstopping: what is under way is saved; Ctrl-C again ends at once\n"
_STANDARD_ERROR = 2


@contextmanager
def stopping_on_signals(stop: Stop) -> Iterator[None]:
    """Stop on SIGTERM, SIGHUP and Ctrl-C within the block, processes of runs and tests as well.

    The first Ctrl-C is answered.
    """
    from segbench.engine.processes import let_calls_begin, terminate_calls

    def answer() -> None:
        if stop.interrupted:
            with suppress(OSError):
                os.write(_STANDARD_ERROR, _TOLD)  # the signal may have come while a stream was being written

    with stop.on_signals(), stop.telling(answer), stop.telling(terminate_calls):
        try:
            yield
        finally:
            let_calls_begin()


def exit_code_of(stop: Stop, code: int) -> int:
    """Return the exit code of a command that would end with a code, as something is left."""
    return INTERRUPTED if stop.interrupted and code else code
