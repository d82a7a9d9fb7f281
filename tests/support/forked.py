"""Processes forked from one that has imported torch already: each starts in a tenth of a second, not in four.

What a test claims about a fresh interpreter or about a group of processes and its signals needs a real command.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.context import BaseContext
from pathlib import Path
from tempfile import TemporaryDirectory

from segbench.engine.processes import PRELOADED

_MORE = ["segbench.cli.app", "segbench.engine.suite.run_suite", "segbench.report.write"]


def context() -> BaseContext:
    """Return a context whose processes are forked from a server, which those of runs in this process come from too."""
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload([*PRELOADED, *_MORE])
    return forking


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
    with TemporaryDirectory() as folder:
        output, errors = Path(folder, "stdout"), Path(folder, "stderr")
        process = context().Process(target=_main, args=(arguments, cwd, dict(environment), output, errors))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout, output.read_bytes(), errors.read_bytes())
        return subprocess.CompletedProcess(arguments, process.exitcode, output.read_text(), errors.read_text())


def _main(arguments: tuple[str, ...], cwd: Path, environment: dict[str, str], output: Path, errors: Path) -> None:
    for number, file in ((1, output), (2, errors)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, str(cwd))
    sys.argv = ["segbench", *arguments]
    # The processes of its runs are forked from it: a server of its own would have to import torch again.
    get_context = multiprocessing.get_context
    multiprocessing.get_context = lambda method=None: get_context("fork" if method == "forkserver" else method)
    from segbench.cli.app import main

    main()
