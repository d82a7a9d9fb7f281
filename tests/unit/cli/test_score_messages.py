"""score: every refusal names the command's own options, and colours that are nearly a palette's are never rounded."""

import re
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

CLASSES = np.repeat(np.array([[0, 0, 1, 1, 2, 2]], np.uint8), 8, axis=0).repeat(4, axis=1)
BLACK, RED, GREEN = (0, 0, 0), (255, 0, 0), (0, 255, 0)
COLORS = np.array([BLACK, RED, GREEN], np.uint8)
PALETTE = "[0,0,0],[255,0,0],[0,255,0]"
KEYS = re.compile(
    r"'(values|palette|ignore|ignore_color|pages)'|dataset\.|suite|ignore_color|null|name more classes"
    r"|(?<![-\w])(?<!label )(?<!prediction )(values|palette|ignore|classes|pages): "
)
"""What a suite calls it."""


def save(folder, pixels, name="a.png", **options):
    folder.mkdir(exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(folder / name, **options)


def paletted(indices, colors):
    image = Image.fromarray(indices)
    image.putpalette([level for color in colors for level in color])
    return image


@pytest.fixture(name="scored")
def make_scored(tmp_path, segbench):
    """Score one prediction against one label."""

    def scored(label, prediction, *options, suffix=".png"):
        for folder, content in (("labels", label), ("predictions", prediction)):
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
            for index, pixels in enumerate(content if isinstance(content, list) else [content]):
                save(tmp_path / folder, pixels, f"{index}{suffix}")
        folders = ("--predictions", tmp_path / "predictions", "--labels", tmp_path / "labels")
        return segbench("score", *folders, *options)

    return scored


def off(levels, seed=0):
    """Return the classes' colours with channels that are off by a few levels."""
    noise = np.random.default_rng(seed).integers(-levels, levels + 1, (*CLASSES.shape, 3))
    return (COLORS[CLASSES].astype(int) + noise).clip(0, 255).astype(np.uint8)


SHIFTED = [BLACK, GREEN, RED]
MISTAKES = {
    "labels from 1 on": (CLASSES + 1, CLASSES, ["--classes", 3], "give more --classes, give --values"),
    "predictions from 1 on": (CLASSES, CLASSES + 1, ["--classes", 3], "give more --classes, give --values"),
    "a value too many": (CLASSES, CLASSES, ["--values", "0,1"], "see --values (255 is ignored; --ignore-index others"),
    "a predicted value too many": (
        CLASSES,
        CLASSES,
        ["--classes", 3, "--prediction-values", "0,1,5"],
        "see --prediction-values (255 is ignored; --ignore-index others",
    ),
    "coloured labels": (
        COLORS[CLASSES],
        CLASSES,
        ["--classes", 3],
        "give --palette, the colour of each class, or --values",
    ),
    "coloured predictions": (CLASSES, COLORS[CLASSES], ["--classes", 3], "give --palette"),
    "a colour too many": (COLORS[CLASSES], COLORS[CLASSES], ["--palette", "[0,0,0],[255,0,0]"], "are not in --palette"),
    "a colour of a palette image too many": (
        paletted(CLASSES, [BLACK, RED, GREEN]),
        paletted(CLASSES, [BLACK, RED, GREEN]),
        ["--palette", "[0,0,0],[255,0,0]"],
        "leave --palette out",
    ),
    "numbers or greys": (
        CLASSES,
        CLASSES,
        ["--palette", "[2,2,2],[1,1,1],[0,0,0]"],
        "the grey colours of --palette; give --values",
    ),
    "palettes that differ": (
        [paletted(CLASSES, [BLACK, RED, GREEN]), paletted(CLASSES, SHIFTED)],
        [CLASSES, CLASSES],
        ["--classes", 3],
        "give --palette",
    ),
    "palettes in another order": (
        paletted(CLASSES, [BLACK, RED, GREEN]),
        paletted(CLASSES, SHIFTED),
        ["--classes", 3],
        "give --palette",
    ),
    "too few values": (CLASSES, CLASSES, ["--classes", 3, "--values", "0,1"], "3 by --classes, 2 by --values"),
    "too few predicted values": (
        CLASSES,
        CLASSES,
        ["--classes", 3, "--prediction-values", "0,1"],
        "3 classes but 2 --prediction-values",
    ),
    "a value twice": (CLASSES, CLASSES, ["--values", "0,1,1"], "--values: 1 is given of"),
    "a predicted value twice": (
        CLASSES,
        CLASSES,
        ["--classes", 3, "--prediction-values", "0,1,1"],
        "--prediction-values: 1 is given of",
    ),
    "a value out of range": (CLASSES, CLASSES, ["--values", f"0,1,{2**40}"], "--values: the class"),
    "an ignored value out of range": (
        CLASSES,
        CLASSES,
        ["--classes", 3, "--ignore-index", 2**40],
        "--ignore-index: 1099511627776 is no mask value; expected whole numbers, none or others",
    ),
    "an ignored colour of a class": (
        COLORS[CLASSES],
        COLORS[CLASSES],
        ["--palette", PALETTE, "--ignore-color", "[0,255,0]"],
        "--ignore-color, have the same colour",
    ),
    "values of an unknown map": (CLASSES, CLASSES, ["--values", "cityscape"], "--values cityscape: expected a list"),
    "black and white": (CLASSES[:, :16] * 255, CLASSES[:, :16] * 255, ["--classes", 2], "give --values"),
    "probabilities": (
        CLASSES,
        np.arange(192, dtype=np.uint8).reshape(CLASSES.shape),
        ["--classes", 3],
        "look like probabilities",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_refusal_names_the_options_of_the_command(mistake, scored):
    label, prediction, options, words = MISTAKES[mistake]
    answer = scored(label, prediction, *options)
    assert answer.code == 2, answer.out
    assert words in answer.err
    assert not KEYS.search(answer.err), answer.err


@pytest.mark.parametrize("which", ["labels", "predictions"])
def test_files_of_several_pages_are_refused_without_a_key_of_suites(which, tmp_path, segbench):
    for folder in ("labels", "predictions"):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(
            tmp_path / folder / "a.tif",
            CLASSES if folder != which else np.stack([CLASSES] * 3),
            photometric="minisblack",
        )
    answer = segbench(
        "score", "--predictions", tmp_path / "predictions", "--labels", tmp_path / "labels", "--classes", 3
    )
    assert answer.code == 2
    assert f"{which}/a.tif: holds 3 pages" in answer.err
    assert not KEYS.search(answer.err), answer.err


@pytest.mark.parametrize("levels", [1, 5])
@pytest.mark.parametrize("which", ["labels", "predictions", "both"])
def test_colours_that_are_off_by_a_few_levels_are_refused_with_their_number_and_an_example(which, levels, scored):
    exact = COLORS[CLASSES]
    label, prediction = (off(levels) if which in (side, "both") else exact for side in ("labels", "predictions"))
    answer = scored(label, prediction, "--palette", PALETTE)
    assert answer.code == 2
    wrong = off(levels)[(off(levels) != exact).any(axis=2)]
    colors = len(np.unique(wrong, axis=0))
    assert f"{colors:,} colours ({len(wrong):,} pixels) are not in --palette: (" in answer.err
    assert re.search(
        r"\(\d+, \d+, \d+\) is nearly \((0, 0, 0|255, 0, 0|0, 255, 0)\): colours have to be exact", answer.err
    )
    assert "set each pixel to the nearest colour" in answer.err


@pytest.mark.parametrize("ignore", [[], ["--ignore-color", "[9,9,9]"]])
def test_smooth_edges_are_refused_with_the_remedy(ignore, scored):
    exact = Image.fromarray(COLORS[CLASSES])
    smooth = exact.resize((61, 23), Image.Resampling.BICUBIC).resize(exact.size, Image.Resampling.BICUBIC)
    answer = scored(exact, smooth, "--palette", PALETTE, *ignore)
    assert answer.code == 2
    assert "anti-aliased" in answer.err


def test_thousands_of_colours_are_counted_and_cut_short(scored):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    answer = scored(noise, noise, "--palette", PALETTE)
    assert answer.code == 2
    assert re.search(r"3,[56]\d\d colours \(3,[56]\d\d pixels\) are not in --palette", answer.err)
    assert len(answer.err) < 800


@pytest.mark.parametrize("levels", [1, 8])
def test_palette_images_of_nearly_equal_colours_in_another_order_are_refused(levels, scored):
    nearly = [(levels, 0, 0), (0, 255 - levels, 0), (255 - levels, levels, 0)]
    moved = np.array([0, 2, 1], np.uint8)[CLASSES]
    answer = scored(paletted(CLASSES, [BLACK, RED, GREEN]), paletted(moved, nearly), "--classes", 3)
    assert answer.code == 2
    assert "so for 2 of 3 colours" in answer.err
    assert "nearly: " in answer.err
    with_palette = scored(paletted(CLASSES, [BLACK, RED, GREEN]), paletted(moved, nearly), "--palette", PALETTE)
    assert with_palette.code == 2
    assert "3 colours of its own palette (192 pixels) are not in --palette" in with_palette.err
    assert "is nearly (" in with_palette.err


def test_palette_images_of_nearly_equal_colours_in_one_order_are_scored_by_number(scored):
    nearly = [(1, 0, 0), (254, 0, 0), (0, 253, 0)]
    answer = scored(paletted(CLASSES, [BLACK, RED, GREEN]), paletted(CLASSES, nearly), "--classes", 3, "--json")
    assert answer.json["mean_iou"] == 1


def test_a_palette_of_nearly_equal_colours_is_read_exactly(scored):
    near = np.array([(10, 10, 10), (11, 10, 10), (12, 10, 10)], np.uint8)
    palette = "[10,10,10],[11,10,10],[12,10,10]"
    assert scored(near[CLASSES], near[CLASSES], "--palette", palette, "--json").json["mean_iou"] == 1
    near[1] = (13, 10, 10)
    assert scored(near[CLASSES], near[CLASSES], "--palette", palette).code == 2


@pytest.mark.parametrize("folder", ["labels", "predictions"])
def test_a_link_to_itself_is_told(tmp_path, scored, segbench, folder):
    scored(CLASSES, CLASSES, "--classes", 3)
    for name in ("labels", "predictions"):
        save(tmp_path / name, CLASSES, "loop.png")
    (tmp_path / folder / "loop.png").unlink()
    (tmp_path / folder / "loop.png").symlink_to("loop.png")
    folders = ("--predictions", tmp_path / "predictions", "--labels", tmp_path / "labels")
    answer = segbench("score", *folders, "--classes", 3)
    assert answer.code == 2
    assert f"{folder}/loop.png: cannot be read as an image" in answer.err
