"""Blocks of a suite that test its trained networks again, each with a command of its name: robustness and deploy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import typer

from segbench.cli.support.suite_file import load, naming
from segbench.cli.terminal.interruption import exit_code_of, stopping_on_signals
from segbench.cli.terminal.output import counted, tell, write_json, write_table
from segbench.cli.terminal.progress import observing
from segbench.config.load import check_part
from segbench.config.plan import Run
from segbench.config.sections.deploy import Deploy
from segbench.config.sections.robustness import Robustness
from segbench.config.sections.training import Section
from segbench.config.suite import Suite
from segbench.engine.stopping import Stop
from segbench.engine.suite.planning import planned
from segbench.engine.suite.selection import Selection, chosen
from segbench.errors import RunInterrupted, UsageError
from segbench.report.further_tests import ShownTable
from segbench.results.store import Store

SOMETHING_LEFT = 3
"""Exit code if the time was over before everything was done; the same command continues."""


class Open(Protocol):
    """The tests that are to be done."""

    @property
    def count(self) -> int:
        """Number of tests to do."""

    @property
    def done(self) -> int:
        """Number of tests stored already."""

    @property
    def without_weights(self) -> Sequence[Run]:
        """Runs that cannot be tested, since their weights were not kept."""


@dataclass(frozen=True)
class FurtherTests:
    """One kind of further tests.

    Attributes:
        key: The key of its block, and the name of its command.
        block: The class of its block.
        one: What one test is called.
        check: Refuses a block that cannot be done on a device, before anything is trained.
        open: Returns what is to be done, given runs, store, block and device.
        execute: Does it, given what ``open`` returned, store and device.
        tables: Returns the tables of a suite's folder, and what could not be read.
    """

    key: str
    block: type[Section]
    one: str
    check: Callable[[Any, str], None]
    open: Callable[[Sequence[Run], Store, Any, str], Open]
    execute: Callable[..., None]
    tables: Callable[[Path], tuple[Sequence[ShownTable], Sequence[str]]]


def robustness_tests() -> FurtherTests:
    """Return the tests on corrupted images and other data."""
    from segbench.engine.robustness.suite import open_tests, retest_networks

    return FurtherTests(
        "robustness",
        Robustness,
        "test",
        check=lambda block, device: None,
        open=lambda runs, store, block, device: open_tests(runs, store, block),
        execute=retest_networks,
        tables=_robustness_tables,
    )


def deployment_tests() -> FurtherTests:
    """Return the tests in other runtimes and smaller forms."""
    from segbench.deployment.suite.suite import deploy_networks, open_deployments, refuse_absent_packages

    return FurtherTests(
        "deploy",
        Deploy,
        "deployment",
        check=lambda block, device: refuse_absent_packages(block, device=device),
        open=lambda runs, store, block, device: open_deployments(runs, store, block, device=device),
        execute=lambda tests, store, *, device, stop, observer: deploy_networks(
            tests, store, stop=stop, observer=observer
        ),
        tables=_deployment_tables,
    )


def blocks_of(suite: Suite) -> list[FurtherTests]:
    """Return the kinds of further tests that a suite has blocks of, in the order in which they are done."""
    makers = {"robustness": robustness_tests, "deploy": deployment_tests}
    return [make() for key, make in makers.items() if getattr(suite, key) is not None]


@dataclass(frozen=True)
class Request:
    """Which networks to test, where, and until when.

    Attributes:
        selection: Models and seeds of the networks.
        results: Folder of all results.
        device: auto, cpu, cuda, cuda:N or mps.
        stop: When to stop.
    """

    selection: Selection
    results: Path
    device: str
    stop: Stop = field(default_factory=Stop)


def execute_block(
    tests: FurtherTests, suite: Suite, given: Mapping[str, Any], request: Request, *, file: Path | None = None
) -> bool:
    """Test the trained networks of a suite as its block specifies.

    Args:
        tests: The kind of tests.
        suite: The suite.
        given: Keys of the block that override the suite's.
        request: Which networks to test, where, until when.
        file: The suite's file, for messages.

    Returns:
        Whether nothing is left.

    Raises:
        UsageError: The block or the data is wrong, a package is missing, or no network of the suite was trained.
    """
    from segbench.engine.robustness.suite import KEEP_WEIGHTS

    written = getattr(suite, tests.key)
    document = (written.model_dump(mode="json") if written else {}) | dict(given)
    block = check_part(tests.block, document, file=file, key=tests.key)
    tests.check(block, request.device)
    store = Store(request.results, suite.name)
    runs = chosen(planned(suite, store).shown, request.selection.models, request.selection.seeds)
    found = tests.open(runs, store, block, request.device)
    if found.without_weights:
        tell(f"{counted(len(found.without_weights), 'run')} not tested again: {KEEP_WEIGHTS}")
    if not found.count and not found.done:
        raise UsageError(f"{suite.name}: no trained network to test; 'segbench run' trains them first")
    tell(f"{counted(found.count, tests.one)} to do, {found.done} done before")
    try:
        with observing() as observer:
            tests.execute(found, store, device=request.device, stop=request.stop, observer=observer)
    except RunInterrupted as interrupted:
        tell(str(interrupted))
        return False
    return True


def execute_command(
    tests: FurtherTests,
    file: Path,
    given: Mapping[str, Any],
    request: Request,
    *,
    overrides: list[str] | None,
    as_json: bool,
) -> None:
    """Execute the tests that a command names, and show their tables.

    Args:
        tests: The kind of tests.
        file: The suite's file.
        given: Keys of the block by its options; those that are None were not given.
        request: Which networks to test, where, until when.
        overrides: Lines of ``--set``.
        as_json: Whether to write JSON.

    Raises:
        UsageError: As ``execute_block``.
        typer.Exit: Something is left.
    """
    suite = load(file, overrides, seeds=request.selection.seeds)
    block = {key: value for key, value in given.items() if value is not None}
    with naming(file), stopping_on_signals(request.stop):
        complete = execute_block(tests, suite, block, request, file=file)
    _show_tables(*tests.tables(request.results / suite.name), as_json=as_json)
    if not complete:
        tell("something is left, the same command goes on")
        raise typer.Exit(exit_code_of(request.stop, SOMETHING_LEFT))


def _show_tables(tables: Sequence[ShownTable], problems: Sequence[str], *, as_json: bool) -> None:
    """Write tables with what is missing from them and what follows from them.

    Args:
        tables: The tables.
        problems: What could not be read.
        as_json: Whether to write JSON instead.
    """
    if as_json:
        write_json([table.facts for table in tables])
        return
    for table in tables:
        right = [title for title in table.titles if title not in table.words]
        write_table(table.titles, [[cell.text for cell in row] for row in table.rows], right=right, whole=table.whole)
        for reason in table.reasons:
            tell(f"note: {reason}")
        if table.ending:
            tell(table.ending)
    for problem in problems:
        tell(f"note: {problem}")


def _robustness_tables(folder: Path) -> tuple[Sequence[ShownTable], Sequence[str]]:
    from segbench.report.robustness.cells import shown
    from segbench.report.robustness.load import load_retests
    from segbench.report.robustness.table import robustness_tables

    found = load_retests(folder)
    return [shown(table) for table in robustness_tables(found)], found.problems


def _deployment_tables(folder: Path) -> tuple[Sequence[ShownTable], Sequence[str]]:
    from segbench.report.deployment.cells import shown
    from segbench.report.deployment.load import load_deployments
    from segbench.report.deployment.table import deployment_tables

    found = load_deployments(folder)
    return [shown(table) for table in deployment_tables(found)], found.problems
