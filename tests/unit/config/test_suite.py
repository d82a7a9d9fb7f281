"""What a suite means: defaults, components, sections."""

import pytest
from pydantic import ValidationError

from segbench.config import Suite
from segbench.config.component import DatasetEntry, LossEntry, ModelEntry, TransformEntry, flat, options_schema
from segbench.config.load import check
from segbench.config.plan import plan
from segbench.config.reading.yaml_loader import read_yaml
from segbench.config.suite import Train
from segbench.errors import SuiteError
from segbench.registry import MODELS, Entry


def options(document, index=0):
    return check(document).models[index].options


def test_defaults_go_to_the_models_that_know_the_option(mini):
    suite = check(read_yaml(mini) | {"models": ["tiny", "plain", "family:x"], "defaults": {"width": 0.25}})
    assert [model.options.get("width") for model in suite.models] == [0.25, None, 0.25]


def test_a_models_own_option_wins_over_the_default(mini):
    models = [{"name": "tiny", "width": 0.5}, {"name": "tiny", "label": "b", "options": {"width": 0.75}}, "family:x"]
    suite = check(read_yaml(mini) | {"models": models, "defaults": {"width": 0.25}})
    assert [model.options["width"] for model in suite.models] == [0.5, 0.75, 0.25]


def test_a_default_that_no_model_knows_is_refused(mini):
    with pytest.raises(SuiteError, match=r"defaults\.depth: no model has this option"):
        check(read_yaml(mini) | {"defaults": {"depth": 3}})


def test_a_wrong_default_is_told_where_it_is_used(mini):
    with pytest.raises(SuiteError, match=r"models\[0\]\.norm: should be 'none' or 'batch' \(given 'bach'\)"):
        check(read_yaml(mini) | {"defaults": {"norm": "bach"}})


def test_options_come_with_their_defaults_in_the_types_that_factories_expect(mini):
    document = read_yaml(mini)
    assert options(document) == {"width": 0.5, "norm": None, "layers": (1, 2), "pretrained": False}
    assert isinstance(options(document | {"models": [{"name": "tiny", "width": 1}]})["width"], float)
    assert options(document | {"models": [{"name": "tiny", "layers": [4]}]})["layers"] == (4,)
    assert check(document).dataset.options["size"] == (24, 32)


def test_numbers_given_as_text_are_numbers(mini):
    assert options(read_yaml(mini) | {"models": [{"name": "tiny", "width": "5e-1"}]})["width"] == 0.5


def test_open_families_take_any_option(mini):
    model = {"name": "family:net", "aux": True, "depth": 3}
    assert options(read_yaml(mini) | {"models": [model]}) == {"width": 1.0, "aux": True, "depth": 3}


def test_the_label_is_the_name_unless_it_is_given(mini):
    models = ["tiny", {"name": "plain", "label": ""}, {"name": "tiny", "label": "other"}]
    assert [model.label for model in check(read_yaml(mini) | {"models": models}).models] == ["tiny", "plain", "other"]


@pytest.mark.parametrize(
    ("model", "pretrained"),
    [
        ("tiny", False),
        ({"name": "tiny", "pretrained": True}, True),
        ({"name": "tiny", "pretrained": "a.pt"}, True),
        ({"name": "plain", "weights": "a.pt"}, True),
    ],
)
def test_a_model_with_weights_of_any_kind_is_pretrained(model, pretrained):
    assert ModelEntry.model_validate(model).pretrained is pretrained


def test_losses_are_written_alone_or_in_a_list():
    alone = Train(epochs=1, loss="dice")
    assert alone == Train(epochs=1, loss={"name": "dice"}) == Train(epochs=1, loss=[{"name": "dice", "weight": 1}])
    assert [term.weight for term in Train(epochs=1, loss=["dice", {"name": "dice", "weight": 2}]).loss] == [1.0, 2.0]


def test_options_without_a_name_are_those_of_the_default_component():
    assert Train(epochs=1, optimizer={"lr": 0.5}) == Train(epochs=1, optimizer={"name": "adamw", "lr": 0.5})
    assert Train(epochs=1, schedule={"warmup_steps": 5}).schedule.name == "constant"


def test_components_are_written_flat():
    entry = LossEntry.model_validate({"name": "cross_entropy", "weight": 2})
    assert entry.model_dump(mode="json") == {"name": "cross_entropy", "weight": 2.0, "class_weights": "none"}
    crop = TransformEntry.model_validate({"name": "crop", "size": [4, 5]})
    assert crop.model_dump(mode="json") == {"name": "crop", "size": [4, 5], "scale": None}
    assert crop.model_dump()["size"] == (4, 5)


def test_absent_own_fields_are_left_out_when_written():
    assert set(DatasetEntry.model_validate("pictures").model_dump()) == {
        *("name", "train_split", "test_split", "fraction"),
        *("root", "download", "size"),
    }


def test_components_can_be_given_as_objects(mini):
    document = read_yaml(mini)
    parts = {
        "dataset": DatasetEntry.model_validate(document["dataset"]),
        "models": [ModelEntry.model_validate(model) for model in document["models"]],
        "train": Train.model_validate(document["train"]),
    }
    assert Suite.model_validate(document | parts) == check(document)
    grid = {"train.epochs": [1, 2], "dataset.size": [[1, 2]]}
    assert len(Suite.model_validate(document | parts | {"grid": grid}).variants) == 2


def test_what_is_derived_is_derived_anew_for_a_changed_copy(mini):
    suite = check(read_yaml(mini) | {"grid": {"train.epochs": [1, 2]}})
    copy = suite.model_copy(update={"seeds": (7,)})
    assert [variant.seeds for _, variant in copy.variants] == [(7,), (7,)]
    assert [variant.seeds for _, variant in suite.variants] == [(0, 1), (0, 1)]


def test_suites_are_frozen(mini):
    suite = check(read_yaml(mini))
    with pytest.raises(ValidationError, match="frozen"):
        suite.seeds = (1,)
    with pytest.raises(ValidationError, match="frozen"):
        suite.train.epochs = 1


def test_train_null_evaluates_only_and_has_to_be_written(mini):
    document = read_yaml(mini)
    assert check(document | {"train": None}).train is None
    del document["train"]
    with pytest.raises(SuiteError, match="train: is required and missing"):
        check(document)


def test_what_is_loaded_is_evaluated_once_unless_seeds_are_given(mini):
    document = {key: value for key, value in read_yaml(mini).items() if key != "seeds"}
    assert check(document).seeds == (0, 1, 2)
    evaluated = document | {"train": None}
    assert check(evaluated).seeds == (0,)
    assert [run.seed for run in plan(check(evaluated))] == [0] * len(document["models"])
    assert check(evaluated | {"seeds": [4, 5]}).seeds == (4, 5)


def test_splits_may_be_equal_where_nothing_is_learnt_from_them(mini):
    document = read_yaml(mini)
    on_training_images = {"name": "pictures", "train_split": "train", "test_split": "train"}
    assert check(document | {"train": None, "dataset": on_training_images}).dataset.test_split == "train"
    watched = {"train": {"epochs": 2, "validate_every": 1}, "dataset": {"name": "pictures", "validation_split": "test"}}
    assert check(document | watched).dataset.validation_split == "test"


def test_every_field_of_a_suite_is_documented(mini):
    sections = [Suite, Train, ModelEntry, DatasetEntry, *(type(part) for part in vars(check(read_yaml(mini))).values())]
    for section in sections:
        for name, field in getattr(section, "model_fields", {}).items():
            assert field.description, f"{section.__name__}.{name}"


def test_options_carry_the_help_of_their_factory():
    fields = options_schema(MODELS.find("tiny")[0]).model_fields
    assert fields["width"].description == "Factor of every channel count, 1.0 being the paper."


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("tiny", {"name": "tiny"}),
        ({"name": "tiny", "options": {"width": 1}}, {"name": "tiny", "width": 1}),
        ({"name": "tiny", "width": 2, "options": {"width": 1}}, {"name": "tiny", "width": 2}),
        (3, 3),
        ({"options": 3}, {"options": 3}),
    ],
)
def test_flat_puts_options_beside_the_name(given, expected):
    assert flat(given) == expected


def test_an_annotation_of_unknown_types_is_left_unchecked(tmp_path, monkeypatch):
    (tmp_path / "other_toys.py").write_text(
        "def net(classes, *, kernel: Kernel = 3, depth: int = 2): ...\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    schema = options_schema(Entry("net", "other_toys:net"))
    assert schema.model_validate({"kernel": "anything"}).model_dump() == {"kernel": "anything", "depth": 2}


def test_names_of_bounded_kinds_mean_nothing_in_other_packages(tmp_path, monkeypatch):
    (tmp_path / "other_sizes.py").write_text("def net(classes, *, size: Size = (0, 0, 0)): ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert options_schema(Entry("net", "other_sizes:net")).model_validate({"size": "XL"}).model_dump() == {"size": "XL"}
