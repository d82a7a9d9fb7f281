"""What the benchmarks of claims share: synthetic worlds by situation, judged in processes, as a table and as facts."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from interval_coverage import COVERAGE, FALSE_TABLES

from segbench.cli.terminal.output import write_table

Situation = TypeVar("Situation")
Seen = TypeVar("Seen")
Fact = dict[str, Any]
"""What a situation's worlds showed; ``failed`` names what was not as promised."""


def parser_of(doc: str, *, worlds: int) -> argparse.ArgumentParser:
    """Return the options that all of them have.

    Args:
        doc: The module's docstring.
        worlds: How many worlds a row has by default.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=worlds, help="synthetic worlds in each row")
    parser.add_argument("--images", type=int, default=100, help="test images in each")
    parser.add_argument("--jobs", type=int, default=None, help="processes; one for each core by default")
    parser.add_argument("--facts", type=Path, help="also write the figures here, one JSON object a line")
    return parser


def judge(
    situations: Iterable[Situation],
    look: Callable[[Situation, int, int], Seen],
    summed: Callable[[Situation, Sequence[Seen]], Fact],
    columns: dict[str, Callable[[Fact], str]],
    given: argparse.Namespace,
    *,
    words: Collection[str] = (),
) -> int:
    """Make the worlds of each situation, write a row for each, and return the exit code: 1 if anything failed.

    Args:
        situations: What the worlds of a row have in common.
        look: Makes one world of a situation with so many images, by its number, and judges it.
        summed: Sums the worlds of a row up.
        columns: The cells of a row, by title.
        given: The options.
        words: Titles of the columns that hold words, not numbers.
    """
    cells = {**columns, "": _failures}
    rows, facts = [], []
    with ProcessPoolExecutor(given.jobs) as pool:
        for situation in situations:
            worlds = pool.map(partial(look, situation, given.images), range(given.worlds), chunksize=5)
            facts.append(summed(situation, list(worlds)))
            rows.append([cell(facts[-1]) for cell in cells.values()])
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    write_table(list(cells), rows, right=[title for title in columns if title not in words])
    if given.facts:
        given.facts.write_text("".join(json.dumps(fact) + "\n" for fact in facts), encoding="utf-8")
    return 1 if any(fact["failed"] for fact in facts) else 0


def is_outside(share: float, error: float, *, above: bool = True) -> bool:
    """Return whether a coverage is outside what is promised by more than two standard errors.

    Args:
        share: The coverage.
        error: Its standard error.
        above: Whether a coverage that is too high counts.
    """
    return share < COVERAGE[0] - 2 * error or (above and share > COVERAGE[1] + 2 * error)


def are_too_many(share: float, worlds: int) -> bool:
    """Return whether a share of tables that claim falsely is above 5 % by more than two standard errors."""
    return share > FALSE_TABLES + 2 * math.sqrt(FALSE_TABLES * (1 - FALSE_TABLES) / worlds)


def with_error(fact: Fact, name: str) -> str:
    """Return a coverage with its standard error; empty where there is none."""
    return f"{fact[name]:.1%} ± {fact[f'{name}_error']:.1%}" if name in fact else ""


def _failures(fact: Fact) -> str:
    return f"FAILS: {', '.join(fact['failed'])}" if fact["failed"] else ""
