"""What a machine of a Ray cluster does: one run, stored in a folder that all machines share, or sent back."""

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
"""Of what happens meanwhile, a run sends its progress once: each message goes over the network."""


@dataclass(frozen=True)
class SharedFolder:
    """A folder of results that all machines see under the same path.

    Attributes:
        results: The path.
        sign: A file in the suite's folder, by which a machine knows that it sees the one that is meant.
    """

    results: Path
    sign: str


@dataclass(frozen=True)
class RayTask:
    """A run that some machine is to do.

    Attributes:
        run: The run as JSON values, so that its identity follows from the files of that machine.
        identity: What that has to come to.
        number: Its position among the runs to be done, from 1.
        total: How many these are.
        place: Device and cores.
        shared: Where it is stored; None when it is sent back.
        checks: What is known of the suite's splits, by their key.
    """

    run: dict[str, Any]
    identity: str
    number: int
    total: int
    place: Place
    shared: SharedFolder | None
    checks: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RayResult:
    """What a machine of the cluster sends back.

    Attributes:
        node: Ray's id of the machine.
        host: Its name.
        record: The run's record; None when it could not be done there.
        content: The run's folder as a zip archive; None when it is stored already.
        error: What the person has to mend before that machine can do it.
    """

    node: str
    host: str
    record: RunRecord | None = None
    content: bytes | None = None
    error: SegbenchError | None = None


class Mailbox:
    """An actor beside the command, where all runs leave what happens to them, and the command looks for it."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def put(self, event: Event) -> None:
        """Leave an event."""
        self._events.append(event)

    def take(self) -> list[Event]:
        """Return what was left since the last time."""
        taken, self._events = self._events, []
        return taken

    def all_is_in(self) -> None:
        """Return once all that the caller has put is in: an actor does one thing after the other."""


class Sender:
    """Leaves a run's events in the mailbox; it waits for nothing but, in the end, their arrival."""

    def __init__(self, mailbox: Any) -> None:
        self.mailbox = mailbox
        self._told = -PROGRESS_SECONDS

    def __call__(self, event: Event) -> None:
        """Send an event; progress only now and then."""
        if isinstance(event, Progress):
            if time.monotonic() - self._told < PROGRESS_SECONDS:
                return
            self._told = time.monotonic()
        self.mailbox.put.remote(event)

    def finish(self) -> None:
        """Wait until all has arrived."""
        import ray

        ray.get(self.mailbox.all_is_in.remote())


def do_run(order: RayTask, mailbox: Any) -> RayResult:
    """Do one run on whatever machine this is."""
    import ray

    here, send = RayResult(ray.get_runtime_context().get_node_id(), socket.gethostname()), Sender(mailbox)
    try:
        return _carried_out(order, send, here)
    except SegbenchError as error:
        return replace(here, error=error)
    finally:
        send.finish()


def _carried_out(order: RayTask, send: Sender, here: RayResult) -> RayResult:
    """Do a run; return its record and its folder, unless that lies where the others' do.

    Raises:
        UsageError: This machine has not the files or the folder of the one that gave the command.
        RunInterrupted: The deadline has passed.
        SegbenchError: The run cannot be done here, for want of its data for example.
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
            raise RunInterrupted("was not begun in time")
        announce(Job(run, order.number, order.total), send)
        if order.shared:
            return replace(here, record=_performed(run, store, order, send, stop))
        with _state_lost():
            record = _performed(run, store, order, send, stop)
        return replace(here, record=record, content=packed(store.folder_of(run.id)))


def _performed(run: Run, store: Store, order: RayTask, send: Sender, stop: Stop) -> RunRecord:
    """Do a run on the order's device, with its share of this machine's memory."""
    from segbench.engine.run.execute import execute_run

    place = order.place
    beside = max(1, (os.cpu_count() or 1) // (place.cores or 1))  # as many may be under way on this machine
    job = within(Job(run, order.number, order.total), memory_room(beside))
    return execute_run(
        job.run,
        store,
        device=place.device,
        cores=place.cores,
        stop=stop,
        runs_at_once=beside if place.device == "cpu" else place.runs_at_once,
        observer=send,
    )


@contextmanager
def _state_lost() -> Iterator[None]:
    """Correct what an interrupted run reports where its store is temporary: the state it saved is deleted with it.

    Raises:
        RunInterrupted: Says where the run stopped, and that it begins anew.
    """
    try:
        yield
    except RunInterrupted as stopped:
        lost = "it begins anew: only with --shared-results is its state kept"
        raise RunInterrupted(f"{stopped.where}; {lost}") from None


@contextmanager
def _opened_store(order: RayTask, suite: str) -> Iterator[Store]:
    """Give the shared store, or one that is gone when the run has been sent back.

    Raises:
        UsageError: This machine sees another folder under the shared one's path.
    """
    shared = order.shared
    if shared is None:
        with tempfile.TemporaryDirectory() as name:
            store = Store(Path(name), suite)
            add_checks(store.folder, order.checks)
            yield store
        return
    store = Store(shared.results, suite)
    if not (store.folder / shared.sign).is_file():
        raise UsageError(
            f"--shared-results: on {socket.gethostname()}, {shared.results} is not the folder of the machine that gave "
            "the command; mount it there under the same path, or leave --shared-results out"
        )
    yield store


def packed(folder: Path) -> bytes:
    """Return a folder as a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return stream.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Put what ``packed`` returned into a folder."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
