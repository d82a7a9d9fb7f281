"""The command that tests networks on corrupted and other data: robustness."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segbench.cli.support import options


def robustness(  # noqa: PLR0913 - the options of one command
    suite: options.SuiteFile,
    *,
    models: options.Models = None,
    seeds: options.Seeds = None,
    corruptions: Annotated[
        str | None, typer.Option("--corruptions", metavar="A,B", help="Which corruptions; 'all' of them.")
    ] = None,
    severities: Annotated[str | None, typer.Option("--severities", metavar="1,3,5", help="How strong, 1 to 5.")] = None,
    images: Annotated[int | None, typer.Option("--images", metavar="N", min=1, help="How many test images.")] = None,
    overrides: options.Overrides = None,
    device: options.Device = "auto",
    results: options.Results = Path("results"),
    time_limit: options.TimeLimit = None,
    as_json: options.AsJson = False,
) -> None:
    """Test trained networks on corrupted images and other data.

    The networks are those that 'segbench run' has stored. What is tested already is kept; every result is stored under
    RESULTS/<suite>/robustness/. With a time limit, exit code 3 says that something is left.
    """
    from segbench.cli.support.further_tests import Request, execute_command, robustness_tests
    from segbench.engine.stopping import Stop

    given = {
        "corruptions": corruptions if corruptions == "all" else options.names(corruptions, option="--corruptions"),
        "severities": options.numbers(severities, option="--severities"),
        "images": images,
    }
    stop = Stop.after(options.seconds_of(time_limit, option="--time-limit"))
    request = Request(options.selection_of(models, seeds), results, device, stop)
    execute_command(robustness_tests(), suite, given, request, overrides=overrides, as_json=as_json)
