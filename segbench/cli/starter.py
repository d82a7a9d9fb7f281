"""The command that writes a starter suite for a person's own images and masks."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segbench.cli.output import counted, tell
from segbench.errors import UsageError

if TYPE_CHECKING:
    from segbench.cli.guess import Found

SUITE = "suite.yaml"
FEW_IMAGES = 60
"""Of fewer images without splits, a fifth is too small a test: the starter suite cross-validates."""
FOLDS = 5
TEST_EVERY = 5
"""Where there are no splits, every fifth image is for the test."""
BATCH_SIZE = 8
"""Images in a batch, where the training split has as many."""


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder that holds, or will hold, your data.")
    ] = Path(),
) -> None:
    """Write a starter suite for your own images and masks.

    It is commented, and filled in with what is found in the folder; nothing is ever overwritten.
    """
    from segbench.cli.guess import guess

    found = guess(folder)
    unlisted = [name for pair in (found.pairs if found else ()) for name in pair if not _can_be_listed(name)]
    if unlisted:
        raise UsageError(
            f"{folder}: the file name {unlisted[0]!r} holds a tab or a line break and cannot be listed; rename it"
        )
    files = {folder / SUITE: suite_text(found, name=_name(folder))}
    if found is not None and found.pairs:
        files |= {folder / f"{split}.txt": text for split, text in split_lists(found.pairs).items()}
    write_new(files)
    tell(_explained(folder, found))
    tell(
        f"next: segbench validate {folder / SUITE}, segbench data check {folder / SUITE}, segbench run {folder / SUITE}"
    )


def write_new(files: Mapping[Path, str]) -> None:
    """Write text files, none of which may exist yet.

    Raises:
        UsageError: One exists already, or cannot be written; nothing was overwritten.
    """
    for path in files:
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path}: exists already and is left as it is; move it away, or choose another folder")
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error}") from None
        typer.echo(path)


def split_lists(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return a list of images and masks for training and one for the test, every fifth pair in the latter."""
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for index, (image, mask) in enumerate(pairs):
        lists["test" if index % TEST_EVERY == TEST_EVERY - 1 else "train"].append(f"{image}\t{mask}")
    if not lists["test"] and len(lists["train"]) > 1:
        lists["test"].append(lists["train"].pop())
    return {split: "\n".join(lines) + "\n" for split, lines in lists.items()}


def _can_be_listed(name: str) -> bool:
    return "\t" not in name and len(name.splitlines()) == 1


def suite_text(found: Found | None, *, name: str) -> str:
    """Return the starter suite, filled in with what was found.

    Args:
        found: What was found of the person's data, if anything.
        name: The suite's name.
    """
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
    - {{name: random_crop, size: [256, 256]}}  # height, width; smaller images are padded with void
    - horizontal_flip
    - normalize
  # Scores are taken at the labels' own size, whatever happens to the images here.
  test:
    - normalize

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


def _name(folder: Path) -> str:
    """Return the folder's name in characters that a suite's name may have."""
    return re.sub(r"[^\w.-]+", "-", folder.resolve().name).strip("-.") or "suite"


def _layout_lines(found: Found | None) -> list[str]:
    if found is None:
        return [
            "images: images/{split}  # put your images into images/train and images/test,",
            "masks: masks/{split}    # and masks of the same names into masks/train and masks/test",
        ]
    if found.pairs:
        lines = ["split_file: '{split}.txt'  # an image and its mask on each line; move lines to change the split"]
        lines += _fold_lines([image for image, _ in found.pairs])
    else:
        lines = [f"images: {_text(found.images)}", f"masks: {_text(found.masks)}"]
        if found.image_suffix:
            lines.append(f"image_suffix: {_text(found.image_suffix)}")
        if found.mask_suffix:
            lines.append(f"mask_suffix: {_text(found.mask_suffix)}")
    if found.train_split not in (None, "train"):
        lines.append(f"train_split: {_text(found.train_split)}")
    if found.test_split not in (None, "test"):
        lines.append(f"test_split: {_text(found.test_split)}")
    return lines


def _batch_size(found: Found | None) -> int:
    """Return a batch size that the smallest training part has the images for."""
    if found is None:
        return BATCH_SIZE
    images = len(found.pairs)
    in_training = images - ceil(images / (_folds(images) or TEST_EVERY)) if found.pairs else found.train_images
    return max(1, min(BATCH_SIZE, in_training))


def _folds(images: int) -> int | None:
    """Return how many folds images without splits are cut into; None for one alone, or enough for a test split."""
    return min(FOLDS, images) if 2 <= images < FEW_IMAGES else None


def _fold_lines(images: Sequence[str]) -> list[str]:
    """Return the lines of a cross-validation; none where there is none."""
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
    """Return an example line of the CSV file of groups, about an image whose name a comment can hold."""
    image = next((name for name in images if name.isprintable()), "images/0001.png")
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([image, "patient1"])
    return line.getvalue()


def _class_lines(found: Found | None) -> list[str]:
    count = found.classes if found is not None and found.classes else 2
    names = ", ".join(["background", *(f"class_{index}" for index in range(1, count))])
    ignore = "ignore: 255  # the mask value that counts nowhere"
    if found is not None and found.values:
        return [
            f"classes: [{names}]  # the names of the values below",
            f"values: {json.dumps(found.values)}  # the mask value of each class",
            "ignore: null  # every pixel has a class",
        ]
    if found is not None and found.palette:
        return [
            f"classes: [{names}]  # in the order of the palette",
            f"palette: {json.dumps(found.palette)}  # the masks' colours",
            ignore,
        ]
    return [f"classes: [{names}]  # the names of the mask values 0, 1, ...", ignore]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)


def _explained(folder: Path, found: Found | None) -> str:
    if found is None:
        return f"no images with masks were found in {folder}: the suite shows where to put them"
    where = "lists of images and masks" if found.pairs else f"{found.images} and {found.masks}"
    classes = counted(found.classes, "class", "classes") if found.classes else "no readable masks"
    return f"found {where}, {classes}; name the classes, then look through the rest"
