import pytest

from segbench.config.component import options_schema
from segbench.data import CATALOG, TRANSFORMS
from segbench.registry import DATASETS, read_signature
from segbench.registry import TRANSFORMS as STEPS


@pytest.mark.parametrize("reference", [*CATALOG.values(), *TRANSFORMS.values()])
def test_every_option_is_typed_and_explained(reference):
    signature = read_signature(reference)
    assert signature.summary.endswith(".")
    for option in signature.parameters:
        assert option.annotation != "Any"
        assert len(option.help) > 10, option.name


@pytest.mark.parametrize("name", [*CATALOG, *TRANSFORMS])
def test_every_default_fits_its_own_type(name):
    entry = (DATASETS if name in CATALOG else STEPS).entries()[name]
    schema = options_schema(entry)
    defaults = {key: field.default for key, field in schema.model_fields.items() if not field.is_required()}
    required = {"classes": ["a"], "size": [32, 32]}
    given = {key: required[key] for key, field in schema.model_fields.items() if field.is_required()}
    assert schema.model_validate({**defaults, **given}).model_dump() == {**defaults, **given}
