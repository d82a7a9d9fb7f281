"""The command that shows several leaderboards in one view: joint."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from segbench.cli.support.options import AsJson
from segbench.cli.terminal.output import tell, write_json, write_table
from segbench.report.text import printable


def joint(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of suites below a results root.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Rank networks over several data sets.

    Shown are the ranks on each, the mean rank, and how near networks come to the best. Networks are the
    same where their labels are. Scores of different data sets are never averaged.
    """
    from segbench.report.joint.joint import RATIOS
    from segbench.report.joint.joint import joint as joined
    from segbench.report.runs.load import load_results

    found = joined(load_results(*folders))
    if as_json:
        write_json(asdict(found))
        return
    titles = ["model", "mean rank", "open", *found.tables, *(f"within {1 - ratio:.0%}" for ratio in RATIOS)]
    rows = [
        [
            printable(row.label),
            f"{row.mean_rank:.2g}",
            f"{row.low:.2g} to {row.high:.2g}",
            *(f"{row.places[name].rank} ({row.places[name].mean_iou:.3f})" for name in found.tables),
            *(f"{row.profile(ratio):.0%}" for ratio in RATIOS),
        ]
        for row in found.rows
    ]
    write_table(titles, rows, right=titles[1:], whole=["model"])
    tell(
        "Ranks on each data set, with mean IoU; 'open': the mean ranks that trainings and images leave open (95 %, "
        "over all data sets at once); 'within': on which share of the data sets a network comes so near to the best."
    )
    for name in found.single:
        tell(f"note: {name}: each network was trained once, so that every rank is left open")
    for label, names in found.left_out.items():
        tell(f"note: {printable(label)} is left out: {', '.join(names)} lacks it")
