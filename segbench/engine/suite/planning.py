"""Plans all runs of a suite: trials, runs with the shared recipe, and tuned runs with the chosen recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from segbench.config.plan import Run, once_each, plan
from segbench.config.suite import Suite
from segbench.config.trials import families
from segbench.engine.run.record import stored_mean_iou
from segbench.results.choice import best_position
from segbench.results.record import Outcome, RunRecord, Status
from segbench.results.store import Store


@dataclass(frozen=True)
class PlannedRuns:
    """The runs of a suite that are known so far.

    Attributes:
        runs: Trials first, then runs with the shared recipe, then tuned runs.
        pending: Tuned runs whose values are not chosen yet, with the recipe before tuning.
        awaited: Ids of unfinished trials that these wait for.
        refusals: Outcomes of tuned runs without any scored trial, by id.
    """

    runs: tuple[Run, ...]
    pending: tuple[Run, ...] = ()
    awaited: frozenset[str] = frozenset()
    refusals: dict[str, Outcome] = field(default_factory=dict)

    @property
    def shown(self) -> tuple[Run, ...]:
        """The runs in reports: all except trials."""
        return tuple(run for run in self.runs if run.role != "trial")

    @property
    def outlook(self) -> str:
        """Message about tuned runs still waiting for trials."""
        tuned, trials = len(self.pending), len(self.awaited)
        return (
            f"{tuned} tuned run{'s' * (tuned > 1)} follow{'s' * (tuned == 1)} from {trials} trial{'s' * (trials > 1)}"
        )


def planned(suite: Suite, store: Store) -> PlannedRuns:
    """Return the runs of a suite; includes the tuned runs of each network whose trials have all ended.

    Raises:
        SuiteError: A grid key changes no run, or two models are identical.
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
    return PlannedRuns((*trials, *plan(suite), *once_each(tuned)), once_each(pending), frozenset(awaited), refusals)


def _refusal(trials: Sequence[RunRecord]) -> Outcome:
    """Return the outcome of tuned runs whose trials gave no score: the trials' outcome if they agree."""
    skipped = all(record.outcome.status is Status.SKIPPED for record in trials)
    reasons = [record.outcome.reason for record in trials if record.outcome.reason]
    return Outcome(
        status=Status.SKIPPED if skipped else Status.FAILED,
        reason=f"none of its trials gave a score: {next(iter(reasons), 'the labels have no labelled pixel')}",
        error="NothingChosen",
    )
