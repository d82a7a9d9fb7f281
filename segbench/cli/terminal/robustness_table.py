"""Shows the scores of networks under corruption and on other data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from segbench.cli.terminal.output import tell, write_json, write_table
from segbench.report.text import printable

if TYPE_CHECKING:
    from segbench.metrics.uncertainty import Interval
    from segbench.report.robustness.rows import RobustnessRow, RobustnessTable


def show(folder: Path, *, as_json: bool) -> None:
    """Write the robustness tables of a suite's folder, best network under corruption first.

    Raises:
        StoreError: The folder does not exist.
    """
    from segbench.report.robustness.load import load_retests
    from segbench.report.robustness.table import robustness_tables

    found = load_retests(folder)
    tables = robustness_tables(found)
    if as_json:
        write_json([_as_json(table) for table in tables])
        return
    for table in tables:
        _show(table)
    for problem in found.problems:
        tell(f"note: {problem}")


def _show(table: RobustnessTable) -> None:
    elsewhere = list(dict.fromkeys(label for row in table.rows for label in row.elsewhere))
    with_train = any(row.train is not None for row in table.rows)
    titles = ["model", "clean", "corrupted", "loss", "lost", "worst under", "rank", "calibration error"]
    rows = [[*_cells(row), *_more(row, elsewhere, with_train=with_train)] for row in table.rows]
    titles += [*elsewhere, *(["train"] if with_train else [])]
    figures = [title for title in titles if title not in ("model", "worst under")]
    write_table(titles, rows, right=figures, whole=["model"])
    for row in table.rows:
        for condition, reason in row.failures.items():
            tell(f"note: {row.label}, {condition}: {reason}")
    if any(row.by_corruption for row in table.rows):
        tell(f"{table.images} test images. {table.verdict}")


def _cells(row: RobustnessRow) -> list[str]:
    return [
        printable(row.label),
        _score(row.clean),
        _score(row.corrupted),
        _interval(row.loss),
        f"{row.relative_loss:.0%}" if row.by_corruption else "-",
        f"{row.worst.replace('_', ' ')} {_score(row.by_corruption[row.worst])}" if row.worst else "-",
        f"{_ranks(row.rank_clean)} → {_ranks(row.rank_corrupted)}" if row.rank_clean else "-",
        _score(row.calibration_error),
    ]


def _more(row: RobustnessRow, elsewhere: list[str], *, with_train: bool) -> list[str]:
    others = [_score(row.elsewhere.get(label)) for label in elsewhere]
    return [*others, *([_score(row.train)] if with_train else [])]


def _score(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"  # noqa: PLR0124 - NaN


def _interval(loss: Interval | None) -> str:
    return "-" if loss is None or loss.low != loss.low else f"{loss.low:+.3f} to {loss.high:+.3f}"


def _ranks(bounds: tuple[int, int] | None) -> str:
    if bounds is None:
        return "-"
    return str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]}-{bounds[1]}"


def _as_json(table: RobustnessTable) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(table), "verdict": table.verdict}
