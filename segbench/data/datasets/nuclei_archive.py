"""Makes the nuclei data set of its published archive: one mask of many, the images that are listed, verified."""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
from collections import defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segbench.data.datasets.nuclei_list import Listed, listed
from segbench.errors import DataError

NAME_LENGTH = 12
MOST_BYTES = 50_000_000
"""No image of the archive is near as large: what claims to be is refused unread."""

_log = logging.getLogger(__name__)


def prepare(archive: Path, folder: Path) -> None:
    """Write images/ and masks/ with their splits into a folder.

    Args:
        archive: The ZIP archive: ``…/ID/images/ID.png`` and ``…/ID/masks/*.png``, one mask a nucleus.
        folder: Where to write.

    Raises:
        DataError: It is no such archive, an image is missing, or one is not that which was published.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _members(opened)
            absent = [entry.name for entry in listed() if not members[entry.name]]
            if absent:
                raise DataError(f"{archive.name}: lacks {len(absent)} of {len(listed())} images, such as {absent[0]}…")
            corrected = [entry.name for entry in listed() if not _write(opened, members[entry.name], entry, folder)]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DataError(f"{archive.name}: cannot be unpacked: {error}") from None
    if corrected:
        _log.warning(
            "nuclei: the masks of %d images are not those that this version knows (%s…); scores do not compare with "
            "those on other masks",
            len(corrected),
            corrected[0],
        )


def _members(opened: zipfile.ZipFile) -> dict[str, list[zipfile.ZipInfo]]:
    """Return the archive's PNGs by the image that they belong to."""
    found: dict[str, list[zipfile.ZipInfo]] = defaultdict(list)
    for member in opened.infolist():
        parts = PurePosixPath(member.filename).parts
        if len(parts) >= 3 and parts[-2] in ("images", "masks") and parts[-1].lower().endswith(".png"):
            found[parts[-3][:NAME_LENGTH]].append(member)
    return found


def _write(opened: zipfile.ZipFile, members: list[zipfile.ZipInfo], entry: Listed, folder: Path) -> bool:
    """Write an image with its mask; return whether the mask is the known one.

    Raises:
        DataError: The image is another one than was published.
    """
    images = [member for member in members if PurePosixPath(member.filename).parent.name == "images"]
    masks = [member for member in members if member not in images]
    if len(images) != 1 or not masks:
        raise DataError(f"{entry.name}: has {len(images)} images and {len(masks)} masks in the archive")
    image = np.asarray(_decoded(opened, images[0]).convert("RGB"))
    if digest(image) != entry.image:
        raise DataError(f"{images[0].filename}: is not the image that was published; try another archive")
    mask = np.zeros(image.shape[:2], np.uint8)
    for member in masks:
        single = np.asarray(_decoded(opened, member).convert("L"))
        if single.shape != mask.shape:
            raise DataError(f"{member.filename}: is of another size than its image")
        mask |= (single > 0).astype(np.uint8)
    for kind, pixels in (("images", image), ("masks", mask)):
        file = folder / kind / entry.split / f"{entry.name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    return digest(mask) == entry.mask


def digest(pixels: NDArray[np.uint8]) -> str:
    """Return how pixels are known among ``listed``."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()[:NAME_LENGTH]


def _decoded(opened: zipfile.ZipFile, member: zipfile.ZipInfo) -> Image.Image:
    if member.file_size > MOST_BYTES:
        raise DataError(f"{member.filename}: claims {member.file_size:,} bytes; no image of this data set is so large")
    return Image.open(io.BytesIO(opened.read(member)))
