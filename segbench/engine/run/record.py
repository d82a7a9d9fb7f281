"""Builds, stores and reports the record of a run; needs no torch, so it also works for runs that never started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from segbench.config.plan import Run, Tuned, source_digest
from segbench.config.titles import titled, with_fold, with_point, with_teacher
from segbench.engine.events import Observer, RunEnded
from segbench.errors import BrokenExchangeError
from segbench.metrics.scores import score
from segbench.results.arrays.matrices import load_matrices
from segbench.results.environment import capture
from segbench.results.record import (
    DataFacts,
    FoldFacts,
    ModelFacts,
    Outcome,
    RunRecord,
    Status,
    TeacherFacts,
    Timings,
    TuningFacts,
)
from segbench.results.run_files import CONFUSION_FILE
from segbench.results.store import Store, write_record


def build_record(
    run: Run,
    outcome: Outcome,
    *,
    timings: Timings,
    environment: dict[str, Any],
    model: Mapping[str, Any] | None = None,
    data: DataFacts | None = None,
    found: Mapping[str, Any] | None = None,
) -> RunRecord:
    """Return the record of a run with any outcome; ``found`` holds further fields, from ``test_loss`` on."""
    return RunRecord(
        id=run.id,
        suite=run.suite,
        label=run.label,
        seed=run.seed,
        point=run.point,
        identity=run.identity,
        protocol_id=run.protocol_id,
        recipe=run.protocol,
        outcome=outcome,
        model=ModelFacts(
            name=run.model.name,
            options=run.model.settings,
            pretrained=run.model.pretrained,
            source_digest=source_digest(run.model.name),
            **(model or {}),
        ),
        data=data,
        timings=timings,
        tuning=part_in_tuning(run),
        environment=environment,
        **({"fold": part_in_folds(run), "teacher": teacher_of(run)} | dict(found or {})),
    )


def part_in_tuning(run: Run) -> TuningFacts | None:
    """Return a run's role in a tuning, for its record."""
    if run.tuning is None:
        return None
    trials = run.tuning.trials if isinstance(run.tuning, Tuned) else None
    return TuningFacts(role=run.tuning.role, values=run.tuning.values, trials=trials)


def part_in_folds(
    run: Run, *, groups: Sequence[str] | None = None, pool_fingerprint: str | None = None
) -> FoldFacts | None:
    """Return the fold that a run is tested on, for its record; None without cross-validation."""
    folds = run.recipe.dataset.folds
    if run.fold is None or folds is None:
        return None
    return FoldFacts(
        index=run.fold,
        folds=folds,
        groups=None if groups is None else tuple(groups),
        pool_fingerprint=pool_fingerprint,
    )


def teacher_of(run: Run, *, weights_digest: str | None = None) -> TeacherFacts | None:
    """Return facts about the run's teacher, for its record; None without one.

    Args:
        run: The run.
        weights_digest: SHA-256 of the teacher's tensors, if they were read.
    """
    if run.teacher is None:
        return None
    teacher = run.teacher
    return TeacherFacts(label=teacher.label, run=teacher.id, identity=teacher.identity, weights_digest=weights_digest)


def record_outcome(run: Run, store: Store, outcome: Outcome, *, seconds: float) -> RunRecord:
    """Store the record of a run of which only the outcome is known."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    record = build_record(run, outcome, timings=Timings(started=started, total_seconds=seconds), environment=capture())
    with store.writing(run.id) as folder:
        return write_record(folder, record)


def record_death(
    run: Run, store: Store, reason: str, *, traceback: str | None = None, seconds: float = 0.0
) -> RunRecord:
    """Store a Failed record for a run whose process or machine was lost."""
    outcome = Outcome(status=Status.FAILED, reason=reason, error="ProcessDied", traceback=traceback)
    return record_outcome(run, store, outcome, seconds=seconds)


def raise_if_out_of_sync(outcome: Outcome) -> None:
    """End a process that is out of sync with the other processes of its group.

    Raises:
        BrokenExchangeError: The run ended because of it.
    """
    if outcome.error == BrokenExchangeError.__name__:
        raise BrokenExchangeError(
            f"{outcome.reason}; the processes cannot go on together. The same command executes the other runs first "
            "and then resumes this one"
        )


def report_outcome(record: RunRecord, store: Store, observer: Observer) -> None:
    """Report the outcome of a run."""
    outcome, seconds, tuning = record.outcome, record.timings.total_seconds, record.tuning
    mean_iou = stored_mean_iou(record, store)
    title = titled(record.label, tuning.role, tuning.values) if tuning else record.label
    title = with_teacher(title, record.teacher.label if record.teacher is not None else None)
    title = with_point(title, record.point)
    if record.fold is not None:
        title = with_fold(title, record.fold.index, record.fold.folds)
    title = f"{title}, seed {record.seed}"
    observer(RunEnded(record.id, title, outcome.status, outcome.reason, seconds, mean_iou))


def stored_mean_iou(record: RunRecord, store: Store) -> float | None:
    """Return a completed run's mIoU."""
    if record.outcome.status is not Status.COMPLETED:
        return None
    return score(load_matrices(store.folder_of(record.id) / CONFUSION_FILE).total).mean_iou
