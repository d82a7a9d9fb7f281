"""A suite written in Python is the suite that the same YAML makes."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from segbench import load_suite
from segbench.config import plan
from segbench.errors import SuiteError

SUITE = {
    "name": "mapped",
    "dataset": {"name": "pictures", "size": [32, 48], "limit": 4},
    "models": [{"name": "tiny", "width": 0.25}, "plain"],
    "train": {"epochs": 2, "optimizer": {"name": "adamw", "lr": 1e-3}},
    "seeds": [0, 1, 2],
}


def network(classes, channels, *, width=1):
    """Stands in for a network: only its name is looked at."""


def changed(**changes):
    return {**SUITE, **changes}


def test_a_mapping_makes_the_suite_that_the_file_makes(tmp_path):
    file = tmp_path / "mapped.yaml"
    file.write_text(yaml.safe_dump(SUITE))
    assert load_suite(SUITE) == load_suite(file) == load_suite(str(file))
    assert [run.id for run in plan(load_suite(SUITE))] == [run.id for run in plan(load_suite(file))]
    assert load_suite(SUITE).written == load_suite(file).written


def test_overrides_and_variables_count_as_in_a_file(monkeypatch):
    monkeypatch.setenv("EPOCHS_NAME", "from-environment")
    suite = load_suite(changed(name="${EPOCHS_NAME}"), overrides=["train.epochs=5", "models.tiny.width=0.5"])
    assert (suite.name, suite.train.epochs, suite.models[0].options["width"]) == ("from-environment", 5, 0.5)


def test_without_a_name_it_has_the_schemas_own():
    assert load_suite({key: value for key, value in SUITE.items() if key != "name"}).name == "suite"


def test_the_mapping_is_left_as_it_was():
    given = {**SUITE, "dataset": dict(SUITE["dataset"])}
    load_suite(given, overrides=["dataset.limit=2"])
    assert given == SUITE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seeds", range(3)),
        ("seeds", (0, 1, 2)),
        ("seeds", np.arange(3)),
        ("dataset", {"name": "pictures", "size": (np.int64(32), 48), "limit": np.int32(4)}),
        ("train", {"epochs": np.int64(2), "optimizer": {"name": "adamw", "lr": np.float64(1e-3)}}),
    ],
)
def test_values_that_python_has_are_read_as_yamls(key, value):
    assert load_suite(changed(**{key: value})) == load_suite(SUITE)


def test_paths_count_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my" / "data").mkdir(parents=True)
    suite = load_suite(changed(dataset={"name": "pictures", "root": Path("my") / "data"}))
    assert suite == load_suite(changed(dataset={"name": "pictures", "root": str(Path("my") / "data")}))
    assert suite.dataset.options["root"] == str(Path("my") / "data")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 3}, r"^epochs: unknown key"),
        ({"models": [{"name": "tinny"}]}, r"^models\[0\]\.name: unknown model 'tinny', did you mean 'tiny'"),
        ({"models": [{"name": "tiny", "widht": 1}]}, r"^models\[0\]\.widht: unknown option of tiny, did you mean"),
        (
            {"train": {"epochs": object()}},
            r"^train\.epochs: expected a value .* YAML file could hold, not a object",
        ),
        ({"seeds": {0, 1}}, r"^seeds: .*not a set"),
        ({"dataset": {1: 2}}, r"^dataset: expected keys that are text \(given 1\)"),
        ({"models": ["cnn", lambda classes, channels: None]}, r"^models\[1\]: .*cannot be found again by its name"),
        ({"models": [{"name": lambda classes, channels: None}]}, r"^models\[0\]\.name: .*cannot be found again"),
    ],
)
def test_mistakes_name_their_key(changes, message):
    with pytest.raises(SuiteError, match=message) as raised:
        load_suite(changed(**changes))
    assert raised.value.file is None


def test_a_network_that_is_built_already_is_refused():
    class Net:
        def __call__(self, images):
            return images

    with pytest.raises(SuiteError, match=r"models\[0\]: .*not a Net; give the class, or a function that makes it"):
        load_suite(changed(models=[Net()]))


@pytest.mark.parametrize("given", [3, None, ["unet"]])
def test_what_is_neither_path_nor_mapping_is_refused(given):
    with pytest.raises(SuiteError, match="expected the path of a YAML file, or a mapping"):
        load_suite(given)


def test_a_function_stands_for_its_import_path_and_labels_the_row():
    import toys

    given = [toys.plain, {"name": toys.tiny, "width": 2}, {"name": toys.tiny, "label": "other"}]
    named = [
        {"name": "python:toys.plain", "label": "plain"},
        {"name": "python:toys.tiny", "label": "tiny", "width": 2},
        {"name": "python:toys.tiny", "label": "other"},
    ]
    suite, same = load_suite(changed(models=given)), load_suite(changed(models=named))
    assert suite == same
    assert suite.written == same.written
