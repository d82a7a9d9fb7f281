"""Images beyond 8-bit RGB: init reads all their bands, and the suite that it writes works as it is."""

import json

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image
from typer.testing import CliRunner

from segbench.cli.app import app
from segbench.config.load import load_suite
from segbench.data.guess.guess import guess
from segbench.data.guess.images import guess_images

MASK = np.array([[0, 1]] * 2, np.uint8).repeat(16, 0).repeat(16, 1)
SIZE = MASK.shape


def noise(*bands, dtype=np.uint8, seed=0):
    generator = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return generator.normal(size=(*SIZE, *bands)).astype(dtype)
    return generator.integers(0, np.iinfo(dtype).max, (*SIZE, *bands)).astype(dtype)


def write(file, pixels):
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".tif":
        tifffile.imwrite(file, pixels, photometric="rgb" if pixels.shape[-1:] in ((3,), (4,)) else "minisblack")
    else:
        Image.fromarray(pixels).save(file)


KINDS = {
    "four bands": ("tif", {"bands": [4]}, 4),
    "four bands of 16 bits": ("tif", {"bands": [4], "dtype": np.uint16}, 4),
    "six bands": ("tif", {"bands": [6]}, 6),
    "floats": ("tif", {"bands": [2], "dtype": np.float32}, 2),
    "one float": ("tif", {"bands": [], "dtype": np.float32}, 1),
    "RGB of 16 bits": ("tif", {"bands": [3], "dtype": np.uint16}, 3),
    "grey of 16 bits": ("png", {"bands": [], "dtype": np.uint16}, 1),
    "grey": ("png", {"bands": []}, None),
    "RGB": ("png", {"bands": [3]}, None),
    "RGB and opacity": ("png", {"bands": [4]}, None),
}


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(params=KINDS)
def folder(request, tmp_path):
    """A folder of such images in two splits, and the channels that are right."""
    suffix, options, channels = KINDS[request.param]
    for split in ("train", "test"):
        for index in range(3):
            seed = index + 10 * (split == "test")
            bands = options["bands"]
            pixels = noise(*bands, dtype=options.get("dtype", np.uint8), seed=seed)
            if suffix == "tif" and bands in ([2], [6]):
                tifffile_file = tmp_path / "images" / split / f"{index}.tif"
                tifffile_file.parent.mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(tifffile_file, pixels, photometric="minisblack", planarconfig="contig")
            else:
                write(tmp_path / "images" / split / f"{index}.{suffix}", pixels)
            write(tmp_path / "masks" / split / f"{index}.png", MASK)
    return tmp_path, channels


@pytest.mark.slow(reason="trains networks")
def test_the_suite_that_is_written_runs_as_it_is(folder):
    root, channels = folder
    assert call("init", root).exit_code == 0
    suite = root / "suite.yaml"
    loaded = load_suite(suite)
    assert loaded.dataset.options["channels"] == channels
    steps = [step.options.get("statistics") for step in (*loaded.transforms.train, *loaded.transforms.test)]
    assert steps.count("measured") == (0 if channels is None else 2)
    assert call("validate", suite).exit_code == 0
    checked = call("data", "check", suite)
    assert checked.exit_code == 0, checked.output
    short = yaml.safe_load(suite.read_text(encoding="utf-8"))
    short |= {"models": [{"name": "cnn", "width": 0.05}], "seeds": [0]}
    short["train"] |= {"epochs": 1}
    (root / "short.yaml").write_text(yaml.safe_dump(short), encoding="utf-8")
    ran = call("run", root / "short.yaml", "--results", root / "r", "--in-process", "--device", "cpu", "--no-report")
    assert ran.exit_code == 0, ran.output
    (record,) = [json.loads(file.read_text()) for file in (root / "r").glob("*/*/run.json")]
    assert record["outcome"]["status"] == "completed"


def pairs_of(tmp_path, images):
    for index, (suffix, pixels) in enumerate(images):
        write(tmp_path / "images" / f"{index}.{suffix}", pixels)
        write(tmp_path / "masks" / f"{index}.png", MASK)
    return guess(tmp_path).layout.pairs


@pytest.mark.parametrize(
    "others", [("png", noise()), ("tif", noise(4, dtype=np.uint16)), ("tif", noise(dtype=np.float32))]
)
def test_images_that_differ_are_named(others, tmp_path):
    found = guess_images(pairs_of(tmp_path, [("tif", noise(4)), others]))
    assert found.channels is None
    assert "images differ: 0.tif holds 4 uint8 bands, 1." in found.notes[0]


def test_bands_that_rgb_happens_to_hold_do_not_hide_those_of_others(tmp_path):
    marked = np.dstack([noise(3), np.full(SIZE, 255, np.uint8)])
    pairs = pairs_of(tmp_path, [("tif", noise(4))])
    file = tmp_path / "images" / "1.tif"
    tifffile.imwrite(file, marked, photometric="rgb", extrasamples=["unassalpha"])
    write(tmp_path / "masks" / "1.png", MASK)
    assert guess_images([*pairs, *guess(tmp_path).layout.pairs[1:]]).channels == 4


@pytest.mark.parametrize(("bands", "channels"), [([4], (0, 1, 2)), ([2], (0,))])
def test_the_opacity_of_deep_pngs_is_no_channel(bands, channels, tmp_path):
    codecs = pytest.importorskip("imagecodecs")
    pairs = pairs_of(tmp_path, [("png", noise())])
    (tmp_path / "images" / "0.png").write_bytes(codecs.png_encode(noise(*bands, dtype=np.uint16)))
    assert guess_images(pairs).channels == channels


def test_pages_of_one_band_are_channels_where_the_mask_has_one_page(tmp_path):
    pairs = pairs_of(tmp_path, [("tif", noise())])
    stack = np.stack([noise(seed=page) for page in range(3)])
    tifffile.imwrite(tmp_path / "images" / "0.tif", stack, photometric="minisblack")
    assert guess_images(pairs).channels == 3
    tifffile.imwrite(tmp_path / "masks" / "0.tif", np.stack([MASK] * 3), photometric="minisblack")
    found = guess_images([pairs[0]._replace(label=tmp_path / "masks" / "0.tif")])
    assert found.channels is None
    assert "pages: each" in found.notes[0]


@pytest.mark.parametrize(("levels", "noted"), [(200, True), (1, False)])
def test_the_opacity_of_8_bit_pngs_is_named_where_it_holds_something(levels, noted, tmp_path):
    pixels = noise(4)
    pixels[..., 3] %= levels
    found = guess_images(pairs_of(tmp_path, [("png", pixels)]))
    assert found.channels is None
    assert ["channels: 4" in note for note in found.notes] == [True] * noted


STACKS = {
    "grey": ({}, None),
    "RGB": ({"bands": [3]}, None),
    "16 bits": ({"dtype": np.uint16}, 1),
    "floats": ({"dtype": np.float32}, 1),
    "four bands of 16 bits": ({"bands": [4], "dtype": np.uint16}, 4),
}


def write_stacks(root, pages, *, masks=None, bands=(), dtype=np.uint8, split=""):
    """Write TIFF stacks of so many pages, and their masks of as many or of others."""
    for number, (count, own) in enumerate(zip(pages, masks or pages, strict=True)):
        for part, stack in (
            (
                "images",
                [noise(*bands, dtype=dtype, seed=100 * number + page + 1000 * len(split)) for page in range(count)],
            ),
            ("masks", [MASK] * own),
        ):
            file = root / part / split / f"{number}.tif"
            file.parent.mkdir(parents=True, exist_ok=True)
            with tifffile.TiffWriter(file) as writer:
                for page in stack:
                    photometric = "rgb" if page.shape[2:] in ((3,), (4,)) else "minisblack"
                    writer.write(page, photometric=photometric, contiguous=False)


@pytest.mark.slow(reason="writes and reads many stacks")
@pytest.mark.parametrize("kind", STACKS)
@pytest.mark.parametrize("splits", [("",), ("train", "test")])
def test_stacks_whose_masks_are_stacks_alike_are_proposed_page_by_page(kind, splits, tmp_path):
    options, channels = STACKS[kind]
    for split in splits:
        write_stacks(tmp_path, (3, 3, 4), split=split, **options)
    assert call("init", tmp_path).exit_code == 0
    dataset = load_suite(tmp_path / "suite.yaml").dataset
    assert dataset.options["pages"] == "each"
    assert dataset.options["channels"] == channels
    assert dataset.options["classes"] == ["background", "class_1"]
    checked = call("data", "check", tmp_path / "suite.yaml", "--json")
    assert checked.exit_code == 0, checked.output
    found = json.loads(checked.stdout)["splits"].values()
    assert sum(one["images"] for one in found) == 10 * len(splits)


def test_pages_of_images_alone_are_bands(tmp_path):
    write_stacks(tmp_path, (4, 4), masks=(1, 1))
    found = guess(tmp_path)
    assert (found.pages, found.images.channels) == (None, 4)


@pytest.mark.parametrize("masks", [(3, 2), (3, 1), (5, 5)])
def test_stacks_of_other_pages_than_their_masks_are_named(masks, tmp_path):
    write_stacks(tmp_path, (3, 3), masks=masks)
    found = guess(tmp_path)
    assert found.pages is None
    assert any("each page of a mask needs one of the image" in note for note in found.notes)
