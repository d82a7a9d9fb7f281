"""What ``segbench run`` does once its options are read: estimate, run, measure speed, and tell what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from segbench.cli.support.launch_options import LaunchOptions
from segbench.cli.support.speed_jobs import extent_of, measure_block
from segbench.cli.support.suite_file import naming
from segbench.cli.terminal.estimate import announce
from segbench.cli.terminal.output import counted, tell
from segbench.cli.terminal.progress import observing
from segbench.cli.terminal.trackers import tracking
from segbench.config.plan import Run
from segbench.config.suite import Suite
from segbench.engine.estimate.estimate import SuiteEstimate
from segbench.engine.processes import terminate_calls
from segbench.engine.stopping import Stop
from segbench.engine.suite.planning import WantedRuns, wanted_runs
from segbench.engine.suite.run_suite import SuiteOutcome, do_runs
from segbench.engine.suite.selection import RunOrder, Selection
from segbench.errors import SegbenchError
from segbench.results.store import Store

SOMETHING_LEFT = 3
"""Exit code when it was time to stop before all was done: the same command goes on."""

MOST_NAMED = 10
"""Runs that are named of those that were left."""


@dataclass(frozen=True)
class FurtherTests:
    """A block of a suite that tests trained networks again.

    Attributes:
        key: Its key, which is the name of its command, too.
        test: Does it; takes what ``segbench.cli.commands.robustness.retest_block`` takes.
        failed: How a message begins that says why it failed.
    """

    key: str
    test: Callable[..., bool]
    failed: str


@dataclass(frozen=True)
class SuiteCommand:
    """One command about a suite.

    Attributes:
        suite: The suite.
        selection: Which of its runs.
        launching: How they are to be done.
        results: Folder of all results.
        order: In which order they are done.
        seconds: After so many it is time to stop; None where it never is.
    """

    suite: Suite
    selection: Selection
    launching: LaunchOptions
    results: Path
    order: RunOrder = RunOrder.SUITE
    seconds: float | None = None

    @cached_property
    def store(self) -> Store:
        """Where the suite's runs are."""
        return Store(self.results, self.suite.name)

    @cached_property
    def wanted(self) -> WantedRuns:
        """The runs that it is about.

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
        """Stop on SIGTERM as when the time is over: runs under way save where they are."""
        with self.stop.on_sigterm(), self.stop.telling(terminate_calls):
            yield

    def run(self, file: Path, *, estimated: bool, trackers: Mapping[str, Any]) -> SuiteOutcome:
        """Estimate what the runs take, do those that are not done, and tell which were left.

        Args:
            file: The suite's file, for messages.
            estimated: Whether what they take is estimated before.
            trackers: Where else progress goes, as ``tracking`` takes it.

        Raises:
            UsageError: The suite, its data or an option is wrong.
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
        """Measure the suite's speed block; what goes wrong is told, since the runs are done and want their leaderboard.

        Where the runs were done elsewhere, or in this process, it is left to another command.

        Returns:
            Whether it is measured, as far as it is to be measured here; None when it was left for want of time.
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

    def _test_again(self, outcome: SuiteOutcome, block: FurtherTests) -> bool | None:
        """Do the further tests of a block; errors are reported, since the leaderboard is still wanted.

        Returns:
            Whether they are done; None if some are left.
        """
        if getattr(self.suite, block.key) is None:
            return True
        if not self.launching.can_be_tried_here or outcome.left:
            tell(f"the {block.key} block is left; 'segbench {block.key}' does it")
            return None if outcome.left else True
        try:
            complete = block.test(
                self.suite,
                {},
                file=None,
                models=self.selection.models,
                seeds=self.selection.seeds,
                device=self.launching.device,
                results=self.results,
                seconds=self.stop.seconds_left,
            )
        except SegbenchError as error:
            tell(f"{block.failed}: {error}")
            return False
        return True if complete else None

    def measure(self, outcome: SuiteOutcome, *, speed: bool, further: Sequence[FurtherTests]) -> bool | None:
        """Do what follows the runs: the speed block, if wanted, and the blocks of further tests.

        Args:
            outcome: What the runs came to.
            speed: Whether speed is wanted.
            further: The blocks, in the order in which they are done.

        Returns:
            Whether all are done; None if something is left.
        """
        done = [self.measure_speed(outcome) if speed else True, *(self._test_again(outcome, one) for one in further)]
        return None if None in done else all(done)

    def _speed_in_time(self, outcome: SuiteOutcome) -> bool:
        """Tell whether the speed block may begin: it is measured in one piece.

        Where it would not end in time, it is begun by a command that has nothing else to do: its cases are kept as
        they are measured, so that this comes to an end too.
        """
        left = self.stop.seconds_left
        if self.stop.due:
            return False
        nothing_else = len(outcome.records) == len(outcome.done_before)
        extent = extent_of(self.suite, device=self.launching.device)
        return nothing_else or extent is None or left is None or extent.least_seconds <= left

    def _estimate(self, todo: list[Run]) -> SuiteEstimate | None:
        """Tell what runs will take, and return it."""
        few = self.stop.seconds_left is not None or self.order is RunOrder.CHEAPEST
        return announce(todo, device=self.launching.device, stop=self.stop, few=few)


def exit_code(outcome: SuiteOutcome, *, measured: bool | None) -> int:
    """Return 3 when something was left, 1 when something failed, else 0."""
    if outcome.left or measured is None:
        return SOMETHING_LEFT
    return 0 if outcome.complete and measured else 1


def _tell_done(outcome: SuiteOutcome) -> None:
    """Tell how many runs were done, now and before, and which were left."""
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
