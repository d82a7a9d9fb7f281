"""Spreads a suite's runs over a Ray cluster: every run is a task with declared CPUs and GPUs, done again when lost."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from segbench.engine.events import Event, Notice, Observer, RunStopped
from segbench.engine.launchers.local import Do, Job, Place
from segbench.engine.launchers.ray_worker import Mailbox, RayResult, RayTask, SharedFolder, do_run, unpack
from segbench.engine.launchers.time_limit import GRACE_SECONDS
from segbench.engine.run.record import record_death, tell_end
from segbench.engine.stopping import NEVER, Stop
from segbench.errors import RunInterrupted, SegbenchError, StoreError, TrainingError, UsageError
from segbench.results.data_checks import read_checks
from segbench.results.files import storing, temporary_path
from segbench.results.record import RunRecord
from segbench.results.store import RECORD_FILE, Store, read_record

RETRIES = 3
"""How often a run is begun again whose machine or process was lost."""

LOOK_SECONDS = 0.5
"""Between two looks into the mailbox."""

APPEARS_SECONDS = 60.0
"""How long what another machine has stored may take to be seen here: network file systems keep what they saw before."""


@dataclass(frozen=True)
class RayLauncher:
    """Has runs done by a Ray cluster.

    Attributes:
        store: Where results go, on this machine.
        address: The cluster's; None starts one on this machine.
        cpus: Cores that a run is given; how many threads it computes with is the suite's ``threads``.
        gpus: GPUs that a run is given.
        shared: Whether all machines see the store under its path. Runs are stored there then, and one that is begun
            again goes on from where it last saved; else they are sent back through Ray when they end.
        stop: When to stop. At its deadline, runs under way end by themselves. At SIGTERM, this process cancels them.
    """

    here: ClassVar[bool] = False
    sharing: ClassVar[float] = 1.0
    store: Store
    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0
    shared: bool = False
    stop: Stop = NEVER

    def __call__(self, jobs: Sequence[Job], do: Do, observer: Observer) -> Iterator[RunRecord]:  # noqa: ARG002
        """Do all jobs on the cluster, none here.

        Raises:
            UsageError: Ray is not installed, there is no such cluster, or none of its machines has what a run is given.
            SegbenchError: No machine can do a run, for want of its data for example, or its results do not arrive; the
                other runs are done.
            TrainingError: Nothing can be received from the cluster any more.
        """
        ray = _joined(self.address)
        self._check_resources(ray)
        wrong: list[SegbenchError] = []
        checks = read_checks(self.store.folder)
        with self._sign() as shared, _Tasks(ray, self.cpus, self.gpus, shared, checks, self.stop.deadline) as tasks:
            for job in jobs:
                tasks.submit(job)
            while tasks.waiting and not self._over:
                ready = tasks.ended()
                for event in tasks.events():
                    observer(event)
                for job, done in ready:
                    if isinstance(done, Exception):
                        if (reason := tasks.begin_again(job, done, observer)) is not None:
                            yield self._failed(job, reason, observer)
                    elif done.record is not None and self._received(job, done, done.record, wrong):
                        tell_end(done.record, self.store, observer)
                        yield done.record
                    elif isinstance(done.error, RunInterrupted):
                        observer(RunStopped(job.run.id, job.run.title, str(done.error)))
                    elif done.error is not None and not tasks.try_elsewhere(job, done, observer):
                        wrong.append(done.error)
        if wrong:
            raise wrong[0]

    @property
    def _over(self) -> bool:
        """Whether no run is waited for any more: told to end, or so long after the deadline that they should have."""
        left = self.stop.deadline
        return self.stop.terminated or (left is not None and time.time() > left + GRACE_SECONDS)

    @contextmanager
    def _sign(self) -> Iterator[SharedFolder | None]:
        """Put a file into a shared store, by which other machines know it, for as long as the context lasts."""
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
        """Refuse what no machine of the cluster can ever give: Ray would wait for one that can.

        Raises:
            UsageError: Says what was asked for.
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
        """Put a run's folder into the store, unless it is there already; what went wrong is added to the rest."""
        if done.content is not None:
            with self.store.writing(job.run.id) as folder:
                unpack(done.content, folder)
        elif not self._appears(record):
            text = f"was stored by {done.host}, and is not seen here after {APPEARS_SECONDS:g} seconds"
            folder = self.store.folder_of(record.id)
            wrong.append(StoreError(f"{folder}: {text}; is it a folder that all share, as --shared-results says?"))
            return False
        return True

    def _appears(self, record: RunRecord) -> bool:
        """Wait for what another machine has stored; a network file system may show an older state for a while."""
        until = time.monotonic() + APPEARS_SECONDS
        file = self.store.folder_of(record.id) / RECORD_FILE
        while not file.exists() or read_record(file).timings != record.timings:
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def _failed(self, job: Job, reason: str, observer: Observer) -> RunRecord:
        record = record_death(job.run, self.store, reason)
        tell_end(record, self.store, observer)
        return record


@dataclass
class _Tasks:
    """The tasks of a suite's runs, and what they send.

    Attributes:
        ray: The module, joined to a cluster.
        cpus: Cores of a task.
        gpus: GPUs of a task.
        shared: Where runs are stored; None when they are sent back.
        checks: What is known of the suite's splits, by their key.
        deadline: When runs have to stop, in seconds since the epoch.
        waiting: The jobs that are not done, by what Ray calls their results.
        lost: How often each run's machine or process was lost, by its id.
        tried: The machines that could not do a run, by its id.
        pinned: The machine that such a run is kept for then.
    """

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
        # A worker of its own for each run, as elsewhere. Ray's own retries would go on for ever when memory runs out.
        options = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_retries": 0, "max_calls": 1}
        self._task = self.ray.remote(**options)(do_run)
        here = self.ray.get_runtime_context().get_node_id()
        self._mailbox = self.ray.remote(num_cpus=0, scheduling_strategy=self._on(here))(Mailbox).remote()
        return self

    def __exit__(self, *_: object) -> None:
        """End what is still under way, after Ctrl-C or an error here."""
        for task in self.waiting:
            self.ray.cancel(task, force=True)
        self.ray.kill(self._mailbox)

    def submit(self, job: Job, node: str | None = None) -> None:
        """Have a job done by whatever machine has room for it, or by a certain one."""
        sharing = max(1, int(1 / self.gpus)) if self.gpus else 1  # of cores, the machine itself knows
        device = "cuda" if self.gpus else "cpu"
        run, place = job.run, Place(device, self.cpus, deadline=self.deadline, runs_at_once=sharing)
        order = RayTask(
            run.model_dump(mode="json"), run.identity, job.number, job.total, place, self.shared, self.checks
        )
        task = self._task if node is None else self._task.options(scheduling_strategy=self._on(node))
        self.waiting[task.remote(order, self._mailbox)] = job

    def ended(self) -> list[tuple[Job, RayResult | Exception]]:
        """Wait a moment; return the jobs that have ended meanwhile, each with what came of it, or what Ray raised."""
        tasks, _ = self.ray.wait(list(self.waiting), num_returns=1, timeout=LOOK_SECONDS)
        return [(self.waiting.pop(task), self._result(task)) for task in tasks]

    def events(self) -> list[Event]:
        """Return what the runs have sent since the last time.

        Raises:
            TrainingError: Nothing can be received any more.
        """
        try:
            events: list[Event] = self.ray.get(self._mailbox.take.remote())
        except self.ray.exceptions.RayError as error:
            raise TrainingError(
                f"Ray has lost what runs tell of themselves through ({type(error).__name__}); the same command goes on"
            ) from None
        return events

    def try_elsewhere(self, job: Job, done: RayResult, observer: Observer) -> bool:
        """Have a job that one machine cannot do done by another one; return whether there is any."""
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

    def begin_again(self, job: Job, error: Exception, observer: Observer) -> str | None:
        """Have a job done again whose machine or process was lost; return why it is not, where it is not."""
        if not isinstance(error, _lost_errors(self.ray)):
            return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        times = self.lost[job.run.id] = self.lost.get(job.run.id, 0) + 1
        if times > RETRIES:
            return f"its machine or process was lost {times} times"
        observer(Notice(f"{job.run.id}: its machine or process was lost ({type(error).__name__}); begun again"))
        self.submit(job)
        return None

    def _on(self, node: str) -> Any:
        """Return the strategy that keeps something on one machine."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node, soft=False)

    def _result(self, task: Any) -> RayResult | Exception:
        try:
            done: RayResult = self.ray.get(task)
        except self.ray.exceptions.RayError as error:
            found: Exception = error
            return found
        return done


def able_nodes(ray: Any, cpus: int, gpus: float) -> list[dict[str, Any]]:
    """Return the machines of a cluster that have what a run is given."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    return [n for n in alive if n["Resources"].get("CPU", 0) >= cpus and n["Resources"].get("GPU", 0) >= gpus]


def _lost_errors(ray: Any) -> tuple[type[Exception], ...]:
    """Return what Ray raises when a machine, a process or what it was about to send back is gone."""
    errors = ray.exceptions
    lost = errors.NodeDiedError, errors.WorkerCrashedError, errors.ObjectLostError, errors.OutOfMemoryError
    return *lost, errors.TaskUnschedulableError  # the machine that it was kept for is gone


def _joined(address: str | None) -> Any:
    """Return Ray, joined to the cluster at an address, or to one that is started here.

    Raises:
        UsageError: Ray is not installed, or nothing answers.
    """
    with _sigterm_kept():
        try:
            import ray
        except ImportError:
            raise UsageError("--launcher ray needs Ray: pip install ray") from None
        if not ray.is_initialized():
            _check_address(address)
            try:
                ray.init(address=address or "local", log_to_driver=False, configure_logging=False)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise UsageError(f"--address {address}: no Ray cluster answers there: {error}") from None
    return ray


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Restore the handler of SIGTERM after a block: Ray installs one that exits at once, with nothing reported.

    Only a process's first thread can set handlers, so in other threads Ray installs none.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:  # None: not set by Python
            signal.signal(signal.SIGTERM, before)


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
