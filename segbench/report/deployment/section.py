"""The section of a report about other runtimes and smaller forms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pandas as pd

from segbench.report.blocks import Block, Bullets, Code, Drawing, Heading, Paragraph
from segbench.report.deployment.cells import facts_of, shown
from segbench.report.deployment.figure import NAME, deployment_figure
from segbench.report.deployment.load import load_deployments
from segbench.report.deployment.rows import DeploymentTable
from segbench.report.deployment.table import deployment_tables
from segbench.report.deployment.verdicts import costs, ranking_verdicts
from segbench.report.figures.plot import Plot
from segbench.report.further_tests import SuiteTests, facts_by_suite, tests_by_suite
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


def deployments_of(runs: pd.DataFrame) -> list[SuiteTests[DeploymentTable]]:
    """Return the deployments of runs, by suite; see ``tests_by_suite``."""
    return tests_by_suite(runs, load_deployments, deployment_tables)


def deployment_section(
    found: Sequence[SuiteTests[DeploymentTable]], draw: Callable[[Plot, str], Drawing]
) -> list[Block]:
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


def deployment_facts(found: Iterable[SuiteTests[DeploymentTable]]) -> list[dict[str, Any]]:
    """Return the same for programs."""
    return facts_by_suite(found, facts_of)


def _name(one: SuiteTests[DeploymentTable], table: DeploymentTable) -> str:
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
