"""The user's own data: two folders of images and masks, or a list of pairs."""

from __future__ import annotations

import colorsys
from pathlib import Path
from typing import Literal

from segbench.data.base import IGNORE_INDEX, Color, DatasetInfo, SegmentationDataset
from segbench.data.datasets.file_dataset import FileDataset
from segbench.data.datasets.pages import chosen_pages, first_dtype
from segbench.data.decoding.images import ImageReader
from segbench.data.files.pairing import Suffixes
from segbench.data.files.split_files import Layout
from segbench.data.masks.label_maps import label_map
from segbench.data.masks.label_table import LabelTable
from segbench.data.masks.masks import TableLabels
from segbench.data.masks.options import Ignore, class_colors, label_table, table_of_map
from segbench.data.masks.palettes import differing_palettes
from segbench.data.paths import locate
from segbench.errors import DataError
from segbench.option_kinds import ClassNames

REMEDY = (
    "Give dataset.root, a folder that holds the images and masks; 'segbench init' writes a suite that shows the layout"
)


def folder(  # noqa: PLR0913 - each is a key of the suite
    split: str,
    *,
    root: str | None = None,
    classes: ClassNames,
    images: str = "images/{split}",
    masks: str = "masks/{split}",
    image_suffix: str = "",
    mask_suffix: str = "",
    split_file: str | None = None,
    recursive: bool = False,
    values: list[int | list[int]] | None = None,
    palette: list[list[int | list[int]]] | None = None,
    ignore: int | list[int] | Literal["others"] | None = 255,
    ignore_color: list[int | list[int]] | Literal["others"] | None = None,
    channels: int | list[int] | None = None,
    pages: Literal["each", "first"] | None = None,
) -> SegmentationDataset:
    """Your own images and masks: two folders paired by file name, or a list of pairs.

    Args:
        split: Any name; it fills ``{split}`` below.
        root: The data set's folder.
        classes: Names of the classes 0, 1, ...; or a predefined map, which also defines their values:
            cityscapes-label-ids, cityscapes-train-ids or ade20k.
        images: Folder of the images, relative to root.
        masks: Folder of the masks, relative to root.
        image_suffix: Suffix of image names before the extension, such as ``_rgb``.
        mask_suffix: Suffix of mask names before the extension, such as ``_mask``.
        split_file: A text file, relative to root; each line has an image and a mask, or their common name.
        recursive: Whether ``images`` and ``masks`` contain subfolders, such as one per city, with the same structure.
        values: The mask value (or several) of each class, such as [0, 255] or [[7, 8], 11]; default: 0, 1, ...
        palette: One [red, green, blue] (or several) for each class. Then RGB and palette images are read by colour.
        ignore: The mask value (or several) of void pixels; others for all values that belong to no class; null if every
            pixel has a class.
        ignore_color: The colour (or several) of void pixels; others for all colours that belong to no class.
        channels: Number of bands of the images, or a list of the bands to read, from 0. They are read at full depth:
            uint8 and uint16 as stored, other types as float32. null reads 8-bit RGB and refuses images with more bands
            or bits.
        pages: How to read files with several pages, such as TIFF stacks. ``each`` makes every page of an image and its
            mask a sample ``name#1``, ``name#2``, ...; ``first`` reads only the first page. null refuses such files;
            with ``channels``, single-band pages are the bands of one image.

    Raises:
        UnknownNameError: There is no predefined map of this name.
        DataError: Classes, values and palette do not match, a list is invalid, or no pair is found.
        MissingDataError: The root, the split's folder or the list does not exist.
    """
    place = locate("folder", root, holds=Path.is_dir, remedy=REMEDY)
    reader = reader_of(channels)
    names, colors, table = _classes(classes, values=values, palette=palette, ignore=ignore, ignore_color=ignore_color)
    layout = Layout(place, images, masks, Suffixes(image_suffix, mask_suffix), split)
    pairs, problems = layout.listed(split_file) if split_file is not None else layout.paired(recursive=recursive)
    pairs, unpaged = chosen_pages(pairs, pages)
    differing = None if table.colors else differing_palettes(dict.fromkeys(pair.label for pair in pairs))
    problems = [*problems, *unpaged, *([differing] if differing else [])]
    info = DatasetInfo("folder", names, colors, channels=reader.count, dtype=first_dtype(pairs, reader))
    return FileDataset(info, pairs, decoder=TableLabels(table), problems=problems, reader=reader)


def default_palette(count: int) -> tuple[Color, ...]:
    """Return distinct colours: hues spaced by the golden ratio, in three brightness levels."""
    colors = []
    for index in range(count):
        red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.75, (0.95, 0.7, 0.5)[index % 3])
        colors.append((round(red * 255), round(green * 255), round(blue * 255)))
    return tuple(colors)


def reader_of(channels: int | list[int] | None) -> ImageReader:
    """Return the image reader for the option ``channels``.

    Raises:
        DataError: It is neither a number of bands nor a list of bands.
    """
    given = channels if isinstance(channels, list) else [0 if channels is None else channels - 1]
    if not given or min(given) < 0:
        raise DataError(
            f"folder: channels is {channels}; expected how many bands the images have, such as 4, or a list of bands, "
            "which count from 0"
        )
    return ImageReader(tuple(channels) if isinstance(channels, list) else channels)


def _classes(
    classes: list[str] | str,
    *,
    values: list[int | list[int]] | None,
    palette: list[list[int | list[int]]] | None,
    ignore: Ignore,
    ignore_color: list[int | list[int]] | Literal["others"] | None,
) -> tuple[tuple[str, ...], tuple[Color, ...], LabelTable]:
    """Return the classes' names, their display colours, and their values in masks."""
    if isinstance(classes, str):
        known = label_map(classes)
        given = {"values": values, "palette": palette, "ignore_color": ignore_color}
        beside = [key for key, value in given.items() if value is not None] + ["ignore"] * (ignore != IGNORE_INDEX)
        if beside:
            raise DataError(f"folder: classes: {classes} brings its own numbers; leave {' and '.join(beside)} out")
        return tuple(known.classes), known.palette or default_palette(len(known.classes)), table_of_map(known)
    if not 1 <= len(classes) <= IGNORE_INDEX:
        raise DataError(f"folder: {len(classes)} classes given; there can be 1 to {IGNORE_INDEX}")
    if len(set(classes)) < len(classes):
        raise DataError(f"folder: a class is named twice in {classes}")
    table = label_table(classes, values=values, ignore=ignore, palette=palette, ignore_color=ignore_color)
    return tuple(classes), default_palette(len(classes)) if palette is None else class_colors(palette), table
