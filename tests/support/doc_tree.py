"""A folder in which the commands of the documents can be typed: small things under the names that they use.

A new command of the documents that needs a file gets it here, by one more line of ``FILES`` or ``build``.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path
from textwrap import dedent

import foreign_checkpoint
import numpy as np
from PIL import Image

from segbench.config import load_suite
from segbench.engine.suite.run_suite import run_suite
from segbench.results.archive.pack import pack

SUITE = """\
dataset: {name: scenes, size: [16, 16], train_images: 4, test_images: 2}
transforms: {train: [normalize], test: [normalize]}
models:
  - {name: unet, width: 0.05}
train: {epochs: 1, batch_size: 2}
seeds: [0]
speed: {size: [16, 16], batch_sizes: [1], tasks: [inference], restarts: 1, seconds: 0.05}
"""
"""Stands in for every suite: one network, two steps."""

UNMEASURED = SUITE[: SUITE.index("speed:")]

FILES = {
    "suite.yaml": UNMEASURED,
    "quickstart": UNMEASURED,  # a file of this name goes before the suite that comes with segbench
    "suites/quickstart.yaml": UNMEASURED,
    "suites/voc.yaml": UNMEASURED.replace("name: unet", "name: unet, label: U-Net"),
    "suites/speed.yaml": SUITE,
}

PROGRAMS = {
    "segbench": f'exec {sys.executable} -m segbench "$@"',
    "python3": f'exec {sys.executable} "$@"',
    # Slurm's job array, one task after the other
    "sbatch": dedent("""\
        for option in "$@"; do case $option in --array=1-*) last=${option#--array=1-};; esac; command=$option; done
        for SLURM_ARRAY_TASK_ID in $(seq $last); do export SLURM_ARRAY_TASK_ID; bash -c "$command" || exit; done"""),
}
"""What a shell finds under these names."""

RESULTS = ("camvid-gpu", "my-suite", "voc")
"""Suites of which there are results, the same ones, where a block of commands makes none."""


def build(folder: Path) -> None:
    """Fill an empty folder."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for name, text in PROGRAMS.items():
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    _draw_images(folder / "my-data")
    _draw_masks(folder / "masks", folder / "out")
    _annotate_images(folder / "coco")
    foreign_checkpoint.build(folder)
    first, *others = (folder / "stored" / name for name in RESULTS)
    suite = load_suite(folder / "suite.yaml", overrides=[f"name={first.name}"])
    run_suite(suite, results=first.parent, in_process=True)
    for other in others:
        shutil.copytree(first, other)
    (folder / "home").mkdir()
    pack(first, folder / "home" / "facts.tar.xz")


def copy(tree: Path, folder: Path, *, results: bool) -> None:
    """Copy what ``build`` made, with or without the stored results."""
    shutil.copytree(tree, folder, dirs_exist_ok=True)
    (folder / "stored").rename(folder / ("results" if results else "elsewhere"))


def search_path(folder: Path) -> str:
    """Return a ``PATH`` on which the programs of the folder come first."""
    return os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])


def _draw_masks(*folders: Path) -> None:
    """Draw the same masks of three classes into each folder."""
    for folder in folders:
        folder.mkdir()
        for index in range(2):
            mask = np.arange(24 * 32, dtype=np.uint8).reshape(24, 32) // 7 % 3
            Image.fromarray(mask).save(folder / f"{index}.png")


def _annotate_images(folder: Path) -> None:
    """Draw images of two splits with COCO's polygons of them."""
    (folder / "annotations").mkdir(parents=True)
    for seed, split in enumerate(("train2017", "val2017")):
        (folder / split).mkdir()
        noise = np.random.default_rng(seed).integers(0, 256, (24, 32, 3)).astype(np.uint8)
        Image.fromarray(noise).save(folder / split / "0.png")
        content = {
            "images": [{"id": 0, "file_name": "0.png", "height": 24, "width": 32}],
            "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "segmentation": [[3, 3, 20, 3, 20, 15]]}],
            "categories": [{"id": 1, "name": "cat"}],
        }
        (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content), encoding="utf-8")


def _draw_images(folder: Path) -> None:
    """Draw pairs of images and masks of two classes."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for index in range(5):
        mask = np.zeros((24, 32), np.uint8)
        mask[4 + index : 16, 6 : 20 + index] = 1
        image = np.random.default_rng(index).integers(0, 99, (24, 32, 3)).astype(np.uint8) + 120 * mask[..., None]
        Image.fromarray(mask).save(folder / "masks" / f"{index}.png")
        Image.fromarray(image).save(folder / "images" / f"{index}.png")
