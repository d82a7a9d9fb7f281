"""Makes standard output and standard error usable, whatever a shell, a service or a locale has made of them."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from segbench.results.files import is_write_fault

CANNOT_WRITE = 1
"""Exit code where the output could not be written, as of ``cat`` and ``ls``."""


def make_usable() -> None:
    """Replace closed streams by ones that keep nothing, and let others write ``?`` for what their encoding lacks."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - until the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@contextmanager
def telling_full_disks() -> Iterator[None]:
    """End the program with one line if standard output cannot be written, as when the disk of its file is full."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if not is_write_fault(error) or error.filename is not None:
            raise
        with suppress(OSError):
            sys.stderr.write(f"error: the output cannot be written: {error.strerror}\n")
        os._exit(CANNOT_WRITE)
