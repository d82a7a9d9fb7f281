"""Claims about files that must not be opened: pipes, devices, loops of links, names that no list can hold."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segbench.data.datasets.folder import folder
from segbench.errors import MissingDataError

DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def root(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind / "train").mkdir(parents=True)
    save(tmp_path, "a")
    return tmp_path


def save(root, name):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(os.fsencode(root / "images" / "train") + b"/" + name_of(name))
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(os.fsencode(root / "masks" / "train") + b"/" + name_of(name))


def name_of(name):
    return (name if isinstance(name, bytes) else os.fsencode(name)) + b".png"


def opened(root, **options):
    return folder("train", root=str(root), classes=["x", "y"], **options)


ODD = {
    "pipe": os.mkfifo,
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "empty device": lambda path: path.symlink_to("/dev/null"),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("place", ["images", "masks"])
@pytest.mark.parametrize("listed", [False, True], ids=["by name", "by list"])
def test_what_is_no_file_is_told_and_never_opened(root, kind, place, listed):
    save(root, "b")
    odd = root / place / "train" / "b.png"
    odd.unlink()
    ODD[kind](odd)
    options = {}
    if listed:
        lines = [f"images/train/{name}.png masks/train/{name}.png" for name in "ab"]
        (root / "train.txt").write_text("\n".join(lines))
        options["split_file"] = "{split}.txt"
    split = opened(root, **options)
    assert list(split.names) == ["a" if not listed else "images/train/a"]
    assert [str(problem) for problem in split.problems] == [
        f"{odd}: is a pipe, socket or device and no file: reading it might never end; remove it"
    ]


def test_a_loop_of_links_is_told(root):
    save(root, "b")
    loop = root / "images" / "train" / "b.png"
    loop.unlink()
    loop.symlink_to(loop)
    with pytest.raises(Exception, match=r"b\.png"):
        opened(root).read(1)


@pytest.mark.parametrize("goal", [".", "..", "../.."])
def test_a_folder_that_links_back_to_itself_is_read_once(root, goal):
    for kind in ("images", "masks"):
        (root / kind / "train" / "again").symlink_to(goal)
    split = opened(root, recursive=True)
    assert list(split.names) == ["a"]
    assert list(split.problems) == []


@pytest.mark.slow(reason="reads 20,000 files and traces the memory of it")
def test_ten_thousand_files_are_all_there_in_order_and_none_stays_open(root):
    for kind in ("images", "masks"):
        for number in range(10_000):
            os.link(root / kind / "train" / "a.png", root / kind / "train" / f"{number:05d}.png")
        (root / kind / "train" / "a.png").unlink()
    before = len(list(DESCRIPTORS.iterdir()))
    tracemalloc.start()
    try:
        split = opened(root)
        read = [split.read(index).name for index in range(len(split))]
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(list(DESCRIPTORS.iterdir())) == before
    assert list(split.names) == read == [f"{number:05d}" for number in range(10_000)]
    assert list(split.problems) == []
    assert peak_bytes < 40e6, "4 kB a pair"


def test_a_name_that_is_not_utf8_is_told(root):
    save(root, b"caf\xe9")
    split = opened(root)
    assert list(split.names) == ["a"]
    problems = [str(problem) for problem in split.problems]
    assert len(problems) == 2
    assert all("its name is not valid UTF-8, so that no list can hold it; rename it" in line for line in problems)
    assert all("caf\\udce9" in line for line in problems)
    "".join(problems).encode()


@pytest.mark.parametrize("name", ["with blank", "-rf", "line\nbreak", "日本", "a" * 200, "'quoted\"", "$HOME", "%s{0}"])
def test_odd_but_printable_names_are_read(root, name):
    save(root, name)
    split = opened(root)
    assert set(split.names) == {"a", name}
    assert list(split.problems) == []
    assert split.read(list(split.names).index(name)).name == name


@pytest.mark.parametrize("images", ["images/{spilt}", "images/{", "images/{0}", "images/{split", "images/}"])
def test_a_placeholder_that_is_none_is_told(root, images):
    with pytest.raises(MissingDataError, match=r"does not exist; check dataset\.root and the split's name") as caught:
        opened(root, images=images)
    assert ("only {split} is filled in" in str(caught.value)) == ("{" in images)
