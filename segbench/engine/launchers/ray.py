"""Runs a suite on a Ray cluster: each run is a task with declared CPUs and GPUs, restarted if it is lost."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from segbench.engine.events import Event, Notice, Observer, RunStopped
from segbench.engine.launchers.local import Job, Place, RunJob
from segbench.engine.launchers.ray_worker import Mailbox, RayResult, RayTask, SharedFolder, execute_task, unpack
from segbench.engine.launchers.time_limit import GRACE_SECONDS
from segbench.engine.run.record import record_death, report_outcome
from segbench.engine.stopping import NEVER, Stop
from segbench.errors import RunInterrupted, SegbenchError, StoreError, TrainingError, UsageError
from segbench.results.data_checks import read_checks
from segbench.results.files import storing, temporary_path
from segbench.results.record import RunRecord
from segbench.results.run_files import RECORD_FILE
from segbench.results.store import Store, read_record

RETRIES = 3
"""How often a run is restarted after its machine or process was lost."""

LOOK_SECONDS = 0.5
"""Seconds between polls of the mailbox."""

_ALONE = {"_node_ip_address": "127.0.0.1", "include_dashboard": False}
"""A cluster that is started here is for this machine: it listens on no other interface."""
APPEARS_SECONDS = 60.0
"""How long a file stored by another machine may take to appear here; network file systems cache folders."""


@dataclass(frozen=True)
class RayLauncher:
    """Executes runs on a Ray cluster.

    Attributes:
        store: The store of results on this machine.
        address: Address of the cluster; None starts one on this machine.
        cpus: Cores reserved for a run; the number of threads is set by the suite's ``threads``.
        gpus: GPUs reserved for a run.
        shared: Whether all machines see the store under the same path. Then runs are stored there directly, and a
            restarted run resumes from its last state. Otherwise results are sent back through Ray.
        stop: When to stop. At its deadline, runs stop by themselves. At SIGTERM, this process cancels them.
    """

    here: ClassVar[bool] = False
    sharing: ClassVar[float] = 1.0
    store: Store
    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0
    shared: bool = False
    stop: Stop = NEVER

    def __call__(self, jobs: Sequence[Job], run_job: RunJob, observer: Observer) -> Iterator[RunRecord]:  # noqa: ARG002
        """Execute all jobs on the cluster.

        Raises:
            UsageError: Ray is not installed, no cluster answers, or no machine has the resources that a run needs.
            SegbenchError: No machine can execute a run (its data may be missing), or its results do not arrive. Other
                runs are completed first.
            TrainingError: The connection to the cluster is lost.
        """
        ray = _joined(self.address)
        self._check_resources(ray)
        wrong: list[SegbenchError] = []
        checks = read_checks(self.store.folder)
        given = self.store, ray, self.cpus, self.gpus
        with self._sign() as shared, _Tasks(*given, shared, checks, self.stop.deadline) as tasks:
            for job in jobs:
                tasks.submit(job)
            while tasks.waiting and not self._over:
                ready = tasks.ended()
                for event in tasks.events():
                    observer(event)
                for job, done in ready:
                    if isinstance(done, Exception):
                        if (reason := tasks.restart(job, done, observer)) is not None:
                            yield self._failed(job, reason, observer)
                    elif done.record is not None and self._received(job, done, done.record, wrong):
                        report_outcome(done.record, self.store, observer)
                        yield done.record
                    elif isinstance(done.error, RunInterrupted):
                        observer(RunStopped(job.run.id, job.run.title, str(done.error)))
                    elif done.error is not None and not tasks.try_elsewhere(job, done, observer):
                        wrong.append(done.error)
        if wrong:
            raise wrong[0]

    @property
    def _over(self) -> bool:
        """Whether to stop waiting for runs: on request, or a grace period after the deadline."""
        left = self.stop.deadline
        return self.stop.terminated or (left is not None and time.time() > left + GRACE_SECONDS)

    @contextmanager
    def _sign(self) -> Iterator[SharedFolder | None]:
        """Create a marker file in a shared store, by which workers recognise it; removed at the end of the block."""
        if not self.shared:
            yield None
            return
        sign = temporary_path(self.store.folder / "shared")
        with storing(self.store.folder):
            sign.parent.mkdir(parents=True, exist_ok=True)
            sign.touch()
        try:
            yield SharedFolder(self.store.folder.parent.absolute(), sign.name)
        finally:
            sign.unlink(missing_ok=True)

    def _check_resources(self, ray: Any) -> None:
        """Refuse resources that no machine of the cluster has; Ray would wait for them forever.

        Raises:
            UsageError: No machine has the resources.
        """
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise UsageError(f"--gpus-per-run {self.gpus:g}: a part of a GPU, or a whole number of them")
        if not able_nodes(ray, self.cpus, self.gpus):
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            most = ", ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
            raise UsageError(
                f"--cpus-per-run {self.cpus} --gpus-per-run {self.gpus:g}: no machine of the cluster has that many; "
                f"they have {most or 'nothing'}"
            )

    def _received(self, job: Job, done: RayResult, record: RunRecord, wrong: list[SegbenchError]) -> bool:
        """Move a run's folder into the store, unless it is stored there already; errors are collected."""
        if done.content is not None:
            with self.store.writing(job.run.id) as folder:
                unpack(done.content, folder)
        elif not self._appears(record):
            text = f"was stored by {done.host}, and does not appear here after {APPEARS_SECONDS:g} seconds"
            folder = self.store.folder_of(record.id)
            wrong.append(StoreError(f"{folder}: {text}; is it a folder that all share, as --shared-results says?"))
            return False
        return True

    def _appears(self, record: RunRecord) -> bool:
        """Wait until a run stored by another machine appears; network file systems may lag behind."""
        until = time.monotonic() + APPEARS_SECONDS
        file = self.store.folder_of(record.id) / RECORD_FILE
        while not file.exists() or read_record(file).timings != record.timings:
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def _failed(self, job: Job, reason: str, observer: Observer) -> RunRecord:
        record = record_death(job.run, self.store, reason)
        report_outcome(record, self.store, observer)
        return record


@dataclass
class _Tasks:
    """The Ray tasks of a suite's runs and their messages.

    Attributes:
        store: The store of results on this machine.
        ray: The Ray module, connected to a cluster.
        cpus: Cores of a task.
        gpus: GPUs of a task.
        shared: The shared folder for results; None if results are sent back.
        checks: Findings of the data checks, by split key.
        deadline: When runs must stop, in seconds since the Unix epoch.
        waiting: The unfinished jobs, by Ray's object reference of their results.
        lost: How often each run's machine or process was lost, by its id.
        tried: The machines that could not execute a run, by run id.
        pinned: The machine that such a run is assigned to next, by run id.
    """

    store: Store
    ray: Any
    cpus: int
    gpus: float
    shared: SharedFolder | None
    checks: dict[str, Any]
    deadline: float | None = None
    waiting: dict[Any, Job] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    tried: dict[str, set[str]] = field(default_factory=dict)
    pinned: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> _Tasks:
        # One worker process per run, as with other launchers. Ray's own retries would never end if memory runs out.
        options = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_retries": 0, "max_calls": 1}
        self._task = self.ray.remote(**options)(execute_task)
        here = self.ray.get_runtime_context().get_node_id()
        self._mailbox = self.ray.remote(num_cpus=0, scheduling_strategy=self._on(here))(Mailbox).remote()
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel running tasks after Ctrl-C or an error."""
        for task in self.waiting:
            self.ray.cancel(task, force=True)
        self.ray.kill(self._mailbox)

    def submit(self, job: Job, node: str | None = None) -> None:
        """Submit a job to any machine with free resources, or to a given machine."""
        sharing = max(1, int(1 / self.gpus)) if self.gpus else 1  # the machine itself knows its cores
        device = "cuda" if self.gpus else "cpu"
        run, place = job.run, Place(device, self.cpus, deadline=self.deadline, runs_at_once=sharing)
        order = RayTask(
            run.model_dump(mode="json"),
            run.identity,
            job.number,
            job.total,
            place,
            self.shared,
            self.checks,
            teacher=None if run.teacher is None or self.shared else _content(self.store.weights_of(run.teacher.id)),
        )
        task = self._task if node is None else self._task.options(scheduling_strategy=self._on(node))
        self.waiting[task.remote(order, self._mailbox)] = job

    def ended(self) -> list[tuple[Job, RayResult | Exception]]:
        """Wait briefly and return the jobs that ended, each with its result or the error that Ray raised."""
        tasks, _ = self.ray.wait(list(self.waiting), num_returns=1, timeout=LOOK_SECONDS)
        return [(self.waiting.pop(task), self._result(task)) for task in tasks]

    def events(self) -> list[Event]:
        """Return the events that runs have sent since the last call.

        Raises:
            TrainingError: The mailbox is lost.
        """
        try:
            events: list[Event] = self.ray.get(self._mailbox.take.remote())
        except self.ray.exceptions.RayError as error:
            raise TrainingError(
                f"Ray has lost the actor that receives events ({type(error).__name__}); the same command resumes"
            ) from None
        return events

    def try_elsewhere(self, job: Job, done: RayResult, observer: Observer) -> bool:
        """Submit a job that one machine cannot execute to another one; return whether there is one."""
        tried = self.tried.setdefault(job.run.id, set())
        tried.add(done.node)
        others = [node["NodeID"] for node in able_nodes(self.ray, self.cpus, self.gpus) if node["NodeID"] not in tried]
        if not others:
            return False
        observer(Notice(f"{job.run.id}: {done.host} cannot do it, another machine is tried: {done.error}"))
        sent = Counter(self.pinned.values())
        node = min(others, key=lambda other: sent[other])
        self.pinned[job.run.id] = node
        self.submit(job, node)
        return True

    def restart(self, job: Job, error: Exception, observer: Observer) -> str | None:
        """Restart a job whose machine or process was lost; return the reason if it is not restarted."""
        if not isinstance(error, _lost_errors(self.ray)):
            return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        times = self.lost[job.run.id] = self.lost.get(job.run.id, 0) + 1
        if times > RETRIES:
            return f"its machine or process was lost {times} times"
        observer(Notice(f"{job.run.id}: its machine or process was lost ({type(error).__name__}); begun again"))
        self.submit(job)
        return None

    def _on(self, node: str) -> Any:
        """Return the scheduling strategy that pins a task to a machine."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node, soft=False)

    def _result(self, task: Any) -> RayResult | Exception:
        try:
            done: RayResult = self.ray.get(task)
        except self.ray.exceptions.RayError as error:
            found: Exception = error
            return found
        return done


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def able_nodes(ray: Any, cpus: int, gpus: float) -> list[dict[str, Any]]:
    """Return the machines of the cluster that have the resources of a run."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    return [n for n in alive if n["Resources"].get("CPU", 0) >= cpus and n["Resources"].get("GPU", 0) >= gpus]


def _lost_errors(ray: Any) -> tuple[type[Exception], ...]:
    """Return the errors that Ray raises if a machine, a process or its result is lost."""
    errors = ray.exceptions
    lost = errors.NodeDiedError, errors.WorkerCrashedError, errors.ObjectLostError, errors.OutOfMemoryError
    return *lost, errors.TaskUnschedulableError  # the machine that it was pinned to is gone


def _joined(address: str | None) -> Any:
    """Connect to the cluster at an address, or start one here, and return the Ray module.

    Raises:
        UsageError: Ray is not installed, or no cluster answers.
    """
    with _sigterm_kept():
        try:
            import ray
        except ImportError:
            raise UsageError("--launcher ray needs Ray: pip install ray") from None
        if not ray.is_initialized():
            _check_address(address)
            try:
                where = {"address": address} if address else {"address": "local", **_ALONE}
                ray.init(**where, log_to_driver=False, configure_logging=False)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise UsageError(f"--address {address}: no Ray cluster answers there: {error}") from None
    return ray


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Restore the SIGTERM handler after a block; Ray installs one that exits at once without a report.

    Only the main thread can set handlers, so Ray installs none in other threads.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:  # None: not set by Python
            signal.signal(signal.SIGTERM, before)


def _check_address(address: str | None) -> None:
    """Refuse an address where nothing listens; Ray would wait for minutes.

    Raises:
        UsageError: No cluster answers at the address.
    """
    host, _, port = (address or "").rpartition(":")
    if not (host and port.isdecimal()) or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=5.0).close()
    except OSError as error:
        raise UsageError(f"--address {address}: no Ray cluster answers there: {error}") from None
