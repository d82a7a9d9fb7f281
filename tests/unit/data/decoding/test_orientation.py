"""Photographs are read as viewers show them, which is how masks are drawn."""

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from segbench.data.datasets.folder import folder
from segbench.data.decoding.decoding import decode, is_turned
from segbench.data.decoding.images import ImageReader, read_image
from segbench.data.masks.stored import read_stored
from segbench.errors import DataError
from segbench.metrics.confusion import confusion_matrix
from segbench.metrics.scores import score

UNDO = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
"""What turns a shown picture back into the stored one."""


def store(shown, file, orientation, **options):
    """Write a picture as a camera does that was held otherwise: turned, with the tag that turns it back."""
    picture = Image.fromarray(shown)
    exif = Image.Exif()
    exif[0x0112] = UNDO[orientation]
    before = picture.copy()
    before.getexif()[0x0112] = UNDO[orientation]
    stored = ImageOps.exif_transpose(before)
    stored = Image.fromarray(np.asarray(stored))
    exif[0x0112] = orientation
    file.parent.mkdir(parents=True, exist_ok=True)
    stored.save(file, exif=exif, **options)
    return np.asarray(stored)


@pytest.fixture(name="shown")
def draw_shown():
    return np.random.default_rng(0).integers(0, 256, (10, 14, 3)).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "options"), [("png", {}), ("webp", {"lossless": True})])
def test_the_image_is_what_a_viewer_shows(tmp_path, shown, orientation, suffix, options):
    file = tmp_path / f"a.{suffix}"
    store(shown, file, orientation, **options)
    assert np.array_equal(read_image(file), shown)
    assert np.array_equal(ImageReader(3)(file), shown)
    assert is_turned(file) is (orientation != 1)


TIFF_FORMS = {
    "one strip": {},
    "several strips": {"rowsperstrip": 4},
    "one deflated strip": {"compression": "zlib"},
    "several deflated strips": {"compression": "zlib", "rowsperstrip": 4},
    "tiles": {"tile": (16, 16)},
}


def store_tiff(shown, file, orientation, **options):
    """Write what ``store`` stores as a TIFF with the tag Orientation."""
    stored = store(shown, file.with_suffix(".png"), orientation)
    file.with_suffix(".png").unlink()
    photometric = "rgb" if stored.ndim == 3 else "minisblack"
    tifffile.imwrite(file, stored, photometric=photometric, extratags=[(274, 3, 1, orientation, True)], **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", TIFF_FORMS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_tiff_is_what_a_viewer_shows(tmp_path, shown, orientation, form, mode):
    picture = shown if mode == "RGB" else np.ascontiguousarray(shown[:, :, 0])
    store_tiff(picture, tmp_path / "a.tif", orientation, **TIFF_FORMS[form])
    rgb = picture if mode == "RGB" else np.repeat(picture[:, :, None], 3, axis=2)
    assert np.array_equal(read_image(tmp_path / "a.tif"), rgb)
    assert np.array_equal(ImageReader(len(mode))(tmp_path / "a.tif"), picture.reshape(10, 14, -1))
    mask = read_stored(tmp_path / "a.tif")
    assert np.array_equal(mask.numbers if mode == "L" else mask.colors, picture)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_page_of_a_tiff_is_what_a_viewer_shows(tmp_path, shown, orientation):
    picture = np.ascontiguousarray(shown[:, :, 0])
    store_tiff(picture, tmp_path / "a.tif", orientation, append=True, metadata=None)
    store_tiff(255 - picture, tmp_path / "a.tif", orientation, append=True, metadata=None)
    assert np.array_equal(read_image(tmp_path / "a.tif", page=1)[:, :, 2], 255 - picture)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_jpeg_decodes_to_its_stored_pixels_turned(tmp_path, shown, orientation):
    stored = store(shown, tmp_path / "a.jpg", orientation, quality=95)
    with Image.open(tmp_path / "a.jpg") as picture:
        plain = np.asarray(picture.convert("RGB"))
    assert plain.shape == stored.shape
    turned = {3: plain[::-1, ::-1], 6: plain.swapaxes(0, 1)[:, ::-1]}[orientation]
    assert np.array_equal(read_image(tmp_path / "a.jpg"), turned)


def test_a_palette_stays_a_palette_when_it_is_turned(tmp_path):
    picture = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    picture.putpalette([value for index in range(256) for value in (index, 0, 255 - index)])
    exif = Image.Exif()
    exif[0x0112] = 3
    picture.save(tmp_path / "a.png", exif=exif)
    turned = decode(tmp_path / "a.png")
    assert (turned.mode, turned.format) == ("P", "PNG")
    assert np.asarray(turned).tolist() == [[5, 4, 3], [2, 1, 0]]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_leaves_the_image_as_it_is_stored(tmp_path, shown):
    Image.fromarray(shown).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert np.array_equal(read_image(tmp_path / "a.png"), shown)


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_a_mask_of_the_shown_picture_fits(tmp_path, shown, save, orientation):
    store(shown, tmp_path / "images/a.png", orientation)
    save((shown[:, :, 0] > 99).astype(np.uint8), tmp_path / "masks/a.png")
    sample = folder("x", root=str(tmp_path), classes=["x", "y"], images="images", masks="masks").read(0)
    assert np.array_equal(sample.label, sample.image[:, :, 0] > 99)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_stored_pixels_is_a_problem_that_names_exif(tmp_path, shown, save, orientation):
    stored = store(shown, tmp_path / "images/a.png", orientation)
    save(np.zeros(stored.shape[:2]), tmp_path / "masks/a.png")
    split = folder("x", root=str(tmp_path), classes=["x", "y"], images="images", masks="masks")
    with pytest.raises(DataError, match=r"a\.png: is 14x10 pixels .*10x14: the image's EXIF orientation"):
        split.read(0)


def test_only_turned_images_change_the_fingerprint(tmp_path, shown, save):
    """The files of ``plain`` and ``tagged`` differ in nothing but a tag that turns nothing, or turns."""
    import hashlib
    import json

    store(shown, tmp_path / "images/a.png", 1)
    save(np.zeros((10, 14)), tmp_path / "masks/a.png")
    options = {"root": str(tmp_path), "classes": ["x", "y"], "images": "images", "masks": "masks"}

    def of_content():
        digests = [hashlib.sha256((tmp_path / part / "a.png").read_bytes()).hexdigest() for part in ("images", "masks")]
        content = ["folder", ["x", "y"], [["a", *digests]]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    assert folder("x", **options).fingerprint() == of_content()
    store(shown, tmp_path / "images/a.png", 3)
    assert folder("x", **options).fingerprint() != of_content()


def test_what_a_network_scores_on_images_as_they_are_shown_and_as_they_are_stored(tmp_path, save):
    """A network that sees bright pixels, 26 of 1,000 too few: 0.974 with the orientation, 0.550 without.

    Of the 1,000 pairs of opposite pixels, 349 are labelled in both, 302 in one, 349 in none; upside down, the bright
    pixels meet 697 labelled ones.
    """
    label = np.zeros(2000, np.uint8)
    label[:651] = label[1999 - np.arange(349)] = 1
    bright = label.copy()
    bright[[0, *range(349, 374)]] = 0
    label, bright = label.reshape(40, 50), bright.reshape(40, 50)
    store(np.repeat(bright[:, :, None] * np.uint8(255), 3, axis=2), tmp_path / "images/a.png", 3)
    save(label, tmp_path / "masks/a.png")
    sample = folder("x", root=str(tmp_path), classes=["x", "y"], images="images", masks="masks").read(0)
    with Image.open(tmp_path / "images/a.png") as picture:
        stored = np.asarray(picture)

    def miou(image):
        return score(confusion_matrix(sample.label, (image[:, :, 0] > 127).astype(np.uint8), num_classes=2)).mean_iou

    assert miou(sample.image) == pytest.approx((974 / 1000 + 1000 / 1026) / 2)
    assert miou(sample.image) == pytest.approx(0.974, abs=5e-4)
    assert miou(stored) == pytest.approx((697 / (974 + 1000 - 697) + 723 / (1000 + 1026 - 723)) / 2)
    assert miou(stored) == pytest.approx(0.550, abs=5e-4)
