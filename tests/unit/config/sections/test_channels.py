"""A suite's transforms are checked against dataset.channels before any data is looked at."""

import pytest

import segbench.data
from segbench.config import plan
from segbench.config.load import check
from segbench.errors import SuiteError

GOLDEN_IDS = ["tiny-seed0-1c5aa233de", "tiny-seed1-c7126a3e29", "tiny-seed2-202f03f24b"]
"""Ids of ``suite()`` before there were these keys: they name folders of stored results."""

MEASURED = {"name": "normalize", "statistics": "measured"}


@pytest.fixture(autouse=True)
def real_catalogues(monkeypatch):
    """The data sets and transforms of segbench itself, not the toys of the other tests."""
    transforms = {
        name: f"segbench.data.loading.transforms:{name}" for name in ("color_jitter", "rotation", "horizontal_flip")
    }
    monkeypatch.setattr(segbench.data, "CATALOG", {"folder": "segbench.data.datasets.folder:folder"})
    monkeypatch.setattr(
        segbench.data, "TRANSFORMS", {**transforms, "normalize": "segbench.data.loading.normalization:normalize"}
    )


def suite(*, train=("normalize",), test=("normalize",), **dataset):
    return {
        "name": "mine",
        "dataset": {"name": "folder", "root": ".", "classes": ["a", "b"], **dataset},
        "transforms": {"train": list(train), "test": list(test)},
        "models": ["tiny"],
        "train": {"epochs": 1},
    }


def ids(**changes):
    return [run.id for run in plan(check(suite(**changes)))]


@pytest.mark.parametrize("channels", [4, 1, [0, 1, 2, 3], [2, 0]])
def test_imagenets_numbers_are_refused_for_other_than_three_channels(channels):
    with pytest.raises(SuiteError, match=r"transforms\.train\[0\]: normalize has ImageNet's .*statistics: measured"):
        check(suite(channels=channels))


@pytest.mark.parametrize("channels", [3, [3, 0, 1], None])
def test_three_channels_may_have_them(channels):
    assert check(suite(channels=channels)).dataset.options["channels"] == channels


def test_colour_steps_are_refused_by_name():
    with pytest.raises(SuiteError, match=r"transforms\.train\[1\]: color_jitter changes the colours of three channels"):
        check(suite(train=["horizontal_flip", "color_jitter", MEASURED], test=[MEASURED], channels=4))
    check(suite(train=["horizontal_flip", "rotation", MEASURED], test=[MEASURED], channels=4))
    check(suite(train=["color_jitter", MEASURED], test=[MEASURED], channels=[3, 0, 1]))


def test_mean_and_deviation_have_a_number_for_each_channel():
    given = {"name": "normalize", "mean": [0.5] * 4, "std": [0.2] * 4}
    check(suite(train=[given], test=[given], channels=4))
    with pytest.raises(SuiteError, match=r"transforms\.test\[0\]: normalize has mean .*for 4 channels, but .* 5"):
        check(suite(train=[MEASURED], test=[given], channels=5))


def test_what_is_not_trained_has_nothing_to_measure_in():
    with pytest.raises(SuiteError, match=r"transforms\.test\[0\]: statistics: measured needs a recipe under train"):
        check(suite(train=[MEASURED], test=[MEASURED]) | {"train": None})


@pytest.mark.parametrize("channels", [True, "4", 1.5])
def test_channels_are_a_number_or_a_list(channels):
    with pytest.raises(SuiteError, match="channels"):
        check(suite(channels=channels))


def test_new_keys_leave_the_ids_of_suites_without_them():
    assert ids() == ids(channels=None, pages=None) == GOLDEN_IDS
    assert ids() == ids(train=[{"name": "normalize", "statistics": "given"}])


def test_what_changes_the_images_changes_the_ids():
    changes = [
        {},
        {"channels": 3},
        {"channels": [0, 1, 2]},
        {"pages": "each"},
        {"pages": "first"},
        {"test": [MEASURED]},
    ]
    assert len({tuple(ids(**change)) for change in changes}) == len(changes)
