import pytest

from segbench.config.component import DatasetEntry
from segbench.config.suite import Loader
from segbench.data.cache.datasets import DiskCache, MemoryCache
from segbench.data.open import create_dataset, decoded_bytes, open_dataset
from segbench.errors import DataError


def entry(**options):
    return DatasetEntry.model_validate({"name": "scenes", "train_images": 20, "test_images": 10, **options})


def test_the_fraction_is_for_training_and_the_limit_for_the_rest():
    given = entry(fraction=0.25, limit=3)
    assert len(open_dataset(given, "train", loader=Loader(), training=True)) == 5
    assert len(open_dataset(given, "test", loader=Loader())) == 3
    assert len(open_dataset(given, "train", loader=Loader())) == 3
    assert len(open_dataset(entry(), "test", loader=Loader())) == 10


def test_the_cache_is_the_suites_choice(tmp_path):
    loaders = {
        MemoryCache: Loader(cache="memory"),
        DiskCache: Loader(cache="disk", cache_folder=str(tmp_path)),
    }
    plain = open_dataset(entry(), "test", loader=Loader())
    for kind, loader in loaders.items():
        cached = open_dataset(entry(), "test", loader=loader)
        assert type(cached) is kind
        assert cached.fingerprint() == plain.fingerprint()
        assert (cached.read(3).image == plain.read(3).image).all()
    assert len(list(tmp_path.iterdir())) == 1


def test_an_empty_split_is_refused():
    with pytest.raises(DataError, match="the split 'test' is empty"):
        open_dataset(entry(test_images=0), "test", loader=Loader())


def test_an_incomplete_split_is_refused_with_its_first_problems(camvid_tree):
    for file in (camvid_tree / "trainannot").iterdir():
        file.unlink()
    (camvid_tree / "train" / "0001TP_train.0.png").unlink()
    given = DatasetEntry.model_validate({"name": "camvid", "root": str(camvid_tree)})
    with pytest.raises(DataError, match=r"(?s)'train' is incomplete; 'segbench data check'.*and 1 more"):
        open_dataset(given, "train", loader=Loader())
    assert len(create_dataset(given, "train").problems) == 4


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_a_split_that_does_not_fit_is_decoded_every_time_and_that_is_said(cache, tmp_path, caplog):
    loader = Loader(cache=cache, cache_folder=str(tmp_path), cache_gigabytes=1e-6)
    kept = open_dataset(entry(), "test", loader=loader)
    assert type(kept) not in (MemoryCache, DiskCache)
    assert "10 images take about" in caplog.text
    assert "decoded every time" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_cache_that_is_there_is_used_whatever_the_room(tmp_path):
    roomy = Loader(cache="disk", cache_folder=str(tmp_path))
    open_dataset(entry(), "test", loader=roomy)
    tight = roomy.model_copy(update={"cache_gigabytes": 1e-6})
    assert type(open_dataset(entry(), "test", loader=tight)) is DiskCache


def test_the_size_of_a_decoded_split_is_that_of_its_arrays():
    split = open_dataset(entry(), "test", loader=Loader())
    sample = split.read(0)
    assert decoded_bytes(split) == 10 * (sample.image.nbytes + sample.label.nbytes)
