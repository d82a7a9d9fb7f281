"""Tests all trained networks of a suite under every condition that is not done yet, one process a condition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from segbench.config.files import read_digest
from segbench.config.plan import Run
from segbench.config.sections.robustness import Robustness
from segbench.engine.events import Notice, Observer, Progress, ignore
from segbench.engine.processes import CallStopped, ProcessDied, call_in_process
from segbench.engine.robustness.conditions import conditions_of, images_under, splits_of
from segbench.engine.robustness.retest import Batch, Trained, record_of, retest
from segbench.engine.stopping import NEVER, Stop
from segbench.results.record import Status
from segbench.results.retests.record import Condition
from segbench.results.retests.store import ROBUSTNESS
from segbench.results.store import Store

KEEP_WEIGHTS = "their weights were not kept (train.keep_weights: true keeps them)"
_LEFT = "tests"


@dataclass(frozen=True)
class OpenTests:
    """What is still to be tested.

    Attributes:
        batches: By condition, the networks that share data set and fold.
        done: How many tests are stored already.
        without_weights: Runs that cannot be tested again.
    """

    batches: tuple[Batch, ...]
    done: int
    without_weights: tuple[Run, ...]

    @property
    def count(self) -> int:
        """Tests to do: one a network and condition."""
        return sum(len(batch.networks) for batch in self.batches)


@dataclass(frozen=True)
class TrainedNetworks:
    """The completed runs of a suite.

    Attributes:
        there: Those whose weights were kept.
        without_weights: The others.
    """

    there: tuple[Trained, ...]
    without_weights: tuple[Run, ...]


def trained_networks(runs: Iterable[Run], store: Store) -> TrainedNetworks:
    """Return which runs are completed, and which of these have their weights.

    Raises:
        StoreError: A record cannot be read.
    """
    runs = tuple(runs)
    records = store.find_all({run.id: run.identity for run in runs})
    there, without = [], []
    for run in runs:
        record, checkpoint = records.get(run.id), store.weights_of(run.id)
        if record is None or record.outcome.status is not Status.COMPLETED:
            continue
        if checkpoint.is_file():
            there.append(Trained(run, checkpoint, record.trained_weights or read_digest(checkpoint)))
        else:
            without.append(run)
    return TrainedNetworks(tuple(there), tuple(without))


def open_tests(runs: Iterable[Run], store: Store, block: Robustness) -> OpenTests:
    """Return what is to be tested; a test is done where it is of the same run, images and corruption.

    Raises:
        DataError: The data is missing or wrong.
        StoreError: A record cannot be read.
    """
    networks = trained_networks(runs, store)
    stored = {
        (test.record.identity, test.record.weights, test.record.condition.key, test.record.fingerprint)
        for test in ROBUSTNESS.scan(store.folder / ROBUSTNESS.folder).tests
        if test.record.status is not Status.FAILED
    }
    batches, done = [], 0
    for group in sharing_images(networks.there):
        splits = splits_of(group[0].run)
        for condition in conditions_of(block):
            fingerprint = images_under(condition, splits, block).fingerprint()
            todo = [one for one in group if (one.run.identity, one.weights, condition.key, fingerprint) not in stored]
            done += len(group) - len(todo)
            if todo:
                batches.append(Batch(condition, block, fingerprint, tuple(todo)))
    return OpenTests(tuple(sorted(batches, key=_place_of(conditions_of(block)))), done, networks.without_weights)


def retest_networks(
    tests: OpenTests, store: Store, *, device: str = "auto", stop: Stop = NEVER, observer: Observer = ignore
) -> None:
    """Do what is open; each result is stored as soon as it is there, so that a killed command goes on.

    A network that fails, or whose process dies, is a row with its reason, and is tried again by the next command.

    Raises:
        DataError: An image cannot be read or corrupted.
        RunInterrupted: It was time to stop.
        StoreError: Results cannot be written.
    """
    folder, done = store.folder / ROBUSTNESS.folder, 0
    for batch in tests.batches:
        stop.raise_if_due(_LEFT)
        observer(Progress("", "evaluation", done, tests.count, "tests"))
        _test_batch(batch, folder, device, stop, observer)
        done += len(batch.networks)
    observer(Progress("", "evaluation", done, tests.count, "tests"))


def _test_batch(batch: Batch, folder: Path, device: str, stop: Stop, observer: Observer) -> None:
    """Test a batch in a process of its own; where one network ends it, the others go on in another.

    Earlier tests of these networks are removed first, so that a stored one has been done now.

    Raises:
        RunInterrupted: The process was ended because it was time to stop.
    """
    left = batch.networks
    for network in left:
        ROBUSTNESS.remove(folder, network.run.id, batch.condition.key)
    while left:
        try:
            call_in_process(retest, replace(batch, networks=left), folder, device, observer=observer)
            return
        except (ProcessDied, CallStopped) as death:
            stop.raise_if_due(_LEFT)
            written = {
                test.record.identity
                for test in ROBUSTNESS.scan(folder).tests
                if test.record.condition == batch.condition and test.record.fingerprint == batch.fingerprint
            }
            left = tuple(network for network in left if network.run.identity not in written)
            if not left:
                return
            reason = " ".join(str(death).split())
            observer(Notice(f"{left[0].run.label}, seed {left[0].run.seed}, {batch.condition}: {reason}"))
            ROBUSTNESS.write(folder, record_of(left[0], batch, Status.FAILED, reason), None)
            left = left[1:]


def sharing_images(networks: Sequence[Trained]) -> list[list[Trained]]:
    """Return networks by data set, fold and role."""
    groups: dict[tuple[Any, ...], list[Trained]] = defaultdict(list)
    for network in networks:
        run = network.run
        groups[run.recipe.dataset.model_dump_json(), run.fold, run.role == "trial"].append(network)
    return list(groups.values())


def _place_of(conditions: Sequence[Condition]) -> Any:
    order = {condition.key: place for place, condition in enumerate(conditions)}
    return lambda batch: order[batch.condition.key]
