"""The part of a report about one table: ranking, caveats, gallery, figures and scores by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from segbench.report.blocks import Block, Drawing, Gallery, Heading, Paragraph
from segbench.report.document import sections
from segbench.report.document.pictures import gallery
from segbench.report.document.rows import row_facts
from segbench.report.document.summary import Judged, advice, hardest_class
from segbench.report.document.worst_images import worst_cases
from segbench.report.formats.leaderboard import table_blocks
from segbench.report.ranking.notes import Note
from segbench.report.ranking.tables import RankedTable
from segbench.report.runs.pictures import find_pictures

NO_PICTURES = "No pictures: these runs kept none."
_LEADS = ("accuracy-throughput", "accuracy-parameters", "mean-iou-intervals")
_TRAINING = "Training and calibration"
_FIGURES = {
    "Uncertainty of the ranking": ("mean-iou-intervals", "paired-differences"),
    "Accuracy and cost": ("accuracy-throughput", "accuracy-parameters", "latency", "memory"),
    _TRAINING: ("learning-curves", "reliability"),
}
"""The figures under each heading; IoU by class is a table, followed by the confusion matrices."""
_ANCHORS = dict(zip(_FIGURES, ("uncertainty", "cost", "training"), strict=True))
"""The anchors of these headings."""


def lead_figure(parts: Sequence[tuple[RankedTable, Mapping[str, Drawing]]]) -> list[Drawing]:
    """Return the figure that opens a report: accuracy against speed where that was measured, else against size."""
    for table, drawings in parts:
        name = _lead(table, drawings)
        if name is not None:
            return [drawings[name]]
    return []


def _lead(table: RankedTable, drawings: Mapping[str, Drawing]) -> str | None:
    measured = table.scored["throughput_images_per_second"].notna().any()
    return next((name for name in _LEADS[0 if measured else 1 :] if name in drawings), None)


def table_part(
    judged: Judged, drawings: Mapping[str, Drawing], notes: Sequence[Note], *, leads: bool, alone: bool, linked: bool
) -> list[Block]:
    """Return all blocks about one table.

    Args:
        judged: The table, with its runs and pairs.
        drawings: Its figures by the names of ``DRAWINGS``.
        notes: What a reader must know of it.
        leads: Whether one of its figures opens the report; it is then not repeated here.
        alone: Whether it is the report's only table; the links at the top of a page then lead to its parts.
        linked: Whether one of these links leads to the table.
    """
    table, runs, _ = judged
    pictures = _pictures(judged, drawings)
    curves = drawings["learning-curves"].name if "learning-curves" in drawings else None
    facts = row_facts(table, runs, notes, curves=curves, pictures=pictures) if len(table.scored) else []
    _, *rest = table_blocks(table, facts=facts)
    link = table.short_name if linked else ""
    blocks: list[Block] = [Heading(table.heading, 3, "networks", link=link), *rest]
    start = len(blocks)
    if advice(table):
        blocks.append(Paragraph.of(advice(table)))
    blocks += sections.notes(notes)
    if pictures:
        blocks += [Heading("Predictions", 3), pictures]
    elif facts and find_pictures(table.rows, runs) is None:
        blocks.append(Paragraph.of(NO_PICTURES))
    spent = _lead(table, drawings) if leads else None
    for title, names in _FIGURES.items():
        found = [drawings[name] for name in names if name in drawings and name != spent]
        blocks += [Heading(_of_those(title, found), 3, _ANCHORS[title]), *found] if found else []
    blocks += [*_classes(judged, drawings), *worst_cases(table.rows, runs), *sections.published(table.rows, runs)]
    return [*blocks[:start], *(_linked(block) if alone else block for block in blocks[start:])]


def _of_those(title: str, found: Sequence[Drawing]) -> str:
    """Return a heading that names only the figures that exist."""
    if title != _TRAINING:
        return title
    parts = {"learning-curves": "Training", "reliability": "Calibration"}
    known = [word for name, word in parts.items() if any(drawing.name.startswith(name) for drawing in found)]
    return " and ".join(known).capitalize()


def _linked(block: Block) -> Block:
    """Return a heading with a navigation link; other blocks unchanged."""
    return replace(block, link=block.text) if isinstance(block, Heading) else block


def _pictures(judged: Judged, drawings: Mapping[str, Drawing]) -> Gallery | None:
    return gallery(judged.table.rows, judged.runs, drawings["pictures"]) if "pictures" in drawings else None


def _classes(judged: Judged, drawings: Mapping[str, Drawing]) -> list[Block]:
    table, runs, _ = judged
    scores = sections.class_table(table.rows, runs)
    if not scores:
        return []
    hardest = hardest_class(table.scored, runs)
    blocks: list[Block] = [Heading("Classes", 3), *([Paragraph.of(hardest)] if hardest else []), *scores]
    blocks += sections.own_class_tables(table.rows, runs)
    return [*blocks, drawings["confusion"]] if "confusion" in drawings else blocks
