"""Faults that end processes: kills and signals, at moments that are spread over the whole life of the command."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import psutil

from fault_kinds.commands import processes_of
from fault_kinds.look import Whole, whole_runs
from fault_kinds.workspace import Injected, Workspace

COLD_SHARE = 0.1
"""Share of the commands that are started in a fresh interpreter."""

LATE = 1.25
"""The last moment, in durations of the undisturbed command, which may be slower among others."""

NEARLY_DONE = 2
"""With so many of the three runs stored, the last one may be at its end when the signal comes, and the command done."""

Fault = Callable[[Workspace, Any], bool]
"""Injects a fault into a running command; returns whether it could be injected."""


def during(
    workspace: Workspace, moment: float, fault: Fault, *, then: Callable[[Workspace], None] | None = None
) -> tuple[Any, Whole] | None:
    """Start the suite with one or two runs to do, strike it, and return it with the runs that were whole before.

    None if it had ended.

    Args:
        workspace: Where.
        moment: When, from 0 at its start to 1 a little after its usual end.
        fault: How.
        then: Called before the command is started.
    """
    missing, cold = workspace.draw.choice([1, 2]), workspace.draw.random() < COLD_SHARE
    reports = () if workspace.draw.random() < 0.1 else ("--no-report",)
    workspace.set_up(missing)
    if then is not None:
        then(workspace)
    seconds = moment * LATE * workspace.fixture.seconds(missing, cold=cold)
    command = workspace.start(*reports, cold=cold)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if command.poll() is not None:
            return None
        time.sleep(0.005)
    before = whole_runs(workspace.results)
    return (command, before) if command.poll() is None and fault(workspace, command) else None


def killed_parent(workspace: Workspace, moment: float) -> Injected | None:
    """``kill -9`` of the command alone."""
    return _killed(workspace, moment, lambda _, command: _sent(os.kill, command.pid, signal.SIGKILL))


def killed_all(workspace: Workspace, moment: float) -> Injected | None:
    """``kill -9`` of the command and all its processes, as when a machine fails."""
    return _killed(workspace, moment, lambda _, command: _sent(os.killpg, command.pid, signal.SIGKILL))


def _killed(workspace: Workspace, moment: float, fault: Fault) -> Injected | None:
    if (found := during(workspace, moment, fault)) is None:
        return None
    command, before = found
    code, _, wrong = workspace.ended(command)
    return workspace.judge(before, wrong) if code == -signal.SIGKILL else None


def killed_child(workspace: Workspace, moment: float) -> Injected | None:
    """``kill -9`` of one of its processes: of a run, of a check before it, of pictures after it, or of their server."""
    if (found := during(workspace, moment, _kill_one)) is None:
        return None
    command, before = found
    code, told, wrong = workspace.ended(command)
    if code not in (0, 1):
        wrong.append(f"ended with {code}: {told[-500:]}")
    if code == 1 and not any(words in told for words in ("killed by SIGKILL", "its server ended")):
        wrong.append(f"does not say what was killed: {told[-500:]}")
    return workspace.judge(before, wrong)


def _kill_one(workspace: Workspace, command: Any) -> bool:
    while command.poll() is None:
        children = [process for process in processes_of(command.pid) if process.pid != command.pid]
        children = [process for process in children if not _counts_others(process)]
        if children:
            with suppress(psutil.Error):
                workspace.draw.choice(children).kill()
                return True
        time.sleep(0.005)
    return False


def _counts_others(process: psutil.Process) -> bool:
    """Return whether a process is Python's own resource tracker, which no result depends on."""
    try:
        return "resource_tracker" in " ".join(process.cmdline())
    except psutil.Error:
        return True


def terminated(workspace: Workspace, moment: float) -> Injected | None:
    """SIGTERM to the command, or to all its processes."""
    return _asked(workspace, moment, signal.SIGTERM, codes={0, 3})


def hung_up(workspace: Workspace, moment: float) -> Injected | None:
    """SIGHUP to the command, or to all its processes, as of a terminal that is closed."""
    return _asked(workspace, moment, signal.SIGHUP, codes={0, 3})


def interrupted(workspace: Workspace, moment: float) -> Injected | None:
    """Ctrl-C once: to all processes, as terminals send it."""
    return _asked(workspace, moment, signal.SIGINT, codes={0, 130})


def interrupted_twice(workspace: Workspace, moment: float) -> Injected | None:
    """Ctrl-C, and again within half a second."""
    return _asked(workspace, moment, signal.SIGINT, codes={0, 130}, again=True)


def _asked(
    workspace: Workspace, moment: float, number: signal.Signals, *, codes: Collection[int], again: bool = False
) -> Injected | None:
    def fault(workspace: Workspace, command: Any) -> bool:
        everyone = number == signal.SIGINT or workspace.draw.random() < 0.5
        sent = _sent(os.killpg if everyone else os.kill, command.pid, number)
        if sent and again:
            time.sleep(workspace.draw.uniform(0.0, 0.5))
            _sent(os.killpg, command.pid, number)
        return sent

    if (found := during(workspace, moment, fault)) is None:
        return None
    command, before = found
    code, told, wrong = workspace.ended(command)
    if number == signal.SIGHUP:  # Python's own resource tracker dies of it, with words that no closed terminal shows
        wrong = [text for text in wrong if "resource_tracker" not in text]
    if code == -number:  # Python itself was still starting: what follows is segbench's
        wrong = [text for text in wrong if "segbench/cli" in text]
    if code == 0 and len(before) < NEARLY_DONE:
        wrong.append(f"went on to its end: {told[-500:]}")
    begun = "[1/" in told
    if code not in codes and (begun or code != -number):  # nothing is told before the command has begun
        wrong.append(f"ended with {code}: {told[-1500:]}")
    if code in (3, 130) and "the same command goes on" not in told:
        wrong.append(f"does not say how to go on: {told[-1500:]}")
    return workspace.judge(before, wrong)


def _sent(send: Callable[[int, int], None], pid: int, number: int) -> bool:
    try:
        send(pid, number)
    except ProcessLookupError:
        return False
    return True
