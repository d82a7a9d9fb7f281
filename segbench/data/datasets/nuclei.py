"""Cell nuclei of the 2018 Data Science Bowl: microscopy images of many kinds, nuclei against background."""

from __future__ import annotations

from pathlib import Path

from segbench.data.base import DatasetInfo, SegmentationDataset
from segbench.data.datasets.file_dataset import FileDataset
from segbench.data.datasets.nuclei_list import listed
from segbench.data.files.pair import Pair
from segbench.data.masks.masks import IndexLabels
from segbench.data.paths import candidates, locate
from segbench.data.splits import check_split
from segbench.errors import MissingDataError

SPLITS = ("train", "val", "test")
IMAGE_SUFFIXES = (".png", ".webp")

INFO = DatasetInfo(
    name="nuclei",
    classes=("background", "nucleus"),
    palette=((0, 0, 0), (255, 255, 0)),
    citation=(
        "J. Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl, Nature "
        "Methods 2019; BBBC038v1 of the Broad Bioimage Benchmark Collection, CC0, as its community corrected it."
    ),
)

REMEDY = "Get it with 'segbench data download nuclei' (about 400 MB), or set dataset.download: true"


def nuclei(split: str, *, root: str | None = None, download: bool = False) -> SegmentationDataset:
    """Nuclei in 641 microscopy images of 256x256 to 696x520: 383 for training, 98 for validation, 160 for testing.

    Args:
        split: ``train``, ``val`` or ``test``.
        root: Folder that holds images/ and masks/, each with train/, val/ and test/; else ``$SEGBENCH_DATA/nuclei``,
            else the user's data folder.
        download: Whether to fetch it when it is absent.

    Raises:
        DataError: The split is unknown, or a download fails.
        MissingDataError: The data is not there.
    """
    check_split("nuclei", split, SPLITS)
    place = _locate(root, download=download)
    pairs, problems = [], []
    for entry in listed():
        if entry.split == split:
            image = _image(place / "images" / split, entry.name)
            label = place / "masks" / split / f"{entry.name}.png"
            absent = [path for path in (image, label) if not path.is_file()]
            problems += [f"{path}: is listed but does not exist" for path in absent]
            pairs += [] if absent else [Pair(entry.name, image, label)]
    return FileDataset(INFO, pairs, decoder=IndexLabels({}), problems=problems)


def _image(folder: Path, name: str) -> Path:
    found = [file for suffix in IMAGE_SUFFIXES if (file := folder / f"{name}{suffix}").is_file()]
    return found[0] if found else folder / f"{name}{IMAGE_SUFFIXES[0]}"


def _locate(root: str | None, *, download: bool) -> Path:
    try:
        return locate("nuclei", root, holds=lambda place: (place / "masks" / "train").is_dir(), remedy=REMEDY)
    except MissingDataError:
        if not download:
            raise
    from segbench.data.datasets.download import download as fetch

    place = candidates("nuclei", root)[0]
    fetch("nuclei", root=place)
    return place
