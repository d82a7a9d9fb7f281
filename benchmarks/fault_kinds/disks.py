"""Faults of disks: full, with a limit on files, read-only."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from fault_kinds.endings import during
from fault_kinds.look import Whole, lost, whole_runs
from fault_kinds.workspace import Injected, NotHere, Workspace

WHOLE_BYTES = 2**26
"""Size of a disk with room for everything."""

LEAST_FILE_BYTES = 4096
"""Smallest limit on files, which the command's own words fit into."""


def full(workspace: Workspace, moment: float) -> Injected:
    """A tmpfs that has too little room: at the first of the moments for nothing, at the last for nearly everything."""
    missing = workspace.draw.choice([1, 2])
    with mounted(workspace.results, "-t", "tmpfs", "-o", f"size={WHOLE_BYTES}", "tmpfs"):
        workspace.set_up(missing)
        needed = _used(workspace.fixture.reference()) * missing / 3
        room = _used(workspace.results) + int(moment * needed) // 4096 * 4096
        _mount("-o", f"remount,size={room}", workspace.results)
        before = whole_runs(workspace.results)
        code, stderr, wrong = workspace.ended(workspace.start("--no-report"))
        wrong += _named(code, stderr, "No space left on device", workspace)
        wrong += _gone_at_once(before, workspace)
        _mount("-o", f"remount,size={WHOLE_BYTES}", workspace.results)
        return workspace.judge(before, wrong, took_effect=code != 0)


def limited(workspace: Workspace, moment: float) -> Injected:
    """No file may become as large as the largest of a run, at the first of the moments none but the smallest."""
    workspace.set_up(workspace.draw.choice([1, 2]))
    largest = max(file.stat().st_size for file in workspace.fixture.reference().rglob("*") if file.is_file())
    limit = int(LEAST_FILE_BYTES + moment * (largest - LEAST_FILE_BYTES))
    before = whole_runs(workspace.results)
    command = workspace.start("--no-report", prepare=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)))
    code, stderr, wrong = workspace.ended(command)
    wrong += _named(code, stderr, "File too large", workspace)
    return workspace.judge(before, wrong, took_effect=code != 0)


def read_only(workspace: Workspace, moment: float) -> Injected:
    """Before the command a read-only mount; in its midst a folder that nothing can be written into any more."""
    if workspace.draw.random() < 0.5:
        return _frozen(workspace, moment)
    with mounted(workspace.results, "--bind", str(workspace.results)):
        workspace.set_up(workspace.draw.choice([1, 2]))
        _mount("-o", "remount,bind,ro", workspace.results)
        before = whole_runs(workspace.results)
        code, stderr, wrong = workspace.ended(workspace.start("--no-report"))
        wrong += _named(code, stderr, "Read-only file system", workspace)
        wrong += _gone_at_once(before, workspace)
        _mount("-o", "remount,bind,rw", workspace.results)
        return workspace.judge(before, wrong)


def _frozen(workspace: Workspace, moment: float) -> Injected:
    def freeze(workspace: Workspace, command: object) -> bool:
        del command
        done = subprocess.run(["chattr", "+i", workspace.runs], capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotHere(done.stderr.strip())
        return True

    try:
        command, before, injected = during(workspace, moment, freeze)
        if not injected:
            return workspace.without_fault(command, before)
        code, stderr, wrong = workspace.ended(command)
        wrong += _named(code, stderr, "Operation not permitted", workspace)
        wrong += _gone_at_once(before, workspace)
    finally:
        subprocess.run(["chattr", "-i", workspace.runs], capture_output=True, check=False)
    return workspace.judge(before, wrong, took_effect=code != 0)


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount something at a folder within the block.

    Raises:
        NotHere: That is not possible here.
    """
    folder.mkdir(exist_ok=True)
    if os.geteuid() != 0:
        raise NotHere("only root may mount")
    _mount(*options, folder)
    try:
        yield
    finally:
        for _ in range(50):  # a process that is ending may still be in it
            if subprocess.run(["umount", folder], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)


def _mount(*options: str | Path) -> None:
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotHere(done.stderr.strip())


def _used(folder: Path) -> int:
    """Return the bytes that a folder takes of a tmpfs: whole pages of each file."""
    return sum(-(-file.stat().st_size // 4096) * 4096 for file in folder.rglob("*") if file.is_file())


def _named(code: int | None, stderr: str, reason: str, workspace: Workspace) -> list[str]:
    """Return what is wrong with how a command ended: it completes the suite, or says why and where it cannot write."""
    if code == 0:
        return workspace.incomplete(code, stderr)
    named = reason in stderr and str(workspace.results.name) in stderr and "another folder" in stderr
    return [] if code == 2 and named else [f"ended with {code}: {stderr[-1500:]}"]


def _gone_at_once(before: Whole, workspace: Workspace) -> list[str]:
    return [f"{run} cannot be read while nothing can be written" for run in lost(before, whole_runs(workspace.results))]
