"""Reuses results: a tuned run whose chosen recipe is the shared one copies the result of that run."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segbench.config.plan import Run
from segbench.engine.run.record import part_in_tuning
from segbench.results.data_identity import DataIdentity
from segbench.results.record import RunRecord, Status
from segbench.results.run_files import RECORD_FILE
from segbench.results.store import Store, readable_folder, write_record


@dataclass(frozen=True)
class Twin:
    """A finished run that agrees with another one in everything that affects the result.

    Attributes:
        run: The run.
        record: Its record.
    """

    run: Run
    record: RunRecord


def twins_of(
    runs: Iterable[Run], among: Iterable[Run], store: Store, data: Mapping[str, DataIdentity]
) -> dict[str, Twin]:
    """Return the finished twins of tuned runs that would only repeat them, by id of the tuned run.

    Args:
        runs: The runs to execute.
        among: All runs of the suite.
        store: Their store.
        data: Hashes that identify the current data, by run id; a run on other data is no twin.
    """
    tuned = [run for run in runs if run.role == "tuned"]
    identical = {_work(run): run for run in among if run.role is None} if tuned else {}
    pairs = {run.id: (run, identical[_work(run)]) for run in tuned if _work(run) in identical}
    stored = store.find_all({other.id: other.identity for _, other in pairs.values()})
    return {
        run_id: Twin(other, record)
        for run_id, (run, other) in pairs.items()
        if (record := stored.get(other.id)) is not None
        and record.outcome.status is Status.COMPLETED
        and record.data is not None
        and (now := data.get(run.id)) is not None
        and now.same_data(record.data.identity)
    }


def take_over(run: Run, twin: Twin, store: Store) -> RunRecord:
    """Store a copy of a twin's result for a run; times are the twin's.

    Raises:
        StoreError: The run cannot be written.
    """
    record = twin.record.model_copy(
        update={
            "id": run.id,
            "label": run.label,
            "point": run.point,
            "identity": run.identity,
            "protocol_id": run.protocol_id,
            "recipe": run.protocol,
            "tuning": part_in_tuning(run),
        }
    )
    target = store.folder_of(twin.run.id)
    source = readable_folder(target) or target
    with store.writing(run.id) as folder:
        for file in sorted(source.rglob("*")):
            if file.is_file() and file.name != RECORD_FILE:
                copy = folder / file.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)  # copytree would hide a full disk behind a generic error
        return write_record(folder, record)


def _work(run: Run) -> tuple[str, str, int]:
    """Return the run without its role in a tuning."""
    return run.model.model_dump_json(), run.data_key, run.seed
