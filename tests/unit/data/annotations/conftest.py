"""Folders of annotations as COCO and LabelMe write them."""

import json

import numpy as np
import pytest
from PIL import Image

CATEGORIES = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]


def photo(file, *, size=(12, 16), **options):
    """Write an image of noise."""
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(file.name)).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(noise).save(file, **options)
    return file


def write_coco(file, annotations, *, names=("a.jpg",), size=(12, 16), categories=CATEGORIES, **more):
    """Write COCO's instances; annotations without an ``image_id`` are of the first image."""
    images = [
        {"id": number, "file_name": name, "height": size[0], "width": size[1]} for number, name in enumerate(names, 1)
    ]
    listed = [{"id": number, "image_id": 1, **one} for number, one in enumerate(annotations, 1)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": listed, "categories": categories, **more}))
    return file


def write_labelme(file, shapes, *, size=(12, 16), image="a.jpg", **more):
    """Write a LabelMe file."""
    content = {"version": "5.4.1", "shapes": shapes, "imagePath": image, "imageHeight": size[0], "imageWidth": size[1]}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**content, "imageData": None, **more}))
    return file


@pytest.fixture(name="photo")
def photo_fixture():
    return photo


@pytest.fixture(name="write_coco")
def write_coco_fixture():
    return write_coco


@pytest.fixture(name="write_labelme")
def write_labelme_fixture():
    return write_labelme


@pytest.fixture
def drawn(tmp_path):
    """Return a function that converts annotations and returns the masks by name, and what was told."""
    from segbench.data.annotations.choices import Overlap
    from segbench.data.annotations.class_names import number_classes
    from segbench.data.annotations.json_files import Kind
    from segbench.data.annotations.read import read_annotations
    from segbench.data.annotations.write import write_masks

    def convert(*given, images=None, line_width=None, overlap=None, listed=None, others=None, out="out", link=False):
        found = read_annotations(given, images=images, line_width=line_width)
        classes = number_classes(found.source.labels, has_background=found.has_background, listed=listed, others=others)
        rule = overlap or (Overlap.LATER if found.kind is Kind.LABELME else Overlap.SMALLER)
        done = write_masks(found, classes, tmp_path / out, overlap=rule, link=link)
        masks = tmp_path / out / "masks"
        files = {path.relative_to(masks).as_posix(): np.array(Image.open(path)) for path in masks.rglob("*.png")}
        return files, done

    return convert
