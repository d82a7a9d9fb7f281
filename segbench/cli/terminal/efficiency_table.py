"""Shows how networks do with fewer training images."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from segbench.cli.terminal.output import tell, wrapped, write_table
from segbench.report.text import printable

if TYPE_CHECKING:
    from segbench.report.efficiency.table import EfficiencyTable, Point, Pretraining


def show(table: EfficiencyTable, *, first: bool) -> None:
    """Write scores, needed images, crossings and the verdict; the best network with the most images first.

    Args:
        table: The networks.
        first: Whether it is the first table; others stand apart from the one before.
    """
    from segbench.report.efficiency.words import crossing_in_words, how_sure, missing, verdict

    if not first:
        typer.echo()
    typer.echo(_broken(printable(f"{table.name}: {table.measure} by training images")))
    sizes = [f"{size:,}" for size in table.sizes]
    rows = [[printable(row.label), *(_score(row.at(size)) for size in table.sizes)] for row in table.rows]
    write_table(["model", *sizes], rows, right=sizes, drop=sizes)
    _show_needs(table)
    for pair in table.pretraining:
        _show_gains(table, pair)
    crossings = [crossing for pair in table.pairs for crossing in pair.crossings]
    if crossings:
        typer.echo("\nCrossings")
    for crossing in sorted(crossings, key=lambda one: (not one.told, one.images)):
        typer.echo(_broken(f"- {crossing_in_words(crossing)}", indent="  "))
    typer.echo(f"\n{_broken(verdict(table))}")
    tell(how_sure(table))
    for note in missing(table):
        tell(f"note: {note}")


def _show_needs(table: EfficiencyTable) -> None:
    from segbench.report.efficiency.words import intervals_in_brief

    titles = [f"for {need.score:g}" for need in table.rows[0].needs]
    if not titles:
        return
    typer.echo(f"\n{_broken(f'Training images that are needed ({intervals_in_brief(table)})')}")
    rows = [[printable(row.label), *map(str, row.needs)] for row in table.rows]
    write_table(["model", *titles], rows, right=titles, drop=titles)


def _show_gains(table: EfficiencyTable, pair: Pretraining) -> None:
    """Write what a pretrained network has more than from scratch, one line a number of images that both have."""
    from segbench.report.efficiency.words import intervals_in_brief

    if not pair.gains:
        return  # the verdict says why
    of = f"{printable(pair.pretrained)} less {printable(pair.scratch)} ({intervals_in_brief(table)})"
    typer.echo(f"\n{_broken(of)}")
    rows = [
        [f"{size:,}", f"{gain:+.3f}", "-" if ends is None else f"{ends.low:+.3f} to {ends.high:+.3f}"]
        for size, (gain, ends) in pair.gains.items()
    ]
    write_table(["images", "difference", "95 % interval"], rows, right=["images", "difference"])


def _broken(text: str, *, indent: str = "") -> str:
    """Return a sentence, broken at words where it goes to a terminal."""
    return wrapped(text, indent=indent) if sys.stdout.isatty() else text


def _score(point: Point | None) -> str:
    return "-" if point is None else f"{point.score:.3f}"
