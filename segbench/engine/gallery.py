"""Makes a suite's gallery: which test images were hardest, median and easiest, and what the networks made of them."""

from __future__ import annotations

import shutil
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segbench.config.plan import Run
from segbench.config.suite import Loader
from segbench.data.base import SegmentationDataset
from segbench.data.open import open_dataset
from segbench.engine.pictures import palette_image
from segbench.engine.predictions import read_prediction
from segbench.errors import StoreError
from segbench.metrics.resampling import counts_by_image
from segbench.metrics.scores import summary_scores
from segbench.results.gallery import GALLERY_FOLDER, Gallery, GalleryImage, find_galleries, write_gallery
from segbench.results.matrices import load_matrices
from segbench.results.record import RunRecord, Status
from segbench.results.scan import CONFUSION_FILE, PREDICTIONS_FILE
from segbench.results.store import Store

Role = str


@dataclass(frozen=True, eq=False)
class Shown:
    """A run whose predictions were kept.

    Attributes:
        run: Its plan.
        folder: Its folder.
        scores: (N,) mean IoU of each test image.
        names: The images' names.
        test_digest: Of the data that was tested on.
    """

    run: Run
    folder: Path
    scores: NDArray[np.float64]
    names: tuple[str, ...]
    test_digest: str | None


def make_gallery(runs: Sequence[Run], records: Sequence[RunRecord], store: Store) -> None:
    """Write the galleries of a suite's protocols anew; nothing where no predictions were kept.

    Of each network the run with the smallest seed is shown. Galleries of other protocols, which an earlier form of the
    suite had, stay as they are.

    Raises:
        StoreError: The gallery cannot be written, or a prediction cannot be read.
        DataError: The test split cannot be read.
    """
    completed = {record.id: record for record in records if record.outcome.status is Status.COMPLETED}
    found = [shown for run in _first_seeds(runs, completed) if (shown := _shown(run, completed[run.id], store))]
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


def _first_seeds(runs: Sequence[Run], completed: dict[str, RunRecord]) -> list[Run]:
    """Return the completed run of the smallest seed for each network and protocol, in the plan's order."""
    first: dict[tuple[str, str], Run] = {}
    for run in runs:
        key = run.label, run.protocol_id
        if run.id in completed and (key not in first or run.seed < first[key].seed):
            first[key] = run
    return list(first.values())


def _shown(run: Run, record: RunRecord, store: Store) -> Shown | None:
    folder = store.folder_of(run.id)
    if not zipfile.is_zipfile(folder / PREDICTIONS_FILE):
        return None
    try:
        matrices = load_matrices(folder / CONFUSION_FILE)
    except StoreError:
        return None  # the leaderboard tells of it
    scores = summary_scores(counts_by_image(matrices.matrices)).mean_iou
    return Shown(run, folder, scores, matrices.names, record.data.test_digest if record.data else None)


def _comparable(found: Sequence[Shown]) -> list[Shown]:
    """Return the runs that were tested on what most were."""
    tested = Counter((one.test_digest, one.names) for one in found)
    most = tested.most_common(1)[0][0]
    return [one for one in found if (one.test_digest, one.names) == most]


def _write(folder: Path, found: Sequence[Shown]) -> None:
    folder.mkdir(parents=True)
    scores = np.stack([one.scores for one in found])
    entry = found[0].run.recipe.dataset
    split = open_dataset(entry, entry.test_split, loader=Loader())
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
    sample = split.read(index)
    image, label = f"{role}-image.png", f"{role}-label.png"
    Image.fromarray(sample.image).save(folder / image)
    palette_image(sample.label, split.info.palette).save(folder / label)
    predictions = {}
    for number, one in enumerate(found):
        file = f"{role}-{number:03d}.png"
        (folder / file).write_bytes(read_prediction(one.folder / PREDICTIONS_FILE, index))
        predictions[one.run.id] = file
    scores = {one.run.id: float(one.scores[index]) for one in found}
    return GalleryImage(
        role=role,
        index=index,
        name=found[0].names[index],
        mean_iou=float(np.mean(list(scores.values()))),
        image=image,
        label=label,
        predictions=predictions,
        scores=scores,
    )
