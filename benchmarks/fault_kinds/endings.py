"""Faults that end processes: kills and signals, at moments that are spread over the command's whole duration."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import psutil

from fault_kinds.commands import ROOT, processes_of
from fault_kinds.look import Whole, whole_runs
from fault_kinds.workspace import Injected, Workspace

COLD_SHARE = 0.1
"""Share of the commands that are started in a fresh interpreter, and so with a server of processes of their own."""

LARGE_COLD_SHARE = 0.4
"""The same of faults that meet that server, or the start of the interpreter, otherwise than the runs."""

LATE = 1.25
"""The last moment, in durations of the undisturbed command, which may be slower among others."""

NEARLY_DONE = 2
"""With so many of the three runs stored, the last one may be at its end when the signal comes, and the command done."""

Fault = Callable[[Workspace, Any], bool]
"""Injects a fault into a running command; returns whether it could be injected."""


class During(NamedTuple):
    """A command and what was there when a fault was injected into it.

    Attributes:
        command: The command.
        before: The runs that were whole before the fault.
        injected: Whether the fault was injected; the command had ended before otherwise.
    """

    command: Any
    before: Whole
    injected: bool


def during(
    workspace: Workspace,
    moment: float,
    fault: Fault,
    *,
    then: Callable[[Workspace], None] | None = None,
    cold_share: float = COLD_SHARE,
) -> During:
    """Start the suite with one or two runs to do, and inject a fault into it.

    Args:
        workspace: Where.
        moment: When, from 0 at its start to 1 a little after its usual end.
        fault: Injects the fault.
        then: Called before the command is started.
        cold_share: Share of the commands that are started in a fresh interpreter.
    """
    missing, cold = workspace.draw.choice([1, 2]), workspace.draw.random() < cold_share
    reports = () if workspace.draw.random() < 0.1 else ("--no-report",)
    workspace.set_up(missing)
    if then is not None:
        then(workspace)
    seconds = moment * LATE * workspace.fixture.seconds(missing, cold=cold)
    before = whole_runs(workspace.results)
    command = workspace.start(*reports, cold=cold)
    if not runs_for(command, seconds):
        return During(command, before, injected=False)
    before = whole_runs(workspace.results)
    return During(command, before, injected=command.poll() is None and fault(workspace, command))


def runs_for(command: Any, seconds: float) -> bool:
    """Wait so many seconds, or until the command ends; return whether it still runs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and command.poll() is None:
        time.sleep(0.005)
    return command.poll() is None


def killed_parent(workspace: Workspace, moment: float) -> Injected:
    """``kill -9`` of the command alone."""
    return _killed(workspace, moment, lambda _, command: _sent(os.kill, command.pid, signal.SIGKILL))


def killed_all(workspace: Workspace, moment: float) -> Injected:
    """``kill -9`` of the command and all its processes, as when a machine fails."""
    return _killed(workspace, moment, lambda _, command: _sent(os.killpg, command.pid, signal.SIGKILL))


def _killed(workspace: Workspace, moment: float, fault: Fault) -> Injected:
    command, before, injected = during(workspace, moment, fault)
    if not injected:
        return workspace.without_fault(command, before)
    code, stderr, wrong = workspace.ended(command)
    if code != -signal.SIGKILL:  # it ended in the same moment
        wrong += workspace.incomplete(code, stderr)
    return workspace.judge(before, wrong, took_effect=code == -signal.SIGKILL)


def killed_child(workspace: Workspace, moment: float) -> Injected:
    """``kill -9`` of one of its processes: of a run, of a check before it, of pictures after it, or of their server."""
    command, before, injected = during(workspace, moment, _kill_one, cold_share=LARGE_COLD_SHARE)
    if not injected:
        return workspace.without_fault(command, before)
    code, stderr, wrong = workspace.ended(command)
    if code != 1:
        wrong += workspace.incomplete(code, stderr)
    if code == 1 and not any(words in stderr for words in ("killed by SIGKILL", "its server ended")):
        wrong.append(f"does not say what was killed: {stderr[-500:]}")
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


def terminated(workspace: Workspace, moment: float) -> Injected:
    """SIGTERM to the command, or to all its processes."""
    return _asked(workspace, moment, signal.SIGTERM, codes={0, 3}, cold_share=LARGE_COLD_SHARE)


def hung_up(workspace: Workspace, moment: float) -> Injected:
    """SIGHUP to the command, or to all its processes, as of a terminal that is closed."""
    return _asked(workspace, moment, signal.SIGHUP, codes={0, 3})


def interrupted(workspace: Workspace, moment: float) -> Injected:
    """Ctrl-C once: to all processes, as terminals send it."""
    return _asked(workspace, moment, signal.SIGINT, codes={0, 130})


def interrupted_twice(workspace: Workspace, moment: float) -> Injected:
    """Ctrl-C, and again within half a second."""
    return _asked(workspace, moment, signal.SIGINT, codes={0, 130}, again=True)


def _asked(
    workspace: Workspace,
    moment: float,
    number: signal.Signals,
    *,
    codes: Collection[int],
    again: bool = False,
    cold_share: float = COLD_SHARE,
) -> Injected:
    def signalled(workspace: Workspace, command: Any) -> bool:
        everyone = number == signal.SIGINT or workspace.draw.random() < 0.5
        sent = _sent(os.killpg if everyone else os.kill, command.pid, number)
        if sent and again:
            time.sleep(workspace.draw.uniform(0.0, 0.5))
            _sent(os.killpg, command.pid, number)
        return sent

    command, before, injected = during(workspace, moment, signalled, cold_share=cold_share)
    if not injected:
        return workspace.without_fault(command, before)
    code, stderr, wrong = workspace.ended(command, excused=partial(is_excused, number))
    if code == 0 and len(before) < NEARLY_DONE:
        wrong.append(f"went on to its end: {stderr[-500:]}")
    if code == 0:
        wrong += workspace.incomplete(code, stderr)
    begun = "[1/" in stderr
    if code not in codes and (begun or code != -number):  # nothing is written before the command has begun
        wrong.append(f"ended with {code}: {stderr[-1500:]}")
    if code in (3, 130) and "the same command goes on" not in stderr:
        wrong.append(f"does not say how to go on: {stderr[-1500:]}")
    return workspace.judge(before, wrong)


def is_excused(number: signal.Signals, code: int | None, traceback: str) -> bool:
    """Return whether a traceback after a signal is Python's own.

    SIGHUP ends its resource tracker, with words that no closed terminal shows; and a command that ended by the signal
    itself was still being started by Python.
    """
    ours, frames = f'"{ROOT / "segbench"}', [line for line in traceback.splitlines() if line.startswith('  File "')]
    if number == signal.SIGHUP and frames and "resource_tracker.py" in frames[-1] and ours not in traceback:
        return True
    return code == -number and "segbench/cli" not in traceback


def _sent(send: Callable[[int, int], None], pid: int, number: int) -> bool:
    try:
        send(pid, number)
    except ProcessLookupError:
        return False
    return True
