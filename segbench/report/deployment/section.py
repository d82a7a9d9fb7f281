"""The section of a report about other runtimes and smaller forms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd

from segbench.errors import StoreError
from segbench.report.blocks import Block, Bullets, Code, Drawing, Heading, Paragraph
from segbench.report.deployment.cells import facts_of, shown
from segbench.report.deployment.figure import NAME, deployment_figure
from segbench.report.deployment.load import FoundDeployments, load_deployments
from segbench.report.deployment.rows import DeploymentTable
from segbench.report.deployment.table import deployment_tables
from segbench.report.deployment.verdicts import costs, ranking_verdicts
from segbench.report.figures.plot import Plot
from segbench.report.further_tests import folders_by_suite, run_ids
from segbench.report.text import plural, short_id

TITLE = "Other runtimes, smaller forms"
FIGURES = (NAME,)
"""The names of this section's figures."""

_MEANINGS = {
    "change": "Change: mean IoU less that of PyTorch (eager, fp32), with its 95 % interval, paired over images and "
    "trainings; *: told apart from none, Holm-corrected over all networks and targets.",
    "agreement": "Agreement: the share of pixels that are predicted as by PyTorch.",
    "rank": "Rank: what trainings and images leave open, PyTorch → target, corrected over all pairs and targets.",
    "ms": "Times are medians of fresh processes on one batch at a time, with the threads of the runs; not steady: they "
    "still changed by more than 2 % when sampling began.",
    "memory": "Memory: the peak of a process above what it took before the network, with the smallest batch.",
    "export s": "Export: with quantisation or compilation, loading and the first call.",
}
"""What a column means that its title does not say."""


@dataclass(frozen=True, eq=False)
class SuiteDeployments:
    """The deployments of one suite.

    Attributes:
        suite: The suite's name.
        tables: What they say, a table for each protocol, device and set of images.
        problems: What could not be read, and what does not belong together.
    """

    suite: str
    tables: tuple[DeploymentTable, ...]
    problems: tuple[str, ...]


def deployments_of(runs: pd.DataFrame) -> list[SuiteDeployments]:
    """Return the deployments of runs, by suite; folders of one suite belong together.

    Args:
        runs: The rows of ``load_results``.
    """
    found = [_of_suite(suite, places, run_ids(runs)) for suite, places in folders_by_suite(runs).items()]
    return [one for one in found if one.tables or one.problems]


def deployment_section(found: Sequence[SuiteDeployments], draw: Callable[[Plot, str], Drawing]) -> list[Block]:
    """Return verdicts, tables and figures; nothing where no network was deployed.

    Args:
        found: The deployments.
        draw: Writes a figure's files, told what its name ends with, and returns its place in the report.
    """
    if not found:
        return []
    words = Paragraph.of(
        "Trained networks, exported and tested again by ",
        Code("segbench deploy"),
        " on the same images; this changes no score of the ranking.",
    )
    blocks: list[Block] = [Heading(TITLE, anchor="deployment", link="Other runtimes"), words]
    several, numbers = sum(len(one.tables) for one in found) > 1, count()
    level = 4 if several else 3
    for one in found:
        for table, number in zip(one.tables, numbers, strict=False):
            blocks += [Heading(_name(one, table), 3)] if several else []
            ending = short_id(table.protocol) + (f"-{number}" if several else "")
            blocks += _table_blocks(table, lambda plot, whose: replace(draw(plot, whose), level=level), ending)
        if one.problems:
            blocks.append(Bullets("Missing from these tables:", one.problems))
    return blocks


def deployment_facts(found: Iterable[SuiteDeployments]) -> list[dict[str, Any]]:
    """Return the same for programs."""
    return [
        {"suite": one.suite, "tables": [facts_of(table) for table in one.tables], "notes": list(one.problems)}
        for one in found
    ]


def _of_suite(suite: str, folders: Sequence[Path], ids: set[str]) -> SuiteDeployments:
    try:
        found = load_deployments(*folders)
    except StoreError as error:
        found = FoundDeployments((), (str(error),))
    found = replace(found, runs=tuple(run for run in found.runs if ids.intersection(run.ids)))
    return SuiteDeployments(suite, tuple(deployment_tables(found)), found.problems)


def _name(one: SuiteDeployments, table: DeploymentTable) -> str:
    protocol = f"protocol {short_id(table.protocol)}"
    return f"{one.suite}, {protocol}, {plural(table.images, 'test image')} on {table.device}"


def _table_blocks(table: DeploymentTable, draw: Callable[[Plot, str], Drawing], ending: str) -> list[Block]:
    content = shown(table)
    told, rankings = costs(table), ranking_verdicts(table)
    verdict: list[Block] = [Paragraph.of(" ".join(told), lead=True)] if told else []
    verdict += [Bullets("Did it change the ranking?", tuple(rankings))] if rankings else []
    tested = f"Tested on {plural(table.images, 'image')}, on {table.device}."
    meant = [words for title, words in _MEANINGS.items() if title in content.columns]
    plot = deployment_figure(table)
    return [
        *verdict,
        content.block("deployment"),
        Paragraph.of(" ".join([tested, *meant])),
        *([Bullets("Missing, and why:", tuple(content.reasons))] if content.reasons else []),
        *([draw(plot, ending)] if plot is not None else []),
    ]
