"""The gallery of a suite: its hardest, median and easiest test images with each network's prediction.

``results/<suite>/gallery/<start of the protocol's id>/`` holds the pictures and their description, ``gallery.json``.
Labels and predictions are palette PNGs whose pixels are class indices.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from segbench.errors import StoreError
from segbench.results.files import replace_text
from segbench.results.record import Facts

GALLERY_FOLDER = "gallery"
GALLERY_FILE = "gallery.json"


class GalleryImage(Facts):
    """One test image."""

    role: Literal["hardest", "median", "easiest"]
    """Hardest, median or easiest, by the mean IoU of this image averaged over networks."""
    index: int
    """Index of the image in the test split."""
    name: str
    mean_iou: float
    """Mean over networks of the mean IoU of this image."""
    image: str
    """File name of the picture; the next two are file names too."""
    label: str
    predictions: Mapping[str, str]
    """File name of each run's prediction, by run."""
    scores: Mapping[str, float]
    """Mean IoU of this image, by run."""
    shown: str = ""
    """Which channels the picture shows and how they were scaled; empty if it shows the image unchanged."""


class Gallery(Facts):
    """The gallery of one protocol."""

    schema_version: Literal[1] = 1
    protocol_id: str
    test_digest: str | None
    test_images: int
    """Number of images that these were chosen from."""
    images: tuple[GalleryImage, ...]


def write_gallery(folder: Path, gallery: Gallery) -> None:
    """Write ``gallery.json`` into the folder of the pictures.

    Raises:
        StoreError: The file cannot be written.
    """
    replace_text(folder / GALLERY_FILE, gallery.model_dump_json(indent=2) + "\n")


def find_galleries(suite: Path) -> dict[Path, Gallery]:
    """Return the galleries of a suite by their folders; unreadable ones are left out."""
    found = {}
    for file in sorted((suite / GALLERY_FOLDER).glob(f"*/{GALLERY_FILE}")):
        try:
            found[file.parent] = read_gallery(file)
        except StoreError:  # pictures are not facts: a report can do without them
            continue
    return found


def read_gallery(file: Path) -> Gallery:
    """Read a gallery and check that its file names stay within its folder.

    Raises:
        StoreError: The gallery cannot be read, or names files outside its folder.
    """
    try:
        gallery = Gallery.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError) as error:
        raise StoreError(f"{file}: cannot be read: {' '.join(str(error).split())[:300]}") from None
    named = [name for image in gallery.images for name in (image.image, image.label, *image.predictions.values())]
    outside = [name for name in named if Path(name).name != name]
    if outside:
        raise StoreError(f"{file}: names a file outside its folder: {outside[0]!r}")
    return gallery
