"""The IoU of every class and network: for the leaderboard's rows, the terminal, Markdown and CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from segbench.report import blocks
from segbench.report.text import is_absent, printable, with_spread

_GAP = 2
_WIDEST_CLASS = 24
_WIDEST_NETWORK = 18
"""Signs in a line of a name; longer ones go on in the next."""


def class_scores(runs: pd.DataFrame) -> dict[str, Any]:
    """Return the columns ``class_iou`` and ``class_iou_std`` of one network from its completed runs, one a seed.

    A class that is in no label and no prediction has no IoU; what a class has in some seeds only is the mean of these.
    """
    known = [run for run in runs.itertuples() if not is_absent(run.class_iou)]
    if not known:
        return {"class_iou": None, "class_iou_std": None}
    first: Any = known[0]
    names = _distinct(first.classes)
    scores = pd.DataFrame([run.class_iou for run in known], columns=names, dtype=float)
    return {"class_iou": scores.mean().to_dict(), "class_iou_std": scores.std(ddof=1).to_dict()}


def with_class_columns(board: pd.DataFrame) -> pd.DataFrame:
    """Return a leaderboard in which each class has two columns, ``iou_<class>`` and ``iou_<class>_std``.

    A table without the scores of classes is returned as it is.
    """
    if "class_iou" not in board:
        return board
    flat: dict[str, list[float]] = {}
    names = dict.fromkeys(name for given in board["class_iou"] if not is_absent(given) for name in given)
    for name in names:
        flat[f"iou_{name}"] = [_value(given, name) for given in board["class_iou"]]
        flat[f"iou_{name}_std"] = [_value(given, name) for given in board["class_iou_std"]]
    rest = board.drop(columns=["class_iou", "class_iou_std"])
    return pd.concat([rest, pd.DataFrame(flat, index=board.index)], axis=1)


def class_tables(scored: pd.DataFrame, *, width: int) -> Iterator[Table]:
    """Yield the IoU of every class (rows) and network (columns) for the terminal, so many networks as fit into it."""
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
        (printable(model), [_shown(_value(iou, name), _value(spread, name)) for name in names])
        for model, iou, spread in zip(scored["model"], scored["class_iou"], scored["class_iou_std"], strict=True)
    ]
    return [printable(name) for name in names], columns


def _shown(mean: float, spread: float) -> str:
    return with_spread(mean, spread) or "-"


def _value(given: Any, name: str) -> float:
    return float(given.get(name, np.nan)) if isinstance(given, Mapping) else np.nan


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


def _distinct(names: Sequence[str]) -> list[str]:
    """Return class names, numbered where two are equal."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
