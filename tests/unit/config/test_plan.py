"""A run is a value: its identity follows all that can change its result, and nothing else."""

import hashlib
import itertools
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import segbench.models
from segbench.config import Run, Suite, plan
from segbench.config.component import ModelEntry
from segbench.config.load import check
from segbench.config.plan import canonical_model, digest, seeding_model, source_digest, variants
from segbench.config.reading.dotted_keys import with_keys
from segbench.config.reading.yaml_loader import read_yaml
from segbench.errors import SuiteError

HERE = Path(__file__).parent
GOLDEN_IDS = ["tiny-seed0-31c554985c", "plain-seed0-e171d0b0d4", "tiny-seed1-c12fc25ec2", "plain-seed1-440a49bdf6"]
"""Ids of the runs of ``mini``. They name folders of stored results: a change here orphans all of them."""

CHANGES = {
    "dataset.size": [[24, 33], [48, 64]],
    "dataset.train_split": ["trainval"],
    "dataset.validation_split": ["val"],
    "dataset.test_split": ["val"],
    "dataset.fraction": [0.5, 0.25],
    "dataset.limit": [4],
    "transforms.train": [["normalize"], []],
    "transforms.train.0.size": [[8, 8]],
    "transforms.train.0.scale": [[0.5, 1.0]],
    "transforms.test": [[], [{"name": "normalize", "mean": [0.5, 0.5, 0.5]}]],
    "train": [None],
    "train.epochs": [4, 300],
    "train.batch_size": [4],
    "train.accumulate": [2, "epoch"],
    "train.drop_last": [False],
    "train.loss": ["dice", ["cross_entropy", "dice"], {"name": "cross_entropy", "class_weights": [1, 2]}],
    "train.optimizer": ["adamw"],
    "train.optimizer.lr": [0.1],
    "train.optimizer.momentum": [0.0],
    "train.schedule": ["poly", {"name": "constant", "warmup_steps": 5}],
    "train.clip_gradient_norm": [1.0],
    "train.ema_decay": [0.99],
    "train.precision": ["bf16"],
    "train.channels_last": [True],
    "train.compile": [True, "default"],
    "train.deterministic": [True],
    "train.init": ["torch", "kaiming", "xavier"],
    "train.micro_batch": [2, "auto"],
    "train.auxiliary": [0.4, [0.4, 0.2], {"aux": 0.4}],
    "evaluate.batch_size": [1],
    "evaluate.window": [{"size": [8, 8], "stride": [4, 4]}],
    "evaluate.scales": [[0.5, 1.0]],
    "evaluate.flip": [True],
    "evaluate.precision": ["fp16"],
    "models.tiny.width": [0.25, 1],
    "models.tiny.norm": ["batch", "none"],
    "models.tiny.layers": [[3]],
    "models.tiny.pretrained": [True, "weights.pt"],
    "models.tiny.weights": ["weights.pt"],
    "models.tiny.strict": [False],
    "models.tiny.pad_to": [32, 16],
    "models.tiny.output": ["pred", 1],
}
"""What changes results: dotted keys with other values than those of ``mini``."""

NO_CHANGES = {
    "description": ["a trial"],
    "name": ["another"],
    "dataset.root": ["/data/pictures", "pictures"],
    "dataset.download": [True],
    "evaluate.samples": [0, 9],
    "dataset.allow": [["void"], ["one-class", "same-picture"]],
    "train.keep_weights": [False],
    "train.activation_checkpointing": [True],
    "loader.workers": [2],
    "loader.cache": ["memory", "disk"],
    "loader.cache_folder": ["/scratch"],
    "loader.cache_gigabytes": [1],
    "resume.every_minutes": [0.5, None],
    "resume.every_steps": [100],
    "resume.keep": [True],
    "models.tiny.label": ["a better name"],
}
"""What changes no result."""


def pairs(changes):
    return [(key, value) for key, values in changes.items() for value in values]


def first_run(document) -> Run:
    return plan(check(document))[0]


@pytest.mark.parametrize(("key", "value"), pairs(CHANGES))
def test_whatever_changes_the_result_changes_the_identity(key, value, mini):
    document = read_yaml(mini)
    assert first_run(with_keys(document, {key: value})).identity != first_run(document).identity


def test_a_key_that_came_later_leaves_the_ids_of_recipes_that_do_not_use_it(mini):
    train = first_run(read_yaml(mini)).recipe.canonical()["train"]
    assert not {"deterministic", "distill", "init", "micro_batch"} & train.keys()


@pytest.mark.parametrize(("key", "value"), pairs(NO_CHANGES))
def test_what_changes_no_result_leaves_the_identity(key, value, mini):
    document = read_yaml(mini)
    changed, first = first_run(with_keys(document, {key: value})), first_run(document)
    assert changed.identity == first.identity
    assert changed.recipe.protocol_id == first.recipe.protocol_id


@pytest.mark.parametrize("key", [key for key in CHANGES if key.startswith("models.")])
def test_a_model_does_not_change_the_protocol(key, mini):
    document = read_yaml(mini)
    changed = first_run(with_keys(document, {key: CHANGES[key][0]}))
    assert changed.recipe.protocol_id == first_run(document).recipe.protocol_id


def test_seeds_have_identities_of_their_own(mini):
    runs = plan(check(read_yaml(mini)))
    assert len({run.identity for run in runs}) == len(runs) == 4


@given(chosen=st.sets(st.sampled_from([key for key in CHANGES if "." in key]), max_size=5))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_set_of_changes_has_an_identity_of_its_own(chosen, mini):
    document = read_yaml(mini)
    values = {key: CHANGES[key][0] for key in chosen if not any(key.startswith(f"{other}.") for other in chosen)}
    run = first_run(with_keys(document, values))
    identities = {run.identity}
    for key in values:
        fewer = {other: value for other, value in values.items() if other != key}
        identities.add(first_run(with_keys(document, fewer)).identity)
    assert len(identities) == 1 + len(values)
    assert first_run(with_keys(document, dict(reversed(values.items())))).identity == run.identity


@given(order=st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_keys_does_not_matter(order, mini):
    def shuffled(value):
        if isinstance(value, dict):
            items = [(key, shuffled(part)) for key, part in value.items()]
            order.shuffle(items)
            return dict(items)
        return [shuffled(part) for part in value] if isinstance(value, list) else value

    document = read_yaml(mini)
    assert [run.id for run in plan(check(shuffled(document)))] == [run.id for run in plan(check(document))]


def test_an_option_at_its_default_equals_an_option_left_out(mini):
    document = read_yaml(mini)
    explicit = with_keys(
        document, {"models.plain.dropout": 0.5, "train.batch_size": 8, "train.optimizer.momentum": 0.9}
    )
    assert [run.id for run in plan(check(explicit))] == [run.id for run in plan(check(document))]


def test_whole_numbers_are_the_same_written_either_way(mini):
    document = read_yaml(mini)
    one, other = (with_keys(document, {"models.tiny.width": width, "train.optimizer.lr": 1}) for width in (1, 1.0))
    assert first_run(one).identity == first_run(other).identity


def test_ids_are_stable_across_versions(mini):
    assert [run.id for run in plan(check(read_yaml(mini)))] == GOLDEN_IDS


def test_a_suite_that_names_no_seeds_trains_each_network_three_times(mini):
    runs = plan(check({key: value for key, value in read_yaml(mini).items() if key != "seeds"}))
    assert [run.seed for run in runs if run.label == "tiny"] == [0, 1, 2]


def test_ids_are_stable_across_processes_and_hash_seeds(write, mini):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from conftest import CATALOGS\n"
        "for (module, attribute), members in CATALOGS.items():\n"
        "    setattr(module, attribute, {name: f'toys:{factory}' for name, factory in members.items()})\n"
        "from segbench.config import load_suite, plan\n"
        "print(*(run.id for run in plan(load_suite(sys.argv[2]))))\n"
        "assert 'torch' not in sys.modules and 'toys' not in sys.modules\n"
    )
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(HERE), str(write(mini))],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == GOLDEN_IDS


def test_a_file_of_weights_counts_by_its_content(mini, tmp_path):
    document = read_yaml(mini)
    here, there = tmp_path / "a.pt", tmp_path / "b.pt"
    here.write_bytes(b"weights")
    there.write_bytes(b"weights")

    def identity(key, file):
        return first_run(with_keys(document, {f"models.tiny.{key}": str(file)})).identity

    for key in ("weights", "pretrained"):
        before = identity(key, here)
        assert before == identity(key, there)
        there.write_bytes(b"others!")
        assert before != identity(key, there)
        there.write_bytes(b"weights")


@pytest.fixture
def weights_folder(tmp_path, monkeypatch):
    """A folder that ``$SEGBENCH_WEIGHTS`` names, with a file of weights for each name given to it."""
    monkeypatch.setenv("SEGBENCH_WEIGHTS", str(tmp_path))

    def put(**contents):
        for name, content in contents.items():
            (tmp_path / f"{name}.safetensors").write_bytes(content)
        return tmp_path

    return put


def canonical_pretrained(**options):
    return canonical_model(ModelEntry.model_validate({"name": "family:x", "pretrained": True, **options}))["pretrained"]


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_supplied_weights_count_by_their_content(mini, weights_folder):
    document = with_keys(read_yaml(mini), {"models.tiny.pretrained": True})
    fetched = first_run(document).identity
    identities = []
    for content in (b"first", b"other", b"first"):
        weights_folder(vgg16=content)
        identities.append(first_run(document).identity)
    assert identities[0] == identities[2] != identities[1]
    assert fetched not in identities


def test_a_supplied_file_is_the_same_as_its_path(mini, weights_folder):
    path = weights_folder(vgg16=b"abc") / "vgg16.safetensors"
    runs = [first_run(with_keys(read_yaml(mini), {"models.tiny.pretrained": given})) for given in (True, str(path))]
    assert runs[0].identity == runs[1].identity


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [b"plain", b"normed"]),
        ({"norm": None}, [b"plain", b"normed"]),
        ({"norm": "none"}, [b"plain"]),
        ({"norm": "batch"}, [b"normed"]),
        ({"encoder": "vgg16", "norm": "batch"}, [b"plain", b"normed"]),
        ({"encoder": None, "norm": "none"}, [b"plain"]),
        ({"encoder": "resnet18", "norm": "batch"}, [b"residual"]),
    ],
)
def test_the_files_that_a_network_may_start_from_count(weights_folder, options, expected):
    weights_folder(vgg16=b"plain", vgg16_bn=b"normed", resnet18=b"residual", resnet50=b"not asked for")
    digests = [sha256(content) for content in expected]
    assert canonical_pretrained(**options) == (digests[0] if len(digests) == 1 else digests)


@pytest.mark.parametrize("options", [{"encoder": "resnet50"}, {"pretrained": False}, {"pretrained": "IMAGENET1K_V1"}])
def test_without_a_supplied_file_the_option_stands_as_given(weights_folder, options):
    weights_folder(vgg16=b"plain")
    assert canonical_pretrained(**options) == options.get("pretrained", True)


@pytest.mark.parametrize("name", ["torchvision:fcn_resnet50", "smp:Unet"])
def test_families_that_fetch_their_own_weights_take_no_supplied_ones(weights_folder, name, monkeypatch):
    monkeypatch.setitem(segbench.models.CATALOG, name.partition(":")[0] + ":", "toys:anything")
    weights_folder(vgg16=b"plain")
    entry = ModelEntry.model_validate({"name": name, "pretrained": True})
    assert canonical_model(entry)["pretrained"] is True


def test_changed_code_of_a_python_network_is_another_run(mini, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "my_networks" / "net.py"
    module.parent.mkdir()
    (module.parent / "__init__.py").write_text("raise ImportError('must not be imported')")
    identities = []
    for code in ("raise 1", "raise 2", "raise 1"):
        module.write_text(code)
        document = read_yaml(mini) | {"models": [{"name": "python:my_networks.net.Net", "width": 1.0}]}
        identities.append(first_run(document).identity)
    assert identities[0] == identities[2] != identities[1]
    assert "my_networks" not in sys.modules


@pytest.mark.parametrize("target", ["sys.intern", "nothing_of_this_name.net.Net", "net"])
def test_a_python_network_without_a_source_has_none_in_its_identity(target):
    entry = ModelEntry.model_validate({"name": f"python:{target}"})
    assert canonical_model(entry) == {"name": f"python:{target}", "strict": True, "width": 1.0}
    assert source_digest(entry.name) is None


def test_only_networks_given_by_their_import_path_have_a_source(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lone_net.py").write_text("x = 1")
    assert source_digest("python:lone_net.Net") == sha256(b"x = 1")
    assert source_digest("family:lone_net.Net") is None


@given(lengths=st.lists(st.integers(1, 3), min_size=1, max_size=3))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_grid_is_the_product_of_its_values(lengths, mini):
    keys = ["train.epochs", "train.optimizer.lr", "train.batch_size"][: len(lengths)]
    grid = {key: list(range(1, length + 1)) for key, length in zip(keys, lengths, strict=True)}
    document = read_yaml(mini) | {"grid": grid, "seeds": [0]}
    runs = plan(check(document))
    points = [dict(zip(keys, values, strict=True)) for values in itertools.product(*grid.values())]
    assert [run.point for run in runs[::2]] == points
    assert len(runs) == 2 * len(points)
    for point, run in zip(points, runs[::2], strict=True):
        alone = {key: value for key, value in document.items() if key != "grid"}
        assert run.identity == first_run(with_keys(alone, point)).identity


def test_several_grids_are_run_one_after_the_other_and_a_point_of_two_once(mini):
    grid = [{}, {"train.epochs": [1, 2]}, {"train.batch_size": [3], "train.epochs": [1, 2]}, {"train.epochs": [2, 5]}]
    document = read_yaml(mini) | {"grid": grid, "seeds": [0]}
    suite = check(document)
    both = [{"train.batch_size": 3, "train.epochs": epochs} for epochs in (1, 2)]
    points = [{}, {"train.epochs": 1}, {"train.epochs": 2}, *both, {"train.epochs": 5}]
    assert [point for point, _ in variants(suite)] == points
    alone = {key: value for key, value in document.items() if key != "grid"}
    expected = [run.identity for point in points for run in plan(check(with_keys(alone, point)))]
    assert [run.identity for run in plan(suite)] == list(dict.fromkeys(expected))
    assert Suite.model_validate(suite.model_dump()).grid == suite.grid


def test_a_single_grid_is_stored_as_it_always_was(mini):
    grid = {"train.epochs": [1, 2]}
    assert check(read_yaml(mini) | {"grid": grid}).model_dump(mode="json")["grid"] == grid
    assert check(read_yaml(mini) | {"grid": [grid]}).model_dump(mode="json")["grid"] == grid
    assert check(read_yaml(mini)).model_dump(mode="json")["grid"] == {}


@pytest.mark.parametrize(
    ("grid", "problem"),
    [
        ([{}, {"train.epochs": []}], r"grid\[1\]\.train\.epochs: needs at least one value"),
        ([{}, {"train.epochs": [1, "x"]}], r"grid\[1\]: with train\.epochs='x': train\.epochs"),
        ([{}, {"name": ["a"]}], r"grid\[1\]\.name: cannot vary"),
        ([{}, {"train.epochs": 1}], r"grid\[1\]\.train\.epochs: should be a list"),
        ([], r"grid: needs at least 1 entry"),
        ({"train.epochs": 1}, r"grid\.train\.epochs: should be a list"),
        ([{}, {"train.epochs": list(range(1, 10_001))}], r"grid: has 10,001 combinations"),
    ],
)
def test_a_wrong_grid_among_several_is_named(grid, problem, mini):
    with pytest.raises(SuiteError, match=problem):
        check(read_yaml(mini) | {"grid": grid})


def test_a_suite_without_a_grid_has_one_point(mini):
    suite = check(read_yaml(mini))
    assert variants(suite) == [({}, suite)]


def test_a_grid_over_one_model_runs_the_others_once(mini):
    suite = check(read_yaml(mini) | {"grid": {"models.tiny.width": [0.25, 0.75]}, "seeds": [0]})
    runs = plan(suite)
    assert [(run.label, run.point) for run in runs] == [
        ("tiny (width=0.25)", {"models.tiny.width": 0.25}),
        ("plain", {}),
        ("tiny (width=0.75)", {"models.tiny.width": 0.75}),
    ]


def test_a_grid_over_defaults_reaches_the_models_that_do_not_set_the_option(mini):
    models = ["tiny", {"name": "tiny", "label": "fixed", "width": 1.0}, "plain"]
    suite = check(read_yaml(mini) | {"models": models, "grid": {"defaults.width": [0.25, 0.75]}, "seeds": [0]})
    assert [(run.label, run.model.options.get("width")) for run in plan(suite)] == [
        ("tiny (width=0.25)", 0.25),
        ("fixed", 1.0),
        ("plain", None),
        ("tiny (width=0.75)", 0.75),
    ]


def test_a_grid_over_the_recipe_leaves_the_labels(mini):
    runs = plan(check(read_yaml(mini) | {"grid": {"train.epochs": [1, 2]}}))
    assert {run.label for run in runs} == {"tiny", "plain"}
    assert len({run.recipe.protocol_id for run in runs}) == 2


def test_a_grid_may_exchange_whole_components(mini):
    runs = plan(check(read_yaml(mini) | {"grid": {"train.optimizer": ["adamw", "sgd"]}, "seeds": [0]}))
    assert [run.recipe.train.optimizer.name for run in runs] == ["adamw", "adamw", "sgd", "sgd"]


@pytest.mark.parametrize("key", ["loader.workers", "evaluate.samples"])
def test_a_grid_key_that_changes_no_run_is_refused(key, mini):
    suite = check(read_yaml(mini) | {"grid": {key: [1, 2]}})
    with pytest.raises(SuiteError, match=rf"grid\.{key}: changes no run"):
        plan(suite)


def test_one_network_twice_under_the_same_folder_name_is_refused(mini):
    models = [{"name": "tiny", "label": "a b"}, {"name": "tiny", "label": "a-b"}]
    with pytest.raises(SuiteError, match=r"models: 'a b' and 'a-b' are the same network"):
        plan(check(read_yaml(mini) | {"models": models}))


@pytest.mark.parametrize(
    ("label", "start"),
    [("U-Net (ours)", "U-Net-ours-seed0-"), ("../../etc", "etc-seed0-"), ("…", "model-seed0-"), ("x" * 300, "x" * 80)],
)
def test_ids_are_folder_names(label, start, mini):
    run = first_run(with_keys(read_yaml(mini), {"models.tiny.label": label}))
    assert run.id.startswith(start)
    assert len(run.id) < 120
    assert not set(run.id) & set("/\\ ():")


def test_suites_survive_json(mini):
    suite = check(read_yaml(mini) | {"grid": {"train.epochs": [1, 2]}, "defaults": {"dropout": 0.1}})
    again = Suite.model_validate(json.loads(json.dumps(suite.model_dump(mode="json"))))
    assert again == suite
    assert [run.id for run in plan(again)] == [run.id for run in plan(suite)]


def test_suites_and_runs_survive_pickling(mini):
    suite = check(read_yaml(mini) | {"grid": {"train.epochs": [1, 2]}})
    assert pickle.loads(pickle.dumps(suite)) == suite
    for run in plan(suite):
        again = pickle.loads(pickle.dumps(run))
        assert again == run
        assert again.identity == run.identity


def test_runs_survive_json(mini):
    for run in plan(check(read_yaml(mini) | {"grid": {"train.epochs": [1, 2]}})):
        again = Run.model_validate_json(run.model_dump_json())
        assert again == run
        assert (again.id, again.label) == (run.id, run.label)
        assert again.recipe.transforms.train[0].options["size"] == (16, 16)


def test_a_canonical_model_has_neither_label_nor_path(tmp_path):
    (tmp_path / "net.pt").write_bytes(b"abc")
    entry = ModelEntry.model_validate({"name": "tiny", "label": "x", "weights": str(tmp_path / "net.pt")})
    assert canonical_model(entry) == {
        "name": "tiny",
        "weights": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "strict": True,
        "width": 1.0,
        "norm": None,
        "layers": [1, 2],
        "pretrained": False,
    }


def test_digests_are_those_of_canonical_json():
    assert digest({"b": [1, 2.5, None], "a": "ü"}) == digest({"a": "ü", "b": [1, 2.5, None]})
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    with pytest.raises(ValueError, match="Out of range"):
        digest(float("nan"))


def test_recipes_that_start_as_papers_do_keep_their_ids(mini):
    document = read_yaml(mini)
    plain, same = first_run(document), first_run(with_keys(document, {"train.init": "paper"}))
    assert (same.id, same.protocol_id) == (plain.id, plain.protocol_id)


def test_models_and_recipes_without_the_keys_of_outputs_keep_their_ids(mini):
    document = read_yaml(mini)
    plain = first_run(document)
    for keys in ({"train.auxiliary": None}, {"models.tiny.pad_to": None}, {"models.tiny.output": None}):
        same = first_run(with_keys(document, keys))
        assert (same.id, same.protocol_id) == (plain.id, plain.protocol_id)


def test_initial_weights_do_not_depend_on_how_a_network_is_used():
    plain, adapted = (
        ModelEntry.model_validate({"name": "tiny", **given}) for given in ({}, {"pad_to": 32, "output": 1})
    )
    assert seeding_model(adapted) == seeding_model(plain)
    assert canonical_model(adapted) == canonical_model(plain) | {"pad_to": 32, "output": 1}
    assert adapted.settings == plain.options | {"pad_to": 32, "output": 1}


def test_without_training_there_is_no_scheme(mini):
    assert first_run(with_keys(read_yaml(mini), {"train": None})).recipe.init == "paper"
