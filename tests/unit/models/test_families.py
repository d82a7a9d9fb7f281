"""What the catalogue says of a network is what the network is."""

import pytest

from segbench.config.component import ModelEntry
from segbench.config.load import check_part
from segbench.models.families import SIZES
from segbench.models.skeleton import bare_skeleton
from segbench.registry import MODELS


def test_every_built_in_network_has_a_family_and_a_size():
    assert set(SIZES) == {name for name in MODELS.complete_names() if not MODELS.is_foreign(name)}


@pytest.mark.parametrize("name", SIZES)
def test_the_listed_size_is_that_of_the_network(name):
    network = bare_skeleton(check_part(ModelEntry, {"name": name}), classes=21, channels=3)
    assert sum(value.numel() for value in network.parameters() if value.requires_grad) == SIZES[name].parameters
