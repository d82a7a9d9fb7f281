"""Starts a worker process in an environment and sends it requests; crashes, timeouts and faults become errors."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from segbench.errors import SegbenchError, UsageError
from segbench.speed.gate.environments import Environment

WORKER = Path(__file__).with_name("worker.py")

_TAIL_BYTES = 4000
_TAIL_LINES = 12
_GRACE_SECONDS = 5.0


class WorkerError(UsageError):
    """A worker crashed, hung or failed; names side and case, and ends with the worker's last output."""


class Refused(SegbenchError):  # noqa: N818 - a refusal is a result, not a fault
    """The environment does not have a case: unknown network or option, or impossible image size."""


class Worker:
    """A worker process in an environment; a context manager.

    Args:
        side: Name of the process in messages: base or head.
        environment: The environment to run in.
        threads: CPU threads that one operation may use.
        timeout_seconds: Longest time to wait for an answer.
    """

    def __init__(self, side: str, environment: Environment, *, threads: int, timeout_seconds: float) -> None:
        self.side, self.environment, self.timeout_seconds = side, environment, timeout_seconds
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        try:
            self._process = self._start(threads)
        except OSError as error:
            self._said.close()
            raise WorkerError(f"{side}: {environment.python} cannot be started: {error}") from error
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask the process to quit; kill it if it does not."""
        if kind is None:
            with suppress(OSError):
                self._write({"command": "quit"})
        else:
            self._process.kill()
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._said.close()

    def ask(self, command: str, *, case: str = "", **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer.

        Args:
            command: One of the worker's commands.
            case: The case, for messages.
            **request: Arguments of the command.

        Raises:
            Refused: The environment does not have the case.
            WorkerError: Anything else went wrong.
        """
        self.begin(command, case=case, **request)
        return self.answer(command, case=case)

    def begin(self, command: str, *, case: str = "", **request: Any) -> None:
        """Send a request without waiting, so that both sides can work in parallel; ``answer`` waits."""
        try:
            self._write({"command": command, **request})
        except OSError:
            raise self._death(case) from None

    def answer(self, command: str, *, case: str = "") -> dict[str, Any]:
        """Wait for the answer to the request sent by ``begin``; see ``ask``."""
        try:
            line = self._lines.get(timeout=self.timeout_seconds)
        except queue.Empty:
            self._process.kill()
            what = f"did not answer {command!r} within {self.timeout_seconds:g} s; allow more with --timeout"
            raise WorkerError(f"{self._where(case)}: {what}{self._tail()}") from None
        if line is None:
            raise self._death(case)
        reply = json.loads(line)
        if "ok" in reply:
            answer: dict[str, Any] = reply["ok"]
            return answer
        if reply["refused"]:
            raise Refused(f"{self.side}: {reply['error']}")
        raise WorkerError(f"{self._where(case)}: {reply['error']}{self._tail()}")

    def _start(self, threads: int) -> subprocess.Popen[str]:
        environment = self.environment
        given = {
            "paths": [str(path) for path in environment.paths],
            "hidden": None if environment.hidden is None else str(environment.hidden),
        }
        return subprocess.Popen(  # noqa: S603 - our own script, no shell
            [str(environment.python), str(WORKER), json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            encoding="utf-8",
            cwd=environment.folder,
            env=_variables(environment, threads),
        )

    def _write(self, request: dict[str, Any]) -> None:
        if self._process.stdin is None:
            raise OSError("closed")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        with suppress(ValueError, OSError):  # closed while reading
            for line in self._process.stdout or ():
                self._lines.put(line)
        self._lines.put(None)

    def _death(self, case: str) -> WorkerError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_SECONDS)
        return WorkerError(f"{self._where(case)}: {_ending(self._process.returncode)}{self._tail()}")

    def _where(self, case: str) -> str:
        return f"{self.side} {self.environment.title}" + (f", {case}" if case else "")

    def _tail(self) -> str:
        """Return the last lines that the process wrote to standard error, indented for a message."""
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, self._said.tell() - _TAIL_BYTES))
        lines = self._said.read().decode("utf-8", "replace").splitlines()[-_TAIL_LINES:]
        return "".join(f"\n  | {line}" for line in lines)


def _variables(environment: Environment, threads: int) -> dict[str, str]:
    """Return environment variables that set the threads and put the environment's folders first in the import path."""
    inherited = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    found = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*map(str, environment.paths), *inherited]),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }
    # else idle threads of the waiting side would spin while the other side is timed
    return found | ({"OMP_WAIT_POLICY": "PASSIVE"} if threads > 1 else {})


def _ending(code: int | None) -> str:
    if code is None:
        return "the worker closed its output without an answer"
    if code >= 0:
        return f"the worker ended with exit code {code} before it answered"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"the worker was killed by {name}" + (", probably because memory ran out" if name == "SIGKILL" else "")
