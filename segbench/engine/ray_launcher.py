"""Spreads a suite's runs over a Ray cluster: every run is a task with declared CPUs and GPUs, done again when lost."""

from __future__ import annotations

import io
import socket
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segbench.config.plan import Run
from segbench.engine.events import Event, Notice, Observer, RunEnded
from segbench.engine.launchers import Do, Job, Place, announce
from segbench.errors import SegbenchError, UsageError
from segbench.results.record import RunRecord
from segbench.results.store import Store

RETRIES = 3
"""How often a run is begun again whose machine or process was lost."""


@dataclass(frozen=True)
class RayLauncher:
    """Has runs done by a Ray cluster.

    Attributes:
        store: Where results go, on this machine. Runs send theirs back through Ray, so no folder needs to be shared.
        address: The cluster's; None starts one on this machine.
        cpus: Cores that a run is given, and uses.
        gpus: GPUs that a run is given.
    """

    store: Store
    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0

    def __call__(self, jobs: Sequence[Job], do: Do, observer: Observer) -> Iterator[RunRecord]:
        """Do all jobs; ``do`` does here what was lost too often.

        Raises:
            UsageError: Ray is not installed, or there is no such cluster.
        """
        try:
            import ray
        except ImportError:
            raise UsageError("--launcher ray needs Ray: pip install 'segbench[ray]'") from None
        if not ray.is_initialized():
            _check_address(self.address)
            try:
                ray.init(address=self.address, log_to_driver=False, configure_logging=False)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise UsageError(f"--address {self.address}: no Ray cluster answers there: {error}") from None
        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=RETRIES, retry_exceptions=False)(_remote)
        place = Place("cuda" if self.gpus else "cpu", self.cpus)
        waiting: dict[Any, Job] = {}
        for job in jobs:
            announce(job, observer)
            waiting[task.remote(job.run.model_dump(mode="json"), place)] = job
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(ready)
            try:
                yield self._received(job, ray.get(ready), observer)
            except ray.exceptions.RayError as error:
                observer(Notice(f"{job.run.id}: was lost more than {RETRIES} times; it is done here: {error}"))
                yield do(job, place, observer)

    def _received(self, job: Job, content: bytes | SegbenchError, observer: Observer) -> RunRecord:
        """Put a run's folder into the store."""
        from segbench.engine.launch import stored_mean_iou
        from segbench.results.store import RECORD_FILE, read_record

        if isinstance(content, SegbenchError):
            raise content
        with self.store.writing(job.run.id) as folder, zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(folder)
        record = read_record(self.store.folder_of(job.run.id) / RECORD_FILE)
        outcome, mean_iou = record.outcome, stored_mean_iou(record, self.store)
        seconds = record.timings.total_seconds
        observer(RunEnded(record.id, record.label, outcome.status, outcome.reason, seconds, mean_iou))
        return record


def _check_address(address: str | None) -> None:
    """Refuse an address at which nothing listens: Ray itself would wait for minutes.

    Raises:
        UsageError: It is named.
    """
    host, _, port = (address or "").rpartition(":")
    if not (host and port.isdecimal()) or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=5.0).close()
    except OSError as error:
        raise UsageError(f"--address {address}: no Ray cluster answers there: {error}") from None


def _remote(document: dict[str, Any], place: Place) -> bytes | SegbenchError:
    """Do one run on whatever machine this is, and return its folder as a zip archive."""
    from segbench.engine.run import perform

    run = Run.model_validate(document)
    events: list[Event] = []
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name), run.suite)
        try:
            perform(run, store, device=place.device, threads=place.threads, observer=events.append)
        except SegbenchError as error:
            return error
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            folder = store.folder_of(run.id)
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(folder).as_posix())
        return packed.getvalue()
