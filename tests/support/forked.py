"""Processes forked from one that has imported torch already: each starts in a tenth of a second, not in four.

The processes of such a command's runs are forked from the command itself, not from a fork server of its own as a user's
are. What a test claims about that server, about a fresh interpreter or about a group of processes and its signals needs
a real command.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.context import BaseContext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from segbench.engine.processes import PRELOADED

_MORE = [
    "torch.distributed",
    "segbench.cli.app",
    "segbench.engine.launchers.torchrun",
    "segbench.engine.suite.run_suite",
    "segbench.report.write",
]
_LOOK_SECONDS = 0.01
_lock = threading.Lock()
"""Two threads that look after one process at once would both read its exit code, which can be read once."""


class Forked:
    """A command that runs in a forked process.

    Attributes:
        arguments: What follows ``segbench``.
        pid: The number of its process.
    """

    def __init__(self, arguments: tuple[str, ...], process: Any, folder: TemporaryDirectory[str]) -> None:
        self.arguments, self.pid = arguments, process.pid
        self._process, self._folder = process, folder

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""
        with _lock:
            return self._process.exitcode

    def told(self, stream: str = "stderr") -> str:
        """Return what it has written so far to ``stdout`` or ``stderr``."""
        file = Path(self._folder.name, stream)
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def wait(self, timeout: float) -> subprocess.CompletedProcess[str]:
        """Return what it did when it has ended.

        Raises:
            subprocess.TimeoutExpired: It did not end in so many seconds, and was killed.
        """
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                self._process.kill()
                raise subprocess.TimeoutExpired(self.arguments, timeout, self.told("stdout"), self.told())
            time.sleep(_LOOK_SECONDS)
        return subprocess.CompletedProcess(self.arguments, code, self.told("stdout"), self.told())


def context() -> BaseContext:
    """Return a context whose processes are forked from a server, which those of runs in this process come from too."""
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload([*PRELOADED, *_MORE])
    return forking


def heed_signals() -> None:
    """Have children end by signals as at a terminal, also where a shell's background or nohup ignores them."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    for number, handler in usual.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def start(
    *arguments: str, cwd: Path, environment: Mapping[str, str], prepare: Callable[[], None] | None = None
) -> Forked:
    """Start the command line in a forked process.

    Args:
        arguments: What follows ``segbench``.
        cwd: Its working directory, which is searched for Python modules too.
        environment: Its whole environment.
        prepare: Called in the process before the command; it has to be picklable.
    """
    folder = TemporaryDirectory()
    output, errors = Path(folder.name, "stdout"), Path(folder.name, "stderr")
    process = context().Process(target=_main, args=(arguments, cwd, dict(environment), output, errors, prepare))
    with _lock:
        process.start()
    return Forked(arguments, process, folder)


def segbench(
    *arguments: str, cwd: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a forked process, and return what it did.

    Args:
        arguments: What follows ``segbench``.
        cwd: Its working directory, which is searched for Python modules too.
        environment: Its whole environment.
        timeout: Seconds after which it is killed.

    Raises:
        subprocess.TimeoutExpired: It was killed.
    """
    return start(*arguments, cwd=cwd, environment=environment).wait(timeout)


def _main(
    arguments: tuple[str, ...],
    cwd: Path,
    environment: dict[str, str],
    output: Path,
    errors: Path,
    prepare: Callable[[], None] | None,
) -> None:
    for number, file in ((1, output), (2, errors)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, str(cwd))
    sys.argv = ["segbench", *arguments]
    # The processes of its runs are forked from it: a server of its own would have to import torch again.
    get_context = multiprocessing.get_context
    multiprocessing.get_context = lambda method=None: get_context("fork" if method == "forkserver" else method)
    from segbench.cli.app import main

    if prepare is not None:
        prepare()
    main()
