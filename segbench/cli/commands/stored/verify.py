"""The command results verify: recomputes what stored runs and the data here allow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segbench.cli.support.options import AsJson
from segbench.cli.terminal.output import counted, tell, write_json, write_table
from segbench.cli.terminal.progress import counting
from segbench.cli.terminal.waiting import doing
from segbench.config.load import set_options
from segbench.errors import UsageError
from segbench.report.text import printable
from segbench.results.find_runs import scan

if TYPE_CHECKING:
    from segbench.engine.evaluation.verification import Verified

_DIFFERENCES_SHOWN = 10
_TRUSTED = (
    "What no file can show: that these networks made these predictions, and were trained as their recipes say. "
    "Training one again shows it."
)


def verify(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS", help="Folders of results: of all suites, of one, or of runs.")
    ],
    *,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Where the data set lies here, such as root=DIR."),
    ] = None,
    data: Annotated[bool, typer.Option(help="Read the test data where it lies here.")] = True,
    leaderboard: Annotated[
        Path | None,
        typer.Option("--leaderboard", metavar="FILE", help="Compare the leaderboard.json of a report with the runs."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute what can be recomputed of stored runs, and name what cannot.

    Hashes of recipes and networks; checksums of files; further tests; and where the test data lies here: its hash, the
    labels' pixels, and kept predictions counted anew. Scores are computed from the matrices wherever they are shown.
    Anything wrong makes the exit code 1.
    """
    from segbench.engine.evaluation.verification import Verifier

    given: dict[str, Any] = {}
    set_options(given, options)
    published = None if leaderboard is None else _text_of(leaderboard)
    verifier, verified = Verifier(given, with_data=data), []
    for found in scan(*results):
        with counting(found.folder.name, "images") as advance:
            verified.append(verifier.verify(found, progress=advance))
    wrong = [f"{one.folder.name}: {check}: {reason}" for one in verified for check, reason in one.wrong.items()]
    wrong += _contradictions(results, known={one.folder.name for one in verified if one.wrong})
    if leaderboard is not None and published is not None:
        wrong += _differences(results, leaderboard, published)
    if as_json:
        write_json({"runs": [_facts(one) for one in verified], "wrong": wrong})
    else:
        _show(verified, wrong)
    if wrong:
        raise typer.Exit(1)


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--leaderboard {file}: cannot be read: {error}") from None


def _contradictions(results: Sequence[Path], *, known: Collection[str]) -> list[str]:
    """Return a line for each run that only the comparison with others shows to be wrong."""
    from segbench.report.runs.load import DAMAGED, load_results

    runs = load_results(*results)
    damaged = runs[(runs["status"] == DAMAGED) & ~runs["run"].isin(list(known))]
    return [f"{run.run}: {run.reason}" for run in damaged.itertuples()]


def _differences(results: Sequence[Path], file: Path, published: str) -> list[str]:
    from segbench.report.formats.json_differences import differences
    from segbench.report.ranking.ranking import rank

    with doing("ranking the runs"):
        board = rank(*results).board
    found = differences(published, board, source=str(file))
    more = len(found) - _DIFFERENCES_SHOWN
    return [*found[:_DIFFERENCES_SHOWN], *([f"and {counted(more, 'other difference')} in {file}"] if more > 0 else [])]


def _facts(one: Verified) -> dict[str, Any]:
    return {
        "id": one.folder.name,
        "checks": {check: {"verdict": found.verdict, "reason": found.reason} for check, found in one.findings.items()},
    }


def _show(verified: Sequence[Verified], wrong: Sequence[str]) -> None:
    """Write a table of runs and checks, what was not checked and why, and what is wrong."""
    from segbench.engine.evaluation.verification import Check, Verdict

    cells = {Verdict.VERIFIED: "yes", Verdict.WRONG: "WRONG", Verdict.UNKNOWN: "-"}
    rows = [[one.folder.name, *(cells[one.findings[check].verdict] for check in Check)] for one in verified]
    if not rows:
        tell("there are no runs")
        return
    write_table(["run", *Check], rows)
    typer.echo()
    unknown: dict[tuple[str, str], int] = {}
    for one in verified:
        for check, found in one.findings.items():
            if found.verdict is Verdict.UNKNOWN:
                unknown[check, found.reason] = unknown.get((check, found.reason), 0) + 1
    for line in _unchecked(unknown):
        typer.echo(line)
    for line in wrong:
        tell(f"wrong: {printable(line)}")
    typer.echo(f"{counted(len(verified), 'run')}: {_sum(wrong)}" + (f" {_TRUSTED}" if not wrong else ""))


def _unchecked(unknown: Mapping[tuple[str, str], int]) -> list[str]:
    return [
        f"not checked: {check} of {counted(runs, 'run')}: {printable(reason)}"
        for (check, reason), runs in unknown.items()
    ]


def _sum(wrong: Sequence[str]) -> str:
    return f"{counted(len(wrong), 'thing')} wrong." if wrong else "nothing wrong was found."
