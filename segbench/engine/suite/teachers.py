"""Students wait for their teachers, and end without training if a teacher's network is not there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from segbench.config.plan import Run
from segbench.engine.launchers.local import Job
from segbench.errors import StoreError
from segbench.results.data_identity import DataIdentity
from segbench.results.record import Outcome, RunRecord, Status
from segbench.results.store import Store


def generations(jobs: Sequence[Job]) -> list[list[Job]]:
    """Return jobs by generation: those without a teacher, their students, the students of these, and so on."""
    ordered = sorted(jobs, key=lambda job: job.run.generation)
    return [list(group) for _, group in groupby(ordered, key=lambda job: job.run.generation)]


def teacher_problem(run: Run, record: RunRecord | None, data: DataIdentity | None) -> Outcome | None:
    """Return how a run ends whose teacher cannot teach it; None if it can.

    Args:
        run: A run with a teacher.
        record: The teacher's record; None if it is not stored.
        data: The data of the run; None if not known.
    """
    teacher = run.teacher
    assert teacher is not None
    name = f"its teacher {teacher.title}, seed {teacher.seed} ({teacher.id})"
    if record is None:
        return _without(f"{name} is not trained yet: do its run, too", Status.FAILED)
    status, reason = record.outcome.status, record.outcome.reason
    if status is not Status.COMPLETED:
        return _without(f"{name} {'was ' if status is Status.SKIPPED else ''}{status}: {reason}", status)
    if data is not None and record.data is not None and not data.same_data(record.data.identity):
        return _without(f"{name} was trained on other data: do its run again, too", Status.FAILED)
    return None


def check_weights(todo: Sequence[Run], store: Store) -> None:
    """Check that every finished teacher of runs to execute has kept its weights.

    Args:
        todo: The runs; a teacher among them is trained first.
        store: The store of all runs.

    Raises:
        StoreError: A teacher has no weights.
    """
    ids = {run.id for run in todo}
    teachers = {run.teacher.id: run.teacher for run in todo if run.teacher is not None and run.teacher.id not in ids}
    stored = store.find_all({run_id: teacher.identity for run_id, teacher in teachers.items()})
    for run_id in (run_id for run_id, record in stored.items() if record.outcome.status is Status.COMPLETED):
        file = store.weights_of(run_id)
        if not file.is_file():
            raise StoreError(
                f"{file}: is missing; {teachers[run_id].title} is a teacher (train.distill) whose weights were not "
                f"kept: delete the folder {run_id}, and its run is done again"
            )


def _without(reason: str, status: Status) -> Outcome:
    return Outcome(status=status, reason=reason, error="NoTeacher")
