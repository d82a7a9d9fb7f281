"""The steps of ``segbench run``: estimate, run, measure speed, test trained networks again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from segbench.cli.support.further_tests import SOMETHING_LEFT, FurtherTests, Request, blocks_of, execute_block
from segbench.cli.support.launch_options import LaunchOptions
from segbench.cli.support.speed_jobs import extent_of, measure_block
from segbench.cli.support.suite_file import mind_foreign_code, naming
from segbench.cli.terminal.estimate import announce
from segbench.cli.terminal.interruption import exit_code_of, stopping_on_signals
from segbench.cli.terminal.output import counted, tell
from segbench.cli.terminal.progress import observing
from segbench.cli.terminal.trackers import tracking
from segbench.config.plan import Run
from segbench.config.suite import Suite
from segbench.engine.estimate.estimate import SuiteEstimate
from segbench.engine.stopping import Stop
from segbench.engine.suite.planning import WantedRuns, wanted_runs
from segbench.engine.suite.run_suite import SuiteOutcome, do_runs
from segbench.engine.suite.selection import RunOrder, Selection
from segbench.errors import SegbenchError
from segbench.results.store import Store

MOST_NAMED = 10
"""Number of unfinished runs that are named."""


@dataclass(frozen=True)
class SuiteCommand:
    """One call of ``segbench run``.

    Attributes:
        suite: The suite.
        selection: Which of its runs to execute.
        launching: How to execute them.
        results: Folder of all results.
        order: The order of the runs.
        seconds: Time limit; None for no limit.
    """

    suite: Suite
    selection: Selection
    launching: LaunchOptions
    results: Path
    order: RunOrder = RunOrder.SUITE
    seconds: float | None = None

    @cached_property
    def store(self) -> Store:
        """The store of the suite's runs."""
        return Store(self.results, self.suite.name)

    @cached_property
    def wanted(self) -> WantedRuns:
        """The selected runs.

        Raises:
            UsageError: The suite has no such run.
        """
        return wanted_runs(self.suite, self.store, self.selection)

    @cached_property
    def stop(self) -> Stop:
        """When to stop."""
        return Stop.after(self.seconds)

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Stop on a signal, such as Ctrl-C, as at the time limit: active runs save their state."""
        with stopping_on_signals(self.stop):
            yield

    def run(self, file: Path, *, estimated: bool, trackers: Mapping[str, Any]) -> SuiteOutcome:
        """Estimate the runs, execute the missing ones, and report which are left.

        Args:
            file: The suite's file, for messages.
            estimated: Whether to estimate them first.
            trackers: Arguments of ``tracking``.

        Raises:
            UsageError: The suite, its data or an option is invalid.
        """
        threads = self.suite.threads
        with naming(file):
            todo = self.wanted.todo if self.launching.can_be_tried_here else []
            estimate = self._estimate(todo) if self.launching.can_be_tried_here and estimated else None
            at_once = self.launching.jobs_for(len(todo), threads=threads, estimate=estimate)
        if self.order is RunOrder.CHEAPEST and estimate is None:
            tell("--order cheapest: nothing is estimated, so runs are done in the suite's order")
        with (
            self.launching.launcher_into(self.store, stop=self.stop, jobs=at_once, threads=threads) as launcher,
            naming(file),
            observing() as shown,
            tracking(shown, suite=self.suite.name, **trackers) as observer,
        ):
            outcome = do_runs(
                self.wanted,
                device=self.launching.device,
                in_process=self.launching.here,
                launcher=launcher,
                order=self.order,
                stop=self.stop,
                estimate=estimate,
                observer=observer,
            )
        _tell_done(outcome)
        return outcome

    def measure_speed(self, outcome: SuiteOutcome) -> bool | None:
        """Measure the suite's speed block; errors are reported, since the leaderboard is still wanted.

        If the runs were executed elsewhere, or in this process, the block is left to ``segbench speed``.

        Returns:
            Whether nothing failed; None if there was no time.
        """
        if self.suite.speed is None:
            return True
        if not self.launching.can_be_tried_here:
            tell("the speed block is not measured here; 'segbench speed', on the machine that is meant, does that")
            return True
        device = self.launching.device
        try:
            if outcome.left or not self._speed_in_time(outcome):
                tell("the speed block is left, too")
                return None
            measure_block(self.suite, models=self.selection.models, device=device, results=self.results, stop=self.stop)
        except SegbenchError as error:
            tell(f"the speed was not measured: {error}")
            return None if self.stop.due else False
        return True

    def check(self, *, no_code: bool) -> None:
        """Refuse foreign code where that is asked for, and blocks of further tests that cannot be done here.

        Raises:
            UsageError: The suite runs foreign code, or a package is missing.
        """
        mind_foreign_code(self.suite, self.results, forbidden=no_code)
        if self.launching.can_be_tried_here:
            for tests in blocks_of(self.suite):
                tests.check(getattr(self.suite, tests.key), self.launching.device)

    def _test_again(self, outcome: SuiteOutcome, tests: FurtherTests) -> bool | None:
        """Execute a block of further tests; errors are reported, since the leaderboard is still wanted.

        Returns:
            Whether nothing failed; None if tests are left.
        """
        if not self.launching.can_be_tried_here or outcome.left:
            tell(f"the {tests.key} block is left; 'segbench {tests.key}' does it")
            return None if outcome.left else True
        request = Request(self.selection, self.results, self.launching.device, self.stop)
        try:
            complete = execute_block(tests, self.suite, {}, request)
        except SegbenchError as error:
            tell(f"the {tests.key} block was not executed: {error}")
            return False
        return True if complete else None

    def measure(self, outcome: SuiteOutcome, *, speed: bool) -> bool | None:
        """Execute what follows the runs: the speed block, if wanted, and the blocks of further tests.

        Args:
            outcome: The outcome of the runs.
            speed: Whether speed is wanted.

        Returns:
            Whether nothing failed; None if something is left.
        """
        done = [self.measure_speed(outcome) if speed else True]
        done += [self._test_again(outcome, tests) for tests in blocks_of(self.suite)]
        return None if None in done else all(done)

    def _speed_in_time(self, outcome: SuiteOutcome) -> bool:
        """Return whether to start the speed block.

        If it would not end in time, only a command without other work starts it. Measured cases are kept, so repeated
        commands complete it.
        """
        left = self.stop.seconds_left
        if self.stop.due:
            return False
        nothing_else = len(outcome.records) == len(outcome.done_before)
        extent = extent_of(self.suite, device=self.launching.device)
        return nothing_else or extent is None or left is None or extent.least_seconds <= left

    def _estimate(self, todo: list[Run]) -> SuiteEstimate | None:
        """Report the estimate of runs, and return it."""
        few = self.stop.seconds_left is not None or self.order is RunOrder.CHEAPEST
        return announce(todo, device=self.launching.device, stop=self.stop, few=few)


def exit_code(outcome: SuiteOutcome, *, measured: bool | None, stop: Stop) -> int:
    """Return 3 if something is left, or 130 after Ctrl-C; 1 if something failed, else 0."""
    if outcome.left or measured is None:
        return exit_code_of(stop, SOMETHING_LEFT)
    return 0 if outcome.complete and measured else 1


def _tell_done(outcome: SuiteOutcome) -> None:
    """Report the number of runs executed now and before, and which are left."""
    before = len(outcome.done_before)
    was = "was" if before == 1 else "were"
    tell(f"{counted(len(outcome.records) - before, 'run')} done, {before} {was} done before")
    if outcome.left:
        left = [f"{run.title}, seed {run.seed}" for run in outcome.left[:MOST_NAMED]]
        more = len(outcome.left) - len(left)
        tell(
            f"{counted(len(outcome.left), 'run')} left, the same command goes on: {'; '.join(left)}"
            f"{f'; and {more} more' if more else ''}"
        )
