"""Lists the suites of a results folder and the runs of each suite."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from segbench.errors import StoreError, UsageError
from segbench.results.atomic_replace import Leftover
from segbench.results.find_runs import scan
from segbench.results.record import RunRecord, Status
from segbench.results.run_files import CONFUSION_FILE, HISTORY_FILE, PREDICTIONS_FILE, RECORD_FILE, WEIGHTS_FILE
from segbench.results.speed.store import SPEED_FOLDER
from segbench.results.store import STATES_SUFFIX, SUITE_FILE
from segbench.results.training_states import StateFolder
from segbench.results.verify import verified_record


@dataclass(frozen=True)
class HeldRun:
    """A run with files in a suite's folder.

    Attributes:
        id: Its id.
        folder: Its folder; None if only training states exist.
        record: Its ``run.json``; None if there is none, or if the run is damaged.
        problem: How it is damaged.
        states: The folder of its training states; None if there are none.
    """

    id: str
    folder: Path | None
    record: RunRecord | None
    problem: str | None = None
    states: Path | None = None

    @property
    def status(self) -> str:
        """``completed``, ``skipped``, ``failed``, ``damaged`` or ``unfinished`` (only training states exist)."""
        if self.record is not None:
            return str(self.record.outcome.status)
        return "damaged" if self.folder else "unfinished"

    @property
    def completed(self) -> bool:
        """Whether the run was completed."""
        return self.record is not None and self.record.outcome.status is Status.COMPLETED

    @property
    def has(self) -> tuple[str, ...]:
        """Which files the run has besides its facts."""
        folder = self.folder
        return tuple(
            name
            for name, there in (
                ("weights", folder and (folder / WEIGHTS_FILE).is_file()),
                ("predictions", folder and (folder / PREDICTIONS_FILE).is_file()),
                ("states", self.states),
            )
            if there
        )

    @property
    def size(self) -> int:
        """Total bytes of its files."""
        return size_of(folder for folder in (self.folder, self.states) if folder)


def suite_folders(results: Path) -> list[Path]:
    """Return the suite folders below a results root, or the given folder itself if it is a suite's.

    Raises:
        StoreError: There is no such folder.
        UsageError: It is a single run's folder.
    """
    if not results.is_dir():
        raise StoreError(f"{results}: there is no such folder; expected results written by 'segbench run'")
    if _is_run(results):
        raise UsageError(f"{results}: is the folder of one run; give that of its suite, {results.absolute().parent}")
    try:
        if is_suite(results):
            return [results]
        return [path for path in sorted(results.iterdir()) if path.name[0] != "." and path.is_dir() and is_suite(path)]
    except OSError as error:
        raise StoreError(f"{results}: cannot be listed: {error.strerror or error}") from error


def is_suite(folder: Path) -> bool:
    """Return whether a folder is a suite's results folder."""
    if (folder / SUITE_FILE).is_file() or any((folder / SPEED_FOLDER).glob("*.json")):
        return True
    return any(_is_run(child) or _holds_states(child) for child in folder.iterdir() if child.is_dir())


def held_runs(suite: Path) -> list[HeldRun]:
    """Return the runs of a suite's folder, ordered by id; each is checked as far as possible without its data.

    Raises:
        StoreError: The folder cannot be listed.
    """
    saved = {_run_of_states(child): child for child in sorted(suite.iterdir()) if _holds_states(child)}
    kept = {run_id: folder for run_id, folder in saved.items() if StateFolder(folder).files()}
    found = {}
    for folder in (run.folder for run in scan(suite)):
        leftover = Leftover.parse(folder)
        run_id = leftover.name if leftover else folder.name
        if folder.parent == suite:
            found[run_id] = _held(run_id, folder, kept.get(run_id))
    alone = {run_id: HeldRun(run_id, None, None, states=folder) for run_id, folder in kept.items()}
    return [run for _, run in sorted((alone | found).items())]


def size_of(folders: Iterable[Path]) -> int:
    """Return the total bytes of all files in folders."""
    files = (file for folder in folders for file in folder.rglob("*"))
    return sum(file.stat().st_size for file in files if file.is_file())


def _held(run_id: str, folder: Path, states: Path | None) -> HeldRun:
    try:
        return HeldRun(run_id, folder, verified_record(folder, run_id, every_file=False), states=states)
    except StoreError as error:
        return HeldRun(run_id, folder, None, str(error), states)


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (RECORD_FILE, CONFUSION_FILE, HISTORY_FILE))


def _run_of_states(folder: Path) -> str:
    return folder.name[1:].removesuffix(STATES_SUFFIX)


def _holds_states(folder: Path) -> bool:
    return folder.name.startswith(".") and folder.name.endswith(STATES_SUFFIX)
