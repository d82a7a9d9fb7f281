"""The command results verify: recomputes what stored runs and the data here allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segbench.cli.support.options import AsJson
from segbench.cli.terminal.output import counted, tell, write_json, write_line, write_table
from segbench.cli.terminal.progress import counting
from segbench.cli.terminal.waiting import doing
from segbench.config.load import set_data_options
from segbench.errors import UsageError
from segbench.results.find_runs import scan
from segbench.results.record import Status

if TYPE_CHECKING:
    from segbench.engine.evaluation.verification import RunChecks

_WRONG_SHOWN = 20
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
    set_data_options(given, options)
    published = None if leaderboard is None else _text_of(leaderboard)
    runs, verifier = scan(*results), Verifier(given, with_data=data)
    if not runs:
        raise UsageError(f"{', '.join(map(str, results))}: holds no runs; there is nothing to verify")
    checked = []
    for run in runs:
        with counting(run.folder.name, "images") as advance:
            checked.append(verifier.verify(run, progress=advance))
    wrong = [f"{_name(one)}: {check}: {reason}" for one in checked for check, reason in one.wrong.items()]
    wrong += _contradictions(results, known=[one.folder for one in checked if one.wrong])
    if leaderboard is not None and published is not None:
        wrong += _differences(results, leaderboard, published)
    if as_json:
        write_json({"runs": [_facts(one) for one in checked], "wrong": wrong})
    else:
        _show(checked, wrong)
    if wrong:
        raise typer.Exit(1)
    if given and data:
        _refuse_unread(checked)


def _refuse_unread(checked: Sequence[RunChecks]) -> None:
    """Refuse options that lead to no data: whoever gives them wants it looked at.

    Raises:
        UsageError: The data of no run could be read; gives the reason of the first one.
    """
    from segbench.engine.evaluation.verification import Check, Verdict

    found = [one.findings[Check.DATA] for one in checked]
    if all(finding.verdict is Verdict.UNKNOWN for finding in found):
        raise UsageError(f"--set: leads to the data of none of these runs: {found[0].reason}")


def _name(one: RunChecks) -> str:
    """Name a run with its suite's folder; ids of runs are unique in a suite alone."""
    return f"{one.folder.absolute().parent.name}/{one.folder.name}"


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--leaderboard {file}: cannot be read: {error}") from None


def _contradictions(results: Sequence[Path], *, known: Collection[Path]) -> list[str]:
    """Return what only the comparison of runs shows to be wrong, and which measurements of speed are damaged."""
    from segbench.report.runs.copies import differing_copies
    from segbench.report.runs.load import DAMAGED, load_results

    runs = load_results(*results)
    damaged = runs[runs["status"] == DAMAGED]
    paths = zip(map(Path, damaged["path"].astype(str)), damaged["reason"], strict=True)
    found = [(folder, reason) for folder, reason in paths if folder not in known]
    tables = runs[runs["status"] == Status.COMPLETED].groupby(["protocol", "test_digest"], dropna=False)
    return [
        *(f"{folder.absolute().parent.name}/{folder.name}: {reason}" for folder, reason in found),
        *(text for _, table in tables for text in differing_copies(table)),
        *dict.fromkeys(problem for problems in runs["speed_problems"].dropna() for problem in problems),
    ]


def _differences(results: Sequence[Path], file: Path, published: str) -> list[str]:
    from segbench.report.formats.json_differences import differences
    from segbench.report.further import Further
    from segbench.report.joint.section import joint_of
    from segbench.report.ranking.ranking import rank
    from segbench.report.write import report_json

    with doing("ranking the runs"):
        ranking = rank(*results)
        expected = report_json(ranking, Further.of(ranking.runs), joint_of(ranking))
    return differences(published, expected, source=str(file))


def _facts(one: RunChecks) -> dict[str, Any]:
    return {
        "id": one.folder.name,
        "suite": one.folder.absolute().parent.name,
        "checks": {check: {"verdict": made.verdict, "reason": made.reason} for check, made in one.findings.items()},
    }


def _show(checked: Sequence[RunChecks], wrong: Sequence[str]) -> None:
    """Write a table of runs and checks, what was not checked and why, and what is wrong."""
    from segbench.engine.evaluation.verification import Check, Verdict

    cells = {Verdict.VERIFIED: "yes", Verdict.WRONG: "WRONG", Verdict.UNKNOWN: "-"}
    several = len({one.folder.absolute().parent for one in checked}) > 1
    rows = [
        [_name(one) if several else one.folder.name, *(cells[one.findings[check].verdict] for check in Check)]
        for one in checked
    ]
    write_table(["run", *Check], rows)
    typer.echo()
    unknown = Counter(
        (check, made.reason)
        for one in checked
        for check, made in one.findings.items()
        if made.verdict is Verdict.UNKNOWN
    )
    for (check, reason), runs in unknown.items():
        write_line(f"not checked: {check} of {counted(runs, 'run')}: {reason}")
    for line in wrong[:_WRONG_SHOWN]:
        tell(f"wrong: {line}")
    if len(wrong) > _WRONG_SHOWN:
        tell(f"and {len(wrong) - _WRONG_SHOWN:,} more, which --json lists")
    found = f"{counted(len(wrong), 'thing')} wrong." if wrong else f"nothing wrong was found. {_TRUSTED}"
    write_line(f"{counted(len(checked), 'run')}: {found}")
