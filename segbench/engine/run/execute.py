"""One run, from a Run to its record: has it carried out, and says how it ended."""

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
from segbench.engine.run.record import refuse_to_go_on
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
    team: ProcessGroup = ALONE,
    stop: Stop | None = None,
    runs_at_once: int = 1,
    observer: Observer = ignore,
) -> RunRecord:
    """Do one run and store what came of it.

    A network that cannot do what is asked is Skipped; one that goes wrong is Failed. What is wrong with the suite or
    its data would meet every run, and is raised instead. Operations on the processor use the threads that the run says.

    Args:
        run: What to do.
        store: Where its folder goes.
        device: auto, cpu, cuda, cuda:N or mps.
        cores: Cores that are the run's own; None for all that this process may use.
        team: The processes that do it together, of which this is the first.
        stop: When to stop, beside the word of SIGTERM: it saves where it is then, and the next call goes on.
        runs_at_once: How many runs may share the device meanwhile, this one included.
        observer: Told of the progress.

    Raises:
        RunInterrupted: It was time to stop; nothing was stored but where it is.
        UsageError: The suite's data is missing or wrong, or there is no such device.
        TrainingError: Of several processes, only some were stopped.
    """
    chosen = use_device(device)
    stop = stop or Stop()
    with torch_threads(run.threads), stop.on_sigterm(), store.writing(run.id) as folder:
        work = RunExecution(
            run,
            folder,
            chosen,
            observer,
            states=store.states_of(run.id),
            stop=stop,
            team=team,
            checks=read_checks(store.folder),
            runs_at_once=runs_at_once,
            cores=cores,
        )
        record = work.record(agreed(attempt(work), team))
        write_record(folder, record)
    unforeseen_failure = record.outcome.traceback is not None  # it may be over the next time
    if not (run.resume.keep or unforeseen_failure):
        work.states.remove()
    return record


def join_run(run: Run, *, device: str, team: ProcessGroup) -> None:
    """Do this process's part of a run that another one leads; nothing that it writes stays.

    Raises:
        UsageError: The suite's data is missing or wrong, or there is no such device.
        TrainingError: Only some processes were stopped, or in the middle of an exchange.
        RunInterrupted: It was time to stop, as the first process says.
    """
    stop = Stop()
    with torch_threads(run.threads), stop.on_sigterm(), TemporaryDirectory() as name:
        folder = Path(name)
        states = StateFolder(folder / "none")
        work = RunExecution(run, folder, use_device(device), ignore, states=states, team=team, stop=stop)
        refuse_to_go_on(agreed(attempt(work), team))


def agreed(outcome: Outcome, team: ProcessGroup) -> Outcome:
    """Return how a run ended, once every process of a team has ended its part.

    Raises:
        TrainingError: Only some were stopped, and the others wait for them.
    """
    outcomes = team.gather_outcomes(outcome)
    stopped = [each for each in outcomes if each.reason is not None]
    broken = [each for each in stopped if each.error == BrokenExchangeError.__name__]
    if not stopped or (outcome.reason is not None and not broken):
        return outcome
    if broken:
        return outcome if outcome in broken else broken[0]
    return Outcome(status=Status.FAILED, reason=stopped[0].reason, error=TrainingError.__name__)


def attempt(work: RunExecution) -> Outcome:
    """Carry a run out and say how it ended."""
    try:
        work.carry_out()
    except ModelRefusal as refusal:
        return Outcome(status=Status.SKIPPED, reason=str(refusal), error=type(refusal).__name__)
    except (DataError, RunInterrupted, StoreError, SuiteError):
        raise
    except BrokenExchangeError as error:
        return unforeseen(error, work)
    except SegbenchError as error:
        return Outcome(status=Status.FAILED, reason=str(error), error=type(error).__name__)
    except OSError as error:
        if is_write_fault(error):
            raise
        return unforeseen(error, work)
    except Exception as error:  # one network's fault must not stop the others
        return unforeseen(error, work)
    return Outcome(status=Status.COMPLETED)


def unforeseen(error: Exception, work: RunExecution) -> Outcome:
    """Return how a run ended that met an error nobody raised on purpose."""
    return Outcome(
        status=Status.FAILED,
        reason=explain(error, work),
        error=type(error).__name__,
        traceback="".join(traceback.format_exception(error)),
    )


def explain(error: Exception, work: RunExecution) -> str:
    """Return an unforeseen error as one sentence; memory is told apart."""
    text = " ".join(str(error).split())[:500]
    if is_lone_image(error):
        text = f"{text}: batch norm met a batch of one image; {REMEDY}"
    if not is_out_of_memory(error.__cause__ or error):
        return f"{type(error).__name__}: {text}"
    train = work.run.recipe.train
    batch = train.batch_size if train else work.run.recipe.evaluate.batch_size
    return f"out of memory on {work.device} with batches of {batch} images: {text}"
