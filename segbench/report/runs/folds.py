"""Cross-validation: the runs of all folds of one network and seed as one row, scored from all images at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from segbench.errors import SegbenchError, StoreError
from segbench.report.text import canonical, is_absent
from segbench.results.arrays.matrices import ImageMatrices, joined, load_matrices
from segbench.results.data_identity import joint_digest
from segbench.results.record import WEIGHTS_FACTS, Status
from segbench.results.run_files import CONFUSION_FILE

INCOMPLETE = "incomplete"
"""The status of a network and seed with missing folds."""

Row = Mapping[str, Any]
Score = Callable[[Sequence[Path], Sequence[str]], dict[str, Any]]
"""Returns the columns that come from the matrices in some runs' folders, given the names of the classes."""

_DIGESTS = (
    *("train_digest", "train_fingerprint", "train_pixel_digest"),
    *("test_digest", "test_fingerprint", "test_pixel_digest"),
)
_SECONDS = ("training_seconds", "evaluation_seconds", "total_seconds")
_OF_ALL_FOLDS = (
    *("suite", "run", "model", "name", "seed", "point", "protocol", "status", "reason", "pretrained", "path"),
    *("parameters", "macs", "activation_bytes", "weights_bytes", "options", "weights_digest", "source_digest"),
    *("recipe", "environment", "classes", "input_size", "speed", "speed_problems", "weights_loaded", "outputs"),
    *("weights_share", *WEIGHTS_FACTS),
    *("folds", "fold", "fold_paths", "data_notes", "parameter_groups", "teacher"),
)
"""Columns that a row without scores keeps; taken from its first fold."""


def pool_folds(rows: pd.DataFrame, *, score: Score, damaged: str) -> pd.DataFrame:
    """Pool the folds: return one row for all folds of a network and seed.

    The confusion matrices of the folds are summed, so that every image counts once, as in one test split. Seconds are
    sums, images a second are over all folds, and the loss is that of all labelled images. A network and seed of which
    some folds are missing has the status ``incomplete`` and no scores.

    Args:
        rows: Stored runs, one row each; those without a ``fold`` stay as they are.
        score: Scores the pooled images.
        damaged: The status of a row that cannot be scored.
    """
    if rows["fold"].isna().all():
        return rows
    records = [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
    others = [row for row in records if is_absent(row["fold"])]
    of_folds = [row for row in records if not is_absent(row["fold"])]
    pooled = [_unit(members, score, damaged) for members in _units(of_folds)]
    return pd.DataFrame([*others, *pooled], columns=rows.columns, dtype=object).astype(rows.dtypes.to_dict())


def folders_of(run: Any) -> list[Path]:
    """Return the folders of a row of ``load_results``: those of its folds, or its own."""
    return [Path(str(run.path))] if is_absent(run.fold_paths) else [Path(path) for path in run.fold_paths]


def matrices_of(run: Any) -> ImageMatrices:
    """Return the matrices of a row of ``load_results``, those of its folds together.

    Raises:
        StoreError: They cannot be read.
    """
    return joined([load_matrices(folder / CONFUSION_FILE) for folder in folders_of(run)])


def _units(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield the runs of each network and seed, one per fold; complete copies are separate units."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = [row[name] for name in ("protocol", "model", "name", "options", "source_digest", "seed")]
        groups.setdefault(tuple(map(canonical, key)), []).append(row)
    for group in groups.values():
        for same in _alike(group):
            yield from _copies(same)


def _alike(rows: Sequence[Row]) -> list[list[Row]]:
    """Split runs by initial weights and by images; runs without these facts join the largest group."""
    marks = [(canonical(row["weights_digest"]), canonical(row["fold"]["pool_fingerprint"])) for row in rows]
    known = Counter(mark for mark in marks if mark[1])
    most = known.most_common(1)[0][0] if known else marks[0]
    groups: dict[tuple[str, str], list[Row]] = {}
    for mark, row in zip(marks, rows, strict=True):
        groups.setdefault(mark if mark[1] else most, []).append(row)
    return list(groups.values())


def _copies(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield the runs of one network and seed fold by fold, completed ones first where a fold has several."""
    by_fold: dict[int, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row["fold"]["index"], row["status"] != Status.COMPLETED)):
        by_fold.setdefault(row["fold"]["index"], []).append(row)
    completed = [sum(row["status"] == Status.COMPLETED for row in copies) for copies in by_fold.values()]
    whole = min(completed) if len(by_fold) == rows[0]["fold"]["folds"] else 0
    for number in range(max(1, whole)):
        yield [copies[number] for copies in by_fold.values()]


def _unit(folds: Sequence[Row], score: Score, damaged: str) -> dict[str, Any]:
    """Return the row of one network and seed."""
    count = folds[0]["fold"]["folds"]
    row = dict(folds[0]) | {"fold": None, "folds": count, "fold_paths": tuple(str(fold["path"]) for fold in folds)}
    outcomes = {(str(fold["status"]), canonical(fold["reason"])) for fold in folds}
    if len(folds) == count and outcomes == {(str(Status.COMPLETED), "")}:
        try:
            return row | _pooled(folds) | score([Path(path) for path in row["fold_paths"]], folds[0]["classes"])
        except SegbenchError as error:
            return _without_scores(row) | {"status": damaged, "reason": str(error)}
    if len(folds) == count and len(outcomes) == 1:
        return _without_scores(row)
    return _without_scores(row) | {"status": INCOMPLETE, "reason": _what_is_missing(folds, count)}


def _without_scores(row: Row) -> dict[str, Any]:
    """Return a row without scores, with only the facts that all folds share."""
    return {name: row[name] for name in _OF_ALL_FOLDS}


def _what_is_missing(folds: Sequence[Row], count: int) -> str:
    done = sum(fold["status"] == Status.COMPLETED for fold in folds)
    others = [
        f"fold {fold['fold']['index']} is {fold['status']}: {fold['reason']}"
        for fold in folds
        if fold["status"] != Status.COMPLETED
    ]
    return "; ".join([f"{done} of {count} folds are done", *others])


def _pooled(folds: Sequence[Row]) -> dict[str, Any]:
    """Return the pooled facts of all folds, except the scores."""
    images = [_labelled_images(fold) for fold in folds]
    return {
        **{
            name: joint_digest(None if is_absent(fold[name]) else str(fold[name]) for fold in folds)
            for name in _DIGESTS
        },
        **{name: _total(fold[name] for fold in folds) for name in _SECONDS},
        "training_images_per_second": _rate(folds, "training"),
        "evaluation_images_per_second": _rate(folds, "evaluation"),
        "test_loss": _mean([fold["test_loss"] for fold in folds], images),
        "test_images": _total(fold["test_images"] for fold in folds),
        "selected_epoch": _same(fold["selected_epoch"] for fold in folds),
        "micro_batch": min((fold["micro_batch"] for fold in folds if not is_absent(fold["micro_batch"])), default=None),
        "processes": max(fold["processes"] for fold in folds),
        "runs_at_once": max(fold["runs_at_once"] for fold in folds),
        "device": ", ".join(dict.fromkeys(str(fold["device"]) for fold in folds if not is_absent(fold["device"])))
        or None,
        "environment": _together([fold["environment"] for fold in folds]),
        "tuning": _tuning([fold["tuning"] for fold in folds]),
        "image_groups": _groups(folds),
        "epoch_digests": _epoch_digests([fold["epoch_digests"] for fold in folds]),
        "early_stop": _early_stop([fold["early_stop"] for fold in folds]),
    }


def _labelled_images(fold: Row) -> int:
    """Return how many images of a fold have a labelled pixel."""
    return int(np.count_nonzero(np.asarray(fold["image_counts"].labelled).sum(axis=1)))


def _total(values: Iterable[Any]) -> Any:
    known = list(values)
    return None if any(map(is_absent, known)) else sum(known)


def _rate(folds: Sequence[Row], what: str) -> float | None:
    """Return the images per second over all folds."""
    seconds = [fold[f"{what}_seconds"] for fold in folds]
    rates = [fold[f"{what}_images_per_second"] for fold in folds]
    if any(map(is_absent, [*seconds, *rates])) or not sum(seconds):
        return None
    return float(np.dot(rates, seconds) / sum(seconds))


def _mean(values: Sequence[Any], weights: Sequence[int]) -> float | None:
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if weight]
    if not known or any(is_absent(value) for value, _ in known):
        return None
    return float(np.average([value for value, _ in known], weights=[weight for _, weight in known]))


def _same(values: Iterable[Any]) -> Any:
    """Return the value that all folds share; None if they differ."""
    found = {canonical(value): value for value in values}
    return next(iter(found.values())) if len(found) == 1 else None


def _together(facts: Sequence[Any]) -> Any:
    """Merge facts: a shared value stays as it is, differing values become a list."""
    distinct = list({canonical(fact): fact for fact in facts}.values())
    if len(distinct) == 1:
        return distinct[0]
    if all(isinstance(fact, Mapping) for fact in distinct):
        keys = dict.fromkeys(key for fact in facts for key in fact)
        return {key: _fact(key, [fact.get(key) for fact in facts]) for key in keys}
    return ", ".join(str(fact) for fact in distinct)


def _fact(name: str, values: Sequence[Any]) -> Any:
    """Return one fact of all folds; facts from before a resume are concatenated, as one run stores them."""
    if not name.startswith("earlier_"):
        return _together(values)
    return list({canonical(value): value for earlier in values for value in earlier or ()}.values())


def _tuning(parts: Sequence[Any]) -> Any:
    """Return the tuning facts of all folds: the values that all chose, and each fold's in ``folds``."""
    if any(map(is_absent, parts)):
        return None
    chosen = [part["values"] or {} for part in parts]
    common = {key: value for key, value in chosen[0].items() if all(other.get(key) == value for other in chosen)}
    trials = {name: values for part in parts for name, values in (part["trials"] or {}).items()}
    return {**parts[0], "values": common, "trials": trials, "folds": list(parts)}


def _epoch_digests(folds: Sequence[Any]) -> tuple[tuple[str, ...], ...] | None:
    """Return the digests by epoch of each fold; None where any lacks them."""
    return None if any(map(is_absent, folds)) else tuple(digests for fold in folds for digests in fold)


def _early_stop(folds: Sequence[Any]) -> dict[str, Any] | None:
    """Return the earliest early stop of all folds; None without one."""
    known = [stop for stop in folds if not is_absent(stop)]
    return min(known, key=lambda stop: stop["epoch"]) if known else None


def _groups(folds: Sequence[Row]) -> tuple[str, ...] | None:
    """Return the group of each image, fold by fold; None without groups.

    Raises:
        StoreError: A record names other images' groups than the matrices hold.
    """
    groups = [fold["fold"]["groups"] for fold in folds]
    if any(group is None for group in groups):
        return None
    for fold, group in zip(folds, groups, strict=True):
        if len(group) != len(fold["image_names"]):
            images = len(fold["image_names"])
            raise StoreError(f"{fold['path']}: run.json names the groups of {len(group)} images, of {images}")
    return tuple(name for group in groups for name in group)
