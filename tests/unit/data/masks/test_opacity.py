"""Masks with an opacity: colours alone are read, and only where nothing is lost by it."""

import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from segbench.data.masks.opacity import OpacityError
from segbench.data.masks.stored import read_stored
from segbench.errors import DataError

CLASSES = np.array([[0, 1, 2, 2], [0, 1, 1, 2]], np.uint8)
OBJECT = ((CLASSES > 0) * 255).astype(np.uint8)
BLACK, GREY = np.zeros_like(CLASSES), np.full_like(CLASSES, 90)


def rgba(red, green, blue, opacity):
    return np.dstack([red, green, blue, opacity])


def picture(opacity):
    return np.dstack([np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8), opacity])


CLASSES_IN_OPACITY = {
    "black, 0 and 255": rgba(BLACK, BLACK, BLACK, OBJECT),
    "one colour, class numbers": rgba(GREY, BLACK, BLACK, CLASSES),
    "one colour, no pixel transparent": rgba(GREY, GREY, GREY, CLASSES + 1),
    "grey and opacity": np.dstack([GREY, CLASSES * 100]),
    "a class as black as what is transparent": rgba((CLASSES == 2) * np.uint8(255), BLACK, BLACK, OBJECT),
    "colours without a meaning": rgba(CLASSES[::-1], BLACK, BLACK, CLASSES),
    "a cut-out picture": picture(np.eye(20, dtype=np.uint8) * 255),
}

COLOURS_SAY_ALL = {
    "opaque": rgba(CLASSES, BLACK, BLACK, GREY * 0 + 255),
    "transparent everywhere": rgba(CLASSES, BLACK, BLACK, BLACK),
    "transparent background": rgba(OBJECT, BLACK, BLACK, OBJECT),
    "an opacity for each class": rgba(CLASSES, BLACK, BLACK, CLASSES * 50 + 9),
    "an opaque picture": picture(np.full((20, 20), 255, np.uint8)),
}


@pytest.mark.parametrize("kind", CLASSES_IN_OPACITY)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_classes_in_the_opacity_are_refused_with_the_remedy(kind, suffix, tmp_path):
    Image.fromarray(CLASSES_IN_OPACITY[kind]).save(tmp_path / f"a.{suffix}")
    with pytest.raises(OpacityError, match=rf"a\.{suffix}: has .* opacity .* save it as a grey PNG"):
        read_stored(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("kind", COLOURS_SAY_ALL)
def test_opacity_that_says_no_more_than_the_colours_is_dropped(kind, tmp_path):
    Image.fromarray(COLOURS_SAY_ALL[kind]).save(tmp_path / "a.png")
    assert np.array_equal(read_stored(tmp_path / "a.png").colors, COLOURS_SAY_ALL[kind][:, :, :3])


@pytest.mark.parametrize("extra", [1, 2])
def test_bands_beside_the_colours_are_never_dropped(extra, tmp_path):
    pixels = np.dstack([GREY, BLACK, BLACK, *[CLASSES] * extra])
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", planarconfig="contig", extrasamples=extra * [0])
    with pytest.raises(DataError, match=rf"has {3 + extra} bands"):
        read_stored(tmp_path / "a.tif")


def test_indices_of_one_colour_that_differ_in_opacity_are_read_as_indices(tmp_path):
    image = Image.fromarray(CLASSES)
    image.putpalette([200, 0, 0] * 256)
    image.save(tmp_path / "a.png", transparency=bytes([0, 128, 255]))
    assert np.array_equal(read_stored(tmp_path / "a.png").numbers, CLASSES)


def test_the_remedy_makes_a_mask_of_the_opacity(tmp_path):
    file = tmp_path / "a.png"
    Image.fromarray(CLASSES_IN_OPACITY["one colour, class numbers"]).save(file)
    with pytest.raises(OpacityError, match=r"Image\.open\(file\)\.getchannel\('A'\)\.save\(file\)"):
        read_stored(file)
    Image.open(file).getchannel("A").save(file)
    assert np.array_equal(read_stored(file).numbers, CLASSES)


@pytest.mark.parametrize("kind", ["black, 0 and 255", "grey and opacity"])
@pytest.mark.parametrize("folders", ["images masks", "one two"])
def test_every_command_says_it_alike(kind, folders, tmp_path):
    from typer.testing import CliRunner

    from segbench.cli.app import app

    def call(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return result.exit_code, " ".join(result.output.split())

    images, masks = folders.split()
    for index in range(4):
        noise = np.random.default_rng(index).integers(0, 256, (40, 40, 3)).astype(np.uint8)
        for folder, pixels in ((images, noise), (masks, CLASSES_IN_OPACITY[kind].repeat(20, 0).repeat(10, 1))):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{index}.png")
    suite = tmp_path / "suite.yaml"
    code, said = call("init", tmp_path)
    assert code == 0
    assert "cannot be read" in said
    assert "opacity" in said
    assert "getchannel('A')" in suite.read_text(encoding="utf-8")
    shutil.copytree(tmp_path / masks, tmp_path / "r" / "predictions")
    for command in (
        ("data", "check", suite),
        ("run", suite, "--results", tmp_path / "r", "--in-process", "--device", "cpu"),
        ("score", "--predictions", tmp_path / "r" / "predictions", "--labels", tmp_path / masks, "--classes", 2),
    ):
        code, said = call(*command)
        assert (code, "getchannel('A')" in said) == (2, True), said


@pytest.mark.parametrize("second", [np.zeros((2, 3)), [[0, 5, 9], [0, 9, 9]]], ids=["constant", "a copy"])
def test_a_second_band_of_a_tiff_that_tells_nothing_more_is_left_out(second, tmp_path):
    file = write_two_bands(tmp_path / "a.tif", [[0, 1, 2], [0, 2, 2]], second)
    assert read_stored(file).numbers.tolist() == [[0, 1, 2], [0, 2, 2]]


def test_a_second_band_of_a_tiff_that_tells_pixels_apart_is_refused(tmp_path):
    file = write_two_bands(tmp_path / "a.tif", [[0, 1, 2], [0, 2, 2]], [[0, 1, 2], [1, 2, 2]])
    with pytest.raises(DataError, match=r"a\.tif: has two bands"):
        read_stored(file)


def write_two_bands(file, first, second):
    """Write a TIFF of two bands, of which the second is marked as nothing."""
    tifffile.imwrite(
        file, np.stack([first, second], -1).astype(np.uint8), photometric="minisblack", planarconfig="contig"
    )
    return file
