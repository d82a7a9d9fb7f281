"""Faults of concurrent access and of time: two commands, a copy in mid-run, a clock set back."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from fault_kinds.commands import SITE
from fault_kinds.endings import LARGE_COLD_SHARE, LATE, runs_for
from fault_kinds.look import half_done, lost, whole_runs
from fault_kinds.workspace import Injected, Workspace

HOUR, TEN_YEARS = 3600.0, 10 * 365 * 24 * 3600.0

SET_BACK = """
import time
from datetime import datetime
from importlib.machinery import SourceFileLoader

true, true_ns, executed = time.time, time.time_ns, SourceFileLoader.exec_module

def shift():
    return {seconds!r} if true() >= {begin!r} else 0.0

class Shifted(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.fromtimestamp(true() - shift(), tz)

def execute(loader, module):
    executed(loader, module)
    if module.__name__.startswith("segbench.") and vars(module).get("datetime") is datetime:
        module.datetime = Shifted

time.time, time.time_ns = lambda: true() - shift(), lambda: true_ns() - int(shift() * 1e9)
SourceFileLoader.exec_module = execute
"""
"""What a fresh interpreter, and each that it starts, does first to set back its time of day."""


def two_commands(workspace: Workspace, moment: float) -> Injected:
    """A second command on the same suite and folder, while the first runs: each run is trained once."""
    missing = workspace.draw.choice([2, 3])
    workspace.set_up(missing)
    before = whole_runs(workspace.results)
    one = workspace.start("--no-report", "--events", "one.jsonl")
    if not runs_for(one, moment * LATE * workspace.fixture.seconds(missing, cold=False)):
        return workspace.without_fault(one, before)
    other = workspace.start("--no-report", "--events", "other.jsonl")
    wrong = []
    for command in (one, other):
        code, stderr, found = workspace.ended(command)
        wrong += found + workspace.incomplete(code, stderr)
    trained = [run for name in ("one", "other") for run in sorted(_trained(workspace.folder / f"{name}.jsonl"))]
    if len(trained) != missing or len(set(trained)) != missing:
        wrong.append(f"{missing} runs were to be trained, once each; trained were {trained}")
    return workspace.judge(before, wrong)


def copied(workspace: Workspace, moment: float) -> Injected:
    """A copy of the results in mid-run holds whole runs only and is gone on with; the original goes on undisturbed."""
    missing = workspace.draw.choice([1, 2])
    workspace.set_up(missing)
    before = whole_runs(workspace.results)
    command = workspace.start("--no-report")
    if not runs_for(command, moment * LATE * workspace.fixture.seconds(missing, cold=False)):
        return workspace.without_fault(command, before)
    before = whole_runs(workspace.results)
    copy = workspace.folder / "copy"
    subprocess.run(["cp", "-a", workspace.results, copy], capture_output=True, check=False)  # files vanish meanwhile
    wrong = [f"{run} of the copy is not whole, and counts as done" for run in half_done(copy)]
    wrong += [f"{run} is not in the copy" for run in lost(before, whole_runs(copy))]
    code, stderr, found = workspace.ended(command)
    wrong += found + workspace.incomplete(code, stderr)
    return workspace.judge(before, wrong, results=copy)


def clock_set_back(workspace: Workspace, moment: float) -> Injected:
    """The time of day jumps back, by up to ten years: while the command runs, or between two of which one was killed.

    The processes' ``time.time``, ``time.time_ns`` and ``datetime.now`` are shifted, as no other clock can be set for
    them alone; files keep the true time, which is then in their future.
    """
    missing, cold = workspace.draw.choice([1, 2]), workspace.draw.random() < LARGE_COLD_SHARE
    workspace.set_up(missing)
    shift = HOUR * (TEN_YEARS / HOUR) ** workspace.draw.random()
    after = moment * LATE * workspace.fixture.seconds(missing, cold=cold)
    before = whole_runs(workspace.results)
    if workspace.draw.random() < 0.5:
        command = _with_clock(workspace, shift, after=after, cold=cold)
        in_time = runs_for(command, after)
        code, stderr, wrong = workspace.ended(command)
        return workspace.judge(before, [*wrong, *workspace.incomplete(code, stderr)], took_effect=in_time)
    command = _with_clock(workspace, -shift, after=0.0, cold=cold)
    if not runs_for(command, after):
        return workspace.without_fault(command, before)
    before = whole_runs(workspace.results)
    os.killpg(command.pid, signal.SIGKILL)
    _, _, wrong = workspace.ended(command)
    later = time.time() + shift
    for path in (workspace.results, *workspace.results.rglob("*")):
        os.utime(path, (later, later))
    return workspace.judge(before, wrong)


def _with_clock(workspace: Workspace, seconds: float, *, after: float, cold: bool) -> Any:
    """Start the suite with a time of day that is set back by so many seconds, some time from now."""
    if not cold:
        return workspace.start("--no-report", prepare=partial(set_back, seconds, after=after))
    file = workspace.folder / SITE / "sitecustomize.py"
    file.parent.mkdir()
    file.write_text(SET_BACK.format(begin=time.time() + after, seconds=seconds))
    return workspace.start("--no-report", cold=True)


def set_back(seconds: float, *, after: float) -> None:
    """Set this process's time of day back, some time from now, for itself and all that it will begin."""
    if after:
        timer = threading.Timer(after, set_back, [seconds], {"after": 0.0})
        timer.daemon = True
        timer.start()
        return
    true, true_ns, true_datetime = time.time, time.time_ns, dt.datetime

    class Shifted(true_datetime):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:
            return true_datetime.now(tz) - dt.timedelta(seconds=seconds)

    time.time = lambda: true() - seconds
    time.time_ns = lambda: true_ns() - int(seconds * 1e9)
    for name, module in list(sys.modules.items()):
        if name.startswith("segbench.") and vars(module).get("datetime") is true_datetime:
            module.datetime = Shifted  # type: ignore[attr-defined]


def _trained(events: Path) -> list[str]:
    """Return the runs that a command began to train, as often as it did."""
    found: list[str] = []
    for line in events.read_text(encoding="utf-8").splitlines() if events.exists() else []:
        event = json.loads(line)
        if event["event"] == "RunStarted":
            begun = True
        elif event.get("stage") == "training" and begun:
            found.append(event["run_id"])
            begun = False
    return found
