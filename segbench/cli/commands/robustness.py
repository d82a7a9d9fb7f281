"""The command that tests networks on corrupted and other data: robustness."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    selection_of,
)
from segbench.cli.terminal.output import tell
from segbench.cli.terminal.robustness_table import show


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
    from segbench.cli.support.suite_command import SOMETHING_LEFT, retest_block
    from segbench.cli.support.suite_file import load, naming

    given = {
        "corruptions": corruptions if corruptions == "all" else names(corruptions, option="--corruptions"),
        "severities": numbers(severities, option="--severities"),
        "images": images,
    }
    selection = selection_of(models, seeds)
    checked = load(suite, overrides, seeds=selection.seeds)
    with naming(suite):
        complete = retest_block(
            checked,
            {key: value for key, value in given.items() if value is not None},
            file=suite,
            selection=selection,
            device=device,
            results=results,
            seconds=seconds_of(time_limit, option="--time-limit"),
        )
    show(results / checked.name, as_json=as_json)
    if not complete:
        tell("something is left, the same command goes on")
        raise typer.Exit(SOMETHING_LEFT)
