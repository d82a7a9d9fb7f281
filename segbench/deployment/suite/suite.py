"""Deploys all trained networks of a suite to all targets that are not done yet, one process a network and target."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from segbench.config.plan import Run
from segbench.config.sections.deploy import Deploy, Target
from segbench.data.base import hash_of
from segbench.data.subset import take
from segbench.deployment.packages import refuse_absent
from segbench.deployment.runtimes.catalog import RUNTIMES, runs_on
from segbench.deployment.suite.deploy import Deployed, deploy
from segbench.deployment.suite.task import Task, lays_channels_last
from segbench.deployment.suite.timing import timings
from segbench.engine.device import choose_device
from segbench.engine.events import Notice, Observer, Progress, ignore
from segbench.engine.processes import CallStopped, ProcessDied, call_in_process
from segbench.engine.robustness.conditions import splits_of
from segbench.engine.robustness.suite import sharing_images, trained_networks
from segbench.engine.run.splits import OpenedSplits
from segbench.engine.stopping import NEVER, Stop
from segbench.results.atomic_replace import FOREIGN_SECONDS
from segbench.results.deployments.record import DeploymentRecord, Timing
from segbench.results.deployments.store import DEPLOYMENTS
from segbench.results.files import host_mark, storing
from segbench.results.record import Status
from segbench.results.speed.record import SpeedStatus
from segbench.results.store import Store

_WORK = ".work-"
_LEFT = "deployments"


@dataclass(frozen=True)
class OpenDeployments:
    """What is still to be deployed.

    Attributes:
        tasks: Network by network, in the block's order of targets.
        done: How many are stored already.
        without_weights: Runs whose networks are not there.
    """

    tasks: tuple[Task, ...]
    done: int
    without_weights: tuple[Run, ...]

    @property
    def count(self) -> int:
        """Deployments to do: one a network and target."""
        return len(self.tasks)


def refuse_absent_packages(block: Deploy, *, device: str) -> None:
    """Refuse targets whose packages are missing; what this machine cannot run anyway needs none.

    Raises:
        UsageError: Packages are missing; names the extras that install them.
    """
    place = choose_device(device)
    needed = [target.runtime for target in block.targets if runs_on(target.runtime, place)]
    refuse_absent([*needed, *(["pruning"] if any(target.prune for target in block.targets) else [])])


def open_deployments(runs: Iterable[Run], store: Store, block: Deploy, *, device: str = "auto") -> OpenDeployments:
    """Return what is to be deployed; a deployment is done where it is of the same run, images and settings.

    What was skipped is done as long as the packages that its target needs are of the same versions.

    Raises:
        DataError: The data is missing or wrong.
        StoreError: A record cannot be read.
        UsageError: The device does not exist.
    """
    place, work = choose_device(device), _work_folder(store)
    networks = trained_networks(runs, store)
    stored = {
        (test.record.identity, test.record.weights, test.record.target.key, test.record.fingerprint): test.record
        for test in DEPLOYMENTS.scan(store.folder / DEPLOYMENTS.folder).tests
    }
    tasks, done = [], 0
    for group in sharing_images(networks.there):
        splits = splits_of(group[0].run)
        for network in group:
            for target in block.targets:
                asked = _fingerprint(splits, target, block, network.run)
                of = (network.run, network.checkpoint, network.weights)
                task = Task(*of, target, block, asked, str(place), work / network.run.id)
                if _stays(stored.get((network.run.identity, network.weights, task.deployed_to.key, asked)), task):
                    done += 1
                else:
                    tasks.append(task)
    return OpenDeployments(tuple(tasks), done, networks.without_weights)


def deploy_networks(
    open_ones: OpenDeployments, store: Store, *, stop: Stop = NEVER, observer: Observer = ignore
) -> None:
    """Do what is open; each result is stored as soon as it is there, so that a killed command goes on.

    What a network or a runtime cannot do is a row with its reason. What failed, or ended its process, is one, too, and
    is tried again by the next command.

    Raises:
        DataError: An image cannot be read.
        RunInterrupted: It was time to stop.
        StoreError: Results cannot be written.
    """
    folder, tasks = store.folder / DEPLOYMENTS.folder, open_ones.tasks
    with _working(folder):
        for number, task in enumerate(tasks):
            stop.raise_if_due(_LEFT)
            observer(Progress("", "evaluation", number, len(tasks), "deployments"))
            try:
                found = _deployed(task)
            except CallStopped as stopped:
                stop.raise_if_due(_LEFT)
                found = Deployed(task.record(Status.FAILED, str(stopped)))
            if found.record.status is Status.FAILED or any(map(_was_cut_short, found.record.timings)):
                stop.raise_if_due(_LEFT)  # its process was ended for that
            if found.record.reason is not None:
                observer(Notice(f"{task.title}: {found.record.reason}"))
            DEPLOYMENTS.write(folder, found.record, found.matrices)
            following = tasks[number + 1].folder if number + 1 < len(tasks) else None
            shutil.rmtree(task.files if following == task.folder else task.folder, ignore_errors=True)
    observer(Progress("", "evaluation", len(tasks), len(tasks), "deployments"))


def _was_cut_short(timing: Timing) -> bool:
    return any(restart.status is SpeedStatus.FAILED for restart in timing.restarts)


def _deployed(task: Task, *, call: Callable[..., Any] = call_in_process) -> Deployed:
    """Deploy, test and time one network."""
    refusal = RUNTIMES[task.target.runtime].refusal(task.target, torch.device(task.device))
    if refusal is not None:
        return Deployed(task.record(Status.SKIPPED, refusal))
    task.folder.mkdir(parents=True, exist_ok=True)
    try:
        found: Deployed = call(deploy, task)
    except ProcessDied as death:
        return Deployed(task.record(Status.FAILED, " ".join(str(death).split())))
    if found.job is None:
        return found
    timed = found.record.model_copy(update={"timings": timings(task, found.job)})
    return Deployed(timed, found.matrices, found.job)


def _stays(record: DeploymentRecord | None, task: Task) -> bool:
    """Return whether a stored deployment needs not be done again: other versions may do what was skipped."""
    if record is None or record.status is Status.FAILED:
        return False
    return record.status is Status.COMPLETED or record.environment.get("runtimes") == task.versions


def _fingerprint(splits: OpenedSplits, target: Target, block: Deploy, run: Run) -> str:
    """Return a hash of all that the result of a deployment depends on, beside the network and the packages."""
    asked: list[Any] = [take(splits.test, block.images).fingerprint(), target.model_dump(mode="json")]
    asked += [list(block.batch_sizes), block.restarts, block.seconds]
    trained_on = splits.train.fingerprint() if splits.train is not None else None
    if target.precision == "int8":
        asked += ["calibration", block.calibration_images, trained_on]
    if target.prune is not None:
        asked += ["fine_tune", block.fine_tune, trained_on]
    if lays_channels_last(run, target.runtime):
        asked.append("channels_last")
    return hash_of(asked)


def _work_folder(store: Store) -> Path:
    return store.folder / DEPLOYMENTS.folder / f"{_WORK}{host_mark()}-{os.getpid()}"


@contextmanager
def _working(folder: Path) -> Iterator[None]:
    """Remove files of killed commands before, and those of this one after."""
    for left in folder.glob(f"{_WORK}*-*"):
        if not _in_use(left):
            shutil.rmtree(left, ignore_errors=True)
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        shutil.rmtree(folder / f"{_WORK}{host_mark()}-{os.getpid()}", ignore_errors=True)


def _in_use(work: Path) -> bool:
    """Return whether the command still runs whose work folder this is; one of another machine, for a week."""
    host, _, process = work.name.removeprefix(_WORK).rpartition("-")
    if host == host_mark() and process.isdecimal():
        return psutil.pid_exists(int(process))
    return time.time() - work.stat().st_mtime < FOREIGN_SECONDS
