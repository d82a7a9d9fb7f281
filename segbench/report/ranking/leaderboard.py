"""Builds the leaderboard: one row per network, ranked only within the same protocol and test data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from segbench.metrics.foreign import Metric
from segbench.report.ranking.intervals import CERTAINTY, REAL_BOUNDS, WHOLE_BOUNDS, certainty
from segbench.report.ranking.published import published_of
from segbench.report.ranking.speed_columns import FIGURES, REAL_FIGURES, WHOLE_FIGURES, pareto_front, speed_figures
from segbench.report.ranking.unpredicted import UNPREDICTED, in_short, unpredicted
from segbench.report.runs.class_iou import class_scores
from segbench.report.runs.environments import differing_facts, facts_of, mixed_facts
from segbench.report.runs.load import COSTS, DETAIL_SCORES, SCORES
from segbench.report.runs.network_identity import disambiguate_labels, drop_copies, network_key
from segbench.report.runs.own_metrics import board_columns, bounds, find_metrics, labels_of, summary
from segbench.report.runs.protocols import comparisons, same_data
from segbench.report.runs.teachers import distilled_in_words
from segbench.report.runs.trials import grid_values, search_in_words, values_in_words
from segbench.report.text import is_absent
from segbench.results.record import Status

MEASURED = (
    *SCORES,
    *DETAIL_SCORES,
    "test_loss",
    "evaluation_images_per_second",
    "training_images_per_second",
    "training_seconds",
)
"""Columns that are means over seeds, each followed by its sample standard deviation in ``<name>_std``."""

COLUMNS = (
    *("protocol", "test_data", "position", "rank", "model", "pretrained", "seeds"),
    *(name for measured in MEASURED for name in (measured, f"{measured}_std")),
    *CERTAINTY,
    *("averaged_classes", "test_images", "folds", *COSTS, *FIGURES, "pareto"),
    *("published_mean_iou", "published_source", "published_convention", "runs_at_once"),
    *("predicts", *UNPREDICTED),
    *("weights_share", "grid", "class_iou", "class_iou_std"),
    *("tuning", "tuned", "same_data", "same_environment", "environment_differs", "device", "status", "reason"),
)

_WHOLE = (
    *("position", "rank", "seeds", "averaged_classes", "test_images", "folds", "runs_at_once"),
    *(*COSTS, *WHOLE_FIGURES, *WHOLE_BOUNDS),
)
_REAL = (
    *(name for measured in MEASURED for name in (measured, f"{measured}_std")),
    *REAL_FIGURES,
    *REAL_BOUNDS,
    "published_mean_iou",
    "weights_share",
)
_DTYPES = {
    **dict.fromkeys(_WHOLE, "Int64"),
    **dict.fromkeys(_REAL, "float64"),
    **dict.fromkeys(("same_data", "same_environment", "speed_steady", "pareto"), "boolean"),
}


PAIRS = ("protocol", "test_data", "first", "second", "difference", "low", "high", "p_value")
"""Columns about pairs of networks: the difference of mean IoU (first minus second), its 95 % interval, and the p value
of no difference, Holm-adjusted over the table's pairs. There are no pairs if networks were trained once."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """A leaderboard and its pairs.

    Attributes:
        board: The rows of ``leaderboard``.
        pairs: One row per pair of ranked networks of a table, with the columns ``PAIRS``.
    """

    board: pd.DataFrame
    pairs: pd.DataFrame


def ranked(runs: pd.DataFrame) -> Ranked:
    """Rank networks by mean IoU as ``segbench.leaderboard`` does, and compare all pairs."""
    rows: list[dict[str, Any]] = []
    pairs: list[dict[str, Any]] = []
    metrics, own = _metrics_of(runs), board_columns(labels_of(runs))
    for protocol, test_data, group in comparisons(disambiguate_labels(runs)):
        completed = drop_copies(group[group["status"] == Status.COMPLETED])
        completed = completed.assign(same_data=same_data(completed), differing_facts=differing_facts(completed))
        table = {"protocol": protocol, "test_data": test_data, "tuning": _search(group), "grid": _recipe_values(group)}
        networks = list(_by_model(completed))
        summaries = [_summary(seeds) | summary(seeds, metrics) for seeds in networks]
        pairs += [{"protocol": protocol, "test_data": test_data, **pair} for pair in _make_certain(summaries)]
        _bound_own_metrics(summaries, networks, metrics)
        rows += [table | row for row in [*_rank(_with_speed(summaries)), *_unranked(group)]]
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *own], dtype=object)
    return Ranked(frame.astype(_DTYPES | dict.fromkeys(own, "float64")), pd.DataFrame(pairs, columns=[*PAIRS]))


def _metrics_of(runs: pd.DataFrame) -> dict[str, Metric]:
    """Return the suites' own metrics that any run has a value of, by label."""
    labels = labels_of(runs)
    if not labels:
        return {}
    folders = dict.fromkeys(Path(str(path)).resolve().parent for path in runs["path"])
    return {label: metric for label, metric in find_metrics(folders).metrics.items() if label in labels}


def _bound_own_metrics(
    rows: Sequence[dict[str, Any]], networks: Sequence[pd.DataFrame], metrics: Mapping[str, Metric]
) -> None:
    """Add the intervals of own metrics to the rows of a table, if those of its scores are known."""
    known = [index for index, row in enumerate(rows) if not is_absent(row.get("resamples"))]
    if metrics and known:
        trained = any(rows[index]["trained"] for index in known)
        found = bounds([networks[index] for index in known], metrics, trained=trained)
        for index, own in zip(known, found, strict=True):
            rows[index] |= own


def _recipe_values(runs: pd.DataFrame) -> str | None:
    """Return the grid's values and the teacher of the rows of one protocol; None without any."""
    return "; ".join(words for words in (grid_values(runs), distilled_in_words(runs)) if words) or None


def _search(runs: pd.DataFrame) -> str | None:
    """Return the search of the rows of one protocol; None without tuning."""
    return search_in_words(runs["recipe"].iloc[0]) or None


def _by_model(completed: pd.DataFrame) -> Iterator[pd.DataFrame]:
    keys = [network_key(run) for run in completed.itertuples()]
    for key in dict.fromkeys(keys):
        yield completed[[other == key for other in keys]]


def _summary(runs: pd.DataFrame) -> dict[str, Any]:
    """Return the row of one network from its completed runs, one for each seed."""
    first = runs.iloc[0]
    row: dict[str, Any] = {"model": first["model"]}
    for name in MEASURED:
        lenient = name not in DETAIL_SCORES  # a score missing for a seed would cover fewer seeds than the row states
        row[name] = runs[name].mean(skipna=lenient)
        row[f"{name}_std"] = runs[name].std(ddof=1, skipna=lenient)
    published = next(iter(published_of(first["name"], first["recipe"], first["classes"])), None)
    return row | {
        "pretrained": "pretrained" if runs["pretrained"].any() else "scratch",
        "seeds": len(runs),
        "averaged_classes": runs["averaged_classes"].min(),
        "test_images": first["test_images"],
        "folds": first["folds"],
        **{name: first[name] for name in COSTS},
        "same_data": bool(runs["same_data"].all()),
        **_environment(runs),
        "runs_at_once": runs["runs_at_once"].max(),
        "device": ", ".join(dict.fromkeys(str(device) for device in runs["device"] if not is_absent(device))) or None,
        "status": str(Status.COMPLETED),
        "trained": bool((first["recipe"] or {}).get("train")),
        "image_counts": list(runs["image_counts"]),
        "image_names": set(runs["image_names"]),
        "image_groups": first["image_groups"],
        "published_mean_iou": published.mean_iou if published else None,
        "published_source": published.source if published else None,
        "published_convention": published.convention if published else None,
        "weights_share": runs["weights_share"].min(),
        **class_scores(runs),
        "predicts": in_short(runs),
        **unpredicted(runs),
        "tuned": values_in_words(first["tuning"]),
        "speed": first["speed"],
        "input_size": first["input_size"],
    }


def _environment(runs: pd.DataFrame) -> dict[str, Any]:
    """Return whether a network's runs have the environment of most of the table and of each other, and what differs."""
    facts = facts_of(runs)
    named = {fact for names in runs["differing_facts"] for fact in names} | set(mixed_facts(runs))
    differing = [fact for fact in dict.fromkeys(fact for one in facts for fact in one) if fact in named]
    known = any(value is not None for one in facts for value in one.values())
    return {"same_environment": not differing if known else None, "environment_differs": ", ".join(differing) or None}


def _make_certain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add intervals, ranks and groups to the rows of a table with equal images; return its pairs."""
    counts, groups = ([row.pop(name) for row in rows] for name in ("image_counts", "image_groups"))
    names = set().union(*(row.pop("image_names") for row in rows))
    scored = [index for index, row in enumerate(rows) if not is_absent(row["mean_iou"])]
    if len(names) != 1 or not scored:
        return []
    found = certainty(
        [counts[index] for index in scored],
        trained=any(row["trained"] for row in rows),
        image_groups=next((given for given in groups if not is_absent(given)), None),
    )
    for index, certain in zip(scored, found.rows, strict=True):
        rows[index] |= certain
    return [
        {
            "first": rows[scored[pair.first]]["model"],
            "second": rows[scored[pair.second]]["model"],
            "difference": pair.difference,
            **pair.interval._asdict(),
            "p_value": pair.p_value,
        }
        for pair in found.pairs
    ]


def _with_speed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add measured speeds to the rows of a table, and mark the Pareto front of accuracy and throughput."""
    sizes = [row.pop("input_size") for row in rows]
    figures = speed_figures(
        [row.pop("speed") for row in rows], input_size=next((size for size in sizes if not is_absent(size)), None)
    )
    joined = [row | figure for row, figure in zip(rows, figures, strict=True)]
    scored = [row for row in joined if not is_absent(row["mean_iou"])]
    front = pareto_front([row["mean_iou"] for row in scored], [row["throughput_images_per_second"] for row in scored])
    for row, on_front in zip(scored, front, strict=True):
        row["pareto"] = on_front
    return joined


def _rank(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort and number rows by mean IoU, and rank them unless every network was trained exactly once.

    Rows without a score (no labelled pixel) come last, without number.
    """
    trained = [row.pop("trained") for row in rows]
    scored = [row for row in rows if not is_absent(row["mean_iou"])]
    scored.sort(key=lambda row: (-row["mean_iou"], row["model"]))
    several = any(row["seeds"] > 1 for row in scored) or not any(trained)
    for position, row in enumerate(scored, start=1):
        row["position"] = position
        row["rank"] = 1 + sum(other["mean_iou"] > row["mean_iou"] for other in scored) if several else None
    reason = "the test labels hold no pixel that counts"
    return scored + [{**row, "reason": reason} for row in rows if is_absent(row["mean_iou"])]


def _unranked(group: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield one row for each network, outcome and reason of the runs that were not completed."""
    others = group[group["status"] != Status.COMPLETED]
    seeds: dict[tuple[Any, ...], list[Any]] = {}
    for run in others.itertuples():
        reason = "no reason is recorded" if is_absent(run.reason) else str(run.reason)
        pretrained = None if is_absent(run.pretrained) else "pretrained" if run.pretrained else "scratch"
        costs = tuple(None if is_absent(value) else value for value in (getattr(run, name) for name in COSTS))
        seeds.setdefault((str(run.model), pretrained, costs, str(run.status), reason), []).append(run.seed)
    for (model, pretrained, costs, status, reason), given in seeds.items():
        row = {"model": model, "pretrained": pretrained, **dict(zip(COSTS, costs, strict=True))}
        yield {**row, "seeds": 0, "status": status, "reason": f"{_named_seeds(given)}{reason}"}


def _named_seeds(seeds: Iterable[Any]) -> str:
    known = [str(seed) for seed in seeds if not is_absent(seed)]
    return f"seed{'s' if len(known) > 1 else ''} {', '.join(known)}: " if known else ""
