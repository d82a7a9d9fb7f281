"""The gallery of a suite: its hardest, median, easiest and most disputed test image, as each network saw them.

``results/<suite>/gallery/<start of the protocol's id>/`` holds the pictures and ``gallery.json``, which says what they
are. Labels and predictions are palette PNGs whose pixels are class indices.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from segbench import __version__
from segbench.errors import StoreError
from segbench.results.files import replace_text
from segbench.results.hashes import read_sealed, sealed_text
from segbench.results.record import Facts

GALLERY_SCHEMA_VERSION: Literal[1] = 1
"""History: 1, the first."""
GALLERY_FOLDER = "gallery"
GALLERY_FILE = "gallery.json"
_AGAIN = "'segbench run' draws it again"


class GalleryImage(Facts):
    """One test image."""

    role: Literal["hardest", "median", "easiest", "disagreement"]
    """By the mean over networks of its own mean IoU; ``disagreement`` by how far it is from network to network."""
    index: int
    """Its position in the test split."""
    name: str
    mean_iou: float
    """Mean over networks of the mean IoU of this image."""
    image: str
    """File name of the picture; so are the next two."""
    label: str
    predictions: Mapping[str, str]
    """By run."""
    scores: Mapping[str, float]
    """Mean IoU of this image, by run."""
    shown: str = ""
    """Which channels the picture shows and how they were scaled; empty where it is the image as it is."""


class Gallery(Facts):
    """The images of one protocol."""

    schema_version: Literal[1] = GALLERY_SCHEMA_VERSION
    segbench: str | None = None
    """The version of segbench that wrote it; None in galleries of earlier versions."""
    protocol_id: str
    test_digest: str | None
    test_images: int
    """How many images these were chosen from."""
    images: tuple[GalleryImage, ...]


def write_gallery(folder: Path, gallery: Gallery) -> None:
    """Write what the pictures in a folder are, and this version of segbench.

    Raises:
        StoreError: It cannot be written.
    """
    replace_text(folder / GALLERY_FILE, sealed_text(gallery.model_copy(update={"segbench": __version__})))


def find_galleries(suite: Path) -> dict[Path, Gallery]:
    """Return the galleries of a suite's folder by their own folder; those that cannot be read are left out."""
    found = {}
    for file in sorted((suite / GALLERY_FOLDER).glob(f"*/{GALLERY_FILE}")):
        try:
            found[file.parent] = read_gallery(file)
        except StoreError:  # pictures are no facts: the report does without
            continue
    return found


def read_gallery(file: Path) -> Gallery:
    """Read a gallery; its file names lead nowhere but into its folder.

    Raises:
        StoreError: It cannot be read, was edited, is of a newer segbench, or names files elsewhere.
    """
    gallery = read_sealed(file, Gallery, newest=GALLERY_SCHEMA_VERSION, what="gallery", again=_AGAIN)
    named = [name for image in gallery.images for name in (image.image, image.label, *image.predictions.values())]
    outside = [name for name in named if Path(name).name != name]
    if outside:
        raise StoreError(f"{file}: names a file outside its folder: {outside[0]!r}")
    return gallery
