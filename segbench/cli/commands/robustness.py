"""The command about other weather and other data: robustness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from segbench.cli.support.options import (
    AsJson,
    Device,
    Models,
    Overrides,
    Results,
    Seeds,
    SuiteFile,
    TimeLimit,
    names,
    numbers,
    seconds_of,
)
from segbench.cli.support.suite_command import SOMETHING_LEFT
from segbench.cli.support.suite_file import load, naming
from segbench.cli.terminal.output import counted, tell
from segbench.cli.terminal.robustness_table import show
from segbench.config.suite import Suite
from segbench.errors import RunInterrupted, UsageError


def robustness(  # noqa: PLR0913 - the options of one command
    suite: SuiteFile,
    *,
    models: Models = None,
    seeds: Seeds = None,
    corruptions: Annotated[
        str | None, typer.Option("--corruptions", metavar="A,B", help="Which corruptions; 'all' of them.")
    ] = None,
    severities: Annotated[str | None, typer.Option("--severities", metavar="1,3,5", help="How strong, 1 to 5.")] = None,
    images: Annotated[int | None, typer.Option("--images", metavar="N", min=1, help="How many test images.")] = None,
    overrides: Overrides = None,
    device: Device = "auto",
    results: Results = Path("results"),
    time_limit: TimeLimit = None,
    as_json: AsJson = False,
) -> None:
    """Test trained networks on corrupted images and other data.

    The networks are those that 'segbench run' has stored. What is tested already is kept; every result is stored under
    RESULTS/<suite>/robustness/. With a time limit, exit code 3 says that something is left.
    """
    given = {
        "corruptions": corruptions if corruptions == "all" else names(corruptions, option="--corruptions"),
        "severities": numbers(severities, option="--severities"),
        "images": images,
    }
    wanted_seeds = numbers(seeds, option="--seeds")
    checked = load(suite, overrides, seeds=wanted_seeds)
    with naming(suite):
        complete = retest_block(
            checked,
            {key: value for key, value in given.items() if value is not None},
            file=suite,
            models=names(models, option="--models"),
            seeds=wanted_seeds,
            device=device,
            results=results,
            seconds=seconds_of(time_limit, option="--time-limit"),
        )
    show(results / checked.name, as_json=as_json)
    if not complete:
        tell("something is left, the same command goes on")
        raise typer.Exit(SOMETHING_LEFT)


def retest_block(
    suite: Suite,
    given: Mapping[str, Any],
    *,
    file: Path | None,
    models: Sequence[str] | None,
    seeds: Sequence[int] | None,
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
