"""data convert: from annotations to a suite, by the command that init names."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image

from segbench.config import load_suite


def put_images(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        noise = np.random.default_rng([seed, len(str(folder))]).integers(0, 256, (40, 48, 3), np.uint8)
        Image.fromarray(noise).save(folder / name)


def coco(root):
    """Two splits of COCO's instances, with a blank in the folder's name."""
    (root / "annotations").mkdir(parents=True)
    for split, count in (("train2017", 4), ("val2017", 2)):
        names = [f"{number:03}.jpg" for number in range(count)]
        put_images(root / split, names)
        images = [{"id": i, "file_name": name, "height": 40, "width": 48} for i, name in enumerate(names)]
        outlines = [
            {"image_id": i, "category_id": 1 + i % 2, "segmentation": [[4, 4, 30, 4, 30, 25]]} for i in range(count)
        ]
        annotations = [{"id": i, "iscrowd": 0, **one} for i, one in enumerate(outlines)]
        categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
        (root / "annotations" / f"person_keypoints_{split}.json").write_text(json.dumps(content))
        (root / "annotations" / f"captions_{split}.json").write_text(json.dumps({**content, "annotations": [{}]}))


def panoptic(root):
    put_images(root / "images", [f"{number}.png" for number in range(5)])
    (root / "panoptic").mkdir()
    ids = np.zeros((40, 48, 3), np.uint8)
    ids[:, :20, 0], ids[:, 20:, 1] = 9, 4
    for number in range(5):
        Image.fromarray(ids).save(root / "panoptic" / f"{number}.png")
    info = [{"id": 9, "category_id": 1}, {"id": 4 * 256, "category_id": 2}]
    images = [{"id": i, "file_name": f"{i}.png", "height": 40, "width": 48} for i in range(5)]
    annotations = [{"image_id": i, "file_name": f"{i}.png", "segments_info": info} for i in range(5)]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    (root / "panoptic.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )


def labelme(root):
    put_images(root, [f"{number}.jpg" for number in range(6)])
    for number in range(6):
        box = {"label": "cat" if number % 2 else "dog", "shape_type": "rectangle", "points": [[3, 3], [20, 20]]}
        content = {"shapes": [box], "imagePath": f"{number}.jpg", "imageHeight": 40, "imageWidth": 48}
        (root / f"{number}.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("make", "classes"),
    [(coco, ("background", "cat", "dog")), (panoptic, ("cat", "dog")), (labelme, ("background", "cat", "dog"))],
)
def test_init_names_a_command_that_makes_a_folder_from_which_init_proposes_a_whole_suite(
    tmp_path, segbench, monkeypatch, make, classes
):
    root = tmp_path / "my data"
    root.mkdir()
    make(root)
    monkeypatch.chdir(tmp_path)
    told = segbench("init", "my data").err
    commands = [line for line in told.splitlines() if line.lstrip().startswith("segbench data convert")]
    assert len(commands) == 1
    words = shlex.split(commands[0])
    assert segbench(*words[1:]).code == 0
    out = words[words.index("--out") + 1]
    answer = segbench("init", out)
    assert answer.code == 0
    assert load_suite(tmp_path / out / "suite.yaml").dataset.options["classes"] == list(classes)
    assert segbench("data", "check", f"{out}/suite.yaml").code == 0


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path, segbench):
    labelme(tmp_path)
    answer = segbench("data", "convert", tmp_path, "--out", tmp_path)
    assert answer.code == 2
    assert "exists already" in answer.err
    assert not (tmp_path / "masks").exists()


def test_images_can_be_links_in_place_of_copies(tmp_path, segbench):
    (tmp_path / "set").mkdir()
    labelme(tmp_path / "set")
    assert segbench("data", "convert", tmp_path / "set", "--out", tmp_path / "out", "--link").code == 0
    link = tmp_path / "out" / "images" / "3.jpg"
    assert link.is_symlink()
    assert link.resolve() == (tmp_path / "set" / "3.jpg").resolve()


def test_the_classes_of_a_file_are_numbered_in_its_order(tmp_path, segbench):
    (tmp_path / "set").mkdir()
    labelme(tmp_path / "set")
    (tmp_path / "names.txt").write_text("__ignore__\n_background_\ndog\ncat\n")
    answer = segbench(
        "data", "convert", tmp_path / "set", "--out", tmp_path / "out", "--classes", tmp_path / "names.txt"
    )
    assert answer.code == 0
    mask = np.array(Image.open(tmp_path / "out" / "masks" / "1.png"))  # a cat
    assert np.unique(mask).tolist() == [0, 2]
    (tmp_path / "names.txt").write_text("dog\n")
    answer = segbench("data", "convert", tmp_path / "set", "--out", tmp_path / "b", "--classes", tmp_path / "names.txt")
    assert answer.code == 2
    assert "does not name: cat" in answer.err
    assert "--others" in answer.err
