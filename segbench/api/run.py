"""Runs a suite from Python, with progress and with networks defined in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segbench.api.progress import showing
from segbench.config.reading.definitions import MAIN, found_by_other_processes, others_can_import_main
from segbench.config.suite import Suite
from segbench.engine.events import Notice, Observer, ignore
from segbench.engine.processes import ProcessDied
from segbench.engine.stopping import NEVER, Stop
from segbench.engine.suite import run_suite as launch
from segbench.engine.suite.selection import RunOrder
from segbench.errors import UsageError

if TYPE_CHECKING:
    from segbench.engine.estimate.estimate import SuiteEstimate
    from segbench.engine.launchers.local import Launcher
    from segbench.engine.suite.run_suite import SuiteOutcome


def run_suite(  # noqa: PLR0913 - what is done, where, by whom, in which order, until when, and how it is shown
    suite: Suite,
    *,
    results: Path | str = "results",
    models: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    only: Sequence[str] | None = None,
    device: str = "auto",
    in_process: bool | None = None,
    launcher: Launcher | None = None,
    order: RunOrder = RunOrder.SUITE,
    stop: Stop = NEVER,
    estimate: SuiteEstimate | None = None,
    progress: bool = True,
    observer: Observer | None = None,
) -> SuiteOutcome:
    """Execute all runs of a suite that are not finished yet, or those that will end in time.

    Args:
        suite: The suite.
        results: Folder of all results; the suite's folder is created in it.
        models: Labels of the models to run; all by default.
        seeds: Seeds to run; all of the suite's by default.
        only: Ids of the runs to execute, or prefixes of ids; all by default.
        device: auto, cpu, cuda, cuda:N or mps.
        in_process: Whether runs share this process. By default each has its own, unless the suite names an object
            that only this process has, such as one defined in a notebook.
        launcher: Executes the runs; by default one after another on ``device``.
        order: The order of the runs.
        stop: When to stop. Active runs then save their state; runs that would not end in time are not started.
        estimate: Estimated durations; runs without one are started as long as time is left.
        progress: Whether progress is shown: as bars in a notebook and on a terminal, elsewhere as lines.
        observer: Receives all events; replaces the progress display.

    Returns:
        The records of the selected runs, including failed and skipped ones, and the runs not executed.

    Raises:
        UsageError: The suite or its data is invalid; finished runs are kept.
        ProcessDied: The process that checks the suite died, for example without ``if __name__ == "__main__":``.
    """
    _check_loaded(suite)
    only_here = _only_here(suite, elsewhere=in_process is False or launcher is not None)
    with _naming_the_guard(), _observing(observer, progress=progress) as told:
        if only_here and in_process is None:
            told(Notice(f"{only_here}: its runs are done in this process, one after the other"))
        return launch.run_suite(
            suite,
            results=results,
            models=models,
            seeds=seeds,
            only=only,
            device=device,
            in_process=bool(in_process or only_here),
            launcher=launcher,
            order=order,
            stop=stop,
            estimate=estimate,
            observer=told,
        )


@contextmanager
def _naming_the_guard() -> Iterator[None]:
    """Add the missing-main-guard hint to the error about a process that died silently."""
    try:
        yield
    except ProcessDied as death:
        if death.traceback is not None:
            raise
        guard = "a script has to call run_suite below 'if __name__ == \"__main__\":', since its processes import it"
        raise ProcessDied(f"{death}; {guard}") from None


def _observing(observer: Observer | None, *, progress: bool) -> AbstractContextManager[Observer]:
    if observer is not None:
        return nullcontext(observer)
    return showing() if progress else nullcontext(ignore)


def _check_loaded(given: object) -> None:
    if not isinstance(given, Suite):
        kind = type(given).__name__
        raise UsageError(f"run_suite takes what load_suite returns, not a {kind}: run_suite(load_suite(...))")


def _only_here(suite: Suite, *, elsewhere: bool) -> str:
    """Return why the suite's runs must share this process; empty if they need not.

    Raises:
        UsageError: They must, but ``elsewhere`` is set.
    """
    names = [name for name in _names_in_main(suite.model_dump(mode="json")) if not found_by_other_processes(name)]
    reason = f"{names[0]} is defined in this notebook or prompt alone" if names else ""
    if not others_can_import_main():
        reason = "the script has no file that other processes could import"
    if reason and elsewhere:
        raise UsageError(f"{reason}: leave in_process and launcher out, so that its runs are done in this process")
    return reason


def _names_in_main(value: Any) -> Iterator[str]:
    """Yield the names of objects of ``__main__`` in a suite."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _names_in_main(part)
    elif isinstance(value, str) and value.startswith(f"python:{MAIN}."):
        yield value.rpartition(".")[2]
