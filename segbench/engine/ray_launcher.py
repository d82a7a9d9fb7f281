"""Spreads a suite's runs over a Ray cluster: every run is a task with declared CPUs and GPUs, done again when lost."""

from __future__ import annotations

import io
import os
import socket
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segbench.config.plan import Run
from segbench.engine.events import EpochEnded, Event, Notice, Observer
from segbench.engine.launchers import Do, Job, Place, announce, memory_room, within
from segbench.engine.records import record_death, tell_end
from segbench.errors import SegbenchError, UsageError
from segbench.results.record import RunRecord
from segbench.results.store import RECORD_FILE, Store, read_record

RETRIES = 3
"""How often a run is begun again whose machine or process was lost."""


@dataclass(frozen=True)
class Done:
    """What a machine of the cluster sends back.

    Attributes:
        content: The run's folder as a zip archive; None when the run could not be done there.
        error: What the person has to mend.
        events: What happened that others than a progress bar want to know.
    """

    content: bytes | None
    error: SegbenchError | None
    events: tuple[Event, ...]


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

    def __call__(self, jobs: Sequence[Job], do: Do, observer: Observer) -> Iterator[RunRecord]:  # noqa: ARG002
        """Do all jobs on the cluster, none here.

        Raises:
            UsageError: Ray is not installed, there is no such cluster, or none of its machines has what a run is given.
            SegbenchError: Some machine cannot do a run, for want of its data for example; the other runs are done.
        """
        ray = _joined(self.address)
        self._check_resources(ray)
        place = Place("cuda" if self.gpus else "cpu", self.cpus)
        # A worker of its own for each run, as elsewhere. Ray's own retries would go on for ever when memory runs out.
        task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=0, max_calls=1)(_remote)

        def submit(job: Job) -> Any:
            return task.remote(job.run.model_dump(mode="json"), job.run.identity, place)

        for job in jobs:
            announce(job, observer)
        waiting = {submit(job): job for job in jobs}
        lost = dict.fromkeys((job.run.id for job in jobs), 0)
        wrong: list[SegbenchError] = []
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(ready)
            try:
                done: Done = ray.get(ready)
            except _lost_errors(ray) as error:
                lost[job.run.id] += 1
                if lost[job.run.id] > RETRIES:
                    yield self._failed(job, f"its machine or process was lost {lost[job.run.id]} times", observer)
                    continue
                observer(Notice(f"{job.run.id}: its machine or process was lost ({type(error).__name__}); begun again"))
                waiting[submit(job)] = job
            except ray.exceptions.RayError as error:
                yield self._failed(job, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", observer)
            else:
                if done.error is None:
                    yield self._received(job, done, observer)
                else:
                    wrong.append(done.error)
        if wrong:
            raise wrong[0]

    def _check_resources(self, ray: Any) -> None:
        """Refuse what no machine of the cluster can ever give: Ray would wait for one that can.

        Raises:
            UsageError: Says what was asked for.
        """
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise UsageError(f"--gpus-per-run {self.gpus:g}: a part of a GPU, or a whole number of them")
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(node.get("CPU", 0) >= self.cpus and node.get("GPU", 0) >= self.gpus for node in nodes):
            most = ", ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
            raise UsageError(
                f"--cpus-per-run {self.cpus} --gpus-per-run {self.gpus:g}: no machine of the cluster has that many; "
                f"they have {most or 'nothing'}"
            )

    def _received(self, job: Job, done: Done, observer: Observer) -> RunRecord:
        """Put a run's folder into the store."""
        for event in done.events:
            observer(event)
        assert done.content is not None
        with self.store.writing(job.run.id) as folder, zipfile.ZipFile(io.BytesIO(done.content)) as archive:
            archive.extractall(folder)
        record = read_record(self.store.folder_of(job.run.id) / RECORD_FILE)
        tell_end(record, self.store, observer)
        return record

    def _failed(self, job: Job, reason: str, observer: Observer) -> RunRecord:
        record = record_death(job.run, self.store, reason)
        tell_end(record, self.store, observer)
        return record


def _lost_errors(ray: Any) -> tuple[type[Exception], ...]:
    """Return what Ray raises when a machine, a process or what it was about to send back is gone."""
    errors = ray.exceptions
    return errors.NodeDiedError, errors.WorkerCrashedError, errors.ObjectLostError, errors.OutOfMemoryError


def _joined(address: str | None) -> Any:
    """Return Ray, joined to the cluster at an address, or to one that is started here.

    Raises:
        UsageError: Ray is not installed, or nothing answers.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("--launcher ray needs Ray: pip install 'segbench[ray]'") from None
    if not ray.is_initialized():
        _check_address(address)
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UsageError(f"--address {address}: no Ray cluster answers there: {error}") from None
    return ray


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


def _remote(document: dict[str, Any], identity: str, place: Place) -> Done:
    """Do one run on whatever machine this is."""
    from segbench.engine.run import perform

    run, host = Run.model_validate(document), socket.gethostname()
    if run.identity != identity:
        differ = f"{run.id}: on {host}, its weights or the source of its python: module are not those of this machine"
        return Done(None, UsageError(differ), ())
    told: list[Event] = []
    beside = max(1, (os.cpu_count() or 1) // (place.threads or 1))  # as many may be under way on this machine
    run = within(Job(run, 1, 1), memory_room(beside)).run
    with tempfile.TemporaryDirectory() as name:
        store = Store(Path(name), run.suite)
        try:
            perform(run, store, device=place.device, threads=place.threads, observer=told.append)
        except SegbenchError as error:
            return Done(None, error, ())
        content = _packed(store.folder_of(run.id))
    return Done(content, None, tuple(event for event in told if isinstance(event, EpochEnded | Notice)))


def _packed(folder: Path) -> bytes:
    """Return a folder as a zip archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return packed.getvalue()
