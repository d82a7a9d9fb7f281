"""Running a suite from Python: with progress, and with networks that a notebook defines."""

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
    """Do all runs of a suite that are not done yet, or those that end in time.

    Args:
        suite: The suite.
        results: Folder of all results; the suite's own folder is made in it.
        models: Labels of the models to run; all by default.
        seeds: Seeds to run; all of the suite's by default.
        only: Ids of the runs to do, or their beginnings; all by default.
        device: auto, cpu, cuda, cuda:N or mps.
        in_process: Whether runs share this process. By default each has a process of its own, unless the suite names
            something that only this process has: what a notebook's cell defines, or a script without a file.
        launcher: Who does the runs; one after the other on ``device`` by default.
        order: In which order they are done.
        stop: When to stop. Runs under way save where they are then, and those that would not end in time are not begun.
        estimate: What runs take; the others are begun as long as time is left.
        progress: Whether progress is shown: as bars in a notebook and on a terminal, elsewhere as lines.
        observer: Told of everything that happens, in place of the progress.

    Returns:
        The records of the chosen runs, failed and skipped ones among them, and the runs that were left.

    Raises:
        UsageError: The suite or its data is wrong; nothing that was done is lost.
        ProcessDied: A process ended that was to look at the suite, such as in a script without the usual guard.
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
    """Say of a process that ended without a word what scripts forget."""
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
    """Return why the suite's runs cannot have processes of their own; empty where they can.

    Raises:
        UsageError: They cannot, and are asked to be done ``elsewhere``.
    """
    names = [name for name in _names_in_main(suite.model_dump(mode="json")) if not found_by_other_processes(name)]
    reason = f"{names[0]} is defined in this notebook or prompt alone" if names else ""
    if not others_can_import_main():
        reason = "the script has no file that other processes could import"
    if reason and elsewhere:
        raise UsageError(f"{reason}: leave in_process and launcher out, so that its runs are done in this process")
    return reason


def _names_in_main(value: Any) -> Iterator[str]:
    """Yield every name of ``__main__`` that a suite holds."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _names_in_main(part)
    elif isinstance(value, str) and value.startswith(f"python:{MAIN}."):
        yield value.rpartition(".")[2]
