"""What ``segbench robustness``, and ``segbench run`` where a suite has the block, do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segbench.cli.terminal.output import counted, tell
from segbench.errors import RunInterrupted, UsageError

if TYPE_CHECKING:
    from segbench.config.suite import Suite


def retest_block(
    suite: Suite,
    given: Mapping[str, Any],
    *,
    file: Path | None,
    models: list[str] | None,
    seeds: list[int] | None,
    device: str,
    results: Path,
    seconds: float | None = None,
) -> bool:
    """Test the trained networks of a suite as its block says.

    Args:
        suite: The suite.
        given: Options of a ``robustness:`` block that win over the suite's.
        file: The suite's file, for messages.
        models: Labels or names of the models; all by default.
        seeds: Their seeds; all by default.
        device: auto, cpu, cuda, cuda:N or mps.
        results: Folder of all results.
        seconds: After so many it is time to stop.

    Returns:
        Whether nothing is left.

    Raises:
        UsageError: The block or the data is wrong, or no network of the suite was trained.
    """
    from segbench.cli.terminal.progress import observing
    from segbench.config.load import check_part
    from segbench.config.sections.robustness import Robustness
    from segbench.engine.robustness.suite import KEEP_WEIGHTS, open_tests, retest_networks
    from segbench.engine.stopping import Stop
    from segbench.engine.suite.planning import planned
    from segbench.engine.suite.selection import chosen
    from segbench.results.store import Store

    written = suite.robustness.model_dump(mode="json") if suite.robustness else {}
    block = check_part(Robustness, written | dict(given), file=file, key="robustness")
    store, stop = Store(results, suite.name), Stop.after(seconds)
    runs = chosen(planned(suite, store).shown, models, seeds)
    tests = open_tests(runs, store, block)
    if tests.without_weights:
        tell(f"{counted(len(tests.without_weights), 'run')} not tested again: {KEEP_WEIGHTS}")
    if not tests.count and not tests.done:
        raise UsageError(f"{suite.name}: no trained network to test; 'segbench run' trains them first")
    tell(f"{counted(tests.count, 'test')} to do, {tests.done} done before")
    try:
        with stop.on_sigterm(), observing() as observer:
            retest_networks(tests, store, device=device, stop=stop, observer=observer)
    except RunInterrupted as interrupted:
        tell(str(interrupted))
        return False
    return True
