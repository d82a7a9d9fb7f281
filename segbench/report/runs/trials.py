"""Reads tuning trials and marks tuned runs that their trials no longer support."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from segbench.config.titles import DISTILL_KEY, concerns_model, in_words, recipe_in_words
from segbench.config.trials import best_position
from segbench.report.text import is_absent, plural

SUPERSEDED = "superseded"
"""The status of a tuned run whose trials, some of them done again, choose something else by now."""


class Stored(NamedTuple):
    """Stored runs.

    Attributes:
        runs: Those that are reported; tuned runs that are superseded have a status of that name.
        trials: Those of tunings, which were scored on validation splits.
    """

    runs: pd.DataFrame
    trials: pd.DataFrame


class Tried(NamedTuple):
    """One trial.

    Attributes:
        values: The values it tried, by dotted key.
        mean_iou: On the validation split; None where it has none.
        reason: Why it has none.
    """

    values: Mapping[str, Any]
    mean_iou: float | None
    reason: str | None


def trials_apart(rows: pd.DataFrame) -> Stored:
    """Split the rows of all stored runs into trials and others, and mark the tuned runs that are superseded."""
    roles = [None if is_absent(part) else part["role"] for part in rows["tuning"]]
    is_trial = pd.Series([role == "trial" for role in roles], index=rows.index, dtype=bool)
    runs, trials = rows[~is_trial].reset_index(drop=True), rows[is_trial].reset_index(drop=True)
    stored = by_place(trials)
    reasons = [_superseded(run, stored) for run in runs.itertuples()]
    late = pd.Series([reason is not None for reason in reasons], index=runs.index, dtype=bool)
    if late.any():
        runs["status"] = runs["status"].mask(late, SUPERSEDED)
        runs["reason"] = runs["reason"].mask(late, pd.Series(reasons, index=runs.index, dtype=object))
    return Stored(runs, trials)


def by_place(trials: pd.DataFrame) -> dict[Path, Any]:
    """Return trials by their folders."""
    return {Path(str(trial.path)): trial for trial in trials.itertuples()}


def by_fold(runs: pd.DataFrame) -> Iterator[Any]:
    """Yield rows of ``load_results``, of a tuned cross-validation one for each fold: each has trials of its own."""
    run: Any
    for run in runs.itertuples():
        parts = None if is_absent(run.tuning) else run.tuning.get("folds")
        if not parts:
            yield run
            continue
        for number, (part, path) in enumerate(zip(parts, run.fold_paths, strict=True), 1):
            yield run._replace(tuning=part, path=path, model=f"{run.model}, fold {number}")


def tried_for(run: Any, stored: Mapping[Path, Any]) -> list[Tried]:
    """Return the trials of a tuned run in the grid's order; none for another run, or where one is missing.

    Args:
        run: A row of ``load_results``.
        stored: What ``by_place`` returns.
    """
    if is_absent(run.tuning):
        return []
    suite, tried = Path(str(run.path)).parent, run.tuning["trials"]
    if not all(suite / name in stored for name in tried):
        return []
    return [_tried(values, stored[suite / name]) for name, values in tried.items()]


def chosen_of(tried: list[Tried]) -> Tried | None:
    """Return the best trial; None if none has a score."""
    position = best_position([one.mean_iou for one in tried])
    return None if position is None else tried[position]


def tuned_names(runs: pd.DataFrame) -> list[str]:
    """Return each row's network name; tuned ones are marked where both kinds are present."""
    pairs = zip(runs["model"], runs["tuning"], strict=True)
    return [str(model) if is_absent(part) else f"{model}, tuned" for model, part in pairs]


def search_in_words(recipe: Any) -> str:
    """Return what was searched, such as ``tuned: 3 points of 5 epochs each``; empty for a recipe without a search."""
    search = recipe.get("tuning") if isinstance(recipe, Mapping) else None
    if not search:
        return ""
    points = math.prod(len(values) for values in search["grid"].values())
    budget = next(plural(search[f"{unit}s"], unit) for unit in ("epoch", "step") if search[f"{unit}s"] is not None)
    return f"tuned: {plural(points, 'point')} of {budget}" + (" each" if points > 1 else "")


def grid_values(runs: pd.DataFrame) -> str | None:
    """Return the values of a suite's grid that made the recipe of some runs; None where no grid did.

    Values that concern the network stand in its name; those of a distillation are told by ``distilled_in_words``.
    """
    points = (point for point in runs["point"] if not is_absent(point))
    found = dict.fromkeys(
        recipe_in_words({key: point[key] for key in point if not (concerns_model(key) or key.startswith(DISTILL_KEY))})
        for point in points
    )
    named = [words for words in found if words]
    return named[0] if len(named) == 1 else None


def values_in_words(part: Any) -> str | None:
    """Return the values of a tuned run in short, those of several folds one after the other; None for other runs."""
    if not is_absent(part) and part.get("folds"):
        return " | ".join(dict.fromkeys(in_words(fold["values"] or {}) for fold in part["folds"]))
    return None if is_absent(part) or part["values"] is None else in_words(part["values"])


def batch_size_of(train: Mapping[str, Any], part: Any) -> int:
    """Return how many images a batch had: what was chosen, where that was tuned, else what the recipe says."""
    chosen = {} if is_absent(part) else part["values"] or {}
    return int(chosen.get("train.batch_size", train["batch_size"]))


def _tried(values: Mapping[str, Any], trial: Any) -> Tried:
    if is_absent(trial.mean_iou):
        reason = "the labels hold no pixel that counts" if is_absent(trial.reason) else str(trial.reason)
        return Tried(values, None, f"{trial.status}: {reason}")
    return Tried(values, float(trial.mean_iou), None)


def _superseded(run: Any, stored: Mapping[Path, Any]) -> str | None:
    """Return why a tuned run is superseded; None if it is not."""
    tried = tried_for(run, stored)
    if not tried:
        return None
    chosen = chosen_of(tried)
    values = None if chosen is None else chosen.values
    if values == run.tuning["values"]:
        return None
    return f"its trials choose {in_words(values)} by now" if values else "by now none of its trials gives a score"
