"""The verdict on one table in two sentences: the winner, its separation from the others, and cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from segbench.metrics.trainings import Scope
from segbench.metrics.uncertainty import SIGNIFICANT
from segbench.report.ranking.tables import RankedTable
from segbench.report.runs.class_iou import class_iou
from segbench.report.text import count, is_absent, plural, printable, rate

_NAMED = 4
ADVICE = "To compare the networks, train each three times or more: segbench run SUITE --seeds 0,1,2."
"""Advice where networks were trained once."""


class Judged(NamedTuple):
    """One table, the runs that it is made of and its pairs, with the columns of ``Ranking.pairs``."""

    table: RankedTable
    runs: pd.DataFrame
    pairs: pd.DataFrame


def verdicts(judged: Sequence[Judged]) -> list[str]:
    """Return the verdict on each table that scores anything; where there are several, each says of which it is."""
    known = [one for one in judged if len(one.table.scored)]
    if len(known) < 2:
        return [verdict(one.table, one.pairs) for one in known]
    names = [one.table.short_name for one in known]
    if len(set(names)) < len(names):
        names = [one.table.name for one in known]
    return [f"{name}: {verdict(one.table, one.pairs)}" for name, one in zip(names, known, strict=True)]


def verdict(table: RankedTable, pairs: pd.DataFrame) -> str:
    """Return the verdict on one table; empty if nothing was scored.

    Args:
        table: The table.
        pairs: Its pairs, with the columns of ``Ranking.pairs``.
    """
    if table.scored.empty:
        return ""
    who = f"{_winner(table)}{_separation(table, pairs)}."
    return " ".join(sentence for sentence in (who, _cost(table)) if sentence)


def advice(table: RankedTable) -> str:
    """Return advice on making networks comparable; empty if they are."""
    return "" if table.tells_networks_apart or len(table.scored) < 2 else ADVICE


def _winner(table: RankedTable) -> str:
    first, best = table.scored.iloc[0], _best(table)
    if len(best) > 1:
        return f"{listed(best)} share the highest mean IoU, {first['mean_iou']:.3f}"
    low, high = first["mean_iou_low"], first["mean_iou_high"]
    whose = "" if first["scope"] == Scope.NETWORKS else " of these weights over test images"
    interval = "" if is_absent(low) else f" (95 % interval{whose} {low:.3f} to {high:.3f})"
    place = "has the highest mean IoU,"
    if len(table.scored) < 2:
        place = "has a mean IoU of"
    elif table.tells_networks_apart:
        place = "is first with a mean IoU of"
    return f"{printable(first['model'])} {place} {first['mean_iou']:.3f}{interval}"


def _best(table: RankedTable) -> list[str]:
    """Return the networks with the highest mean IoU: several where their scores are equal."""
    scored = table.scored
    return [printable(model) for model in scored[scored["mean_iou"] == scored["mean_iou"].max()]["model"]]


def _separation(table: RankedTable, pairs: pd.DataFrame) -> str:
    """Return the end of a sentence on which networks the first is separable from."""
    scored = table.scored
    if len(scored) < 2:
        return "; there is no other network to compare it with"
    if not table.tells_networks_apart:
        each = " on each fold" if scored["folds"].notna().any() else ""
        return f", but each network was trained once{each}: another seed may change the order"
    if len(_best(table)) > 1:
        return ", so that none of them is first"
    first = scored.iloc[0]["model"]
    mine = pairs[(pairs["first"] == first) | (pairs["second"] == first)]
    if mine.empty:
        return "; there are too few shared test images to compare it with the other networks"
    rivals = set(mine[~(mine["p_value"] < SIGNIFICANT)][["first", "second"]].to_numpy().ravel()) - {first}
    if not rivals:
        over = "trainings and test images" if (scored["scope"] == Scope.NETWORKS).any() else "test images"
        chance = "; one network alone had several trainings, so that this may be due to chance"
        return (
            f" and leads every other network, over {over} (Holm-adjusted p below {SIGNIFICANT:.2f})"
            f"{chance if table.has_one_lender else ''}"
        )
    named = [printable(model) for model in scored["model"] if model in rivals]
    return f"; it cannot be told apart from {listed(named)}"


def _cost(table: RankedTable) -> str:
    """Return a sentence on the Pareto front of accuracy and speed or, without speed, on the sizes of networks."""
    scored = table.scored
    front = scored[scored["pareto"].fillna(value=False).astype(bool)]
    if len(front):
        fastest = front.sort_values("throughput_images_per_second", ascending=False)
        named = [
            f"{printable(row['model'])} ({rate(row['throughput_images_per_second'])} img/s)"
            for _, row in fastest.iterrows()
        ]
        none = "No other network" if table.tells_networks_apart else "With these weights, no other network"
        return f"{none} is both more accurate and faster than {listed(named)}."
    sizes = scored[scored["parameters"].notna()]
    if len(sizes) < 2:
        return ""
    first, smallest = sizes.iloc[0], sizes.iloc[int(sizes["parameters"].astype(float).argmin())]
    has = f"It has {count(first['parameters'])} parameters"
    least = f"{printable(smallest['model'])} ({count(smallest['parameters'])})"
    if len(_best(table)) > 1:
        return f"The smallest network, {least}, has a mean IoU of {smallest['mean_iou']:.3f}."
    if first["parameters"] == smallest["parameters"]:
        alone = (sizes["parameters"] == smallest["parameters"]).sum() == 1
        return f"{has}, the fewest of all." if alone else f"{has}; no other network has fewer."
    return f"{has}; the smallest network, {least}, has a mean IoU of {smallest['mean_iou']:.3f}."


def hardest_class(ranked: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Return a sentence on the class with the lowest best IoU."""
    table = class_iou(runs)
    table = table[table.index.isin(ranked["model"])]
    if table.empty or table.shape[1] < 2:
        return ""
    reached = table.max().dropna().astype(float)
    if reached.empty:
        return ""
    hardest = reached.idxmin()
    by = printable(table[hardest].astype(float).idxmax())
    return f"The hardest class is {printable(hardest)}: {reached.min():.2f} at best ({by})."


def listed(names: Sequence[str]) -> str:
    """Return names as part of a sentence, the first four and how many others there are."""
    shown = list(names[:_NAMED]) + ([plural(len(names) - _NAMED, "other")] if len(names) > _NAMED else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
