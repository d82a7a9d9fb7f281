"""Makes a suite's gallery: which test images were hardest, median, easiest and most disputed, as networks saw them."""

from __future__ import annotations

import shutil
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
from segbench.metrics.scores import mean_iou
from segbench.results.arrays.gallery import GALLERY_FOLDER, Gallery, GalleryImage, find_galleries, write_gallery
from segbench.results.arrays.matrices import joined, load_matrices
from segbench.results.data_identity import joint_digest
from segbench.results.record import RunRecord, Status
from segbench.results.run_files import CONFUSION_FILE, PREDICTIONS_FILE
from segbench.results.store import Store

Role = str


class Place(NamedTuple):
    """Where a prediction lies.

    Attributes:
        folder: The run's folder.
        position: Of the image among those that the run was tested on.
    """

    folder: Path
    position: int


@dataclass(frozen=True, eq=False)
class Shown:
    """A network whose predictions were kept.

    Attributes:
        run: The plan of its run; of a cross-validation, of its first fold.
        places: Where the prediction of each test image lies.
        scores: (N,) mean IoU of each test image.
        names: The images' names.
        test_digest: Of the data that was tested on.
    """

    run: Run
    places: tuple[Place, ...]
    scores: NDArray[np.float64]
    names: tuple[str, ...]
    test_digest: str | None


def make_gallery(runs: Sequence[Run], records: Sequence[RunRecord], store: Store) -> None:
    """Write the galleries of a suite's protocols anew; nothing where no predictions were kept.

    Of each network the run with the smallest seed is shown, of a cross-validation those of all folds. Galleries of
    other protocols, which an earlier form of the suite had, stay as they are.

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
    """Return the positions of the hardest, the median and the easiest image, each once.

    Args:
        scores: (N,) one score an image; NaN for images without a labelled pixel, which are not chosen.
    """
    order = [int(index) for index in np.argsort(scores, kind="stable") if not np.isnan(scores[index])]
    if not order:
        return {}
    chosen = {"hardest": order[0], "easiest": order[-1], "median": order[(len(order) - 1) // 2]}
    taken: dict[int, Role] = {}
    for role, index in chosen.items():
        taken.setdefault(index, role)
    return {role: index for index, role in taken.items()}


def most_disputed(scores: NDArray[np.float64], taken: Iterable[int]) -> int | None:
    """Return the position of the image on which networks differ most; None where no other image tells them apart.

    Args:
        scores: (K, N) the mean IoU of each of N images by each of K networks; NaN for images that are not chosen.
        taken: Positions that are chosen already.
    """
    if len(scores) < 2:
        return None
    reach = scores.max(axis=0) - scores.min(axis=0)
    reach[[*taken]] = np.nan
    known = np.flatnonzero(reach > 0)
    return int(known[np.argmax(reach[known])]) if len(known) else None


def _chosen(scores: NDArray[np.float64]) -> dict[Role, int]:
    """Return the positions of the images that are shown, by role, from (K, N) scores."""
    roles = choose(scores.mean(axis=0))
    disputed = most_disputed(scores, roles.values())
    return roles if disputed is None else {**roles, "disagreement": disputed}


def _first_seeds(runs: Sequence[Run], completed: Mapping[str, RunRecord]) -> list[list[Run]]:
    """Return the completed run of the smallest seed for each network and protocol, in the plan's order.

    Of a cross-validation, these are the runs of all folds, in order, of the smallest seed that has them all.
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
        return None  # the leaderboard tells of it
    scores = mean_iou(counts_by_image(matrices.matrices))
    places = [
        Place(folder, index) for folder, part in zip(folders, parts, strict=True) for index in range(len(part.names))
    ]
    return Shown(runs[0], tuple(places), scores, matrices.names, _test_digest([completed[run.id] for run in runs]))


def _test_digest(records: Sequence[RunRecord]) -> str | None:
    """Return the digest of the test data as the report has it."""
    digests = [record.data.test_digest if record.data else None for record in records]
    return joint_digest(digests) if records[0].fold else digests[0]


def _comparable(found: Sequence[Shown]) -> list[Shown]:
    """Return the runs that were tested on what most were."""
    tested = Counter((one.test_digest, one.names) for one in found)
    most = tested.most_common(1)[0][0]
    return [one for one in found if (one.test_digest, one.names) == most]


def _write(folder: Path, found: Sequence[Shown]) -> None:
    folder.mkdir(parents=True)
    scores = np.stack([one.scores for one in found])
    entry = found[0].run.recipe.dataset
    split = open_pool(entry) if entry.folds else open_dataset(entry, entry.test_split, loader=Loader())
    images = [_picture(folder, role, index, split, found) for role, index in sorted(_chosen(scores).items())]
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
            read_prediction(
                one.places[index].folder / PREDICTIONS_FILE, one.places[index].position, pixels=sample.label.size
            )
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
