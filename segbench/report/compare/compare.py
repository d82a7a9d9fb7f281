"""Compares two sets of stored runs network by network: differences with intervals and p values."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from segbench.errors import StoreError
from segbench.metrics.resampling import image_spread, resamples_for
from segbench.metrics.trainings import Scope, estimate, estimate_weights
from segbench.metrics.uncertainty import Comparison, compare_all, holm
from segbench.report.compare.matching import Pair, Side, paired, sides
from segbench.report.ranking.intervals import LEAST_IMAGES
from segbench.report.ranking.speed_columns import speed_figures
from segbench.report.ranking.unpredicted import unpredicted
from segbench.report.runs.class_iou import class_iou
from segbench.report.runs.environments import facts_of, unknown_facts
from segbench.report.runs.label_counts import contradicted
from segbench.report.runs.load import SCORES
from segbench.report.runs.protocols import Difference, protocol_differences
from segbench.report.text import canonical, is_absent

COLUMNS = (
    *("first", "second", "score", "first_value", "second_value", "difference", "low", "high", "p_value"),
    *("first_seeds", "second_seeds", "speed_ratio", "differing", "note", "first_precision_over"),
    *("second_precision_over", "scope", "trained", "same_network", "same_recipe", "seeds", "environment", "unrecorded"),
)
"""Columns of what ``compare`` finds: scores are fractions of 1; ``difference`` is second minus first, with its 95 %
interval in ``low`` and ``high``; ``p_value`` is that of no difference, Holm-adjusted over networks; ``speed_ratio`` is
images a second, second over first; ``differing`` holds, by option, both values where the two are not one network;
``note`` says why there is no interval; ``…_precision_over`` over how many classes a side's mean precision is taken,
where it never predicts one that is labelled.

``scope`` is what interval and p value are about: ``networks`` where both sides were trained several times, else
``weights``.
Networks that were trained (``trained``) have no p value then: one training cannot tell them apart. ``same_network`` and
``same_recipe`` say whether both sides are one; ``seeds`` holds those of each side; ``environment`` holds, by fact, both
values where they differ, and ``unrecorded`` the facts that some run does not record."""


Protocols = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Compared:
    """The comparison of two sets of runs.

    Attributes:
        networks: One row per network in both sets, compared by mean IoU; its columns are ``COLUMNS``.
        scores: One row per score, with the same columns; empty unless each set has exactly one network.
        classes: IoU by class: ``first``, ``second``, ``difference``; empty unless each set has one network.
        protocols: Protocol ids of the compared networks, for the first set and for the second.
        recipe: Recipe keys that differ between these protocols, with each protocol's value.
        only_first: Networks that are only in the first set.
        only_second: Networks that are only in the second set.
    """

    networks: pd.DataFrame
    scores: pd.DataFrame
    classes: pd.DataFrame
    protocols: Protocols
    recipe: list[Difference]
    only_first: list[str]
    only_second: list[str]


def compare(first: pd.DataFrame, second: pd.DataFrame) -> Compared:
    """Compare the networks of two sets of runs, paired as ``paired`` does.

    Args:
        first: Rows of ``load_results``.
        second: Rows of ``load_results``.

    Raises:
        StoreError: A set holds no completed run, a network under several protocols, or no network is in both; or runs
            of the two sets count different labels on the same test data.
    """
    _refuse_contradicted(first, second)
    both = sides(first, "first"), sides(second, "second")
    pairs = paired(*both)
    rows = [_row(pair, "mean_iou") for pair in pairs]
    adjusted = holm([row["p_value"] for row in rows])
    networks = [row | {"p_value": p_value} for row, p_value in zip(rows, adjusted, strict=True)]
    single = pairs[0] if len(both[0]) == len(both[1]) == 1 else None
    protocols = _protocols(pair.first for pair in pairs), _protocols(pair.second for pair in pairs)
    return Compared(
        networks=_frame(networks),
        scores=_frame([_row(single, score) for score in SCORES] if single else []),
        classes=_classes(*single) if single else pd.DataFrame(columns=["first", "second", "difference"]),
        protocols=protocols,
        recipe=_between(pairs, protocols),
        only_first=_alone(both[0], [pair.first for pair in pairs]),
        only_second=_alone(both[1], [pair.second for pair in pairs]),
    )


def _refuse_contradicted(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """Refuse sets whose runs count different labels on the same data, which each set alone cannot show."""
    together = pd.concat([first, second], ignore_index=True)
    for place, reason in contradicted(together).items():
        raise StoreError(f"{together.loc[place, 'path']}: {reason}")


def _protocols(given: Iterable[Side]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(side.protocol for side in given))


def _alone(given: Sequence[Side], in_both: Sequence[Side]) -> list[str]:
    paired_names = {side.model for side in in_both}
    return [side.model for side in given if side.model not in paired_names]


def _between(pairs: Sequence[Pair], protocols: Protocols) -> list[Difference]:
    """Return the recipe keys whose sets of values differ between the two sides."""
    found = protocol_differences(pd.concat([side.runs for pair in pairs for side in pair], ignore_index=True))
    return [one for one in found if len({canonical(sorted(_known(one, side))) for side in protocols}) > 1]


def _known(difference: Difference, protocols: Sequence[str]) -> set[str]:
    """Return the values under some protocols as canonical JSON; an empty string for a missing key."""
    return {canonical([difference.values[name]]) if name in difference.values else "" for name in protocols}


def _row(pair: Pair, score: str) -> dict[str, Any]:
    one, other = pair
    values = _mean(one, score), _mean(other, score)
    note = _why_not_paired(one, other)
    found = None if note else _compared(one, other, score)
    scope = _scope(one, other)
    trained = _trained(one, other)
    return {
        "first": one.model,
        "second": other.model,
        "score": score,
        "first_value": values[0],
        "second_value": values[1],
        "difference": values[1] - values[0],
        "low": found.interval.low if found else None,
        "high": found.interval.high if found else None,
        "p_value": found.p_value if found and (scope is Scope.NETWORKS or not trained) else np.nan,
        "first_seeds": len(one.runs),
        "second_seeds": len(other.runs),
        "speed_ratio": _speed_ratio(one, other),
        "differing": pair.differing,
        "note": note,
        "first_precision_over": unpredicted(one.runs)["precision_over"],
        "second_precision_over": unpredicted(other.runs)["precision_over"],
        "scope": str(scope),
        "trained": trained,
        "same_network": not pair.differing,
        "same_recipe": one.protocol == other.protocol,
        "seeds": tuple(tuple(sorted(map(int, side.runs["seed"]))) for side in pair),
        "environment": _environments(pair),
        "unrecorded": tuple(unknown_facts([facts for side in pair for facts in facts_of(side.runs)])),
    }


def _environments(pair: Pair) -> dict[str, tuple[str, str]]:
    """Return the environment facts whose known values differ, with the values of each side."""
    first, second = (facts_of(side.runs) for side in pair)
    found = {}
    for fact in dict.fromkeys(fact for facts in (*first, *second) for fact in facts):
        both = [{facts[fact] for facts in side if facts.get(fact) is not None} for side in (first, second)]
        if all(both) and both[0] != both[1]:
            found[fact] = (", ".join(sorted(map(str, both[0]))), ", ".join(sorted(map(str, both[1]))))
    return found


def _why_not_paired(one: Side, other: Side) -> str | None:
    """Return why no paired comparison is possible; None if it is."""
    if len(_tested_on(one) | _tested_on(other)) > 1:
        return "not tested on the same data"
    if len(set(_groups(one) or one.runs["image_names"].iloc[0])) < LEAST_IMAGES:
        return f"fewer than {LEAST_IMAGES} test images{', or groups of them' if _groups(one) else ''}"
    return None


def _compared(one: Side, other: Side, score: str) -> Comparison:
    """Return the paired comparison of the second with the first on the same resampled images."""
    seeds = [len(side.runs) for side in (other, one)]
    counts = [counts for side in (other, one) for counts in side.runs["image_counts"]]
    spread = image_spread(counts, groups=_groups(one), resamples=resamples_for(sum(seeds)))
    known = estimate if _scope(one, other) is Scope.NETWORKS else estimate_weights
    return compare_all(known(spread[score], seeds))[0]


def _scope(one: Side, other: Side) -> Scope:
    """Return whether the comparison is of networks (both trained several times) or of weights."""
    several = min(len(one.runs), len(other.runs)) > 1
    return Scope.NETWORKS if several and _trained(one, other) else Scope.WEIGHTS


def _trained(one: Side, other: Side) -> bool:
    return any((side.runs["recipe"].iloc[0] or {}).get("train") for side in (one, other))


def _groups(side: Side) -> Sequence[Hashable] | None:
    """Return the group of each test image; None without groups."""
    groups = side.runs["image_groups"].iloc[0]
    return None if is_absent(groups) else groups


def _mean(side: Side, score: str) -> float:
    """Return the mean of a score over seeds."""
    return float(side.runs[score].mean())


def _tested_on(side: Side) -> set[str]:
    """Return the digests and image names of the test data."""
    pairs = zip(side.runs["test_digest"], side.runs["image_names"], strict=True)
    return {canonical([digest, names]) for digest, names in pairs}


def _speed_ratio(one: Side, other: Side) -> float | None:
    """Return the ratio of throughputs, second over first; None unless measured alike on one machine."""
    sizes = [size for size in one.runs["input_size"] if not is_absent(size)]
    figures = speed_figures(
        [one.runs["speed"].iloc[0], other.runs["speed"].iloc[0]], input_size=sizes[0] if sizes else None
    )
    rates = [figure["throughput_images_per_second"] for figure in figures]
    return float(rates[1] / rates[0]) if all(rates) else None


def _classes(one: Side, other: Side) -> pd.DataFrame:
    first, second = (class_iou(side.runs).iloc[0] for side in (one, other))
    frame = pd.DataFrame({"first": first, "second": second})
    return frame.assign(difference=frame["second"] - frame["first"])


def _frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))
