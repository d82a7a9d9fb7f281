"""Executes one run and converts errors to the outcome in its record."""

from __future__ import annotations

import traceback
from pathlib import Path
from tempfile import TemporaryDirectory

from segbench.config.plan import Run
from segbench.data.loading.threads import torch_threads
from segbench.engine.device import use_device
from segbench.engine.distributed import ALONE, ProcessGroup
from segbench.engine.events import Observer, ignore
from segbench.engine.out_of_memory import is_out_of_memory
from segbench.engine.run.record import raise_if_out_of_sync
from segbench.engine.run.run import RunExecution
from segbench.engine.stopping import Stop
from segbench.engine.training.lone_images import REMEDY, is_lone_image
from segbench.errors import (
    BrokenExchangeError,
    DataError,
    ModelRefusal,
    RunInterrupted,
    SegbenchError,
    StoreError,
    SuiteError,
    TrainingError,
    one_line,
)
from segbench.results.data_checks import read_checks
from segbench.results.files import is_write_fault
from segbench.results.record import Outcome, RunRecord, Status
from segbench.results.store import Store, write_record
from segbench.results.training_states import StateFolder


def execute_run(
    run: Run,
    store: Store,
    *,
    device: str = "auto",
    cores: int | None = None,
    group: ProcessGroup = ALONE,
    stop: Stop | None = None,
    runs_at_once: int = 1,
    observer: Observer = ignore,
) -> RunRecord:
    """Execute one run and store its record.

    If a network does not support what is asked, the run is Skipped; if it fails, the run is Failed. Errors of the suite
    or its data affect every run, so they are raised. CPU operations use the run's number of threads.

    Args:
        run: The run.
        store: The store for its folder.
        device: auto, cpu, cuda, cuda:N or mps.
        cores: Cores reserved for the run; None for all that this process may use.
        group: The process group that shares the run; this process is its first.
        stop: When to stop, besides SIGTERM: the run saves its state, and the next call resumes it.
        runs_at_once: Number of runs that may share the device, including this one.
        observer: Receives progress events.

    Raises:
        RunInterrupted: The run was stopped; only its training state is stored.
        UsageError: The suite's data is missing or invalid, or the device does not exist.
        TrainingError: Only some of several processes were stopped.
    """
    chosen = use_device(device)
    stop = stop or Stop()
    with torch_threads(run.threads), stop.on_signals(), store.writing(run.id) as folder:
        execution = RunExecution(
            run,
            folder,
            chosen,
            observer,
            states=store.states_of(run.id),
            stop=stop,
            group=group,
            checks=read_checks(store.folder),
            runs_at_once=runs_at_once,
            cores=cores,
            teacher_file=store.weights_of(run.teacher.id) if run.teacher is not None else None,
        )
        record = execution.record(agreed(outcome_of(execution), group))
        record = write_record(folder, record)
    unforeseen_failure = record.outcome.traceback is not None  # the problem may be gone next time
    if not (run.resume.keep or unforeseen_failure):
        execution.states.remove()
    return record


def join_run(run: Run, *, device: str, group: ProcessGroup) -> None:
    """Execute this process's part of a run that another process leads; its files are discarded.

    Raises:
        UsageError: The suite's data is missing or invalid, or the device does not exist.
        TrainingError: Only some processes were stopped, or in the middle of an exchange.
        RunInterrupted: The first process decided to stop.
    """
    stop = Stop()
    with torch_threads(run.threads), stop.on_signals(), TemporaryDirectory() as name:
        folder = Path(name)
        states = StateFolder(folder / "none")
        execution = RunExecution(run, folder, use_device(device), ignore, states=states, group=group, stop=stop)
        raise_if_out_of_sync(agreed(outcome_of(execution), group))


def agreed(outcome: Outcome, group: ProcessGroup) -> Outcome:
    """Return the outcome of a run after all processes of the group have ended.

    Raises:
        TrainingError: Only some processes were stopped, and the others wait for them.
    """
    outcomes = group.gather_outcomes(outcome)
    stopped = [each for each in outcomes if each.reason is not None]
    broken = [each for each in stopped if each.error == BrokenExchangeError.__name__]
    if not stopped or (outcome.reason is not None and not broken):
        return outcome
    if broken:
        return outcome if outcome in broken else broken[0]
    return Outcome(status=Status.FAILED, reason=stopped[0].reason, error=TrainingError.__name__)


def outcome_of(execution: RunExecution) -> Outcome:
    """Execute a run and return its outcome."""
    try:
        execution.execute()
    except ModelRefusal as refusal:
        return Outcome(status=Status.SKIPPED, reason=str(refusal), error=type(refusal).__name__)
    except (DataError, RunInterrupted, StoreError, SuiteError):
        raise
    except BrokenExchangeError as error:
        return unexpected_outcome(error, execution)
    except SegbenchError as error:
        return Outcome(status=Status.FAILED, reason=str(error), error=type(error).__name__)
    except OSError as error:
        if is_write_fault(error):
            raise
        return unexpected_outcome(error, execution)
    except Exception as error:  # an error of one network must not stop the others
        return unexpected_outcome(error, execution)
    return Outcome(status=Status.COMPLETED)


def unexpected_outcome(error: Exception, execution: RunExecution) -> Outcome:
    """Return the outcome of a run that ended with an unexpected error."""
    return Outcome(
        status=Status.FAILED,
        reason=explain(error, execution),
        error=type(error).__name__,
        traceback="".join(traceback.format_exception(error)),
    )


def explain(error: Exception, execution: RunExecution) -> str:
    """Describe an unexpected error in one sentence; out-of-memory errors get their own text."""
    text = one_line(error)
    if is_lone_image(error):
        text = f"{text}: batch norm met a batch of one image; {REMEDY}"
    if not is_out_of_memory(error.__cause__ or error):
        return f"{type(error).__name__}: {text}"
    train = execution.run.recipe.train
    batch = train.batch_size if train else execution.run.recipe.evaluate.batch_size
    what = text or type(error).__name__  # Python's own MemoryError says nothing
    return f"out of memory on {execution.device} with batches of {batch} images: {what}"
