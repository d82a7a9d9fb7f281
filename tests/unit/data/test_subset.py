import pytest

from segbench.data.subset import Subset, take, take_fraction


@pytest.mark.parametrize(("fraction", "count"), [(1.0, 40), (0.5, 20), (0.26, 10), (0.001, 1)])
def test_a_fraction_rounds_and_keeps_at_least_one(arrays, fraction, count):
    assert len(take_fraction(arrays(40), fraction)) == count


def test_fractions_are_nested_and_in_the_splits_order(arrays):
    dataset = arrays(50)
    previous: set[str] = set()
    for step in range(1, 51):
        names = list(take_fraction(dataset, step / 50).names)
        assert names == sorted(names)
        assert previous < set(names)
        previous = set(names)


def test_the_choice_depends_on_names_not_on_positions(arrays):
    samples = arrays(12).samples
    chosen = set(take(arrays(samples=samples), 5).names)
    assert len(chosen) == 5
    assert set(take(arrays(samples=samples[::-1]), 5).names) == chosen
    assert set(take(arrays(samples=samples[5:] + samples[:5]), 5).names) == chosen


def test_reading_goes_to_the_right_image(arrays):
    subset = Subset(arrays(6), [4, 1])
    assert [subset.read(index).name for index in range(2)] == list(subset.names) == ["image-001", "image-004"]


def test_fingerprints_tell_subsets_apart(arrays):
    dataset = arrays(6)
    prints = {take(dataset, count).fingerprint() for count in range(1, 7)}
    assert len(prints) == 6
    assert len({take(dataset, count).cache_key() for count in range(1, 7)}) == 6


def test_a_limit_beyond_the_end_changes_nothing(arrays):
    dataset = arrays(6)
    assert take(dataset, 6) is dataset
    assert take(dataset, 100) is dataset


def test_preparing_and_problems_pass_through(arrays, monkeypatch):
    dataset = arrays(6)
    prepared = []
    monkeypatch.setattr(dataset, "prepare", lambda: prepared.append(True))
    monkeypatch.setattr(type(dataset), "problems", ("a",))
    subset = take(dataset, 2)
    subset.prepare()
    assert (prepared, subset.problems) == ([True], ("a",))
