"""Executes one run on a machine of a Ray cluster; stores it in a shared folder or sends it back."""

from __future__ import annotations

import io
import os
import socket
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segbench.config.plan import Run
from segbench.engine.events import Event, Progress
from segbench.engine.launchers.local import Job, Place, announce, memory_room, within
from segbench.engine.stopping import Stop
from segbench.errors import RunInterrupted, SegbenchError, UsageError
from segbench.results.data_checks import add_checks
from segbench.results.record import RunRecord
from segbench.results.store import Store

PROGRESS_SECONDS = 1.0
"""Seconds between progress messages of a run, since each goes over the network."""


@dataclass(frozen=True)
class SharedFolder:
    """A results folder that all machines see under the same path.

    Attributes:
        results: The path.
        sign: A marker file in the suite's folder, by which a machine recognises the folder.
    """

    results: Path
    sign: str


@dataclass(frozen=True)
class RayTask:
    """A run to execute on a machine of the cluster.

    Attributes:
        run: The run as JSON values, so its identity is computed from that machine's files.
        identity: The expected identity.
        number: Its number among the runs to execute, from 1.
        total: Total number of runs to execute.
        place: Device and cores.
        shared: The shared folder for results; None to send the result back.
        checks: Findings of the data checks, by split key.
        teacher: The checkpoint of the run's teacher; None without one, or if it is in the shared folder.
    """

    run: dict[str, Any]
    identity: str
    number: int
    total: int
    place: Place
    shared: SharedFolder | None
    checks: dict[str, Any] = field(default_factory=dict)
    teacher: bytes | None = None


@dataclass(frozen=True)
class RayResult:
    """The answer of a machine of the cluster.

    Attributes:
        node: Ray's id of the machine.
        host: The machine's name.
        record: The run's record; None if it could not be executed there.
        content: The run's folder as a zip archive; None if it is stored already.
        error: What the user must fix before that machine can execute the run.
    """

    node: str
    host: str
    record: RunRecord | None = None
    content: bytes | None = None
    error: SegbenchError | None = None


class Mailbox:
    """A Ray actor on the command's machine that collects the events of all runs."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def put(self, event: Event) -> None:
        """Add an event."""
        self._events.append(event)

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        taken, self._events = self._events, []
        return taken

    def all_is_in(self) -> None:
        """Return when all earlier events of the caller have arrived; an actor handles calls in order."""


class Sender:
    """Sends a run's events to the mailbox without waiting, except for their arrival at the end."""

    def __init__(self, mailbox: Any) -> None:
        self.mailbox = mailbox
        self._told = -PROGRESS_SECONDS

    def __call__(self, event: Event) -> None:
        """Send an event; progress events are throttled."""
        if isinstance(event, Progress):
            if time.monotonic() - self._told < PROGRESS_SECONDS:
                return
            self._told = time.monotonic()
        self.mailbox.put.remote(event)

    def finish(self) -> None:
        """Wait until all events have arrived."""
        import ray

        ray.get(self.mailbox.all_is_in.remote())


def execute_task(order: RayTask, mailbox: Any) -> RayResult:
    """Execute one run on this machine."""
    import ray

    here, send = RayResult(ray.get_runtime_context().get_node_id(), socket.gethostname()), Sender(mailbox)
    try:
        return _execute(order, send, here)
    except SegbenchError as error:
        return replace(here, error=error)
    finally:
        send.finish()


def _execute(order: RayTask, send: Sender, here: RayResult) -> RayResult:
    """Execute a run; return its record and, without a shared store, its folder.

    Raises:
        UsageError: This machine has other files or another folder than the machine that gave the command.
        RunInterrupted: The deadline has passed.
        SegbenchError: The run cannot be executed here, for example because its data is missing.
    """
    run, place = Run.model_validate(order.run), order.place
    if run.identity != order.identity:
        raise UsageError(
            f"{run.id}: on {here.host}, its weights or the source of its python: module are not those of "
            "the machine that gave the command"
        )
    with _opened_store(order, run.suite) as store:
        stop = Stop(place.deadline)
        if stop.due:
            raise RunInterrupted("was not started in time")
        announce(Job(run, order.number, order.total), send)
        if order.shared:
            return replace(here, record=_execute_run(run, store, order, send, stop))
        with _state_lost():
            record = _execute_run(run, store, order, send, stop)
        return replace(here, record=record, content=packed(store.folder_of(run.id)))


def _execute_run(run: Run, store: Store, order: RayTask, send: Sender, stop: Stop) -> RunRecord:
    """Execute a run on the task's device with its share of this machine's memory."""
    from segbench.engine.run.execute import execute_run

    place = order.place
    at_once = max(1, (os.cpu_count() or 1) // (place.cores or 1))  # so many runs may be running on this machine
    job = within(Job(run, order.number, order.total), memory_room(at_once))
    return execute_run(
        job.run,
        store,
        device=place.device,
        cores=place.cores,
        stop=stop,
        runs_at_once=at_once if place.device == "cpu" else place.runs_at_once,
        observer=send,
    )


@contextmanager
def _state_lost() -> Iterator[None]:
    """Correct the message of an interrupted run with a temporary store, whose training state is lost.

    Raises:
        RunInterrupted: Says where the run stopped, and that it will start again.
    """
    try:
        yield
    except RunInterrupted as stopped:
        lost = "it will start again, since its state is kept only with --shared-results"
        raise RunInterrupted(f"{stopped.where}; {lost}") from None


@contextmanager
def _opened_store(order: RayTask, suite: str) -> Iterator[Store]:
    """Yield the shared store, or a temporary one that is removed after the run is sent back.

    Raises:
        UsageError: This machine sees another folder under the shared one's path.
    """
    shared = order.shared
    if shared is None:
        with tempfile.TemporaryDirectory() as name:
            store = Store(Path(name), suite)
            add_checks(store.folder, order.checks)
            _place_teacher(order, store)
            yield store
        return
    store = Store(shared.results, suite)
    if not (store.folder / shared.sign).is_file():
        raise UsageError(
            f"--shared-results: on {socket.gethostname()}, {shared.results} is not the folder of the machine that gave "
            "the command; mount it there under the same path, or leave --shared-results out"
        )
    yield store


def _place_teacher(order: RayTask, store: Store) -> None:
    """Store the weights of a run's teacher where the run looks for them."""
    teacher = Run.model_validate(order.run).teacher
    if teacher is not None and order.teacher is not None:
        file = store.weights_of(teacher.id)
        file.parent.mkdir(parents=True)
        file.write_bytes(order.teacher)


def packed(folder: Path) -> bytes:
    """Return a folder as a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return stream.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Extract the archive that ``packed`` returned into a folder."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
