import os
import unicodedata

import numpy as np
import pytest

from segbench.data.files.image_folder import ImageFolder, image_files, is_hidden, without_suffix
from segbench.errors import DataError

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def names(folder, **options):
    return [path.relative_to(folder).as_posix() for path in image_files(folder, **options)]


@pytest.mark.parametrize(
    "name", ["._a.jpg", ".DS_Store", ".a.png", "Thumbs.db", "thumbs.db", "desktop.ini", "__MACOSX"]
)
def test_what_systems_leave_is_hidden(name):
    assert is_hidden(name)


@pytest.mark.parametrize("name", ["a.jpg", "_a.jpg", "a..jpg", "thumbs.png", "MACOSX"])
def test_other_names_are_not(name):
    assert not is_hidden(name)


def test_images_are_listed_and_nothing_else(tmp_path):
    put(tmp_path, "b.JPG", "a.png", "._a.png", ".a.png", "notes.txt", "_classes.csv", "Thumbs.db", "c.tiff", "none")
    (tmp_path / "folder.png").mkdir()
    assert names(tmp_path) == ["a.png", "b.JPG", "c.tiff"]
    assert names(tmp_path / "gone") == []


def test_a_link_to_a_file_that_is_gone_is_listed_so_that_reading_it_fails(tmp_path):
    put(tmp_path, "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "c.png").symlink_to(tmp_path / "c.png")
    assert names(tmp_path) == ["a.png", "b.png", "c.png"]


def test_folders_below_are_listed_but_for_hidden_ones(tmp_path):
    put(
        tmp_path,
        "a.png",
        "x/b.png",
        "x/y/c.png",
        ".cache/d.png",
        "__MACOSX/x/._b.png",
        "__MACOSX/e.png",
        "x/@eaDir/f.png",
    )
    assert names(tmp_path, recursive=True) == ["a.png", "x/b.png", "x/y/c.png"]
    assert names(tmp_path) == ["a.png"]


def test_a_folder_with_a_hidden_name_may_be_the_data(tmp_path):
    assert names(put(tmp_path / ".data", "a.png", "x/b.png"), recursive=True) == ["a.png", "x/b.png"]


def test_links_in_circles_end(tmp_path):
    top = put(tmp_path / "images", "x/a.png", "y/b.png")
    (top / "x/again").symlink_to(top, target_is_directory=True)
    (top / "x/up").symlink_to(tmp_path, target_is_directory=True)
    (top / "x/y").symlink_to(top / "y", target_is_directory=True)
    (top / "y/x").symlink_to(top / "x", target_is_directory=True)
    assert names(top, recursive=True) == ["x/a.png", "y/b.png"]


def test_links_to_folders_elsewhere_are_followed(tmp_path):
    store = put(tmp_path / "store", "berlin/a.png")
    top = put(tmp_path / "images", "bern/b.png")
    (top / "berlin").symlink_to(store / "berlin", target_is_directory=True)
    assert names(top, recursive=True) == ["berlin/a.png", "bern/b.png"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match="loop: cannot be listed"):
        image_files(tmp_path / "loop")


@pytest.mark.parametrize(
    "pair", [("a.jpg", "a.png"), ("a.jpg", "a.JPG"), ("a.tif", "a.tiff"), (f"{COMPOSED}.png", f"{DECOMPOSED}.jpg")]
)
def test_a_name_of_two_files_is_a_problem_and_no_file(tmp_path, pair):
    found = ImageFolder(put(tmp_path, *pair, "b.png"))
    assert list(found.files) == ["b"]
    (problem,) = found.problems
    assert all(name in problem for name in pair)
    assert "which of" in problem


def test_two_files_that_differ_in_stored_accents_only_are_a_problem(tmp_path):
    folder = put(tmp_path, f"{COMPOSED}.png", f"{DECOMPOSED}.png")
    if len(os.listdir(folder)) < 2:  # noqa: PTH208 - as the file system names them
        pytest.skip("this file system takes both names for one")
    assert "accents stored in two ways" in ImageFolder(folder).problems[0]


def test_names_are_composed_and_files_keep_theirs(tmp_path, save):
    file = save(np.zeros((2, 2)), tmp_path / f"caf{DECOMPOSED}" / f"{DECOMPOSED}.png")
    found = ImageFolder(tmp_path, recursive=True)
    assert found.files == {f"caf{COMPOSED}/{COMPOSED}": file}
    assert found.files[f"caf{COMPOSED}/{COMPOSED}"].exists()


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.jpg", "a"),
        ("a.b.PNG", "a.b"),
        ("scene.0001", "scene.0001"),
        ("x.y/a", "x.y/a"),
        ("a.jpg.png", "a.jpg"),
        ("a", "a"),
    ],
)
def test_only_the_suffixes_of_images_are_dropped(name, stem):
    assert without_suffix(name) == stem
