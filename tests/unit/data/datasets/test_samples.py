import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segbench.data.datasets.samples import check_labels, read_pair
from segbench.data.masks.masks import IndexLabels
from segbench.errors import DataError


def test_a_label_of_another_size_is_refused(tmp_path, save):
    image, label = save(np.zeros((4, 6, 3)), tmp_path / "i.png"), save(np.zeros((6, 4)), tmp_path / "l.png")
    with pytest.raises(DataError, match=r"l\.png: is 6x4 pixels .* but its image .*i\.png 4x6"):
        read_pair("x", image, label, num_classes=2, decoder=IndexLabels({}))


@given(hnp.arrays(np.uint8, (3, 4)), st.integers(1, 255))
def test_exactly_the_labels_outside_the_classes_are_refused(label, num_classes):
    strange = sorted({int(value) for value in label.ravel() if value >= num_classes and value != 255})
    if not strange:
        assert check_labels(label, num_classes=num_classes, source="a.png") is None
        return
    with pytest.raises(DataError, match=f"a.png: holds label {', '.join(map(str, strange))}, but"):
        check_labels(label, num_classes=num_classes, source="a.png")
