"""A person's own data: two folders of images and masks, or a list of pairs."""

from __future__ import annotations

import colorsys
from pathlib import Path

from segbench.data.base import IGNORE_INDEX, Color, DatasetInfo, SegmentationDataset
from segbench.data.files import FileDataset
from segbench.data.layout import Layout
from segbench.data.locate import locate
from segbench.data.masks import ColorLabels, IndexLabels, LabelDecoder, ValueLabels
from segbench.data.pairing import Suffixes
from segbench.errors import DataError

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
    recursive: bool = False,
    values: list[int] | None = None,
    palette: list[list[int]] | None = None,
    ignore: int | None = 255,
    ignore_color: list[int] | None = None,
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
        split_file: A text file, relative to root, with an image and a mask on each line; or with one name on each
            line, of an image in ``images`` whose mask is in ``masks``.
        recursive: Whether ``images`` and ``masks`` hold folders, such as one for each city; both in the same way.
        values: The mask value of each class, such as [0, 255] for black-and-white masks; 0, 1, ... by default.
        palette: One [red, green, blue] for each class; needed for RGB masks, else used for pictures only.
        ignore: The mask value that counts nowhere; null where every pixel has a class. Without ``values``, 255 is
            always ignored.
        ignore_color: The colour that counts nowhere in RGB masks.

    Raises:
        DataError: Classes, values and palette do not fit together, a listing is wrong, or no pair is found.
        MissingDataError: The root, or the split's folder or list, does not exist.
    """
    place = locate("folder", root, holds=Path.is_dir, remedy=REMEDY)
    info = DatasetInfo("folder", tuple(classes), _colors(classes, palette))
    indices = _index_labels(classes, values, ignore=ignore)
    decoder = indices if palette is None else _color_labels(info, ignore_color, indices=indices)
    layout = Layout(place, images, masks, Suffixes(image_suffix, mask_suffix), split)
    pairs, problems = layout.listed(split_file) if split_file is not None else layout.paired(recursive=recursive)
    return FileDataset(info, pairs, decoder=decoder, problems=problems)


def default_palette(count: int) -> tuple[Color, ...]:
    """Return so many clearly different colours: hues spread by the golden ratio, in three brightnesses."""
    colors = []
    for index in range(count):
        red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.75, (0.95, 0.7, 0.5)[index % 3])
        colors.append((round(red * 255), round(green * 255), round(blue * 255)))
    return tuple(colors)


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
