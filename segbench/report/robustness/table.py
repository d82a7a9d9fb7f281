"""How networks do under corruption: what they lose, under what they lose most, and whether their order changes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.metrics.calibration import calibration_error
from segbench.metrics.resampling import ImageSpread, by_group, resamples_for, spread_of_values, weights_of
from segbench.metrics.scores import ClassCounts, summary_scores
from segbench.metrics.trainings import Scope, estimate
from segbench.metrics.uncertainty import Comparison, Interval, compare_all, plain_intervals, rank_sets
from segbench.report.ranking.intervals import LEAST_IMAGES
from segbench.report.robustness.load import Retested, TestedRun
from segbench.report.robustness.rows import RobustnessRow, RobustnessTable
from segbench.report.robustness.severities import by_severity, clean_calibration_error, mean_iou_of

FloatArray = NDArray[np.float64]


class Network(NamedTuple):
    """One network with its trainings.

    Attributes:
        label: Its label.
        runs: Its runs, by seed.
    """

    label: str
    runs: tuple[TestedRun, ...]


def robustness_tables(found: Retested, *, resamples: int | None = None) -> list[RobustnessTable]:
    """Return a table for each protocol and its images, networks compared on the conditions that all of them have.

    Args:
        found: The further tests of a suite.
        resamples: How often to draw the images; as many as the number of tests allows by default.
    """
    tables: dict[tuple[str, tuple[str, ...]], dict[str, list[TestedRun]]] = defaultdict(lambda: defaultdict(list))
    for run in found.runs:
        tables[run.protocol, run.images][run.label].append(run)
    return [
        _table(found, [Network(label, tuple(runs)) for label, runs in one.items()], resamples)
        for one in tables.values()
    ]


def _table(found: Retested, networks: Sequence[Network], resamples: int | None) -> RobustnessTable:
    runs = [run for network in networks for run in network.runs]
    corruptions = [
        key for key, condition in found.conditions.items() if condition.kind == "corruption" and _fed_alike(runs, key)
    ]
    names = {key: found.conditions[key].name for key in corruptions}
    seeds = [len(network.runs) for network in networks]
    units = len(set(runs[0].groups or runs[0].images))
    spreads = _spreads(runs, corruptions, resamples) if corruptions and units >= LEAST_IMAGES else None
    estimates = {name: estimate(spread, seeds) for name, spread in spreads.items()} if spreads else {}
    known = bool(estimates) and estimates["clean"].scope is Scope.NETWORKS
    pairs = {name: compare_all(estimates[name]) for name in ("clean", "corrupted")} if known else {}
    ranks = {name: rank_sets(len(networks), pairs[name]) for name in pairs}
    losses = plain_intervals(estimates["loss"]) if estimates else [None] * len(networks)
    rows = [
        _row(network, names, found, loss, {name: ranks[name][place] for name in ranks})
        for place, (network, loss) in enumerate(zip(networks, losses, strict=True))
    ]
    labels = [network.label for network in networks]
    return RobustnessTable(
        rows=tuple(sorted(rows, key=lambda row: -row.corrupted if not math.isnan(row.corrupted) else math.inf)),
        scope=estimates["clean"].scope if estimates else Scope.WEIGHTS,
        images=len(runs[0].images),
        protocol=runs[0].protocol,
        **_changes(labels, pairs),
    )


def _fed_alike(runs: Sequence[TestedRun], key: str) -> bool:
    """Return whether all runs were tested under a condition, on the same pixels."""
    return all(key in run.conditions for run in runs) and len({run.digests[key] for run in runs}) == 1


def _row(
    network: Network,
    names: dict[str, str],
    found: Retested,
    loss: Interval | None,
    ranks: dict[str, tuple[int, int]],
) -> RobustnessRow:
    runs = network.runs
    by_condition = {key: _mean(runs, key) for key in found.conditions if all(key in run.conditions for run in runs)}
    by_corruption = {
        name: float(np.mean([by_condition[key] for key in names if names[key] == name]))
        for name in dict.fromkeys(names.values())
    }
    clean = float(np.mean([mean_iou_of(run.clean) for run in runs]))
    corrupted = float(np.mean([by_condition[key] for key in names])) if names else math.nan
    errors = [calibration_error(run.calibration[key]) for run in runs for key in names if key in run.calibration]
    kinds = {key: found.conditions[key].kind for key in by_condition}
    return RobustnessRow(
        label=network.label,
        seeds=len(runs),
        clean=clean,
        corrupted=corrupted,
        loss=loss,
        relative_loss=1 - corrupted / clean if clean else math.nan,
        by_corruption=by_corruption,
        by_condition=by_condition,
        worst=min(by_corruption, key=lambda name: by_corruption[name]) if by_corruption else None,
        rank_clean=ranks.get("clean"),
        rank_corrupted=ranks.get("corrupted"),
        calibration_error=float(np.mean(errors)) if errors else math.nan,
        clean_calibration_error=float(np.mean([clean_calibration_error(run) for run in runs])),
        by_severity=by_severity(runs, [found.conditions[key] for key in names]),
        elsewhere={key: by_condition[key] for key in by_condition if kinds[key] == "dataset"},
        train=next((by_condition[key] for key in by_condition if kinds[key] == "train_split"), None),
        failures={key: reason for run in runs for key, reason in run.failures.items()},
    )


def _mean(runs: Sequence[TestedRun], key: str) -> float:
    return float(np.mean([mean_iou_of(run.conditions[key]) for run in runs]))


def _spreads(runs: Sequence[TestedRun], corruptions: Sequence[str], resamples: int | None) -> dict[str, ImageSpread]:
    """Return how the test images make the clean score, the mean under corruption and their difference scatter.

    All are scored on the same resamples: an image that is drawn counts clean and under every corruption.
    """
    tested = [[run.clean, *(run.conditions[key] for key in corruptions)] for run in runs]
    grouped = [by_group(tests, runs[0].groups or runs[0].images) for tests in tested]
    units = grouped[0][1]
    full = np.array([[mean_iou_of(counts) for counts in run] for run in tested])
    drawn = np.stack([_drawn(tests, units, resamples or resamples_for(full.size)) for tests, _ in grouped], axis=1)
    both = {"clean": (full[:, 0], drawn[..., 0]), "corrupted": (full[:, 1:].mean(axis=1), drawn[..., 1:].mean(axis=-1))}
    both["loss"] = both["corrupted"][0] - both["clean"][0], both["corrupted"][1] - both["clean"][1]
    return {name: spread_of_values(scores, values, units=units) for name, (scores, values) in both.items()}


def _drawn(tests: Sequence[ClassCounts], units: int, resamples: int) -> FloatArray:
    """Return (B, T) mean IoU of a run's tests in every resample; every run draws the same ones."""
    chunks: list[FloatArray] = []
    for weights in weights_of(units, resamples, chunk=1000):
        totals = [[weights @ part.astype(np.float64) for part in counts] for counts in tests]
        chunks.append(np.stack([summary_scores(ClassCounts(*parts)).mean_iou for parts in totals], axis=-1))
    return np.concatenate(chunks)


def _changes(labels: Sequence[str], pairs: dict[str, list[Comparison]]) -> dict[str, Any]:
    """Sort the pairs of networks by what corruption does to their order."""
    changes: dict[str, list[tuple[str, str]]] = {"kept": [], "turned": [], "lost": [], "gained": []}
    for clean, corrupted in zip(pairs.get("clean", ()), pairs.get("corrupted", ()), strict=True):
        before, after = _leader(clean, labels), _leader(corrupted, labels)
        if before and after:
            changes["kept" if before == after else "turned"].append(before)
        elif before or after:
            changes["lost" if before else "gained"].append(before or after)  # type: ignore[arg-type]
    return {name: tuple(found) for name, found in changes.items()}


def _leader(pair: Comparison, labels: Sequence[str]) -> tuple[str, str] | None:
    """Return the better network of a pair, and the other; None where they are not told apart."""
    if not pair.separable:
        return None
    first, second = labels[pair.first], labels[pair.second]
    return (first, second) if pair.difference > 0 else (second, first)
