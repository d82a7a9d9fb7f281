"""The JSON Schema agrees with the loader on what is right and what is wrong."""

import json
from functools import cache
from pathlib import Path

import jsonschema
import pytest

from segbench.config.json_schema import suite_schema
from segbench.config.load import check
from segbench.config.reading.yaml_loader import read_yaml
from segbench.errors import SuiteError

RIGHT = [
    {},
    {"models": ["family:anything", {"name": "family:x", "free": 1}]},
    {"models": [{"name": "tiny", "label": "a", "weights": "a.pt", "strict": False, "pretrained": True}]},
    {"train": None},
    {"train": {"epochs": 1, "loss": "dice"}},
    {"train": {"epochs": 1, "loss": ["dice", {"name": "cross_entropy", "weight": 2, "class_weights": [1, 2]}]}},
    {"train": {"steps": 5, "accumulate": "epoch", "optimizer": "adamw", "schedule": {"name": "poly", "power": 1}}},
    {"evaluate": {"window": {"size": [8, 8], "stride": [4, 4]}, "scales": [0.5, 1]}},
    {"grid": {"train.epochs": [1, 2]}, "defaults": {"width": 0.5}},
    {"grid": [{}, {"train.epochs": [1, 2]}, {"train.loss": ["dice", "cross_entropy"], "train.epochs": [3]}]},
    {"deploy": {"targets": ["eager", "onnxruntime:int8", {"runtime": "eager", "prune": 0.5}]}},
    {
        "dataset": {"name": "pictures", "validation_split": "val"},
        "tuning": {"grid": {"train.optimizer.lr": [0.1, 0.2]}, "steps": 5, "seed": 0},
    },
]
WRONG = [
    {"modles": []},
    {"models": ["tinny"]},
    {"models": [{"name": "tiny", "widht": 1}]},
    {"models": [{"name": "tiny", "norm": "bach"}]},
    {"models": ["family:"]},
    {"models": []},
    {"dataset": "pictrues"},
    {"train": {"epochs": "ten"}},
    {"train": {"epochs": 0}},
    {"train": {"epochs": 1, "loss": "dise"}},
    {"train": {"epochs": 1, "loss": []}},
    {"train": {"epochs": 1, "schedule": {"name": "poly", "powr": 1}}},
    {"transforms": {"train": ["crop"], "test": [{"name": "crop"}]}},
    {"seeds": []},
    {"evaluate": {"window": {"size": [0, 8], "stride": [4, 4]}}},
    {"loader": {"cache": "ram"}},
    {"dataset": {"name": "pictures", "fraction": 0}},
    {"tuning": {"grid": {}}},
    {"grid": []},
    {"grid": [{"train.epochs": 1}]},
    {"deploy": {"targets": ["onnxruntime:int4"]}},
    {"deploy": {"targets": [{"runtime": "onnx"}]}},
    {"deploy": {"targets": []}},
    {"tuning": {"epochs": 1}},
]


@pytest.fixture(name="validator")
def make_validator():
    schema = json.loads(json.dumps(suite_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("changes", RIGHT)
def test_right_suites_validate(changes, mini, validator):
    document = read_yaml(mini) | changes
    assert check(document).models
    assert list(validator.iter_errors(document)) == []


@pytest.mark.parametrize("changes", WRONG)
def test_wrong_suites_do_not_validate(changes, mini, validator):
    document = read_yaml(mini) | changes
    assert not validator.is_valid(document)
    with pytest.raises(SuiteError):
        check(document)


def test_every_reference_in_the_schema_leads_somewhere():
    schema = suite_schema()

    def references(value):
        if isinstance(value, dict):
            yield from ([value["$ref"]] if "$ref" in value else [])
            for part in value.values():
                yield from references(part)
        elif isinstance(value, list):
            for part in value:
                yield from references(part)

    found = set(references(schema))
    assert found
    assert {reference.removeprefix("#/$defs/") for reference in found} <= set(schema["$defs"])


def test_every_section_and_option_is_described():
    schema = suite_schema()
    for section in ("Train", "Evaluate", "Loader", "Transforms", "Window"):
        for name, field in schema["$defs"][section]["properties"].items():
            assert field.get("description"), f"{section}.{name}"
    tiny = next(part for part in schema["$defs"]["ModelEntry"]["anyOf"] if part.get("title") == "tiny")
    assert tiny["description"] == "A network."
    assert tiny["properties"]["norm"]["description"] == "Normalisation."


class TestShippedSuites:
    """The real catalogues and the suites that come with the project."""

    SUITES = sorted((Path(__file__).parents[3] / "suites").glob("*.yaml"))

    @pytest.fixture(autouse=True)
    def real_catalogs(self, monkeypatch):
        monkeypatch.undo()

    @staticmethod
    @cache
    def validator():
        schema = json.loads(json.dumps(suite_schema()))
        jsonschema.Draft202012Validator.check_schema(schema)
        return jsonschema.Draft202012Validator(schema)

    def test_there_are_suites(self):
        assert self.SUITES

    @pytest.mark.parametrize("path", SUITES, ids=lambda path: path.name)
    def test_a_shipped_suite_validates(self, path):
        document = read_yaml(path.read_text(encoding="utf-8"))
        errors = list(self.validator().iter_errors(document))
        assert [error.json_path for error in errors] == []
