"""The suite that faults are injected into: its undisturbed results, and a workspace of its own for each injection."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import forked
import numpy as np
import yaml
from PIL import Image
from run_facts import facts

from fault_kinds.commands import Cold, begin_session, environment, gone_within, has_own_session, tracebacks
from fault_kinds.look import SUITE, Whole, half_done, lost, whole_runs

PATIENCE_SECONDS = 180.0
"""A command that takes longer hangs."""

DOCUMENT: dict[str, Any] = {
    "name": SUITE,
    "dataset": {"name": "scenes", "size": [16, 16], "train_images": 8, "test_images": 4},
    "transforms": {"train": ["horizontal_flip", "normalize"], "test": ["normalize"]},
    "models": [
        {"name": "python:on_order.network", "label": "one", "width": 4},
        {"name": "python:on_order.network", "label": "two", "width": 6},
        {"name": "cnn", "label": "three", "width": 0.0625},
    ],
    "train": {"epochs": 3, "batch_size": 4, "optimizer": {"name": "adamw", "lr": 0.003}},
    "evaluate": {"batch_size": 4, "samples": 1},
    "seeds": [0],
    "resume": {"every_minutes": None, "every_steps": 1},
}
FOLDER = {"name": "folder", "root": "data", "classes": ["one", "two", "three"]}
OPTIONS = ("--device", "cpu", "--jobs", "1", "--no-estimate")


Excuse = Callable[[int | None, str], bool]
"""Says of a command's exit code and a traceback whether the fault excuses the traceback."""


class NotHere(Exception):  # noqa: N818 - a reason, not an error
    """A kind of fault cannot be injected on this machine."""


@dataclass(frozen=True)
class Injected:
    """What one injection came to.

    Attributes:
        stored: How many results were stored before the fault.
        lost: The results that were stored and are not any more, and those that the repeated command did not restore.
        wrong: What else was not as expected.
        repeated: How many commands were repeated.
        took_effect: Whether the fault came before the command's end, and hindered it; else it is tried again, earlier.
    """

    stored: int
    lost: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    repeated: int = 1
    took_effect: bool = True


class Fixture:
    """What all injections share.

    Args:
        folder: A folder for everything.

    Attributes:
        facts: By data set, what the results of the undisturbed suite have to be, bit for bit.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, dict[str, list[object]]] = {}
        self._seconds: dict[tuple[bool, int], float] = {}
        self._lock = threading.RLock()

    def workspace(self, draw: random.Random) -> Workspace:
        """Return a new workspace for one injection."""
        folder = Path(tempfile.mkdtemp(prefix="workspace-", dir=self.folder))
        return Workspace(self, folder, draw)

    def reference(self, data: str = "scenes") -> Path:
        """Return the results of the undisturbed suite on scenes or on a folder of images."""
        with self._lock:
            workspace = Workspace(self, self.folder / f"reference-{data}", random.Random(0), data=data)
            if data not in self.facts:
                workspace.folder.mkdir()
                if data == "folder":
                    write_images(workspace.folder / "data")
                workspace.write_suite()
                workspace.finished("--no-report")
                if not self._seconds:  # this was the first one, which imported torch
                    shutil.rmtree(workspace.results)
                    self._seconds = {(False, missing): _seconds(workspace) for missing in (3, 0)}
                if len(whole_runs(workspace.results)) != len(DOCUMENT["models"]):
                    raise SystemExit(f"the undisturbed suite on {data} is not whole")
                self.facts[data] = facts(workspace.results)
            return workspace.results

    def seconds(self, missing: int, *, cold: bool) -> float:
        """Return how long the undisturbed command takes with so many runs to do."""
        with self._lock:
            self.reference()
            if cold and (True, 3) not in self._seconds:
                workspace = self.workspace(random.Random(0))
                workspace.write_suite()
                self._seconds[True, 3] = _seconds(workspace, cold=True)
                self._seconds[True, 0] = _seconds(workspace, cold=True)
                if facts(workspace.results) != self.facts["scenes"]:
                    raise SystemExit("a command in a fresh interpreter has other results than one in a forked process")
            none, all_three = self._seconds[cold, 0], self._seconds[cold, 3]
            return none + (all_three - none) * missing / 3


def _seconds(workspace: Workspace, *, cold: bool = False) -> float:
    begun = time.monotonic()
    workspace.finished("--no-report", cold=cold)
    return time.monotonic() - begun


@dataclass
class Workspace:
    """A folder with the suite, for one injection.

    Attributes:
        fixture: What all injections share.
        folder: The folder.
        draw: The random numbers of this injection.
        data: The suite's data, ``scenes`` or ``folder``.
    """

    fixture: Fixture
    folder: Path
    draw: random.Random
    data: str = "scenes"
    _started: list[Any] = field(default_factory=list)

    @property
    def results(self) -> Path:
        """The folder of all results."""
        return self.folder / "results"

    @property
    def runs(self) -> Path:
        """The folder of the suite's runs."""
        return self.results / SUITE

    def write_suite(self, **changes: Any) -> None:
        """Write the suite's file."""
        changes = ({"dataset": FOLDER} if self.data == "folder" else {}) | changes
        (self.folder / f"{SUITE}.yaml").write_text(yaml.safe_dump(DOCUMENT | changes, sort_keys=False))

    def set_up(self, missing: int, *, into: Path | None = None, **changes: Any) -> None:
        """Write the suite's file, and all its results but so many, chosen at random."""
        reference = self.fixture.reference(self.data)
        self.write_suite(**changes)
        if self.data == "folder":
            shutil.copytree(reference.parent / "data", self.folder / "data")
        results = into or self.results
        shutil.copytree(reference, results, dirs_exist_ok=True)
        for run in self.draw.sample(sorted(self.fixture.facts[self.data]), missing):
            shutil.rmtree(results / SUITE / run)

    def start(
        self, *options: str, prepare: Callable[[], None] | None = None, cold: bool = False, results: Path | None = None
    ) -> Any:
        """Start ``segbench run``, in a session of its own.

        Args:
            options: Further options.
            prepare: Called in the process before the command.
            cold: Whether to start it in a fresh interpreter.
            results: The results folder, if another.
        """
        where = ("--results", str(results)) if results is not None else ()
        return self.start_any("run", f"{SUITE}.yaml", *OPTIONS, *where, *options, prepare=prepare, cold=cold)

    def start_any(self, *arguments: str, prepare: Callable[[], None] | None = None, cold: bool = False) -> Any:
        """Start any command of segbench, in a session of its own."""
        if cold:
            command: Any = Cold(arguments, self.folder)
        else:
            command = forked.start(
                *arguments,
                cwd=self.folder,
                environment=environment(self.folder),
                prepare=partial(begin_session, prepare),
            )
        self._started.append(command)
        while command.poll() is None and not has_own_session(command.pid):
            time.sleep(0.002)
        return command

    def finished(self, *options: str, cold: bool = False) -> subprocess.CompletedProcess[str]:
        """Run the suite, which has to succeed."""
        done = self.start(*options, cold=cold).wait(PATIENCE_SECONDS)
        if done.returncode:
            raise SystemExit(f"the undisturbed suite failed: {done.stderr}")
        return done

    def without_fault(self, command: Any, before: Whole) -> Injected:
        """Judge a command that ended before the fault: it has to have completed the suite."""
        code, stderr, wrong = self.ended(command)
        return self.judge(before, [*wrong, *self.incomplete(code, stderr)], took_effect=False)

    def incomplete(self, code: int | None, stderr: str) -> list[str]:
        """Return what is wrong with a command that should have completed the suite."""
        if code != 0:
            return [f"ended with {code}: {stderr[-500:]}"]
        return [f"ended with 0, but {run} is missing or differs" for run in self.differing(self.results)]

    def judge(
        self, before: Whole, wrong: Sequence[str] = (), *, results: Path | None = None, took_effect: bool = True
    ) -> Injected:
        """Look what is left, repeat the command without the fault, and look again: what was there has to be untouched.

        Args:
            before: The runs that were whole before the fault.
            wrong: What was wrong already.
            results: The results folder, if another.
            took_effect: Whether the fault came before the command's end, and hindered it.
        """
        folder = results or self.results
        gone = lost(before, whole_runs(folder))
        found = [*wrong, *(f"{run} is not whole, and counts as done" for run in half_done(folder))]
        again, stderr, more = self.ended(self.start("--no-report", results=results))
        found += [f"repeated: {text}" for text in more]
        if again != 0:
            found.append(f"repeated: ended with {again}: {stderr[-500:]}")
        gone += lost(before, whole_runs(folder)) + self.differing(folder)
        found += [f"repeated: left {path.name}" for path in folder.glob(f"{SUITE}/.*.tmp")]
        return Injected(len(before), tuple(dict.fromkeys(gone)), tuple(found), took_effect=took_effect)

    def differing(self, results: Path) -> list[str]:
        """Return the runs that are not bit for bit those of the undisturbed suite."""
        expected = self.fixture.facts[self.data]
        whole = whole_runs(results)
        try:
            found = facts(results)
        except (OSError, ValueError, LookupError) as error:
            return [f"the repeated command left what cannot be read: {error}"]
        return [run for run in expected if run not in whole or found.get(run) != expected[run]]

    def ended(
        self, command: Any, *, alone: bool = True, excused: Excuse = lambda code, traceback: False
    ) -> tuple[int | None, str, list[str]]:
        """Wait for a command; return its exit code, its standard error, and what is wrong with it whatever the fault.

        Args:
            command: What was started.
            alone: Whether no process may be left of it.
            excused: Says of a traceback whether the fault excuses it.
        """
        try:
            done = command.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired as late:
            return None, str(late.stderr), [f"took longer than {PATIENCE_SECONDS:g} s"]
        found = [text for text in tracebacks(done.stderr) if not excused(done.returncode, text)]
        wrong = [f"a traceback: {text[-1500:]}" for text in found]
        if alone and not gone_within(command.pid, seconds=30):
            wrong.append("its processes go on without it")
        return done.returncode, done.stderr, wrong

    def close(self) -> None:
        """End what is left of the commands, and remove the folder."""
        for command in self._started:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(command.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


def write_images(root: Path) -> None:
    """Write a small folder data set: eight training and four test images of three classes."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 4)):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for number in range(count):
            label = np.repeat(np.repeat(draw.integers(0, 3, (4, 4), dtype=np.uint8), 4, 0), 4, 1)
            image = draw.integers(0, 60, (16, 16, 3), dtype=np.uint8) + 90 * label[..., None]
            Image.fromarray(image.astype(np.uint8)).save(root / "images" / split / f"{number}.png")
            Image.fromarray(label).save(root / "masks" / split / f"{number}.png")
