"""Commands of segbench as processes of their own session: started in a fresh interpreter, found, and awaited."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
SITE = "site"
"""Folder of a workspace whose ``sitecustomize.py``, if there is one, changes fresh interpreters."""


class Cold:
    """A command in a fresh interpreter, as ``forked.Forked`` is one in a forked process."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self.errors = Path(tempfile.mkstemp(prefix="stderr-", dir=folder)[1])
        with self.errors.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "segbench", *arguments],
                cwd=folder,
                env=environment(folder),
                stdout=subprocess.DEVNULL,
                stderr=stream,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def poll(self) -> int | None:
        return self.process.poll()

    def told(self) -> str:
        return self.errors.read_text(encoding="utf-8", errors="replace")

    def wait(self, timeout: float) -> subprocess.CompletedProcess[str]:
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired as late:
            self.process.kill()
            raise subprocess.TimeoutExpired("segbench", timeout, None, self.told().encode()) from late
        return subprocess.CompletedProcess("segbench", code, "", self.told())


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a command that runs in a folder."""
    path = os.pathsep.join([str(folder / SITE), str(ROOT), str(ROOT / "tests" / "support")])
    changes = {"OMP_NUM_THREADS": "1", "PYTHONPATH": path, "COLUMNS": "200", "XDG_CACHE_HOME": str(folder / "cache")}
    return {**os.environ, **changes}


def processes_of(session: int) -> list[psutil.Process]:
    """Return the processes of a command that still run, which all belong to its session."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def gone_within(session: int, *, seconds: float) -> bool:
    """Return whether all processes of a command end in so many seconds."""
    end = time.monotonic() + seconds
    while processes_of(session):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def tracebacks(text: str) -> list[str]:
    """Return the tracebacks in a text, each from its first line to that of its error."""
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        begins = "Traceback (most" in line
        if begins:
            found.append(line)
        elif inside:
            found[-1] += f"\n{line}"
        inside = begins or (inside and line.startswith(" "))
    return found


def has_own_session(pid: int) -> bool:
    """Return whether a process has begun a session, which comes before the command's first line."""
    with suppress(ProcessLookupError):
        return os.getsid(pid) == pid
    return True


def begin_session(prepare: Callable[[], None] | None) -> None:
    """Begin a session, with signals as a terminal has them."""
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if prepare is not None:
        prepare()
