"""Faults of networks, each in a random step of a training: memory, NaN, hangs, exits, errors that nobody foresees."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from on_order import ORDER

from fault_kinds.look import SUITE, whole_runs
from fault_kinds.workspace import Injected, NotHere, Workspace

STEPS = (3, 6)
"""First and last step in which a network misbehaves."""

SILENT_MINUTES = 0.1
MEMORY_BYTES = 700 * 2**20
MEMORY_CGROUPS = Path("/sys/fs/cgroup/memory")
CGROUPS = Path("/sys/fs/cgroup")

ODD: dict[str, str | None] = {
    "fork": None,
    "thread": None,
    "chdir": None,
    "SystemExit": "SystemExit: over",
    "KeyboardInterrupt": "KeyboardInterrupt",
    "GeneratorExit": "GeneratorExit",
    "UnforeseenError": "UnforeseenError: nobody saw this coming",
    "abort": "killed by SIGABRT",
    "segmentation fault": "killed by SIGSEGV",
    "exit 0": "ended with exit code 0 and no result",
    "exit 7": "ended with exit code 7 and no result",
}
"""By what a network does: how its run is reported; None for one that completes all the same."""

_numbers = itertools.count()


def odd(workspace: Workspace, moment: float) -> Injected:
    """A child that forks, changes directory, leaves a thread, ends its process or raises what is no ``Exception``."""
    what = list(ODD)[int(moment * len(ODD))]
    return _ordered(workspace, what, ODD[what])


def not_finite(workspace: Workspace, moment: float) -> Injected:
    """NaN in training."""
    del moment
    return _ordered(workspace, "nan", "the loss became nan")


def hanging(workspace: Workspace, moment: float) -> Injected:
    """A child that hangs is ended at ``run_timeout``."""
    del moment
    return _ordered(workspace, "hang", "made no progress for 6 s", run_timeout={"silent_minutes": SILENT_MINUTES})


def out_of_memory(workspace: Workspace, moment: float) -> Injected:
    """Memory runs out: the kernel kills the child in a control group of little memory, or there is none to be had."""
    if moment < 0.5:
        return _ordered(workspace, "address space", "out of memory on cpu with batches of 4 images: MemoryError")
    with little_memory() as enter:
        return _ordered(workspace, "memory", "killed by SIGKILL, probably because memory ran out", prepare=enter)


def _ordered(
    workspace: Workspace,
    what: str,
    expected: str | None,
    *,
    prepare: Callable[[], None] | None = None,
    **changes: object,
) -> Injected:
    """Have one of the two networks misbehave, and look how its run is reported."""
    workspace.set_up(0, **changes)
    label, width = workspace.draw.choice([("one", 4), ("two", 6)])
    _remove(workspace, label)
    if workspace.draw.random() < 0.5:
        _remove(workspace, "three")
    before = whole_runs(workspace.results)
    order = workspace.folder / ORDER
    order.write_text(json.dumps({"what": what, "width": width, "step": workspace.draw.randint(*STEPS)}))
    left_behind = what == "fork"  # the process that it leaves is the network's own, and nothing waits for it
    code, stderr, wrong = workspace.ended(workspace.start("--no-report", prepare=prepare), alone=not left_behind)
    order.unlink()
    if expected is None:
        wrong += [f"{run} differs" for run in workspace.differing(workspace.results)]
    if code != (0 if expected is None else 1) or (expected or "") not in stderr:
        wrong.append(f"{what}: ended with {code}: {stderr[-1500:]}")
    if expected is not None:
        statuses = {file.parent.name: json.loads(file.read_text()) for file in workspace.runs.glob("*/run.json")}
        found = {record["label"]: record["outcome"]["status"] for record in statuses.values()}
        if found.pop(label, None) != "failed" or set(found.values()) != {"completed"} or len(found) != 2:
            wrong.append(f"{what}: {label} was to fail and the others to be completed, but they are {found}")
    return workspace.judge(before, wrong)


def _remove(workspace: Workspace, label: str) -> None:
    for run in workspace.runs.glob(f"{label}-*"):
        shutil.rmtree(run)


@contextmanager
def little_memory() -> Iterator[Callable[[], None]]:
    """Make a control group of little memory; yields what has a process enter it.

    Raises:
        NotHere: None can be made here.
    """
    one = MEMORY_CGROUPS.is_dir()
    group = (MEMORY_CGROUPS if one else CGROUPS) / f"{SUITE}-{os.getpid()}-{next(_numbers)}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if one else "memory.max")).write_text(str(MEMORY_BYTES))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        raise NotHere(f"no control group of little memory: {error}") from None
    try:
        yield partial(_enter, group / "cgroup.procs")
    finally:
        with suppress(OSError):  # a process that was left behind may be in it
            group.rmdir()


def _enter(processes: Path) -> None:
    processes.write_text(str(os.getpid()))
