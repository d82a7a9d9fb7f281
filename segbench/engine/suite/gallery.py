"""Builds a suite's gallery: the hardest, median and easiest test images with each network's prediction."""

from __future__ import annotations

import shutil
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segbench.config.plan import Run
from segbench.config.suite import Loader
from segbench.data.base import SegmentationDataset
from segbench.data.datasets.pool import open_pool
from segbench.data.open import open_dataset
from segbench.engine.evaluation.predictions import read_prediction
from segbench.engine.evaluation.sample_pictures import displayed, palette_image
from segbench.errors import StoreError
from segbench.metrics.resampling import counts_by_image
from segbench.metrics.scores import summary_scores
from segbench.results.arrays.gallery import GALLERY_FOLDER, Gallery, GalleryImage, find_galleries, write_gallery
from segbench.results.arrays.matrices import joined, load_matrices
from segbench.results.data_identity import joint_digest
from segbench.results.find_runs import CONFUSION_FILE, PREDICTIONS_FILE
from segbench.results.record import RunRecord, Status
from segbench.results.store import Store

Role = str


class Place(NamedTuple):
    """Location of a stored prediction.

    Attributes:
        folder: The run's folder.
        position: Index of the image in the run's test images.
    """

    folder: Path
    position: int


@dataclass(frozen=True, eq=False)
class Shown:
    """A network with stored predictions.

    Attributes:
        run: Its planned run; in a cross-validation, that of the first fold.
        places: Location of the prediction for each test image.
        scores: (N,) mean IoU of each test image.
        names: The images' names.
        test_digest: Hash of the test data.
    """

    run: Run
    places: tuple[Place, ...]
    scores: NDArray[np.float64]
    names: tuple[str, ...]
    test_digest: str | None


def make_gallery(runs: Sequence[Run], records: Sequence[RunRecord], store: Store) -> None:
    """Rebuild the galleries of a suite's protocols; does nothing without stored predictions.

    Shows the run with the smallest seed of each network, or its runs of all folds in a cross-validation. Galleries of
    protocols that the suite no longer has are kept.

    Raises:
        StoreError: The gallery cannot be written, or a prediction cannot be read.
        DataError: The test split cannot be read.
    """
    completed = {record.id: record for record in records if record.outcome.status is Status.COMPLETED}
    found = [shown for folds in _first_seeds(runs, completed) if (shown := _shown(folds, completed, store))]
    if not found:
        return
    protocols = dict.fromkeys(shown.run.protocol_id for shown in found)
    folders = {protocol[:8]: protocol for protocol in protocols}
    with store.writing(GALLERY_FOLDER) as folder:
        for old in find_galleries(store.folder):
            if old.name not in folders:
                shutil.copytree(old, folder / old.name)
        for name, protocol in folders.items():
            _write(folder / name, _comparable([one for one in found if one.run.protocol_id == protocol]))


def choose(scores: NDArray[np.float64]) -> dict[Role, int]:
    """Return the indices of the hardest, median and easiest images, without duplicates.

    Args:
        scores: (N,) one score per image; images with NaN (no labelled pixel) are not chosen.
    """
    order = [int(index) for index in np.argsort(scores, kind="stable") if not np.isnan(scores[index])]
    if not order:
        return {}
    chosen = {"hardest": order[0], "easiest": order[-1], "median": order[(len(order) - 1) // 2]}
    taken: dict[int, Role] = {}
    for role, index in chosen.items():
        taken.setdefault(index, role)
    return {role: index for index, role in taken.items()}


def _first_seeds(runs: Sequence[Run], completed: Mapping[str, RunRecord]) -> list[list[Run]]:
    """Return each network's completed run with the smallest seed for each protocol, in the plan's order.

    In a cross-validation, these are the runs of all folds, in order, of the smallest seed with all folds completed.
    """
    found: dict[tuple[str, str], dict[int, list[Run]]] = {}
    for run in runs:
        if run.id in completed:
            found.setdefault((run.label, run.protocol_id), {}).setdefault(run.seed, []).append(run)
    whole = [
        [folds for _, folds in sorted(seeds.items()) if len(folds) == (folds[0].recipe.dataset.folds or 1)]
        for seeds in found.values()
    ]
    return [sorted(seeds[0], key=lambda run: run.fold or 0) for seeds in whole if seeds]


def _shown(runs: Sequence[Run], completed: Mapping[str, RunRecord], store: Store) -> Shown | None:
    folders = [store.folder_of(run.id) for run in runs]
    if not all(zipfile.is_zipfile(folder / PREDICTIONS_FILE) for folder in folders):
        return None
    try:
        parts = [load_matrices(folder / CONFUSION_FILE) for folder in folders]
        matrices = joined(parts)
    except StoreError:
        return None  # the leaderboard reports it
    scores = summary_scores(counts_by_image(matrices.matrices)).mean_iou
    places = [
        Place(folder, index) for folder, part in zip(folders, parts, strict=True) for index in range(len(part.names))
    ]
    return Shown(runs[0], tuple(places), scores, matrices.names, _test_digest([completed[run.id] for run in runs]))


def _test_digest(records: Sequence[RunRecord]) -> str | None:
    """Return the same digest of the test data as the report uses."""
    digests = [record.data.test_digest if record.data else None for record in records]
    return joint_digest(digests) if records[0].fold else digests[0]


def _comparable(found: Sequence[Shown]) -> list[Shown]:
    """Return the runs with the most common test data."""
    tested = Counter((one.test_digest, one.names) for one in found)
    most = tested.most_common(1)[0][0]
    return [one for one in found if (one.test_digest, one.names) == most]


def _write(folder: Path, found: Sequence[Shown]) -> None:
    folder.mkdir(parents=True)
    scores = np.stack([one.scores for one in found])
    entry = found[0].run.recipe.dataset
    split = open_pool(entry) if entry.folds else open_dataset(entry, entry.test_split, loader=Loader())
    images = [
        _picture(folder, role, index, split, found) for role, index in sorted(choose(scores.mean(axis=0)).items())
    ]
    write_gallery(
        folder,
        Gallery(
            protocol_id=found[0].run.protocol_id,
            test_digest=found[0].test_digest,
            test_images=len(found[0].names),
            images=tuple(images),
        ),
    )


def _picture(folder: Path, role: Role, index: int, split: SegmentationDataset, found: Sequence[Shown]) -> GalleryImage:
    """Write the pictures of one image."""
    sample = split.read(list(split.names).index(found[0].names[index]))
    image, label = f"{role}-image.png", f"{role}-label.png"
    shown = displayed(sample.image)
    shown.picture.save(folder / image)
    palette_image(sample.label, split.info.palette).save(folder / label)
    predictions = {}
    for number, one in enumerate(found):
        file = f"{role}-{number:03d}.png"
        (folder / file).write_bytes(
            read_prediction(one.places[index].folder / PREDICTIONS_FILE, one.places[index].position)
        )
        predictions[one.run.id] = file
    scores = {one.run.id: float(one.scores[index]) for one in found}
    return GalleryImage(
        role=role,
        index=index,
        name=found[0].names[index],
        mean_iou=float(np.mean(list(scores.values()))),
        image=image,
        shown=shown.how,
        label=label,
        predictions=predictions,
        scores=scores,
    )
