"""Writes the text of a starter suite, with comments, for the data found in a folder."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from math import ceil
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segbench.data.guess.found_classes import FoundClasses
    from segbench.data.guess.found_layout import OtherMasks
    from segbench.data.guess.guess import Found

SUITE = "suite.yaml"
FEW_IMAGES = 60
"""With fewer images and no splits, a fifth is too small for a test split: the starter suite cross-validates."""
FOLDS = 5
TEST_EVERY = 5
"""Without splits, every fifth image goes to the test split."""
BATCH_SIZE = 8
"""Images in a batch, if the training split has as many."""
CROP = 256
"""Height and width of training crops in pixels, if images are as large."""
_CROP_STEP = 32
_COMMENT_WIDTH = 110
_MOST_NAMES = 20
"""Largest number of class names on one line."""


def suite_text(found: Found | None, *, name: str) -> str:
    """Return the text of the starter suite.

    Args:
        found: The data found in the folder; None if there is none.
        name: The suite's name.
    """
    crop = _crop(found)
    return f"""\
# What to compare, and how. Every key is explained in docs/suites.md; 'segbench schema' gives editors the same.
# Run it with: segbench run {SUITE}

name: {_text(name)}  # of the folder under results/

dataset:
  name: folder
  root: .  # relative to this file
{_indented(_layout_lines(found))}
{_indented(_class_lines(found))}

transforms:
  # Every network sees the same images in the same order.
  train:
    - {{name: random_scale, minimum: 0.75, maximum: 1.5}}
    - {{name: random_crop, size: [{crop}, {crop}]}}  # height, width; smaller images are padded with void
    - horizontal_flip
    - {_normalize(found)}
  # Scores are taken at the labels' own size, whatever happens to the images here.
  test:
    - {_normalize(found)}

models:  # 'segbench list models' shows all, 'segbench describe NAME' what they cost
  - {{name: cnn, width: 0.25}}  # width scales every channel count; 1.0 is the paper's network
  - {{name: fcn8s, width: 0.25}}
  - {{name: unet, width: 0.25, norm: batch}}
  - {{name: segnet, width: 0.25}}

train:  # one recipe for all
  epochs: 30
  batch_size: {_batch_size(found)}  # no more than the images of the smallest training split
  loss: cross_entropy
  optimizer: {{name: adamw, lr: 0.001}}
  schedule: poly

evaluate:
  batch_size: 1  # images of different sizes cannot share a batch

seeds: [0, 1, 2]  # trainings of each network; a single one cannot tell a better network from a lucky seed

loader:
  workers: 0  # processes that read images; changes the time, never the results
  cache: memory
"""


def suite_name(folder: Path) -> str:
    """Return the folder's name, limited to characters allowed in a suite's name."""
    return re.sub(r"[^\w.-]+", "-", folder.resolve().name).strip("-.") or "suite"


def _crop(found: Found | None) -> int:
    """Return the size of crops: the default, or that of the smallest image."""
    smallest = (found.images.smallest if found is not None else None) or CROP
    return max(_CROP_STEP, min(CROP, smallest // _CROP_STEP * _CROP_STEP))


def _layout_lines(found: Found | None) -> list[str]:
    if found is None:
        return [
            "images: images/{split}  # put your images into images/train and images/test,",
            "masks: masks/{split}    # and masks of the same names into masks/train and masks/test",
        ]
    lines = [f"# {note}" for note in _comments((*found.notes, *map(_mask_question, found.open_masks)))]
    if found.lists:
        lines.append("split_file: '{split}.txt'  # an image and its mask on each line; move lines to change the split")
        lines += _fold_lines([image for image, _ in found.pairs]) if found.drawn else []
    else:
        lines += _folder_lines(found)
    lines += ["pages: each  # every page of a file is a sample; those of one file stay together"] if found.pages else []
    lines += _channel_lines(found)
    names = {"train_split": found.train, "validation_split": found.validation, "test_split": found.test}
    defaults = {"train_split": "train", "validation_split": None, "test_split": "test"}
    lines += [f"{key}: {_text(name)}" for key, name in names.items() if name != defaults[key]]
    return lines


def _mask_question(other: OtherMasks) -> str:
    return (
        f"OPEN QUESTION: are the masks those of {other.masks}? It holds masks of {other.pairs:,} of the images too, "
        f"and is not read. If they are, delete this file and: segbench init --masks '{other.masks}'"
    )


def _normalize(found: Found | None) -> str:
    """Return the normalize step; ImageNet's statistics are for 8-bit RGB only."""
    if found is None or found.images.channels is None:
        return "normalize"
    return "{name: normalize, statistics: measured}  # of the images that are trained on"


def _channel_lines(found: Found) -> list[str]:
    channels = found.images.channels
    if channels is None:
        return []
    what = "all bands" if isinstance(channels, int) else "these bands, without the opacity"
    return [f"channels: {json.dumps(channels)}  # {what}, at full depth"]


def _folder_lines(found: Found) -> list[str]:
    layout = found.layout
    lines = []
    if layout.split_file is None or not found.layout.lists_pairs:
        lines += [f"images: {_text(layout.images)}", f"masks: {_text(layout.masks)}"]
        lines += ["recursive: true  # they hold folders"] if layout.recursive and layout.split_file is None else []
        endings = (("image_suffix", layout.suffixes.image), ("mask_suffix", layout.suffixes.mask))
        lines += [f"{key}: {_text(ending)}" for key, ending in endings if ending]
    if layout.split_file is not None:
        lines.append(f"split_file: {_text(layout.split_file)}")
    return lines


def _batch_size(found: Found | None) -> int:
    """Return a batch size for which the smallest training split has enough images."""
    if found is None:
        return BATCH_SIZE
    images = len(found.pairs) if found.drawn else found.training_images
    in_training = images - ceil(images / (_folds(images) or TEST_EVERY)) if found.drawn else images
    return max(1, min(BATCH_SIZE, in_training))


def _folds(images: int) -> int | None:
    """Return the number of folds for images without splits; None for a single image, or for enough of them."""
    return min(FOLDS, images) if 2 <= images < FEW_IMAGES else None


def _fold_lines(images: Sequence[str]) -> list[str]:
    """Return the lines about a cross-validation; empty without one."""
    folds = _folds(len(images))
    if folds is None:
        return []
    return [
        f"folds: {folds}  # cross-validation, as there are few images: those of both lists are pooled, and each",
        "# is tested once, by networks that are trained on the other folds. Without this line, test.txt is",
        "# the test. If several images show one patient or place, keep them in one fold:",
        "# fold_groups: {file: groups.csv, column: group}  # see docs/suites.md",
        "# The first line of groups.csv is",
        "#   image,group",
        "# and each image has a line with its name as in train.txt and test.txt, such as",
        f"#   {_group_line(images)}",
    ]


def _group_line(images: Iterable[str]) -> str:
    """Return an example line of the CSV file of groups, with a printable image name."""
    image = next((name for name in images if name.isprintable()), "images/0001.png")
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([image, "patient1"])
    return line.getvalue()


def _class_lines(found: Found | None) -> list[str]:
    if found is None or not found.classes.names:
        return [
            *(f"# {note}" for note in _comments(found.classes.notes if found else ())),
            "classes: [background, class_1]  # the names of the mask values 0, 1, ...",
            "# values: [0, 255]  # the mask value of each class where they are others, as in black-and-white masks",
            "ignore: null  # or the mask value that counts nowhere; 255 is one in many data sets",
        ]
    classes = found.classes
    lines = [f"# {note}" for note in _comments((*classes.notes, *_looked_at(classes)))]
    if isinstance(classes.names, str):
        return [*lines, f"classes: {classes.names}  # a ready-made map; it brings its values and what is ignored"]
    return [*lines, *_name_lines(classes), *_meaning_lines(classes)]


def _name_lines(classes: FoundClasses) -> list[str]:
    assert not isinstance(classes.names, str)
    names = [name if re.fullmatch(r"background|(class|value)_\d+", name) else _text(name) for name in classes.names]
    what = "in the order of the palette" if classes.palette else "the names of the mask values 0, 1, ..."
    comment = f"  # {'the names of the values below' if classes.values else what}"
    if len(names) <= _MOST_NAMES:
        return [f"classes: [{', '.join(names)}]{comment}"]
    return [f"classes:{comment}", *(f"  - {name}" for name in names)]


def _meaning_lines(classes: FoundClasses) -> list[str]:
    lines = []
    if classes.palette:
        lines.append(f"palette: {json.dumps(classes.palette)}  # the masks' colours")
    if classes.ignore_color:
        lines.append(f"ignore_color: {json.dumps(classes.ignore_color)}  # the colour that counts nowhere")
    if classes.values:
        lines.append(f"values: {json.dumps(classes.values)}  # the mask value of each class")
    for value in classes.open_values:
        void = classes.with_void(value)
        values = f"values: {json.dumps(void.values)}" if void.values else "no values"
        lines += [
            f"# OPEN QUESTION: is the mask value {value} a class, or void? It lies apart from the others, and is a",
            f"# class here, so that nothing is left out of the scores. If it is void: ignore: {_ignored(void)},",
            f"# {values}, and without the class value_{value}.",
        ]
    if not classes.ignore:
        return [*lines, "ignore: null  # every pixel has a class"]
    return [*lines, f"ignore: {_ignored(classes)}  # the mask value that counts nowhere"]


def _ignored(classes: FoundClasses) -> str:
    return json.dumps(classes.ignore[0] if len(classes.ignore) == 1 else list(classes.ignore))


def _looked_at(classes: FoundClasses) -> list[str]:
    if classes.read >= classes.files:
        return []
    return [f"{classes.read:,} of {classes.files:,} masks were looked at; 'segbench data check' reads all"]


def _comments(notes: Iterable[str]) -> Iterable[str]:
    """Wrap sentences into lines for comments."""
    for note in notes:
        plain = "".join(letter if letter.isprintable() else "?" for letter in note)
        yield from wrap(plain, width=_COMMENT_WIDTH, break_long_words=False, break_on_hyphens=False)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)
