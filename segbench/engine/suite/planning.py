"""The plan of a suite: trials, runs by the identical recipe, tuned runs that trials chose; and what is wanted of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from segbench.config.plan import Run, once_each, plan
from segbench.config.suite import Suite
from segbench.config.trials import best_position, families
from segbench.engine.run.record import stored_mean_iou
from segbench.engine.suite.selection import Selection, chosen, named, starting_with
from segbench.results.record import Outcome, RunRecord, Status
from segbench.results.store import Store


@dataclass(frozen=True)
class PlannedRuns:
    """The runs of a suite, as far as they are known.

    Attributes:
        runs: Trials first, then the runs by the identical recipe, then tuned runs.
        pending: Tuned runs whose values are not chosen yet, with the recipe as it is before.
        awaited: Ids of the trials that these follow from and that have not ended.
        refusals: By id, how tuned runs end of which no trial gave a score.
        trial_records: By id, the records of trials that have ended.
    """

    runs: tuple[Run, ...]
    pending: tuple[Run, ...] = ()
    awaited: frozenset[str] = frozenset()
    refusals: dict[str, Outcome] = field(default_factory=dict)
    trial_records: dict[str, RunRecord] = field(default_factory=dict)

    @property
    def shown(self) -> tuple[Run, ...]:
        """The runs that are reported: all but trials."""
        return tuple(run for run in self.runs if run.role != "trial")

    @property
    def outlook(self) -> str:
        """What is said of the tuned runs that are not known yet."""
        tuned, trials = len(self.pending), len(self.awaited)
        return (
            f"{tuned} tuned run{'s' * (tuned > 1)} follow{'s' * (tuned == 1)} from {trials} trial{'s' * (trials > 1)}"
        )


@dataclass(frozen=True)
class WantedRuns:
    """The runs of a suite that a command is about, and their records at the time.

    Attributes:
        suite: The suite.
        store: Where its runs are.
        selection: Which of them are wanted.
        known: All of them.
        runs: The wanted ones.
        pending: Wanted tuned runs whose values are not chosen yet.
        stored: Records by id, those of failed and skipped runs among them.
    """

    suite: Suite
    store: Store
    selection: Selection
    known: PlannedRuns
    runs: tuple[Run, ...]
    pending: tuple[Run, ...]
    stored: Mapping[str, RunRecord]

    @cached_property
    def finished(self) -> dict[str, RunRecord]:
        """The records of completed runs; failed and skipped ones are tried again."""
        return {run_id: record for run_id, record in self.stored.items() if is_finished(record)}

    @property
    def todo(self) -> list[Run]:
        """The runs that are not finished, pending ones last."""
        return [run for run in (*self.runs, *self.pending) if run.id not in self.finished]

    def planned_again(self) -> WantedRuns:
        """Return what is wanted now that trials may have ended."""
        return wanted_runs(self.suite, self.store, self.selection)

    def without(self, ids: Collection[str]) -> WantedRuns:
        """Return the same but for some runs."""
        return replace(self, runs=tuple(run for run in self.runs if run.id not in ids))


def wanted_runs(suite: Suite, store: Store, selection: Selection | None = None) -> WantedRuns:
    """Plan a suite, and read the records of the runs that are wanted.

    Raises:
        UsageError: The suite has no such run, or its plan is wrong; see ``planned``.
        StoreError: A record was written by a newer segbench, or cannot be read.
    """
    selection = selection or Selection()
    known = planned(suite, store)
    unknown = {run.id for run in known.pending}
    found = chosen((*known.runs, *known.pending), selection.models, selection.seeds)
    runs = named([run for run in found if run.id not in unknown], selection.ids)
    pending = starting_with([run for run in found if run.id in unknown], selection.ids)
    stored = {run.id: known.trial_records[run.id] for run in runs if run.id in known.trial_records}
    stored |= store.find_all({run.id: run.identity for run in (*runs, *pending) if run.id not in stored})
    return WantedRuns(suite, store, selection, known, runs, pending, stored)


def is_finished(record: RunRecord) -> bool:
    """Return whether a run was completed; failed and skipped ones are tried again."""
    return record.outcome.status is Status.COMPLETED


def planned(suite: Suite, store: Store) -> PlannedRuns:
    """Return the runs of a suite, with the tuned ones of every network whose trials have all ended.

    Raises:
        SuiteError: A grid key changes no run, or two models are one and the same.
        StoreError: A trial's matrices cannot be read.
    """
    tuned: list[Run] = []
    pending: list[Run] = []
    awaited: set[str] = set()
    refusals: dict[str, Outcome] = {}
    found = families(suite)
    stored = store.find_all({trial.id: trial.identity for family in found for trial in family.trials})
    for family in found:
        missing = {trial.id for trial in family.trials} - stored.keys()
        if missing:
            pending += family.tuned(None)
            awaited |= missing
            continue
        ended = [stored[trial.id] for trial in family.trials]
        position = best_position([stored_mean_iou(record, store) for record in ended])
        runs = family.tuned(position)
        tuned += runs
        if position is None:
            refusals |= dict.fromkeys((run.id for run in runs), _refusal(ended))
    trials = once_each(trial for family in found for trial in family.trials)
    runs = (*trials, *plan(suite), *once_each(tuned))
    return PlannedRuns(runs, once_each(pending), frozenset(awaited), refusals, trial_records=stored)


def _refusal(trials: Sequence[RunRecord]) -> Outcome:
    """Return how tuned runs end whose trials gave no score: as those did, where they agree."""
    skipped = all(record.outcome.status is Status.SKIPPED for record in trials)
    reasons = [record.outcome.reason for record in trials if record.outcome.reason]
    return Outcome(
        status=Status.SKIPPED if skipped else Status.FAILED,
        reason=f"none of its trials gave a score: {next(iter(reasons), 'the labels hold no pixel that counts')}",
        error="NothingChosen",
    )
