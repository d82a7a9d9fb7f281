"""Runs that another command on the same results folder is executing: they are left to it, and then read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from segbench.config.plan import Run
from segbench.engine.events import Notice, Observer
from segbench.engine.stopping import Stop
from segbench.engine.suite.planning import is_finished
from segbench.results.record import RunRecord
from segbench.results.store import Store

LOOK_SECONDS = 0.5
"""Seconds between checks whether another command has finished a run."""


@dataclass
class Elsewhere:
    """Keeps runs of this command and of others apart.

    Attributes:
        store: The suite's store, which several commands may use.
        before: The stored records when this command began, by id.
        held: Ids of the runs that another command was executing when this one came to them.
    """

    store: Store
    before: Mapping[str, RunRecord]
    held: set[str] = field(default_factory=set)

    @contextmanager
    def claiming(self, run: Run, observer: Observer) -> Iterator[bool]:
        """Claim a run within the block; yields False, and tells it once, if another command is executing it.

        Raises:
            StoreError: The results folder cannot be written.
        """
        with self.store.locking(run.id) as mine:
            if not mine and run.id not in self.held:
                self.held.add(run.id)
                observer(Notice(f"{run.title}: another command is executing this run, so that it is left to it"))
            if mine:
                self.held.discard(run.id)
            yield mine

    def record_of(self, run: Run) -> RunRecord | None:
        """Return the record of a run that another command has finished since this one began."""
        record = self.store.find(run.id, run.identity)
        new = record is not None and is_finished(record) and record != self.before.get(run.id)
        return record if new else None

    def wait(self, stop: Stop) -> None:
        """Wait until another command has released one of the held runs, or until it is time to stop."""
        while self.held and not stop.due:
            for run_id in sorted(self.held):
                with self.store.locking(run_id) as free:
                    if free:
                        return
            time.sleep(LOOK_SECONDS)
