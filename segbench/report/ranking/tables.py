"""Splits a leaderboard into tables of comparable rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from segbench.metrics.trainings import FEWEST_SHRUNK, Scope
from segbench.report.text import is_absent, name_of_test_data, plural, printable, short_id
from segbench.results.files import safe_name

INTERVAL, GROUP = "95 % interval", "group"
"""Titles of the columns that need an explanation."""

_SPEED_OF_RUNS = ("evaluation_images_per_second", "training_images_per_second")
_LETTERS = "Two rows share a letter (group) exactly if they cannot be told apart."


@dataclass(frozen=True, eq=False)
class RankedTable:
    """Comparable rows of a leaderboard: scored ones, best first, and those that failed or were skipped.

    Attributes:
        protocol: The protocol's id; None for runs that cannot be read.
        test_data: The digest of the test data; None if not known.
        rivals: Test data of the other tables of this protocol.
        kind: The search of its rows or, if other tables are tuned, that there was none; else empty.
        rows: The rows.
    """

    protocol: str | None
    test_data: str | None
    rivals: tuple[str | None, ...]
    kind: str
    rows: pd.DataFrame

    @property
    def scored(self) -> pd.DataFrame:
        """The rows with a score, best first."""
        return self.rows[self.rows["position"].notna()]

    @property
    def others(self) -> pd.DataFrame:
        """The rows without a score."""
        return self.rows[self.rows["position"].isna()]

    @property
    def tells_networks_apart(self) -> bool:
        """Whether networks are ranked; not if every network was trained once."""
        return bool(self.rows["rank"].notna().any())

    @property
    def has_one_lender(self) -> bool:
        """Whether all networks but one were trained once, and borrow its variance."""
        return bool((self.scored["seeds"] > 1).sum() == 1 < len(self.scored))

    @property
    def name(self) -> str:
        """Its protocol, tuning, recipe values and, if the protocol has several tables, its test data."""
        if self.protocol is None:
            return "Runs that cannot be read"
        known = "; ".join(part for part in (self.kind, self.values) if part)
        name = f"Protocol {short_id(self.protocol)}" + (f" ({known})" if known else "")
        return f"{name} · {name_of_test_data(self.test_data)}" if self.rivals else name

    @property
    def file_id(self) -> str:
        """What tells the files of its figures from those of another table."""
        ids = [self.protocol, *([self.test_data] if self.rivals else [])]
        return "-".join(safe_name(short_id(part)) for part in ids)

    @property
    def short_name(self) -> str:
        """Its recipe, such as ``Identical recipe``, where that tells it from the other tables; else its whole name."""
        return f"{self.kind[:1].upper()}{self.kind[1:]}" if self.kind and not self.rivals else self.name

    @property
    def values(self) -> str:
        """The grid's values of its recipe, and values that all tuned rows chose."""
        grid = None if is_absent(self.rows["grid"].iloc[0]) else printable(self.rows["grid"].iloc[0])
        chosen = set(self.scored["tuned"])
        one = next(iter(chosen)) if len(chosen) == 1 else None
        return "; ".join(part for part in (grid, None if is_absent(one) else f"chosen: {printable(one)}") if part)

    @property
    def heading(self) -> str:
        """The heading: protocol, number of networks, and number of runs each."""
        name = self.name
        numbers = sorted(set(self.scored["seeds"]))
        if not numbers:
            return name
        seeds = plural(numbers[0], "seed") if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]} seeds"
        spread = ", mean ± standard deviation" if numbers[-1] > 1 else ""
        each = " each" if len(self.scored) > 1 else ""
        folds = self.scored["folds"].dropna()
        crossed = f" · {folds.iloc[0]}-fold cross-validation" if len(folds) else ""
        unranked = "" if self.tells_networks_apart else ", not ranked"
        return f"{name} · {plural(len(self.scored), 'network')}, n = {seeds}{each}{spread}{crossed}{unranked}"

    @property
    def certainty(self) -> str:
        """What the intervals and the groups rest on; empty without any."""
        return self.certainty_of(INTERVAL, GROUP)

    def certainty_of(self, *titles: str) -> str:
        """Return what the intervals and the groups rest on, as far as a reader sees the columns of these titles."""
        known = self.scored[self.scored["resamples"].notna()]
        if known.empty:
            return ""
        sentences = [self._intervals(known)] if INTERVAL in titles else []
        if GROUP in titles and (self.tells_networks_apart or known["scope"].eq(Scope.NETWORKS).any()):
            sentences.append(_LETTERS)
        return " ".join(sentences)

    def _intervals(self, known: pd.DataFrame) -> str:
        drawn = f"{known['resamples'].iloc[0]:,} resamples of the {known['test_images'].iloc[0]} test images"
        if known["scope"].eq(Scope.NETWORKS).any():
            borrowed = "" if (known["seeds"] > 1).all() else " Rows with one seed borrow the others' largest variation."
            several = (known["seeds"] > 1).sum()
            shrunk = "; variation between seeds shrunk over the networks" if several >= FEWEST_SHRUNK else ""
            return f"95 % intervals over trainings and test images ({drawn}{shrunk}).{borrowed}"
        what = f"95 % intervals of these weights over test images ({drawn})."
        if self.tells_networks_apart:
            return what
        return f"{what} One seed: variation between trainings is not included, so that no network is ranked."

    @property
    def apart(self) -> str:
        """Why the rows are not ranked together with others of the same protocol; empty without such rows."""
        if not self.rivals:
            return ""
        names = ", ".join(map(name_of_test_data, self.rivals))
        return f"Same protocol, other test data: not ranked together with {names}."


def tables_of(board: pd.DataFrame) -> list[RankedTable]:
    """Split a leaderboard into its tables, in order.

    Where speed was measured of any row, tables show no other speed: they leave out the runs' own images a second.
    """
    if board["throughput_images_per_second"].notna().any():
        board = board.assign(**dict.fromkeys(_SPEED_OF_RUNS, np.nan))
    groups = list(board.groupby(["protocol", "test_data"], sort=False, dropna=False))
    keys = [tuple(None if is_absent(part) else str(part) for part in key) for key, _ in groups]
    untuned = "identical recipe" if board["tuning"].notna().any() else ""
    return [
        RankedTable(
            protocol,
            data,
            tuple(rival for other, rival in keys if other == protocol and rival != data),
            untuned if is_absent(rows["tuning"].iloc[0]) else str(rows["tuning"].iloc[0]),
            rows,
        )
        for (protocol, data), (_, rows) in zip(keys, groups, strict=True)
    ]
