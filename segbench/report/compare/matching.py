"""Pairs the networks of two sets of stored runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from segbench.errors import StoreError
from segbench.report.runs.network_identity import NetworkKey, disambiguate_labels, drop_copies, network_key
from segbench.report.runs.trials import tuned_names
from segbench.report.text import canonical
from segbench.results.record import Status


@dataclass(frozen=True, eq=False)
class Side:
    """One network of one set.

    Attributes:
        model: Its name, unique within its set; tuned and untuned versions have separate names.
        key: Its identity.
        runs: Its completed runs, one for each seed.
    """

    model: str
    key: NetworkKey
    runs: pd.DataFrame

    @property
    def protocol(self) -> str:
        """The protocol of its runs."""
        return str(self.runs["protocol"].iloc[0])


class Pair(NamedTuple):
    """A network of the first set and one of the second."""

    first: Side
    second: Side

    @property
    def differing(self) -> dict[str, tuple[Any, Any]]:
        """Differences between the two: options, factory, digests of weights and code; None where one lacks it."""
        one, other = (side.runs.iloc[0] for side in self)
        values = {name: (one["options"].get(name), other["options"].get(name)) for name in _names(one, other)}
        values |= {name: (one[name], other[name]) for name in ("name", "weights_digest", "source_digest")}
        return {name: both for name, both in values.items() if len(set(map(canonical, both))) > 1}


def sides(runs: pd.DataFrame, which: str) -> list[Side]:
    """Return the networks of one set.

    Args:
        runs: Rows of ``load_results``.
        which: What an error calls the set.

    Raises:
        StoreError: There is none, or one stands under several protocols.
    """
    runs = runs.assign(model=tuned_names(runs))
    keys = pd.Series([network_key(run) for run in runs.itertuples()], dtype=object)
    told_apart = disambiguate_labels(runs).assign(key=keys)
    completed = drop_copies(told_apart[told_apart["status"] == Status.COMPLETED])
    if completed.empty:
        raise StoreError(f"the {which} holds no completed run; there is nothing to compare")
    found = [Side(str(model), group["key"].iloc[0], group) for model, group in completed.groupby("model", sort=False)]
    for side in found:
        if side.runs["protocol"].nunique() > 1:
            raise StoreError(f"the {which} holds {side.model} under several protocols; give the folders of single runs")
    return found


def paired(first: Sequence[Side], second: Sequence[Side]) -> list[Pair]:
    """Return the networks that both sets have, in the order of the first.

    The same network of the same name comes first, then the same network under another name, then another one under the
    same name; where each set holds one network only, these two are a pair whatever they are.

    Raises:
        StoreError: There is no pair.
    """
    if len(first) == len(second) == 1:
        return [Pair(first[0], second[0])]
    partners: dict[str, Side] = {}
    for likeness in _LIKENESSES:
        taken = {side.model for side in partners.values()}
        free = (
            [side for side in first if side.model not in partners],
            [side for side in second if side.model not in taken],
        )
        partners |= _alike(*free, likeness)
    if not partners:
        names = (", ".join(side.model for side in given) for given in (first, second))
        raise StoreError(f"no network is in both: {' | '.join(names)}")
    return [Pair(side, partners[side.model]) for side in first if side.model in partners]


def _alike(first: Sequence[Side], second: Sequence[Side], likeness: Callable[[Side], Hashable]) -> dict[str, Side]:
    """Return the unique matches: for a network of the first set, the only similar one of the second."""
    numbers = [Counter(map(likeness, given)) for given in (first, second)]
    by_likeness = {likeness(side): side for side in second}
    alone = [side for side in first if all(number[likeness(side)] == 1 for number in numbers)]
    return {side.model: by_likeness[likeness(side)] for side in alone}


_LIKENESSES: tuple[Callable[[Side], Hashable], ...] = (
    lambda side: side.key,
    lambda side: side.key._replace(label=""),
    lambda side: side.model,
    lambda side: side.key.label,
)


def _names(one: pd.Series[Any], other: pd.Series[Any]) -> list[str]:
    """Return the options of either network."""
    return list(dict.fromkeys([*one["options"], *other["options"]]))
