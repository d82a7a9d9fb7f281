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

from fault_kinds.bench import Injected, NotHere, Place
from fault_kinds.look import SUITE, whole_runs

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
"""By what a network does: how its run is told of; None for one that completes all the same."""

_numbers = itertools.count()


def odd(place: Place, moment: float) -> Injected:
    """A child that forks, changes directory, leaves a thread, ends its process or raises what is no ``Exception``."""
    what = list(ODD)[int(moment * len(ODD))]
    return _ordered(place, what, ODD[what])


def not_finite(place: Place, moment: float) -> Injected:
    """NaN in training."""
    del moment
    return _ordered(place, "nan", "the loss became nan")


def hanging(place: Place, moment: float) -> Injected:
    """A child that hangs is ended at ``run_timeout``."""
    del moment
    return _ordered(place, "hang", "made no progress for 6 s", run_timeout={"silent_minutes": SILENT_MINUTES})


def out_of_memory(place: Place, moment: float) -> Injected:
    """Memory runs out: the kernel kills the child in a control group of little memory, or there is none to be had."""
    if moment < 0.5:
        return _ordered(place, "address space", "out of memory on cpu with batches of 4 images: MemoryError")
    with little_memory() as enter:
        return _ordered(place, "memory", "killed by SIGKILL, probably because memory ran out", prepare=enter)


def _ordered(
    place: Place, what: str, expected: str | None, *, prepare: Callable[[], None] | None = None, **changes: object
) -> Injected:
    """Have one of the two networks misbehave, and look how its run is told of."""
    place.set_up(0, **changes)
    label, width = place.draw.choice([("one", 4), ("two", 6)])
    _remove(place, label)
    if place.draw.random() < 0.5:
        _remove(place, "three")
    before = whole_runs(place.results)
    order = place.folder / ORDER
    order.write_text(json.dumps({"what": what, "width": width, "step": place.draw.randint(*STEPS)}))
    left_behind = what == "fork"  # the process that it leaves is the network's own, and nothing waits for it
    code, told, wrong = place.ended(place.start("--no-report", prepare=prepare), alone=not left_behind)
    order.unlink()
    if expected is None:
        wrong += [f"{run} differs" for run in place.differing(place.results)]
    if code != (0 if expected is None else 1) or (expected or "") not in told:
        wrong.append(f"{what}: ended with {code}: {told[-1500:]}")
    if expected is not None:
        statuses = {file.parent.name: json.loads(file.read_text()) for file in place.runs.glob("*/run.json")}
        found = {record["label"]: record["outcome"]["status"] for record in statuses.values()}
        if found.pop(label, None) != "failed" or set(found.values()) != {"completed"} or len(found) != 2:
            wrong.append(f"{what}: {label} was to fail and the others to be completed, but they are {found}")
    return place.judge(before, wrong)


def _remove(place: Place, label: str) -> None:
    for run in place.runs.glob(f"{label}-*"):
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
