"""Data is the same where its files are, or where they are known to decode to the same pixels."""

import pytest

from segbench.results.data_identity import DataIdentity

OLD = DataIdentity({"train": "a", "test": "b"}, {"train": "A", "test": "B"})


@pytest.mark.parametrize(
    ("files", "pixels", "same"),
    [
        ({"train": "a", "test": "b"}, {}, True),
        ({"train": "a", "test": "b"}, {"train": "decoded otherwise", "test": "B"}, True),
        ({"train": "x", "test": "y"}, {"train": "A", "test": "B"}, True),
        ({"train": "a", "test": "y"}, {"test": "B"}, True),
        ({"train": "x", "test": "y"}, {"train": "A"}, False),
        ({"train": "x", "test": "y"}, {"train": "B", "test": "A"}, False),
        ({"train": "a", "test": "y"}, {"train": "A", "test": "Y"}, False),
        ({"test": "b"}, {"test": "B"}, False),
        ({"train": "a", "test": "b", "validation": "c"}, {"train": "A", "test": "B", "validation": "C"}, False),
    ],
)
def test_each_split_needs_the_same_files_or_the_same_known_pixels(files, pixels, same):
    new = DataIdentity(files, pixels)
    assert new.same_data(OLD) is same
    assert OLD.same_data(new) is same


def test_unknown_pixels_are_not_the_same_as_unknown_pixels():
    assert not DataIdentity({"test": "a"}).same_data(DataIdentity({"test": "b"}))
