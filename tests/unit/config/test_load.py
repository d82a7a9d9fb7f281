"""Wrong suites are refused with file, key, value and the nearest valid name; right ones are read as written."""

import pytest
import yaml

from segbench.config import load_suite
from segbench.config.component import ModelEntry
from segbench.config.load import check, check_part, read_override
from segbench.config.reading.excerpt import excerpt_of
from segbench.config.reading.yaml_loader import read_yaml
from segbench.errors import SuiteError

WRONG = {
    "unknown key at the top": ({"modles": []}, "modles", "unknown key", "'models'"),
    "unknown key in train": ({"train": {"epochs": 1, "batchsize": 4}}, "train.batchsize", "given 4", "'batch_size'"),
    "unknown key in transforms": ({"transforms": {"tran": []}}, "transforms.tran", "unknown key", "'train'"),
    "unknown key in evaluate": ({"evaluate": {"flp": True}}, "evaluate.flp", "given True", "'flip'"),
    "unknown key in a window": (
        {"evaluate": {"window": {"size": [8, 8], "strides": [8, 8]}}},
        "evaluate.window.strides",
        "unknown key",
        "'stride'",
    ),
    "unknown key in loader": ({"loader": {"worker": 2}}, "loader.worker", "given 2", "'workers'"),
    "a key that is no text": ({7: 1}, "7", "unknown key", "known: dataset"),
    "unknown option of a model": (
        {"models": [{"name": "tiny", "widht": 0.5}]},
        "models[0].widht",
        "unknown option of tiny",
        "'width'",
    ),
    "unknown option of the data set": (
        {"dataset": {"name": "pictures", "rot": "/data"}},
        "dataset.rot",
        "given '/data'",
        "'root'",
    ),
    "unknown own key of a model": (
        {"models": [{"name": "tiny", "lable": "x"}]},
        "models[0].lable",
        "given 'x'",
        "'label'",
    ),
    "unknown model": ({"models": ["plain", "tinny"]}, "models[1].name", "unknown model 'tinny'", "'tiny'"),
    "unknown model in capitals": ({"models": ["TINY"]}, "models[0].name", "unknown model 'TINY'", "'tiny'"),
    "a family without a member": ({"models": ["family:"]}, "models[0].name", "unknown model 'family:'", "'family:'"),
    "unknown data set": ({"dataset": "pictrues"}, "dataset.name", "unknown dataset 'pictrues'", "'pictures'"),
    "unknown transform": (
        {"transforms": {"train": ["normalise"]}},
        "transforms.train[0].name",
        "unknown transform 'normalise'",
        "'normalize'",
    ),
    "unknown loss": ({"train": {"epochs": 1, "loss": "dise"}}, "train.loss[0].name", "unknown loss 'dise'", "'dice'"),
    "unknown optimizer": (
        {"train": {"epochs": 1, "optimizer": "adam"}},
        "train.optimizer.name",
        "unknown optimizer 'adam'",
        "'adamw'",
    ),
    "unknown schedule": (
        {"train": {"epochs": 1, "schedule": {"name": "pol"}}},
        "train.schedule.name",
        "unknown schedule 'pol'",
        "'poly'",
    ),
    "a word for a number": ({"train": {"epochs": "ten"}}, "train.epochs", "given 'ten'", "integer"),
    "yes for a number": ({"train": {"epochs": True}}, "train.epochs", "given True", "expected a number"),
    "yes in a list of numbers": ({"seeds": [True]}, "seeds", "given [True]", "expected a number"),
    "yes for an option": ({"models": [{"name": "tiny", "width": True}]}, "models[0].width", "True", "a number"),
    "a number for a list": ({"seeds": 3}, "seeds", "given 3", "should be a list"),
    "a word for a section": ({"train": "fast"}, "train", "given 'fast'", "should be a mapping"),
    "a list for a component": ({"dataset": ["pictures"]}, "dataset", "a mapping with a 'name'", "datasets"),
    "options that are no mapping": (
        {"models": [{"name": "tiny", "options": 3}]},
        "models[0].options",
        "unknown option",
        "given 3",
    ),
    "a wrong choice": ({"train": {"epochs": 1, "precision": "fp8"}}, "train.precision", "given 'fp8'", "'bf16'"),
    "a wrong choice or number": (
        {"train": {"epochs": 1, "accumulate": "all"}},
        "train.accumulate",
        "given 'all'",
        "'epoch'",
    ),
    "accumulate nothing": ({"train": {"epochs": 1, "accumulate": 0}}, "train.accumulate", "given 0", "at least 1"),
    "a wrong option of a model": (
        {"models": [{"name": "tiny", "norm": "bach"}]},
        "models[0].norm",
        "given 'bach'",
        "'batch'",
    ),
    "a wrong item of an option": (
        {"models": [{"name": "tiny", "layers": [1, "x"]}]},
        "models[0].layers[1]",
        "given 'x'",
        "integer",
    ),
    "a required option is missing": (
        {"transforms": {"train": ["crop"]}},
        "transforms.train[0].size",
        "required",
        "missing",
    ),
    "a required key is missing": ({"models": [{"width": 1}]}, "models[0]", "a 'name'", "models"),
    "epochs and steps": ({"train": {"epochs": 1, "steps": 1}}, "train", "either epochs or steps", ""),
    "neither epochs nor steps": ({"train": {}}, "train", "either epochs or steps", ""),
    "no models": ({"models": []}, "models", "at least 1", ""),
    "no models, with defaults": ({"models": [], "defaults": {"width": 1}}, "models", "at least 1", ""),
    "no seeds": ({"seeds": []}, "seeds", "at least 1", ""),
    "a seed twice": ({"seeds": [1, 1]}, "seeds", "listed twice", "[1, 1]"),
    "a seed below zero": ({"seeds": [-1]}, "seeds[0]", "given -1", "greater than or equal to 0"),
    "a label twice": ({"models": ["tiny", "tiny"]}, "models[1].label", "two models are called 'tiny'", "a label"),
    "no loss": ({"train": {"epochs": 1, "loss": []}}, "train.loss", "at least 1", ""),
    "a loss of no weight": (
        {"train": {"epochs": 1, "loss": [{"name": "dice", "weight": 0}]}},
        "train.loss[0].weight",
        "given 0",
        "greater than 0",
    ),
    "an unknown default": ({"defaults": {"widht": 1}}, "defaults.widht", "given 1", "'width'"),
    "defaults that are a list": ({"defaults": ["width"]}, "defaults", "should be a mapping", ""),
    "a grid of an unknown key": ({"grid": {"train.epoch": [1, 2]}}, "grid", "train.epoch=1", "'epochs'"),
    "a grid of an unknown model": ({"grid": {"models.tinny.width": [1]}}, "grid", "'tinny'", "(tiny)"),
    "a grid of a wrong value": ({"grid": {"train.epochs": [1, 0]}}, "grid", "train.epochs=0", "given 0"),
    "a grid without values": ({"grid": {"train.epochs": []}}, "grid.train.epochs", "at least one value", ""),
    "a grid of one value": ({"grid": {"train.epochs": 3}}, "grid.train.epochs", "given 3", "a list"),
    "a grid of names": ({"grid": {"name": ["a", "b"]}}, "grid.name", "the same for the whole suite", "['a', 'b']"),
    "a grid of grids": ({"grid": {"grid.seeds": [[[1]]]}}, "grid.grid.seeds", "cannot vary", ""),
    "a name that is no folder": ({"name": "../up"}, "name", "given '../up'", "folder"),
    "an unset variable": (
        {"dataset": {"name": "pictures", "root": "${SEGBENCH_UNSET}/x"}},
        "dataset.root",
        "SEGBENCH_UNSET is not set",
        "'${SEGBENCH_UNSET}/x'",
    ),
    "an infinite number": (
        {"train": {"epochs": 1, "optimizer": {"name": "sgd", "lr": float("inf")}}},
        "train.optimizer.lr",
        "given inf",
        "finite",
    ),
    "a fraction above one": ({"dataset": {"name": "pictures", "fraction": 2}}, "dataset.fraction", "given 2", "1"),
    "tiles with gaps": (
        {"evaluate": {"window": {"size": [8, 8], "stride": [9, 8]}}},
        "evaluate.window",
        "gaps",
        "(9, 8)",
    ),
    "a tile of nothing": (
        {"evaluate": {"window": {"size": [0, 8], "stride": [8, 8]}}},
        "evaluate.window.size[0]",
        "given 0",
        "",
    ),
    "no scales": ({"evaluate": {"scales": []}}, "evaluate.scales", "at least one scale", ""),
    "a scale of nothing": ({"evaluate": {"scales": [0]}}, "evaluate.scales", "above 0", "[0]"),
    "validation without a split": (
        {"train": {"epochs": 1, "validate_every": 1}},
        "",
        "dataset.validation_split",
        "validate_every",
    ),
    "a step behind normalize": (
        {"transforms": {"train": ["normalize", {"name": "crop", "size": [8, 8]}]}},
        "transforms.train",
        "crop follows normalize, which has to be the last step",
        "",
    ),
    "a test on what was trained on": (
        {"dataset": {"name": "pictures", "train_split": "test"}},
        "dataset.test_split",
        "is the split that is trained on",
        "given 'test'",
    ),
    "validation on what was trained on": (
        {"train": {"epochs": 1, "select": "best"}, "dataset": {"name": "pictures", "validation_split": "train"}},
        "dataset.validation_split",
        "is the split that is trained on",
        "given 'train'",
    ),
    "the best weights by the test split": (
        {
            "train": {"epochs": 1, "select": "best"},
            "dataset": {"name": "pictures", "validation_split": "test"},
        },
        "",
        "must not be selected on the split that is reported",
        "validation_split",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_suite_is_refused_with_file_key_and_value(case, mini, write):
    changes, key, *texts = WRONG[case]
    path = write(yaml.safe_dump(read_yaml(mini) | changes))
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {key}: " if key else f"{path}: ")
    assert caught.value.key == key
    for text in texts:
        assert text in message


def test_every_mistake_is_told_with_its_own_line(mini, write):
    path = write(yaml.safe_dump(read_yaml(mini) | {"seeds": 3, "evaluate": {"flp": 1}, "models": ["tinny"]}))
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    lines = str(caught.value).splitlines()
    assert [line.startswith(f"{path}: ") for line in lines] == [True, False, False] * 3
    assert [line.strip() for line in lines if line not in lines[::3]].count("^") == 3


@pytest.mark.parametrize(
    ("text", "key", "shown"),
    [
        ("models:\n  - unet\n  - {name: unett}\n", "models[1].name", ["{name: unett}", "name: unett"]),
        ("train:\n  epochs: -1\n", "train.epochs", ["  epochs: -1", "epochs"]),
        ("train: {}\n", "train.epochs", ["train: {}", "train"]),
        ("train: {a: 1}\n", "train.optimizer.lr", ["train: {a: 1}", "train"]),
    ],
)
def test_an_error_about_a_key_shows_its_line_with_a_caret_below_it(text, key, shown):
    _, line, caret = excerpt_of(text, key).split("\n")
    assert line.endswith(shown[0])
    assert line[caret.index("^") :].startswith(shown[1])


@pytest.mark.parametrize("key", ["", "dataset", "models[5].name", "models.name"])
def test_a_key_that_is_nowhere_in_the_file_shows_no_line(key):
    assert excerpt_of("- a\n", key) == ""


def test_an_override_is_not_looked_for_in_the_file(mini):
    with pytest.raises(SuiteError) as caught:
        load_suite(mini, overrides=["train.epochs=-1"])
    assert "^" not in str(caught.value)


def test_an_unknown_model_is_not_hidden_by_the_defaults(mini, write):
    path = write(yaml.safe_dump(read_yaml(mini) | {"models": ["tinny"], "defaults": {"width": 0.5}}))
    with pytest.raises(SuiteError, match="unknown model 'tinny'"):
        load_suite(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n- b\n", "expected a mapping"),
        ("", "expected a mapping"),
        ("just words", "expected a mapping"),
        ("a: [1, 2\nb: 3", "is not YAML"),
        ("train: {epochs: 1}\ntrain: {epochs: 2}", "the key 'train' is given twice"),
        ("a: 1\nb: - c\n", "line 2, column 4: sequence entries are not allowed here\n    b: - c\n       ^"),
        ("a:\n  - {b: 1\n  - c\nd: 2\n", "(begun in line 2), expected ',' or '}'"),
        ('a: "b\n', 'found unexpected end of stream\n    a: "b\n       ^'),
        ("a: 1\nb: \x01\n", "line 2: the character '\\x01' may not stand in YAML"),
        ("a: !!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_by_name(text, problem, write):
    path = write(text)
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert problem in str(caught.value)


def test_a_missing_file_names_the_suites_that_are_there(mini, write, tmp_path):
    write(mini, "other.yaml")
    with pytest.raises(SuiteError, match=r"nowhere\.yaml: there is no such file; suites in this folder: .*other\.yaml"):
        load_suite(tmp_path / "nowhere.yaml")


def test_a_folder_or_a_binary_file_is_refused(tmp_path):
    with pytest.raises(SuiteError, match="cannot be read"):
        load_suite(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(SuiteError, match="is no UTF-8 text"):
        load_suite(tmp_path / "bytes.yaml")


def test_numbers_in_scientific_notation_are_numbers(mini, write):
    assert load_suite(write(mini)).train.optimizer.options["lr"] == 0.01


def test_the_name_comes_from_the_file(mini, write):
    text = mini.replace("name: mini\n", "", 1)
    assert load_suite(write(text, "speed.yaml")).name == "speed"
    assert load_suite(write(text, "my first (try).yaml")).name == "my-first-try"
    assert load_suite(write(text, "...yaml")).name == "suite"


def test_variables_are_filled_in_from_the_environment(mini, write, monkeypatch):
    monkeypatch.setenv("SEGBENCH_TRIAL", "7")
    suite = load_suite(write(mini.replace("epochs: 3", "epochs: ${SEGBENCH_TRIAL}")))
    assert suite.train.epochs == 7


def test_a_suite_built_in_python_is_checked_alike(mini):
    assert check(read_yaml(mini)).name == "mini"
    with pytest.raises(SuiteError) as caught:
        check(read_yaml(mini) | {"seeds": []})
    assert caught.value.file is None
    assert str(caught.value).startswith("seeds: ")
    with pytest.raises(SuiteError, match=r"^a\.yaml: description: .* SEGBENCH_UNSET is not set"):
        check(read_yaml(mini) | {"description": "${SEGBENCH_UNSET}"}, file="a.yaml")


@pytest.mark.parametrize(
    ("override", "same"),
    [
        ("train.epochs=5", ("epochs: 3", "epochs: 5")),
        ("train.optimizer.lr=1e-3", ("lr: 1e-2", "lr: 0.001")),
        ("train.optimizer=adamw", ("optimizer: {name: sgd, lr: 1e-2}", "optimizer: adamw")),
        ("models.tiny.width=0.25", ("width: 0.5", "width: 0.25")),
        ("models.0.width=0.25", ("width: 0.5", "width: 0.25")),
        ("models.plain.dropout=0.1", ("- plain", "- {name: plain, dropout: 0.1}")),
        ("models.1={name: plain, dropout: 0.1}", ("- plain", "- {name: plain, dropout: 0.1}")),
        ("seeds=[7]", ("seeds: [0, 1]", "seeds: [7]")),
        ("evaluate.flip=true", ("seeds:", "evaluate: {flip: true}\nseeds:")),
        ("transforms.train.0.size=[8, 8]", ("size: [16, 16]", "size: [8, 8]")),
        ("dataset.validation_split=", ("size: [24, 32]", "size: [24, 32], validation_split: null")),
        ("description=a=b", ("name: mini", "name: mini\ndescription: a=b")),
    ],
)
def test_an_override_equals_editing_the_file(override, same, mini, write):
    edited = mini.replace(*same, 1)
    assert edited != mini
    assert load_suite(write(mini), overrides=[override]) == load_suite(write(edited, "edited.yaml"))


def test_later_overrides_win(mini, write):
    assert load_suite(write(mini), overrides=["train.epochs=5", "train.epochs=6"]).train.epochs == 6


@pytest.mark.parametrize(
    ("override", "texts"),
    [
        ("train.epochs", ["--set 'train.epochs'", "expected key=value"]),
        ("=3", ["expected key=value"]),
        ("train.epochs=[1", ["train.epochs", "'[1'", "is not YAML"]),
        ("train.epoch=3", ["train.epoch", "unknown key", "'epochs'"]),
        ("trian.epochs=3", ["trian", "unknown key", "'train'"]),
        ("models.tinny.width=1", ["models.tinny.width", "nothing here is called 'tinny'", "0 (tiny)"]),
        ("models.9.width=1", ["nothing here is called '9'"]),
        ("name.first=3", ["name"]),
        ("train.epochs.x=3", ["train.epochs.x", "cannot be set"]),
        ("train.epochs.x.y=3", ["train.epochs.x.y", "cannot be set"]),
        ("train.epochs=many", ["train.epochs", "given 'many'"]),
    ],
)
def test_a_wrong_override_is_refused_with_the_file(override, texts, mini, write):
    path = write(mini)
    with pytest.raises(SuiteError) as caught:
        load_suite(path, overrides=[override])
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    for text in texts:
        assert text in message


def test_read_override_splits_at_the_first_equals_sign():
    assert read_override("a.b = {c: 1}") == ("a.b", {"c": 1})
    assert read_override("a=b=c") == ("a", "b=c")


def test_a_part_of_a_suite_is_checked_with_the_key_it_stands_under():
    entry = check_part(ModelEntry, {"name": "tiny", "width": 0.5})
    assert entry.options["width"] == 0.5
    with pytest.raises(SuiteError, match=r"^models\[3\]\.widht: unknown option of tiny, did you mean 'width'"):
        check_part(ModelEntry, {"name": "tiny", "widht": 0.5}, key="models[3]")


def test_paths_count_from_the_suite_file_when_they_exist_there(mini, write, tmp_path, monkeypatch):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "net.pt").touch()
    (tmp_path / "encoder.pt").touch()
    text = mini.replace("size: [24, 32]", "size: [24, 32], root: pictures").replace(
        "width: 0.5", "width: 0.5, weights: net.pt, pretrained: encoder.pt"
    )
    path = write(text)
    monkeypatch.chdir("/")
    suite = load_suite(path)
    assert suite.dataset.options["root"] == str(tmp_path / "pictures")
    assert suite.models[0].weights == str(tmp_path / "net.pt")
    assert suite.models[0].options["pretrained"] == str(tmp_path / "encoder.pt")


def test_paths_that_do_not_exist_there_and_overrides_count_from_the_current_folder(mini, write, tmp_path):
    (tmp_path / "pictures").mkdir()
    path = write(mini.replace("size: [24, 32]", "size: [24, 32], root: elsewhere"))
    assert load_suite(path).dataset.options["root"] == "elsewhere"
    assert load_suite(path, overrides=["dataset.root=pictures"]).dataset.options["root"] == "pictures"
