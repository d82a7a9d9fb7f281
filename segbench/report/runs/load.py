"""Stored runs as a table: one row a run, scored from its confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from segbench.errors import SegbenchError, StoreError
from segbench.metrics.boundary import BoundaryCounts, boundary_f1, boundary_iou
from segbench.metrics.calibration import CalibrationCounts, calibration_error
from segbench.metrics.conventions import void_as_error
from segbench.metrics.resampling import counts_by_image
from segbench.metrics.scores import score
from segbench.report.runs.folds import Score, folders_of, pool_folds
from segbench.report.runs.label_counts import contradicted
from segbench.report.runs.network_identity import options_of
from segbench.report.runs.own_metrics import find_metrics
from segbench.report.runs.trials import Stored, trials_apart
from segbench.results.arrays.details import BOUNDARY, CALIBRATION, load_details, together
from segbench.results.arrays.matrices import ImageMatrices, joined, load_matrices
from segbench.results.damage import damage_of
from segbench.results.find_runs import FoundRun, scan
from segbench.results.record import WEIGHTS_FACTS, RunRecord, Status
from segbench.results.run_files import CONFUSION_FILE, DETAILS_FILE, HISTORY_FILE
from segbench.results.speed.record import SpeedRecord, Task, speed_model
from segbench.results.speed.store import SPEED_FOLDER, FoundSpeeds, scan_speeds

DAMAGED = "damaged"
"""The status of a run whose files cannot be read; the others are those of ``Status``."""

SCORES = (
    "mean_iou",
    "pixel_accuracy",
    "mean_recall",
    "frequency_weighted_iou",
    "mean_dice",
    "mean_precision",
)
"""The summary scores, fractions of 1, the one that ranks first."""

DETAIL_SCORES = ("boundary_f1", "boundary_iou", "calibration_error")
"""Scores from ``details.npz``; NaN for runs without that file."""

_WHOSE = ("model", "seed", "protocol", "run")
COSTS = ("parameters", "macs", "activation_bytes", "weights_bytes")
"""Costs of a network that do not depend on its training."""

_WHOLE = ("seed", *COSTS, "averaged_classes", "precision_classes", "selected_epoch", "test_images", "folds")
_REAL = (
    *SCORES,
    *DETAIL_SCORES,
    "mean_iou_void_as_error",
    "weights_share",
    "test_loss",
    "training_images_per_second",
    "evaluation_images_per_second",
    "training_seconds",
    "evaluation_seconds",
    "total_seconds",
)
COLUMNS = (
    *("suite", "run", "model", "name", "seed", "point", "protocol", "status", "reason", "pretrained"),
    *(*COSTS, "train_digest", "test_digest", "test_fingerprint", "test_pixel_digest"),
    *("train_fingerprint", "train_pixel_digest"),
    *(*SCORES, *DETAIL_SCORES, "averaged_classes", "test_loss", "selected_epoch", "test_images"),
    *("training_images_per_second", "evaluation_images_per_second"),
    *("training_seconds", "evaluation_seconds", "total_seconds", "device", "path"),
    *("options", "weights_digest", "source_digest", "recipe", "environment", "classes", "class_iou", "class_recall"),
    *("predicted_but_unlabelled", "micro_batch", "processes", "runs_at_once", "input_size", "image_counts"),
    *("image_names", "confusion", "speed", "speed_problems", "tuning", "weights_loaded", "outputs"),
    *("never_predicted", "predicts_only", "precision_classes", "mean_iou_void_as_error"),
    *("weights_share", *WEIGHTS_FACTS, "classes_map"),
    *("folds", "fold", "fold_paths", "image_groups", "data_notes"),
    *("early_stop", "epoch_digests", "parameter_groups", "own_metrics", "own_class_metrics", "metric_problems"),
    *("started", "train_images", "teacher", "image_areas"),
)
"""The columns of ``load_results``, in order; from ``options`` on most hold dicts and tuples."""
_SCORED = (
    *(*SCORES, *DETAIL_SCORES, "mean_iou_void_as_error", "averaged_classes", "class_iou", "class_recall"),
    *("image_counts", "image_names", "confusion", "predicted_but_unlabelled", "never_predicted", "predicts_only"),
    *("precision_classes", "own_metrics", "own_class_metrics", "image_areas"),
)
"""Those that come from confusion matrices."""


def load_results(*folders: str | Path) -> pd.DataFrame:
    """Read stored runs from results roots, suites' folders or single runs' folders; trials of tunings are left out.

    Returns:
        One row a run, completed or not, with the columns ``COLUMNS``. Scores are fractions of 1, sizes are in
        bytes, times in seconds. A run that cannot be read is a row of status ``damaged`` with the reason. The runs
        of a cross-validation are one row for all ``folds`` of a network and seed, as ``folds`` says; ``fold_paths``
        are their folders, and ``image_groups`` the group of each image where the suite has groups.
        ``own_metrics`` holds the values of the suites' custom metrics, by label, and ``image_areas`` the different
        numbers of pixels of the test labels.

    Raises:
        StoreError: A folder does not exist.
    """
    return load_stored(*folders).runs


def load_stored(*folders: str | Path) -> Stored:
    """Read stored runs as ``load_results`` does, with the trials of tunings beside them.

    Raises:
        StoreError: A folder does not exist.
    """
    speeds, runs = _Speeds(), list(scan(*folders))
    metrics = find_metrics(dict.fromkeys(found.folder.resolve().parent for found in runs))

    def scored(folders: Sequence[Path], classes: Sequence[str]) -> dict[str, Any]:
        scores = _scores(folders, classes)
        return scores | metrics.scores(scores["confusion"])

    rows = [_row(found, speeds, scored) for found in runs]
    frame = _without_contradicted(pd.DataFrame(rows, columns=list(COLUMNS), dtype=object))
    found = trials_apart(
        frame.astype(
            {
                **dict.fromkeys(_WHOLE, "Int64"),
                **dict.fromkeys(_REAL, "float64"),
                "pretrained": "boolean",
            }
        )
    )
    return found._replace(runs=pool_folds(found.runs, score=scored, damaged=DAMAGED))


def _without_contradicted(frame: pd.DataFrame) -> pd.DataFrame:
    """Mark runs as damaged whose labels contradict those of the others; they keep no score."""
    for place, reason in contradicted(frame).items():
        frame.loc[place, list(_SCORED)] = None
        frame.loc[place, ["status", "reason"]] = DAMAGED, reason
    return frame


def load_histories(runs: pd.DataFrame) -> pd.DataFrame:
    """Read the learning curves of completed runs.

    Returns:
        The lines of every run's ``history.csv`` with its ``model``, ``seed``, ``protocol`` and ``run`` in front, of
        a cross-validation the means over folds; empty when no run has one. Files that cannot be read are left out.
    """
    completed = runs[runs["status"] == Status.COMPLETED]
    found = ((place, _mean_history(folders_of(run))) for place, run in enumerate(completed.itertuples()))
    kept = {place: history for place, history in found if history is not None}
    if not kept:
        return pd.DataFrame(columns=[*_WHOSE])
    lengths = [len(history) for history in kept.values()]
    whose = completed[[*_WHOSE]].iloc[np.repeat(list(kept), lengths)].reset_index(drop=True)
    lines = pd.concat(kept.values(), ignore_index=True).drop(columns=[*_WHOSE], errors="ignore")
    return pd.concat([whose, lines], axis=1)


def _mean_history(folders: Sequence[Path]) -> pd.DataFrame | None:
    """Return the learning curve of one run, or the mean of those of all folds."""
    found = [history for folder in folders if (history := _history(folder / HISTORY_FILE)) is not None]
    if len(found) < 2:
        return next(iter(found), None)
    return pd.concat(found).groupby("epoch", as_index=False).mean(numeric_only=True)


def _history(file: Path) -> pd.DataFrame | None:
    """Return the lines of a learning curve; None where there are none or they cannot be read."""
    try:
        history = pd.read_csv(file)
    except (OSError, ValueError):
        return None
    return history if "epoch" in history.columns and len(history) else None


class _Speeds:
    """The speed records of suites' folders, each read once."""

    def __init__(self) -> None:
        self._found: dict[Path, FoundSpeeds] = {}

    def beside(self, run: Path) -> FoundSpeeds:
        """Return all speed records of the suite that a run's folder belongs to."""
        folder = run.resolve().parent / SPEED_FOLDER
        if folder not in self._found:
            self._found[folder] = scan_speeds(folder)
        return self._found[folder]


def _row(found: FoundRun, speeds: _Speeds, scored: Score) -> dict[str, Any]:
    if found.record is None:
        folder = found.folder.resolve()
        return {
            "suite": folder.parent.name,
            "run": folder.name,
            "model": folder.name,
            "status": DAMAGED,
            "reason": found.problem,
            "data_notes": (),
            "path": str(found.folder),
        }
    measured = speeds.beside(found.folder)
    row = _facts(found.record) | {
        "path": str(found.folder),
        "speed": tuple(record for record in measured.records if _concerns(record, found.record)),
        "speed_problems": measured.problems,
    }
    if found.record.outcome.status is not Status.COMPLETED:
        return row
    if (problem := damage_of(found.folder, found.record)) is not None:
        return row | {"status": DAMAGED, "reason": problem}
    try:
        return row | scored([found.folder], found.record.data.classes if found.record.data else ())
    except SegbenchError as error:
        return row | {"status": DAMAGED, "reason": str(error)}


def _facts(record: RunRecord) -> dict[str, Any]:
    """Return the columns that do not depend on confusion matrices."""
    data, timings = record.data, record.timings
    return {
        "suite": record.suite,
        "run": record.id,
        "model": record.label,
        "name": record.model.name,
        "seed": record.seed,
        "point": record.point,
        "protocol": record.protocol_id,
        "status": str(record.outcome.status),
        "reason": record.outcome.reason,
        "pretrained": record.model.pretrained,
        **{name: getattr(record.model, name) for name in COSTS},
        "train_digest": data.train_digest if data else None,
        "epoch_digests": (data.epoch_digests,) if data and data.epoch_digests else None,
        "test_digest": data.test_digest if data else None,
        "test_fingerprint": data.fingerprints.get("test") if data else None,
        "test_pixel_digest": data.pixel_digests.get("test") if data else None,
        "train_fingerprint": data.fingerprints.get("train") if data else None,
        "train_pixel_digest": data.pixel_digests.get("train") if data else None,
        "test_images": data.test_images if data else None,
        "train_images": data.train_images if data else None,
        "started": timings.started,
        "data_notes": data.notes if data else (),
        "test_loss": record.test_loss,
        "selected_epoch": record.selected_epoch,
        "training_images_per_second": timings.training_images_per_second,
        "evaluation_images_per_second": timings.evaluation_images_per_second,
        "training_seconds": timings.training_seconds,
        "evaluation_seconds": timings.evaluation_seconds,
        "total_seconds": timings.total_seconds,
        "device": _device(record.environment),
        "options": options_of(record.model),
        "weights_digest": record.model.weights_digest,
        "source_digest": record.model.source_digest,
        "recipe": record.recipe,
        "environment": record.environment,
        "classes": data.classes if data else None,
        "input_size": record.model.input_size,
        "micro_batch": record.micro_batch,
        "processes": record.processes,
        "runs_at_once": record.runs_at_once,
        "tuning": record.tuning.model_dump() if record.tuning else None,
        "weights_loaded": str(record.model.weights_loaded) if record.model.weights_loaded else None,
        "outputs": record.model.outputs,
        "fold": record.fold.model_dump() if record.fold else None,
        "teacher": record.teacher.model_dump() if record.teacher else None,
        **{name: getattr(record.model, name) for name in ("weights_share", *WEIGHTS_FACTS)},
        "classes_map": record.model.classes_map,
        "early_stop": record.early_stop.model_dump() if record.early_stop else None,
        "parameter_groups": [group.model_dump() for group in record.model.parameter_groups or ()] or None,
    }


def _concerns(speed: SpeedRecord, run: RunRecord) -> bool:
    """Return whether a speed record belongs to a run's network or to its training loader."""
    case, recipe = speed.case, run.recipe
    if case.task is Task.LOADING:
        data = recipe.get("dataset"), (recipe.get("transforms") or {}).get("train")
        return (case.recipe.get("dataset"), case.recipe.get("transforms")) == data
    model = run.model
    return case.model == speed_model(model.name, model.options) and speed.source_digest == model.source_digest


def _scores(folders: Sequence[Path], classes: Sequence[str]) -> dict[str, Any]:
    """Return the columns computed from the confusion matrices of one run or of all folds."""
    file = folders[0] / CONFUSION_FILE
    matrices = joined([load_matrices(folder / CONFUSION_FILE) for folder in folders])
    total = matrices.total
    if len(total) != len(classes):
        raise StoreError(f"{file}: counts {len(total)} classes where run.json names {len(classes)}")
    scores = score(total)
    return {
        **{name: float(getattr(scores, name)) for name in SCORES},
        "averaged_classes": int(scores.averaged_classes),
        "class_iou": tuple(float(value) for value in scores.iou),
        "class_recall": tuple(float(value) for value in scores.recall),
        "predicted_but_unlabelled": tuple(classes[index] for index in scores.predicted_but_unlabelled),
        "never_predicted": tuple(classes[index] for index in scores.never_predicted),
        "predicts_only": _only_class(total, classes) if scores.never_predicted else None,
        "precision_classes": scores.precision_classes,
        "mean_iou_void_as_error": void_as_error(matrices.matrices, matrices.void_predicted).mean_iou,
        "image_counts": counts_by_image(matrices.matrices),
        "image_names": matrices.names,
        "image_areas": _areas(matrices),
        "confusion": total,
        **_detail_scores([folder / DETAILS_FILE for folder in folders], matrices.names),
    }


def _areas(matrices: ImageMatrices) -> frozenset[int]:
    """Return the different numbers of pixels that test images have; none where void pixels are not known."""
    if matrices.void_predicted is None:
        return frozenset()
    return frozenset((matrices.matrices.sum(axis=(1, 2)) + matrices.void_predicted.sum(axis=1)).tolist())


def _only_class(confusion: NDArray[np.int64], classes: Sequence[str]) -> str | None:
    """Return the only predicted class; None if several are predicted."""
    predicted = np.flatnonzero(confusion.sum(axis=0))
    return classes[predicted[0]] if len(predicted) == 1 else None


def _detail_scores(files: Sequence[Path], names: tuple[str, ...]) -> dict[str, float]:
    """Return the scores of ``details.npz``; none where a run has no such file.

    Raises:
        StoreError: The file is damaged, or tells of other images.
    """
    file, parts = files[0], [load_details(file) for file in files]
    details = together([part for part in parts if part is not None])
    if details is None or None in parts:
        return {}
    if details.names != names:
        raise StoreError(f"{file}: tells of other images than {CONFUSION_FILE}; delete the run's folder to do it again")
    try:
        boundary = BoundaryCounts(**details.part(BOUNDARY))
        calibration = CalibrationCounts(**details.part(CALIBRATION))
        return {
            "boundary_f1": boundary_f1(boundary),
            "boundary_iou": boundary_iou(boundary),
            "calibration_error": calibration_error(calibration),
        }
    except (TypeError, ValueError) as error:
        raise StoreError(f"{file}: is damaged ({error}); delete the run's folder to do it again") from None


def _device(environment: dict[str, Any]) -> str | None:
    """Return the name of what the network ran on."""
    accelerator = environment.get("accelerator")
    if isinstance(accelerator, dict) and accelerator.get("name"):
        return str(accelerator["name"])
    device = environment.get("device")
    if device is None or str(device).startswith("cpu"):
        return environment.get("processor") or device
    return str(device)
