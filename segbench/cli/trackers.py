"""Where else a suite's progress goes: a file of JSON lines, TensorBoard, MLflow; all fed from the same events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from segbench.cli.output import plain
from segbench.engine.events import EpochEnded, Event, Observer, RunEnded, RunStarted
from segbench.errors import StoreError, UsageError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_NO_FIGURES = ("epoch", "step")
"""What of a line of the learning curve is where it stands, not what was measured."""


@contextmanager
def tracking(
    observer: Observer,
    *,
    suite: str,
    events: Path | None = None,
    tensorboard: Path | None = None,
    mlflow: str | None = None,
) -> Iterator[Observer]:
    """Give an observer that tells another one and every tracker that is asked for.

    Args:
        observer: Told first.
        suite: The suite's name, under which trackers file its runs.
        events: A file that every event is appended to, as JSON.
        tensorboard: Folder of TensorBoard's files.
        mlflow: Address or folder of MLflow's tracking store.

    Raises:
        UsageError: A tracker is not installed, or its place cannot be used.
    """
    with ExitStack() as open_trackers:
        told: list[Observer] = [observer]
        if events is not None:
            told.append(EventLog(open_trackers.enter_context(_appending(events))))
        if tensorboard is not None:
            board = TensorBoard(tensorboard / suite)
            open_trackers.callback(board.close)
            told.append(board)
        if mlflow is not None:
            told.append(MLflow(mlflow, suite))

        def tell(event: Event) -> None:
            for each in told:
                each(event)

        yield tell


class EventLog:
    """Writes every event as one line of JSON: ``time`` (ISO 8601, UTC), ``event`` (its kind) and its fields."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def __call__(self, event: Event) -> None:
        """Write an event, so that it is in the file before the next one happens."""
        facts = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": type(event).__name__}
        self.stream.write(json.dumps(facts | plain(asdict(event)), ensure_ascii=False, allow_nan=False) + "\n")
        self.stream.flush()


class TensorBoard:
    """Shows each run's learning curve, and its score in the end, in TensorBoard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writers: dict[str, SummaryWriter] = {}
        try:
            import torch.utils.tensorboard  # noqa: F401 - tells now whether it is there
        except ImportError:
            raise UsageError("--tensorboard needs TensorBoard: pip install 'segbench[tensorboard]'") from None

    def __call__(self, event: Event) -> None:
        """Write what the event adds to a curve."""
        if isinstance(event, EpochEnded):
            for name, value in _figures(event).items():
                self._writer(event.run_id).add_scalar(name, value, int(event.figures["epoch"]))
        elif isinstance(event, RunEnded):
            writer = self._writer(event.run_id)
            if event.mean_iou is not None:
                writer.add_scalar("test_mean_iou", event.mean_iou, 0)
            writer.close()
            del self._writers[event.run_id]

    def close(self) -> None:
        """Write what is left."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, run_id: str) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        if run_id not in self._writers:
            self._writers[run_id] = SummaryWriter(str(self.folder / run_id))
        return self._writers[run_id]


class MLflow:
    """Logs each run to MLflow: its learning curve as metrics, how it ended as tags."""

    def __init__(self, address: str, suite: str) -> None:
        try:
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise UsageError("--mlflow needs MLflow: pip install 'segbench[mlflow]'") from None
        self._client = MlflowClient(tracking_uri=address)
        found = self._client.get_experiment_by_name(suite)
        self._experiment = found.experiment_id if found else self._client.create_experiment(suite)
        self._runs: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        """Log what the event adds to a run."""
        if isinstance(event, RunStarted):
            tags = {"mlflow.runName": event.run_id, "model": event.label, "seed": str(event.seed)}
            self._runs[event.run_id] = self._client.create_run(self._experiment, tags=tags).info.run_id
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


def _figures(event: EpochEnded) -> dict[str, float]:
    return {name: float(value) for name, value in event.figures.items() if name not in _NO_FIGURES}


@contextmanager
def _appending(file: Path) -> Iterator[Any]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = file.open("a", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{file}: cannot be written: {error.strerror or error}") from error
    with stream:
        yield stream
