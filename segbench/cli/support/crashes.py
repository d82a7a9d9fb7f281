"""What a crash means to a gate: exit code 2, never the 1 that says that something is slower."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from segbench.cli.terminal.output import tell
from segbench.errors import SegbenchError, UsageError


@contextmanager
def crashes_told() -> Iterator[None]:
    """Turn every error into exit code 2: 1, which Python gives to a crash, would say that something is slower."""
    try:
        yield
    except UsageError:  # one message and exit code 2, as in every command
        raise
    except SegbenchError as error:
        raise UsageError(str(error)) from None
    except Exception as error:
        tell(traceback.format_exc())
        raise UsageError(f"the gate crashed: {type(error).__name__}: {error}") from error
