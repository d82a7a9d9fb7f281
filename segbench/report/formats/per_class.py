"""The IoU of every class and network as a table: for the terminal, and as a block of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from segbench.report import blocks
from segbench.report.runs.class_iou import class_value
from segbench.report.text import is_absent, printable, with_spread

_GAP = 2
_WIDEST_CLASS = 24
_WIDEST_NETWORK = 18
"""Characters per line of a name; longer names wrap."""


def class_tables(scored: pd.DataFrame, *, width: int) -> Iterator[Table]:
    """Yield tables of IoU by class (rows) and network (columns), as many networks each as the terminal fits."""
    classes, columns = _cells(scored)
    first = min(_WIDEST_CLASS, max(map(cell_len, ("IoU by class", *classes)), default=0))
    room, part = width - first, list[tuple[str, list[str]]]()
    for name, cells in columns:
        needed = _GAP + _network_width(name, cells)
        if part and needed > room:
            yield _table(classes, part, first)
            room, part = width - first, []
        part.append((name, cells))
        room -= needed
    if part:
        yield _table(classes, part, first)


def class_block(scored: pd.DataFrame) -> list[blocks.Block]:
    """Return the same table as a block; nothing without classes."""
    classes, columns = _cells(scored)
    if not classes:
        return []
    rows: list[list[blocks.Cell | str]] = [
        [name, *(cells[place] for _, cells in columns)] for place, name in enumerate(classes)
    ]
    titles = ["IoU by class", *(name for name, _ in columns)]
    return [blocks.Table.of("classes", titles, rows, ":" + "-" * len(columns))]


def _cells(scored: pd.DataFrame) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the names of the classes, and for each network its name and its cells."""
    names = list(dict.fromkeys(name for given in scored["class_iou"] if not is_absent(given) for name in given))
    if not names:
        return [], []
    columns = [
        (printable(model), [_shown(class_value(iou, name), class_value(spread, name)) for name in names])
        for model, iou, spread in zip(scored["model"], scored["class_iou"], scored["class_iou_std"], strict=True)
    ]
    return [printable(name) for name in names], columns


def _shown(mean: float, spread: float) -> str:
    return with_spread(mean, spread) or "-"


def _network_width(name: str, cells: Sequence[str]) -> int:
    return max(min(cell_len(name), _WIDEST_NETWORK), *map(cell_len, cells))


def _table(classes: Sequence[str], columns: Sequence[tuple[str, list[str]]], first: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    table.add_column("IoU by class", width=first, overflow="fold")
    for name, cells in columns:
        table.add_column(Text(name), width=_network_width(name, cells), overflow="fold", justify="right")
    for place, name in enumerate(classes):
        table.add_row(Text(name), *(Text(cells[place]) for _, cells in columns))
    return table
