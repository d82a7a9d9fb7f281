"""A person's own data: two folders of images and masks, or a list of pairs."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from pathlib import Path
from typing import Literal

from segbench.data.base import IGNORE_INDEX, Color, DatasetInfo, SegmentationDataset
from segbench.data.files import IMAGE_SUFFIXES, FileDataset, ImageFolder, Pair
from segbench.data.images import ImageReader
from segbench.data.listing import read_list, resolve
from segbench.data.locate import locate
from segbench.data.masks import ColorLabels, IndexLabels, LabelDecoder, ValueLabels
from segbench.data.pages import chosen_pages, first_dtype
from segbench.errors import DataError, MissingDataError

REMEDY = (
    "Give dataset.root, a folder that holds the images and masks; 'segbench init' writes a suite that shows the layout"
)


def folder(  # noqa: PLR0913 - each is a key of the suite
    split: str,
    *,
    root: str | None = None,
    classes: list[str],
    images: str = "images/{split}",
    masks: str = "masks/{split}",
    image_suffix: str = "",
    mask_suffix: str = "",
    split_file: str | None = None,
    values: list[int] | None = None,
    palette: list[list[int]] | None = None,
    ignore: int | None = 255,
    ignore_color: list[int] | None = None,
    channels: int | list[int] | None = None,
    pages: Literal["each", "first"] | None = None,
) -> SegmentationDataset:
    """Your own images and masks: two folders paired by file name, or a list of pairs.

    Masks are index or palette PNGs (the stored number is the class, or one of ``values``), or RGB images in the colours
    of ``palette``.

    Args:
        split: Any name; it fills ``{split}`` below.
        root: The folder that holds everything.
        classes: Names of the classes 0, 1, ...
        images: Folder of the images, relative to root.
        masks: Folder of the masks, relative to root.
        image_suffix: What follows the common name in image files, before the dot, such as ``_rgb``.
        mask_suffix: What follows the common name in mask files, before the dot, such as ``_mask``.
        split_file: A text file with an image and a mask on each line, relative to root, in place of the two folders.
        values: The mask value of each class, such as [0, 255] for black-and-white masks; 0, 1, ... by default.
        palette: One [red, green, blue] for each class; needed for RGB masks, else used for pictures only.
        ignore: The mask value that counts nowhere; null where every pixel has a class. Without ``values``, 255 is
            always ignored.
        ignore_color: The colour that counts nowhere in RGB masks.
        channels: How many bands the images have, or a list of the bands to read, which count from 0. They are read at
            full depth: uint8 and uint16 as stored, other numbers as float32. null reads 8-bit RGB, and refuses images
            that hold more.
        pages: What to do with files of several pages, such as TIFF stacks: ``each`` takes every page of an image, with
            that of its mask, as a sample ``name#1``, ``name#2``, ...; ``first`` takes the first alone. null refuses
            them; with ``channels``, pages of one band each are the bands of one image.

    Raises:
        DataError: Classes, values and palette do not fit together, a listing is wrong, or no pair is found.
        MissingDataError: The root, or the split's folder or list, does not exist.
    """
    place = locate("folder", root, holds=Path.is_dir, remedy=REMEDY)
    reader = reader_of(channels)
    info = DatasetInfo("folder", tuple(classes), _colors(classes, palette))
    indices = _index_labels(classes, values, ignore=ignore)
    decoder = indices if palette is None else _color_labels(info, ignore_color, indices=indices)
    if split_file is not None:
        entries = read_list(_existing(place / split_file.format(split=split), "list"))
        pairs, problems = resolve(place, entries, name=lambda image: image.with_suffix("").as_posix())
    else:
        image_files = ImageFolder(_existing(place / images.format(split=split), "folder of images"))
        mask_files = ImageFolder(_existing(place / masks.format(split=split), "folder of masks"))
        pairs, problems = pair_by_name(image_files, mask_files, suffixes=(image_suffix, mask_suffix))
        problems += dict.fromkeys([*doubled(image_files, image_suffix), *doubled(mask_files, mask_suffix)])
    pairs, unpaged = chosen_pages(pairs, pages)
    info = replace(info, channels=reader.count, dtype=first_dtype(pairs, reader))
    return FileDataset(info, pairs, decoder=decoder, problems=[*problems, *unpaged], reader=reader)


def pair_by_name(images: ImageFolder, masks: ImageFolder, *, suffixes: tuple[str, str]) -> tuple[list[Pair], list[str]]:
    """Pair files whose names agree without their suffixes.

    Returns:
        The pairs in the order of their names, and one line for each file that has no partner.
    """
    found = [
        {stem.removesuffix(suffix): path for stem, path in files.files.items() if stem.endswith(suffix)}
        for files, suffix in zip((images, masks), suffixes, strict=True)
    ]
    left, right = found
    pairs = [Pair(name, left[name], right[name]) for name in sorted(left.keys() & right.keys())]
    problems = [f"{left[name]}: has no mask in {masks.folder}" for name in sorted(left.keys() - right.keys())]
    problems += [f"{right[name]}: has no image in {images.folder}" for name in sorted(right.keys() - left.keys())]
    return pairs, problems


def doubled(found: ImageFolder, suffix: str) -> list[str]:
    """Return one line for each file that differs from another one in what follows the dot only, and so is not used."""
    return [
        f"{path}: {found.files[path.stem].name} has the same name, so that it is not clear which is meant; keep one"
        for path in sorted(found.folder.iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES and path.stem.endswith(suffix) and path != found.files[path.stem]
    ]


def default_palette(count: int) -> tuple[Color, ...]:
    """Return so many clearly different colours: hues spread by the golden ratio, in three brightnesses."""
    colors = []
    for index in range(count):
        red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.75, (0.95, 0.7, 0.5)[index % 3])
        colors.append((round(red * 255), round(green * 255), round(blue * 255)))
    return tuple(colors)


def reader_of(channels: int | list[int] | None) -> ImageReader:
    """Return what reads images as the option ``channels`` says.

    Raises:
        DataError: It is no number of bands, and no list of bands.
    """
    given = channels if isinstance(channels, list) else [0 if channels is None else channels - 1]
    if not given or min(given) < 0:
        raise DataError(
            f"folder: channels is {channels}; expected how many bands the images have, such as 4, or a list of bands, "
            "which count from 0"
        )
    return ImageReader(tuple(channels) if isinstance(channels, list) else channels)


def _colors(classes: list[str], palette: list[list[int]] | None) -> tuple[Color, ...]:
    if not 1 <= len(classes) <= IGNORE_INDEX:
        raise DataError(f"folder: {len(classes)} classes given; there can be 1 to {IGNORE_INDEX}")
    if len(set(classes)) < len(classes):
        raise DataError(f"folder: a class is named twice in {classes}")
    if palette is None:
        return default_palette(len(classes))
    if len(palette) != len(classes):
        raise DataError(f"folder: {len(classes)} classes but {len(palette)} colours in the palette; give one for each")
    return tuple(_color(color) for color in palette)


def _color(given: list[int]) -> Color:
    if len(given) != 3 or min(given) < 0 or max(given) > 255:
        raise DataError(f"folder: {given} is no colour; expected [red, green, blue], each 0 to 255")
    return (given[0], given[1], given[2])


def _index_labels(classes: list[str], values: list[int] | None, *, ignore: int | None) -> LabelDecoder:
    if ignore is not None and not 0 <= ignore <= 255:
        raise DataError(f"folder: ignore is {ignore}; expected a mask value from 0 to 255, or null")
    if values is None:
        return IndexLabels({} if ignore is None else {ignore: IGNORE_INDEX})
    if len(values) != len(classes):
        raise DataError(f"folder: {len(classes)} classes but {len(values)} values; give one for each")
    if len(set(values)) < len(values) or min(values) < 0 or max(values) > 255:
        raise DataError(f"folder: values {values}: expected different mask values from 0 to 255")
    if ignore in values:
        raise DataError(f"folder: {ignore} is the value of a class and ignored as well; set ignore: null")
    return ValueLabels(values, ignore=ignore)


def _color_labels(info: DatasetInfo, ignore_color: list[int] | None, *, indices: LabelDecoder) -> LabelDecoder:
    ignored = None if ignore_color is None else _color(ignore_color)
    if len(set(info.palette)) < len(info.palette) or ignored in info.palette:
        raise DataError("folder: two classes, or a class and ignore_color, have the same colour")
    return ColorLabels(info.palette, ignored=ignored, indices=indices)


def _existing(place: Path, what: str) -> Path:
    if not place.exists():
        raise MissingDataError(f"folder: the {what} {place} does not exist; check dataset.root and the split's name")
    return place
