"""Caveats of a comparison of two sets of runs: single trainings, the same network, other environments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from segbench.report.text import printable

if TYPE_CHECKING:
    import pandas as pd

_SEVERAL = "train each three times or more (segbench run SUITE --seeds 0,1,2) and compare the folders"


def caveats(networks: pd.DataFrame) -> list[str]:
    """Return the caveats of a comparison, as sentences.

    Args:
        networks: Rows of ``Compared.networks``.
    """
    return [*_of_one_network(networks), *_of_weights(networks), *_of_environments(networks)]


def named(first: Any, second: Any) -> str:
    """Return a pair's name: both names where they differ."""
    return " | ".join(dict.fromkeys((str(first), str(second))))


def _of_one_network(networks: pd.DataFrame) -> Iterator[str]:
    """Yield a caveat for each network that is the same on both sides."""
    for row in _rows(networks):
        if not row["same_network"] or not row["trained"]:
            continue
        seeds = " | ".join(", ".join(map(str, numbers)) for numbers in (row["seeds"] or ()))
        whose = f"{printable(_pair(row))}: the same network on both sides"
        if not row["same_recipe"]:
            yield f"{whose}, by two recipes"
        elif len(set(row["seeds"])) > 1:
            yield f"{whose}, seeds {seeds}: the difference is between trainings, not between networks"
        else:
            yield f"{whose}, with the same seeds: a difference is one of machine, versions, data or chance on a GPU"


def _of_weights(networks: pd.DataFrame) -> Iterator[str]:
    """Yield a caveat where intervals hold for the given weights only."""
    once = networks[(networks["scope"] == "weights") & networks["trained"]]
    if once.empty:
        return
    whose = "" if len(once) == len(networks) else f"{', '.join(printable(_pair(row)) for row in _rows(once))}: "
    what = "intervals are" if len(once) > 1 else "the interval is"
    of_weights = f"{what} of these weights on images like these test images; another seed gives other weights. "
    yield (
        f"{whose}{of_weights if once['low'].notna().any() else ''}One training cannot tell networks apart: {_SEVERAL}"
    )


def _of_environments(networks: pd.DataFrame) -> Iterator[str]:
    """Yield a caveat for each difference between environments, once for all networks that share it."""
    whose: dict[str, list[str]] = {}
    for row in _rows(networks):
        if row["environment"]:
            values = "; ".join(f"{fact} {first} | {second}" for fact, (first, second) in row["environment"].items())
            whose.setdefault(values, []).append(_pair(row))
    for values, names in whose.items():
        names_first = f"{printable(', '.join(names))}: " if len(names) < len(networks) else ""
        yield f"{names_first}not computed alike, and scores depend on it: {printable(values)}"
    if unrecorded := dict.fromkeys(fact for facts in networks["unrecorded"] for fact in facts):
        yield f"not recorded of all runs, so that they may differ in it unseen: {', '.join(unrecorded)}"


def _pair(row: Mapping[Any, Any]) -> str:
    return named(row["first"], row["second"])


def _rows(networks: pd.DataFrame) -> list[dict[Any, Any]]:
    rows: list[dict[Any, Any]] = networks.to_dict("records")
    return rows
