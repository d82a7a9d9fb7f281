"""Files of several pages: every page, the first, or a refusal; of images and masks alike."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from segbench.data.datasets.folder import folder
from segbench.errors import DataError


@pytest.fixture(name="stacks")
def write_stacks(tmp_path):
    """Two stacks of 3 and 2 pages and a single picture; each page has its own number in every pixel."""
    generator = np.random.default_rng(0)
    images = {}
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for name, pages in {"a": 3, "b": 2, "c": 1}.items():
        images[name] = generator.integers(0, 256, (pages, 8, 9, 3)).astype(np.uint8)
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", images[name], photometric="rgb")
        masks = np.broadcast_to(np.arange(pages, dtype=np.uint8)[:, None, None], (pages, 8, 9))
        tifffile.imwrite(tmp_path / "masks" / f"{name}.tif", masks, photometric="minisblack")
    return tmp_path, images


def opened(root, **options):
    return folder("x", root=str(root), classes=list("xyz"), images="images", masks="masks", **options)


@pytest.mark.parametrize("channels", [None, 3])
def test_each_page_is_a_sample_with_its_own_mask(stacks, channels):
    root, images = stacks
    split = opened(root, pages="each", channels=channels)
    assert split.names == ("a#1", "a#2", "a#3", "b#1", "b#2", "c")
    assert len(set(split.image_ids)) == 6
    for index, (name, page) in enumerate([("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1), ("c", 0)]):
        sample = split.read(index)
        assert np.array_equal(sample.image, images[name][page])
        assert (sample.label == page).all()


def test_the_first_page_alone(stacks):
    root, images = stacks
    split = opened(root, pages="first")
    assert split.names == ("a", "b", "c")
    assert np.array_equal(split.read(0).image, images["a"][0])
    assert split.read(0).label.max() == 0


def test_several_pages_are_refused_where_nothing_is_said_of_them(stacks):
    split = opened(stacks[0])
    with pytest.raises(DataError, match=r"a\.tif: holds 3 pages, .*pages: each .*pages: first"):
        split.read(0)
    assert split.read(2).name == "c"


def test_a_mask_of_several_pages_is_refused_beside_an_image_of_one(stacks):
    root, images = stacks
    tifffile.imwrite(root / "images/a.tif", images["a"][0], photometric="rgb")
    with pytest.raises(DataError, match=r"masks.a\.tif: holds 3 pages"):
        opened(root).read(0)
    assert opened(root, pages="each").problems == (
        f"{root / 'masks/a.tif'}: holds 3 pages, but its image {root / 'images/a.tif'} 1 page",
    )


def test_pages_of_one_band_are_bands_where_channels_are_asked_for(tmp_path, save):
    planes = np.random.default_rng(0).integers(0, 60000, (4, 8, 9)).astype(np.uint16)
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images/a.tif", planes, photometric="minisblack")
    save(np.zeros((8, 9)), tmp_path / "masks/a.png")
    assert np.array_equal(opened(tmp_path, channels=4).read(0).image, planes.transpose(1, 2, 0))
    with pytest.raises(DataError, match=r"holds 4 pages, taken as 4 bands because dataset.pages"):
        opened(tmp_path, channels=1).read(0)
    save(np.zeros((4, 8, 9))[0], tmp_path / "masks/a.png")
    assert np.array_equal(opened(tmp_path, channels=1, pages="first").read(0).image[:, :, 0], planes[0])


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_frames_of_an_animation_are_pages(tmp_path, save, suffix):
    frames = [Image.fromarray(np.full((8, 9, 3), value, np.uint8)) for value in (10, 90, 200)]
    (tmp_path / "images").mkdir()
    frames[0].save(tmp_path / f"images/a.{suffix}", save_all=True, append_images=frames[1:], lossless=True)
    save(np.zeros((8, 9)), tmp_path / "masks/a.png")
    with pytest.raises(DataError, match=rf"a\.{suffix}: holds 3 pages"):
        opened(tmp_path).read(0)
    assert abs(int(opened(tmp_path, pages="first").read(0).image.max()) - 10) <= 1


def test_the_further_views_of_a_telephones_photograph_are_no_pages(tmp_path, save):
    views = [Image.fromarray(np.full((8, 9, 3), value, np.uint8)) for value in (10, 200)]
    (tmp_path / "images").mkdir()
    views[0].save(tmp_path / "images/a.jpg", format="MPO", save_all=True, append_images=views[1:])
    save(np.zeros((8, 9)), tmp_path / "masks/a.png")
    assert opened(tmp_path).read(0).image.max() < 20
