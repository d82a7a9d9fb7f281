"""The section of a report about other weather and other data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pandas as pd

from segbench.report.blocks import Block, Bullets, Code, Drawing, Heading, Paragraph
from segbench.report.figures.plot import Plot
from segbench.report.further_tests import SuiteTests, facts_by_suite, tests_by_suite
from segbench.report.robustness.cells import reasons_of, shown
from segbench.report.robustness.heat_map import HEAT_MAP, heat_map
from segbench.report.robustness.load import load_retests
from segbench.report.robustness.rows import RobustnessTable
from segbench.report.robustness.severity_curves import SEVERITY_CURVES, severity_curves
from segbench.report.robustness.table import robustness_tables
from segbench.report.text import plural, short_id

TITLE = "Other weather, other data"
FIGURES = (HEAT_MAP, SEVERITY_CURVES)
"""The names of this section's figures."""

_MEANINGS = {
    "loss": "Loss: 95 % interval of corrupted less clean, paired over images.",
    "rank": "Rank: what trainings and images leave open, clean → corrupted.",
    "ECE": "ECE: expected calibration error, clean → corrupted.",
    "gap": "Gap: training images less clean test images, which is what was learned by heart.",
}
"""What a column means that its title does not say."""


def robustness_of(runs: pd.DataFrame) -> list[SuiteTests[RobustnessTable]]:
    """Return the further tests of runs, by suite; see ``tests_by_suite``."""
    return tests_by_suite(runs, load_retests, robustness_tables)


def robustness_section(
    found: Sequence[SuiteTests[RobustnessTable]], draw: Callable[[Plot, str], Drawing]
) -> list[Block]:
    """Return verdicts, tables and figures; nothing where no network was tested again.

    Args:
        found: The tests.
        draw: Writes a figure's files, told what its name ends with, and returns its place in the report.
    """
    if not found:
        return []
    words = (
        "Trained networks, tested again by ",
        Code("segbench robustness"),
        "; this changes no score of the ranking.",
    )
    blocks: list[Block] = [Heading(TITLE, anchor="robustness", link="Other weather"), Paragraph(words)]
    several, numbers = sum(len(one.tables) for one in found) > 1, count()
    for one in found:
        for table, number in zip(one.tables, numbers, strict=False):
            blocks += [Heading(_name(one, table), 3, anchor="robustness-table")] if several else []
            ending = f"{short_id(table.protocol)}-{number}" if several else short_id(table.protocol)
            drawings = [replace(draw(plot, ending), level=4 if several else 3) for plot in _plots(table)]
            blocks += [*_table_blocks(table), *drawings]
        blocks += _left_out(one)
    return blocks


def robustness_facts(found: Iterable[SuiteTests[RobustnessTable]]) -> list[dict[str, Any]]:
    """Return the same for programs."""
    return facts_by_suite(found, RobustnessTable.facts)


def _name(one: SuiteTests[RobustnessTable], table: RobustnessTable) -> str:
    return f"{one.suite}, protocol {short_id(table.protocol)}, {plural(table.images, 'test image')}"


def _plots(table: RobustnessTable) -> Iterator[Plot]:
    """Yield the figures of a table, one at a time: drawings are large."""
    for drawn in (heat_map, severity_curves):
        plot = drawn(table)
        if plot is not None:
            yield plot


def _table_blocks(table: RobustnessTable) -> list[Block]:
    content = shown(table)
    verdict = [Paragraph.of(table.verdict, lead=True)] if table.corruptions else []
    meant = [words for title, words in _MEANINGS.items() if title in content.columns]
    sentences = [*_tested(table), *meant]
    words = [Paragraph.of(" ".join(sentences))] if sentences else []
    return [*verdict, content.block("robustness"), *words]


def _tested(table: RobustnessTable) -> list[str]:
    """Return in a sentence what was tested under corruption; nothing where nothing was."""
    if not table.corruptions:
        return []
    severities = [str(at.severity) for at in table.rows[0].by_severity[1:]]
    at = f" at severities {', '.join(severities)}" if severities else ""
    what = f"{plural(len(table.corruptions), 'corruption')}{at}, on {plural(table.images, 'test image')}"
    return [f"Corrupted: mean over {what}, the same pixels for every network."]


def _left_out(one: SuiteTests[RobustnessTable]) -> list[Block]:
    """Return what is missing and why; nothing where nothing is."""
    failed = [reason for table in one.tables for reason in reasons_of(table)]
    lines = tuple(dict.fromkeys([*failed, *one.problems]))
    return [Bullets("Missing from these tables:", lines)] if lines else []
