"""Sends the events of a suite to trackers: a file of JSON lines, TensorBoard, MLflow."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from segbench.cli.terminal.output import plain
from segbench.engine.events import EpochEnded, Event, Notice, Observer, RunEnded, RunStarted, RunStopped
from segbench.errors import StoreError, UsageError, typed_line

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_NO_FIGURES = ("epoch", "step")
"""Fields of an epoch that are its position, not measurements."""


@contextmanager
def tracking(
    observer: Observer,
    *,
    suite: str,
    events: Path | None = None,
    tensorboard: Path | None = None,
    mlflow: str | None = None,
) -> Iterator[Observer]:
    """Yield an observer that forwards events to another observer and to the requested trackers.

    A tracker that fails, for example because its server is down or its disk is full, is dropped with a notice. Runs
    continue.

    Args:
        observer: Receives each event first.
        suite: The suite's name, used as experiment or folder name.
        events: File to which events are appended as JSON lines.
        tensorboard: Folder of TensorBoard's files.
        mlflow: URI of MLflow's tracking store.

    Raises:
        UsageError: A tracker is not installed, or its folder or server cannot be used.
        StoreError: The file of events cannot be written.
    """
    trackers: list[Tracker] = []
    if events is not None:
        trackers.append(EventLog(_appended(events)))
    if tensorboard is not None:
        trackers.append(TensorBoard(tensorboard / suite))
    if mlflow is not None:
        trackers.append(MLflow(mlflow, suite))

    def lose(tracker: Tracker, error: Exception) -> None:
        reason = typed_line(error, most=200)
        observer(Notice(f"{tracker.name} cannot be written, and is told no more: {reason}"))

    def tell(event: Event) -> None:
        observer(event)
        for tracker in list(trackers):
            try:
                tracker(event)
            except Exception as error:  # whatever a tracker's library raises
                trackers.remove(tracker)
                lose(tracker, error)
                with suppress(Exception):
                    tracker.close()

    try:
        yield tell
    finally:
        for tracker in trackers:
            try:
                tracker.close()
            except Exception as error:
                lose(tracker, error)


class Tracker(Protocol):
    """Records events."""

    name: str
    """Name for messages."""

    def __call__(self, event: Event) -> None:
        """Record an event."""

    def close(self) -> None:
        """Flush, and mark active runs as interrupted."""


class EventLog:
    """Writes every event as one line of JSON: ``time`` (ISO 8601, UTC), ``event`` (its kind) and its fields."""

    name = "the file of --events"

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __call__(self, event: Event) -> None:
        """Write and flush an event."""
        facts = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": type(event).__name__}
        self.stream.write(json.dumps(facts | plain(asdict(event)), ensure_ascii=False, allow_nan=False) + "\n")
        self.stream.flush()

    def close(self) -> None:
        """Close the file."""
        self.stream.close()


class TensorBoard:
    """Writes the learning curve and final score of each run for TensorBoard."""

    name = "TensorBoard"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writers: dict[str, SummaryWriter] = {}
        try:
            import torch.utils.tensorboard  # noqa: F401 - tells now whether it is there
        except ImportError:
            raise UsageError("--tensorboard needs TensorBoard: pip install tensorboard") from None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--tensorboard {folder}: cannot be written: {error.strerror or error}") from None

    def __call__(self, event: Event) -> None:
        """Write the values of an event."""
        if isinstance(event, EpochEnded):
            for name, value in _figures(event).items():
                self._writer(event.run_id).add_scalar(name, value, int(event.figures["epoch"]))
        elif isinstance(event, RunEnded):
            if event.mean_iou is not None:
                self._writer(event.run_id).add_scalar("test_mean_iou", event.mean_iou, 0)
            self._close(event.run_id)
        elif isinstance(event, RunStopped):
            self._close(event.run_id)

    def _close(self, run_id: str) -> None:
        """Close the writer of a run."""
        if run_id in self._writers:
            self._writers.pop(run_id).close()

    def close(self) -> None:
        """Close all writers."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, run_id: str) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        if run_id not in self._writers:
            self._writers[run_id] = SummaryWriter(str(self.folder / run_id))
        return self._writers[run_id]


class MLflow:
    """Logs each run to MLflow: the learning curve as metrics, the outcome as status and tags."""

    name = "MLflow"

    def __init__(self, address: str, suite: str) -> None:
        try:
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise UsageError("--mlflow needs MLflow: pip install mlflow-skinny alembic sqlalchemy") from None
        self._runs: dict[str, str] = {}
        try:
            self._client = MlflowClient(tracking_uri=address)
            found = self._client.get_experiment_by_name(suite)
            self._experiment = found.experiment_id if found else self._client.create_experiment(suite)
        except Exception as error:  # MLflow's own, and those of the libraries that it reaches its store with
            raise UsageError(f"--mlflow {address}: cannot be used: {typed_line(error, most=300)}") from None

    def __call__(self, event: Event) -> None:
        """Log the values of an event."""
        if isinstance(event, RunStarted):
            if event.run_id in self._runs:  # begun again, after its machine was lost
                return
            self._runs[event.run_id] = self._interrupted(event.run_id) or self._new(event)
        elif isinstance(event, EpochEnded) and event.run_id in self._runs:
            for name, value in _figures(event).items():
                self._client.log_metric(self._runs[event.run_id], name, value, step=int(event.figures["epoch"]))
        elif isinstance(event, RunEnded) and event.run_id in self._runs:
            run = self._runs.pop(event.run_id)
            if event.mean_iou is not None:
                self._client.log_metric(run, "test_mean_iou", event.mean_iou)
            if event.reason:
                self._client.set_tag(run, "reason", event.reason)
            self._client.set_terminated(run, "FINISHED" if event.status == "completed" else "FAILED")
        elif isinstance(event, RunStopped) and event.run_id in self._runs:
            self._client.set_terminated(self._runs.pop(event.run_id), "KILLED")

    def _interrupted(self, run_id: str) -> str | None:
        """Reopen an interrupted run of this name and return its MLflow id; None if there is none."""
        named = f"tags.mlflow.runName = '{run_id}'"
        for run in self._client.search_runs([self._experiment], filter_string=named):
            if run.info.status in ("RUNNING", "KILLED"):
                self._client.update_run(run.info.run_id, status="RUNNING")
                return str(run.info.run_id)
        return None

    def _new(self, event: RunStarted) -> str:
        tags = {"mlflow.runName": event.run_id, "model": event.label, "seed": str(event.seed)}
        return str(self._client.create_run(self._experiment, tags=tags).info.run_id)

    def close(self) -> None:
        """Mark active runs as killed."""
        for run in self._runs.values():
            self._client.set_terminated(run, "KILLED")
        self._runs.clear()


def _figures(event: EpochEnded) -> dict[str, float]:
    return {name: float(value) for name, value in event.figures.items() if name not in _NO_FIGURES}


def _is_torn(file: Path) -> bool:
    """Return whether a file's last line is incomplete, as after a crash; False for pipes."""
    try:
        if not file.is_file() or not file.stat().st_size:
            return False
        with file.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read() != b"\n"
    except OSError:
        return False


def _appended(file: Path) -> TextIO:
    """Open a file for appending; completes a torn last line first.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torn = _is_torn(file)
        stream = file.open("a", encoding="utf-8")
        if torn:
            stream.write("\n")
        return stream
    except OSError as error:
        raise StoreError(f"{file}: cannot be written: {error.strerror or error}") from error
