"""Reads LabelMe's JSON files: one for each image, with its polygons, rectangles, circles, lines and bitmaps."""

from __future__ import annotations

import base64
import binascii
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from segbench.data.annotations.images import ImageFinder, check_size, is_image_name, relative_name, shown_size
from segbench.data.annotations.labelme_shapes import region_of
from segbench.data.annotations.regions import AnnotatedImage, Region, Size
from segbench.data.annotations.source import AnnotationSource, entries, size_of
from segbench.errors import DataError

UNANNOTATED = "{} images have no shape: they are background"
POINTS = "{} points have no area: they are left out"
EMBEDDED = "{} images are taken out of their JSON files, as there are no files of them"


def read_labelme(
    files: Sequence[tuple[Path, Mapping[str, Any]]],
    *,
    root: Path,
    images: ImageFinder,
    prefix: str = "",
    line_width: int | None = None,
) -> AnnotationSource:
    """Return what LabelMe files say.

    Args:
        files: JSON files and what they hold.
        root: The folder below which they are; the images keep their place below it.
        images: Finds images that are not where their JSON file says.
        prefix: What is put before the images' names.
        line_width: How many pixels wide lines are drawn.

    Raises:
        DataError: An image is missing or of another size, or a shape is damaged.
    """
    noticed: Counter[str] = Counter()
    found: list[AnnotatedImage] = []
    labels: set[str] = set()
    for file, content in files:
        regions = _regions(content, file, noticed, line_width=line_width)
        labels.update(region.label for region in regions)
        noticed[UNANNOTATED] += not regions
        folder = file.parent.relative_to(root).as_posix() if file.is_relative_to(root) else "."
        place = prefix + ("" if folder == "." else f"{folder}/")
        found.append(_image(content, file, images, place, regions, noticed))
    return AnnotationSource(tuple(found), tuple(sorted(labels)), noticed)


def _regions(
    content: Mapping[str, Any], file: Path, noticed: Counter[str], *, line_width: int | None
) -> tuple[Region, ...]:
    found = []
    for number, shape in enumerate(entries(content, "shapes", file), 1):
        region = region_of(shape, f"{file}: shape {number} ({shape.get('label')})", line_width=line_width)
        noticed[POINTS] += region is None
        found += [] if region is None else [region]
    return tuple(found)


def _image(
    content: Mapping[str, Any],
    file: Path,
    images: ImageFinder,
    place: str,
    regions: tuple[Region, ...],
    noticed: Counter[str],
) -> AnnotatedImage:
    named = str(content.get("imagePath") or "")
    found = _beside(file, named, images)
    size = size_of(content, ("imageHeight", "imageWidth"), str(file)) if content.get("imageHeight") else None
    if found is not None:
        size = size or shown_size(found)[0]
        is_turned = check_size(found, given=size, source=file)
        return AnnotatedImage(f"{place}{found.name}", size, file, regions, file=found, is_turned=is_turned)
    embedded = _embedded(content, file)
    if embedded is None:
        raise DataError(
            f"{file}: its image {named or file.stem} is neither beside it nor in it; give --images, the folder that "
            "holds the images"
        )
    noticed[EMBEDDED] += 1
    bytes_, suffix, stored = embedded
    if size is not None and size != stored:
        raise DataError(f"{file}: says that its image is {size}, but the one in it is {stored} (height, width)")
    return AnnotatedImage(f"{place}{file.stem}{suffix}", stored, file, regions, content=bytes_)


def _beside(file: Path, named: str, images: ImageFinder) -> Path | None:
    """Return the image that a JSON file names: where it says, beside it, or elsewhere under this name."""
    path = PurePosixPath(named.replace("\\", "/"))
    if is_image_name(path.name):
        for place in (file.parent / path, file.parent / path.name):
            if place.is_file():
                return place
        return images.find(str(relative_name(path.name)))
    return None


def _embedded(content: Mapping[str, Any], file: Path) -> tuple[bytes, str, Size] | None:
    """Return the image in a JSON file, the suffix of its format, and its height and width; None where there is none."""
    given = content.get("imageData")
    if not given:
        return None
    try:
        data = base64.b64decode(str(given))
        with Image.open(io.BytesIO(data)) as image:
            suffix = ".jpg" if image.format == "JPEG" else f".{str(image.format).lower()}"
            return data, suffix, (image.height, image.width)
    except (binascii.Error, OSError, ValueError) as error:
        raise DataError(f"{file}: its imageData is no image: {error}") from None
