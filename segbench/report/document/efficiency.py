"""The section of a report on networks that were trained on fewer images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from segbench.metrics.uncertainty import Interval
from segbench.report.blocks import Block, Bullets, Cell, Drawing, Heading, Paragraph, Table
from segbench.report.efficiency.crossings import Crossing
from segbench.report.efficiency.table import EfficiencyRow, EfficiencyTable, Point, Pretraining
from segbench.report.efficiency.words import (
    counted_orders,
    gain_in_words,
    how_sure,
    intervals_in_brief,
    missing,
    verdict,
)
from segbench.report.text import short_id, with_spread

TITLE = "From less data"


def efficiency_section(tables: Sequence[EfficiencyTable], drawings: Sequence[Drawing]) -> list[Block]:
    """Return what is known of networks on fewer images; nothing where no fraction varies.

    Args:
        tables: The tables of ``efficiency_tables``.
        drawings: The figure of each.
    """
    blocks: list[Block] = []
    for table, drawing in zip(tables, drawings, strict=True):
        title = TITLE if len(tables) == 1 else f"{TITLE}: {table.name}"
        blocks += [Heading(title, anchor=f"efficiency-{short_id(table.key)}", link=title)]
        blocks += [Paragraph.of(verdict(table), lead=True), Paragraph.of(how_sure(table)), replace(drawing, level=3)]
        lacking = tuple(missing(table))
        blocks += [Bullets("What is missing", lacking)] if lacking else []
        blocks += [_scores(table), *_needs(table), *_crossings(table), *_pretraining(table)]
    return blocks


def efficiency_facts(tables: Sequence[EfficiencyTable]) -> list[dict[str, Any]]:
    """Return the same for programs; ends of intervals that are open, and what is not known, are None."""
    return [{**_plain(asdict(table)), "verdict": verdict(table)} for table in tables]


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _scores(table: EfficiencyTable) -> Table:
    titles = ["network", *(f"{size:,} images" for size in table.sizes)]
    rows: list[list[Cell | str]] = [[row.label, *(_score(row.at(size)) for size in table.sizes)] for row in table.rows]
    return Table.of(f"efficiency-{short_id(table.key)}", titles, rows, ":" + "-" * len(table.sizes))


def _score(point: Point | None) -> Cell:
    return Cell("-") if point is None else Cell(with_spread(point.score, point.spread), point.score)


def _needs(table: EfficiencyTable) -> list[Block]:
    scores = [need.score for need in table.rows[0].needs]
    if not scores:
        return []
    rows: list[list[Cell | str]] = [[row.label, *_needed(row)] for row in table.rows]
    titles = ["network", *(f"images for {score:g}" for score in scores)]
    words = (
        f"The training images with which a network reaches a {table.measure} ({intervals_in_brief(table)}). An end "
        "that is open lies outside of the numbers of images that were tested, and 'never' is with all of them."
    )
    signs = ":" + "-" * len(scores)
    return [Paragraph.of(words), Table.of(f"images-needed-{short_id(table.key)}", titles, rows, signs)]


def _needed(row: EfficiencyRow) -> list[Cell]:
    return [Cell(str(need), None if need.images is None else need.images) for need in row.needs]


def _crossings(table: EfficiencyTable) -> list[Block]:
    found = [crossing for pair in table.pairs for crossing in pair.crossings]
    if not found:
        return []
    found.sort(key=lambda crossing: (not crossing.told, crossing.images))
    titles = ["better with fewer images", "better with more", "cross at", "95 % interval", "told apart at", "p"]
    rows = [_crossing(crossing) for crossing in found]
    return [
        Paragraph.of(f"Where curves cross. {counted_orders(table)}"),
        Table.of(f"crossings-{short_id(table.key)}", titles, rows, "::-::-"),
    ]


def _crossing(crossing: Crossing) -> list[Cell | str]:
    told = "not told apart" if crossing.sides is None else "{} and {} images".format(*crossing.sides)
    interval = "" if crossing.interval is None else f"{crossing.interval.low:.0f} to {crossing.interval.high:.0f}"
    number = Cell(f"{crossing.images:.0f}", crossing.images)
    known = not math.isnan(crossing.p_value)
    p_value = "" if not known else f"{crossing.p_value:.3f}" if crossing.p_value >= 0.001 else "<0.001"
    return [crossing.fewer, crossing.more, number, interval, told, p_value]


def _pretraining(table: EfficiencyTable) -> list[Block]:
    if not table.pretraining:
        return []
    titles = ["pretrained", "from scratch", *(f"{size:,} images" for size in table.sizes), "does as well with"]
    rows: list[list[Cell | str]] = [
        [
            pair.pretrained,
            pair.scratch,
            *(_gain(pair, size) for size in table.sizes),
            "-" if pair.match is None else str(pair.match),
        ]
        for pair in table.pretraining
    ]
    words = (
        f"The {table.measure} of a pretrained network less that of the same one from scratch, paired "
        f"({intervals_in_brief(table)}), and the images with which it does as well as the other one with the most "
        "images that this was trained on."
    )
    signs = "::" + "-" * (len(table.sizes) + 1)
    return [Paragraph.of(words), Table.of(f"pretraining-{short_id(table.key)}", titles, rows, signs)]


def _gain(pair: Pretraining, size: int) -> Cell:
    return Cell(gain_in_words(*pair.gains[size]), pair.gains[size][0]) if size in pair.gains else Cell("-")
