"""The main job on a tiny suite: one fair leaderboard, resumed, extended, and robust to networks that go wrong."""

from __future__ import annotations

import json
import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image
from programs import modules_after
from safetensors.torch import save_file
from tiny import document

from segbench.config.load import check
from segbench.engine.events import Notice, Progress, RunEnded, RunStarted
from segbench.engine.suite import run_suite as launch
from segbench.errors import DataError, SuiteError, UnknownNameError, UsageError
from segbench.metrics.scores import score
from segbench.results.arrays.matrices import load_matrices
from segbench.results.record import Status

pytestmark = pytest.mark.slow(reason="trains suites")

run_suite = partial(launch.run_suite, device="cpu")


def started(events):
    return [event.label for event in events if isinstance(event, RunStarted)]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The tiny suite, run once in processes of their own."""
    results = tmp_path_factory.mktemp("first")
    events = []
    return run_suite(check(document()), results=results, observer=events.append), events, results


def test_every_network_is_trained_evaluated_and_stored(first, records):
    outcome, events, results = first
    assert outcome.complete
    assert started(events) == ["unet", "cnn"]
    splits = json.loads((results / "tiny" / "data.json").read_text()).values()
    void = next(split["void_pixels"] for split in splits if split["split"] == "test")
    for name, record in records(results).items():
        folder = results / "tiny" / name
        assert record["outcome"]["status"] == "completed"
        assert record["data"]["train_images"] == 12
        assert record["timings"]["training_images_per_second"] > 0
        assert record["timings"]["evaluation_images_per_second"] > 0
        assert record["test_loss"] > 0
        matrices = load_matrices(folder / "confusion.npz")
        assert matrices.matrices.shape == (6, 8, 8)
        assert matrices.total.sum() == 6 * 32 * 32 - void
        history = pd.read_csv(folder / "history.csv")
        assert history["epoch"].tolist() == [1, 2]
        assert history["step"].tolist() == [3, 6]
        assert np.isfinite(history[["loss", "learning_rate", "images_per_second", "data_wait_share"]]).all(axis=None)
        assert len(list((folder / "samples").glob("*.png"))) == 3


def test_all_networks_are_fed_the_same(first):
    outcome, _, _ = first
    assert len({record.data.train_digest for record in outcome.records}) == 1
    assert len({record.data.test_digest for record in outcome.records}) == 1


def test_the_scores_told_are_those_of_the_stored_matrices(first):
    outcome, events, _ = first
    for event in events:
        if isinstance(event, RunEnded):
            matrices = load_matrices(outcome.store.folder / event.run_id / "confusion.npz")
            assert event.mean_iou == score(matrices.total).mean_iou


def test_the_same_suite_again_trains_nothing(first, tiny):
    outcome, _, results = first
    events = []
    again = run_suite(tiny(), results=results, observer=events.append)
    assert started(events) == []
    assert again.records == outcome.records


def test_a_finished_suite_is_known_as_such_without_torch(first):
    _, _, results = first
    program = (
        "from segbench.config.load import check\n"
        "from segbench.engine.suite.run_suite import run_suite\n"
        f"outcome = run_suite(check({document()!r}), results={str(results)!r})\n"
        "assert len(outcome.done_before) == len(outcome.records) == 2\n"
    )
    assert "torch" not in modules_after(program)


def test_adding_a_model_trains_only_that_one(first, tiny, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(first[2], results)
    events = []
    run_suite(tiny(models=["unet", "segnet_basic", "cnn"]), results=results, observer=events.append)
    assert started(events) == ["segnet_basic"]


def test_a_changed_recipe_is_a_new_run_and_the_old_one_is_named(first, tiny, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(first[2], results)
    events = []
    run_suite(tiny(models=["cnn"], train={"epochs": 1}), results=results, observer=events.append)
    assert started(events) == ["cnn"]
    notices = " ".join(event.text for event in events if isinstance(event, Notice))
    assert all(record.id in notices for record in first[0].records)


@pytest.mark.parametrize("workers", [0, 2, 4])
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_what_all_networks_are_fed_does_not_depend_on_workers(first, tiny, tmp_path, workers):
    suite = tiny(models=["segnet_basic", "keras_cnn"], loader={"workers": workers}, train={"epochs": 2})
    outcome = run_suite(suite, results=tmp_path, in_process=True)
    expected = first[0].records[0].data
    for record in outcome.records:
        assert record.data.train_digest == expected.train_digest
        assert record.data.test_digest == expected.test_digest


def test_the_same_run_gives_the_same_scores(first, tiny, tmp_path):
    outcome = run_suite(tiny(), results=tmp_path, in_process=True)
    for record in outcome.records:
        again = load_matrices(outcome.store.folder / record.id / "confusion.npz").matrices
        before = load_matrices(first[0].store.folder / record.id / "confusion.npz").matrices
        assert np.array_equal(again, before)


def test_networks_that_go_wrong_become_rows_and_stop_no_other(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    names = ["killed", "raising", "diverging", "greedy", "too_many_classes", "looking_at_values", "without_weights"]
    models = [{"name": f"python:misbehaving.{name}", "label": name} for name in names]
    suite = tiny(models=[*models, {"name": "deconvnet", "label": "refusing"}, "cnn"])
    outcome = run_suite(suite, results=tmp_path)
    rows = {record.label: record.outcome for record in outcome.records}
    assert not outcome.complete
    assert rows["cnn"].status is Status.COMPLETED
    assert rows["killed"].status is Status.FAILED
    assert "SIGKILL" in rows["killed"].reason
    assert rows["raising"].reason == "RuntimeError: the flux capacitor is empty"
    assert "misbehaving.py" in rows["raising"].traceback
    assert "became nan in epoch 1, step 2, at learning rate 0.003" in rows["diverging"].reason
    assert rows["greedy"].reason.startswith("out of memory on cpu with batches of 4 images")
    assert rows["too_many_classes"].status is Status.SKIPPED
    assert "scores of 9 classes, and the data set has 8" in rows["too_many_classes"].reason
    assert rows["looking_at_values"].status is Status.COMPLETED
    assert rows["without_weights"].status is Status.FAILED
    assert "no trainable parameters" in rows["without_weights"].reason
    assert rows["refusing"].status is Status.SKIPPED
    assert "cannot take 32x32" in rows["refusing"].reason


@pytest.mark.parametrize(
    "changes",
    [
        {"transforms": {"train": [{"name": "random_crop", "size": [8, 8]}, "normalize"]}},
        {"evaluate": {"scales": [1.0, 0.25]}},
        {"evaluate": {"window": {"size": [8, 8], "stride": [8, 8]}}},
        {"transforms": {"test": [{"name": "resize", "size": [8, 8]}, "normalize"]}},
    ],
)
def test_a_size_that_a_network_would_meet_later_is_refused_before_training(tiny, tmp_path, changes):
    events = []
    outcome = run_suite(tiny(models=["fc_densenet56"], **changes), results=tmp_path, observer=events.append)
    assert outcome.records[0].outcome.status is Status.SKIPPED
    assert "cannot take 8x8" in outcome.records[0].outcome.reason
    assert not any(isinstance(event, Progress) and event.stage == "training" for event in events)


@pytest.mark.slow(reason="compiles a network")
def test_averaging_compiling_and_selecting_go_together(tiny, tmp_path):
    recipe = {"epochs": 2, "ema_decay": 0.9, "compile": True, "select": "best", "validate_every": 1}
    outcome = run_suite(tiny(models=["segnet_basic"], train=recipe), results=tmp_path, in_process=True)
    assert outcome.complete
    checkpoint = outcome.store.folder / outcome.records[0].id / "checkpoint.safetensors"
    loaded = tiny(models=[{"name": "segnet_basic", "weights": str(checkpoint)}], train=None)
    again = run_suite(loaded, results=tmp_path / "loaded", in_process=True)
    before = load_matrices(outcome.store.folder / outcome.records[0].id / "confusion.npz").matrices
    after = load_matrices(again.store.folder / again.records[0].id / "confusion.npz").matrices
    assert np.array_equal(before, after)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_cuda_runs_the_whole_suite(tiny, tmp_path, precision):
    recipe = {"precision": precision, "channels_last": True, "ema_decay": 0.9, "loss": ["cross_entropy", "dice"]}
    suite = tiny(models=["unet", "segnet", "fc_densenet56"], train=recipe, loader={"workers": 2})
    outcome = launch.run_suite(suite, results=tmp_path, device="cuda")
    assert outcome.complete
    assert all(record.environment["device_name"] for record in outcome.records)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_cuda_gives_the_same_bits_again_where_the_recipe_asks_for_it(tiny, tmp_path, precision):
    suite = tiny(models=["unet", "fcn8s"], train={"deterministic": True, "precision": precision}, loader={"workers": 2})
    stores = [launch.run_suite(suite, results=tmp_path / name, device="cuda").store for name in ("once", "again")]
    runs = list(stores[0].folder.glob("*/run.json"))
    assert len(runs) == 2
    for run in runs:
        for name in ("confusion.npz", "checkpoint.safetensors"):
            first, second = ((store.folder / run.parent.name / name).read_bytes() for store in stores)
            assert first == second, (run.parent.name, name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("compiled", [True, "reduce-overhead", "max-autotune"])
def test_cuda_trains_compiled_networks(tiny, tmp_path, compiled):
    suite = tiny(models=["unet"], train={"compile": compiled, "precision": "bf16", "channels_last": True})
    assert launch.run_suite(suite, results=tmp_path, device="cuda").complete


def test_failed_runs_are_tried_again_and_finished_ones_are_not(tiny, tmp_path):
    suite = tiny(models=[{"name": "python:misbehaving.raising", "label": "raising"}, "cnn"])
    run_suite(suite, results=tmp_path, in_process=True)
    events = []
    run_suite(suite, results=tmp_path, in_process=True, observer=events.append)
    assert started(events) == ["raising"]


def test_loaded_weights_score_as_they_did_when_trained(first, tiny, tmp_path):
    trained = next(record for record in first[0].records if record.label == "unet")
    weights = first[0].store.folder / trained.id / "checkpoint.safetensors"
    suite = tiny(models=[{"name": "unet", "weights": str(weights)}], train=None)
    outcome = run_suite(suite, results=tmp_path, in_process=True)
    assert outcome.records[0].model.pretrained
    assert outcome.records[0].model.weights_digest is not None
    loaded = load_matrices(outcome.store.folder / outcome.records[0].id / "confusion.npz")
    before = load_matrices(first[0].store.folder / trained.id / "confusion.npz")
    assert np.array_equal(loaded.matrices, before.matrices)


def test_weights_that_fit_in_part_are_taken_in_part_and_the_rest_is_listed(first, tiny, tmp_path):
    trained = next(record for record in first[0].records if record.label == "unet")
    weights = str(first[0].store.folder / trained.id / "checkpoint.safetensors")
    wider = {"name": "unet", "weights": weights, "up": "bilinear"}
    with pytest.raises(
        SuiteError, match=r"models \(unet\): .* 4 tensors have another shape: .*; strict: false loads what fits, 98 %"
    ):
        run_suite(tiny(models=[wider], train=None), results=tmp_path / "strict", in_process=True)
    events = []
    taken = run_suite(
        tiny(models=[wider | {"strict": False}], train=None), results=tmp_path, in_process=True, observer=events.append
    )
    assert taken.complete
    assert any(taken.records[0].model.weights_left_out.values())
    assert taken.records[0].model.weights_share == pytest.approx(0.98, abs=0.005)
    assert any(
        "98 % of the network was taken: 4 tensors have" in event.text for event in events if isinstance(event, Notice)
    )


def test_a_record_says_what_started_from_a_vggs_weights(tiny, tmp_path):
    with torch.device("meta"):
        shapes = timm.create_model("vgg16").state_dict()
    convolutions = {
        key: torch.full(tensor.shape, 2.0**-8, dtype=torch.float16)
        for key, tensor in shapes.items()
        if key.startswith("features.")
    }
    save_file(convolutions, tmp_path / "vgg16_hed.safetensors")
    events = []
    model = {"name": "segnet", "width": 1.0, "pretrained": str(tmp_path / "vgg16_hed.safetensors")}
    suite = tiny(models=[model], train=None)
    outcome = run_suite(suite, results=tmp_path / "results", in_process=True, observer=events.append)
    loaded = outcome.store.find(outcome.records[0].id).model.weights_loaded
    assert loaded.tensors["convolutions"][:2] == ("encoder.0.0.convolution.weight", "encoder.0.0.convolution.bias")
    words = "13 convolutions from vgg16_hed.safetensors; batch norms and the rest initialised"
    assert str(loaded) == words
    assert f"segnet: {words}" in [event.text for event in events if isinstance(event, Notice)]


UPSAMPLED = """
import torch
from torch import nn

def network(*, classes, channels):
    up = nn.ConvTranspose2d(classes, classes, 2, 2, groups=classes)
    up.weight.data = torch.tensor([[1.0, 0.5], [0.5, 0.25]]).expand(classes, 1, 2, 2).clone()
    return nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, classes, 1), up)
"""


def test_a_record_says_which_layers_started_small_and_which_no_seed_changes(tiny, tmp_path, monkeypatch):
    (tmp_path / "upsampled_nets.py").write_text(UPSAMPLED)
    monkeypatch.syspath_prepend(tmp_path)
    events = []
    suite = tiny(
        models=[{"name": "unet", "width": 0.0625}, {"name": "python:upsampled_nets.network", "label": "foreign"}],
        defaults={},
        train={"init": "kaiming", "epochs": 1},
    )
    outcome = run_suite(suite, results=tmp_path / "results", in_process=True, observer=events.append)
    unet, foreign = (outcome.store.find(record.id) for record in outcome.records)
    assert [record.recipe["train"]["init"] for record in (unet, foreign)] == ["kaiming", "kaiming"]
    assert (unet.model.initial_weights.score_layers, unet.model.initial_weights.kept) == (("score",), ())
    assert foreign.model.initial_weights.score_layers == ("model.2",)
    assert foreign.model.initial_weights.kept == ("model.3",)
    words = "foreign: 1 layer(s) of the network, model.3 for one, start the same for every seed; train.init leaves them"
    assert [event.text for event in events if isinstance(event, Notice) and "seed" in event.text] == [words]


def test_changed_data_is_never_taken_for_the_old(tiny, tmp_path):
    root = tmp_path / "data"
    for number, split in enumerate(("train", "test")):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for index in range(4):
            pixels = np.random.default_rng((number, index)).integers(0, 255, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(root / "images" / split / f"{index}.png")
            Image.fromarray((pixels[..., 0] > 127).astype(np.uint8)).save(root / "masks" / split / f"{index}.bmp")
    suite = tiny(models=["cnn"])
    suite = type(suite).model_validate(
        {**suite.model_dump(), "dataset": {"name": "folder", "root": str(root), "classes": ["dark", "light"]}}
    )
    run_suite(suite, results=tmp_path / "results", in_process=True)
    mask = root / "masks" / "test" / "0.bmp"
    size = mask.stat().st_size
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(mask)
    assert mask.stat().st_size == size
    events = []
    run_suite(suite, results=tmp_path / "results", in_process=True, observer=events.append)
    assert started(events) == ["cnn"]
    assert any("the data has changed" in event.text for event in events if isinstance(event, Notice))


def test_a_grid_runs_every_combination(tiny, tmp_path):
    suite = tiny(models=["cnn"], grid={"train.optimizer.lr": [0.01, 0.001]}, seeds=[0, 1], train={"epochs": 1})
    outcome = run_suite(suite, results=tmp_path, in_process=True)
    assert [(record.point["train.optimizer.lr"], record.seed) for record in outcome.records] == [
        (0.01, 0),
        (0.01, 1),
        (0.001, 0),
        (0.001, 1),
    ]
    assert len({record.protocol_id for record in outcome.records}) == 2


def test_models_and_seeds_can_be_chosen(tiny, tmp_path):
    events = []
    suite = tiny(seeds=[0, 1], train={"epochs": 1})
    run_suite(suite, results=tmp_path, models=["cnn"], seeds=[1], in_process=True, observer=events.append)
    assert [(event.label, event.seed) for event in events if isinstance(event, RunStarted)] == [("cnn", 1)]
    with pytest.raises(UnknownNameError, match="did you mean 'cnn'"):
        run_suite(suite, results=tmp_path, models=["cn"], in_process=True)
    with pytest.raises(UsageError, match="no seed 7"):
        run_suite(suite, results=tmp_path, seeds=[7], in_process=True)


def test_the_best_epoch_on_validation_is_selected_and_recorded(tiny, tmp_path):
    suite = tiny(models=["cnn"], train={"epochs": 3, "validate_every": 1, "select": "best"})
    outcome = run_suite(suite, results=tmp_path, in_process=True)
    history = pd.read_csv(outcome.store.folder / outcome.records[0].id / "history.csv")
    best = int(history["epoch"][history["validation_mean_iou"].idxmax()])
    assert outcome.records[0].selected_epoch == best


def test_the_plan_is_stored_beside_the_runs(first):
    folder = first[0].store.folder
    lock = json.loads((folder / "suite.lock.json").read_text())
    assert [line["id"] for line in lock["runs"]] == [record.id for record in first[0].records]


def test_an_unreadable_image_stops_the_suite_before_training(tiny, tmp_path):
    root = tmp_path / "data"
    for kind in ("images", "masks"):
        for split in ("train", "test"):
            (root / kind / split).mkdir(parents=True)
            Image.fromarray(np.zeros((32, 32), np.uint8)).save(root / kind / split / "a.png")
    broken = root / "images" / "test" / "a.png"
    broken.write_bytes(broken.read_bytes()[:40])
    suite = tiny(models=["cnn"])
    suite = type(suite).model_validate(
        {**suite.model_dump(), "dataset": {"name": "folder", "root": str(root), "classes": ["one"]}}
    )
    events = []
    with pytest.raises(DataError, match=r"a\.png"):
        run_suite(suite, results=tmp_path / "results", in_process=True, observer=events.append)
    assert started(events) == []


SUPERVISED = """
from torch import nn
from torch.nn import functional

class Deep(nn.Module):
    def __init__(self, *, classes, channels, kind):
        super().__init__()
        self.main, self.side = nn.Conv2d(channels, classes, 3, 1, 1), nn.Conv2d(channels, classes, 2, 2)
        self.kind = kind

    def forward(self, images):
        main, side = self.main(images), self.side(images)
        if self.kind == "softmax":
            return main.softmax(1)
        if self.kind == "nested":
            return {"out": (main, side)}
        return [side, main] if self.training else main
"""


def test_what_foreign_networks_return_is_found_told_and_stored_or_refused_before_training(tiny, tmp_path, monkeypatch):
    (tmp_path / "supervised_nets.py").write_text(SUPERVISED)
    monkeypatch.syspath_prepend(tmp_path)
    events = []
    kinds = {"deep": {"kind": "list", "output": -1}, "soft": {"kind": "softmax"}, "nested": {"kind": "nested"}}
    models = [{"name": "python:supervised_nets.Deep", "label": label, **kind} for label, kind in kinds.items()]
    suite = tiny(models=[*models, {"name": "cnn", "pad_to": 24}], train={"auxiliary": 0.4, "epochs": 1})
    outcome = run_suite(suite, results=tmp_path / "results", in_process=True, observer=events.append)
    told = [event.text for event in events if isinstance(event, Notice)]
    deep, soft, nested, cnn = (outcome.store.find(record.id) or record for record in outcome.records)
    assert (deep.model.outputs.logits, deep.model.outputs.auxiliary_weights) == ("1", {"0": 0.4})
    assert deep.model.options["output"] == -1
    assert soft.model.outputs.activations == {"training": "softmax", "evaluation": "softmax"}
    assert any(text.startswith("soft: returns probabilities, as after a softmax") for text in told)
    assert nested.outcome.status is Status.SKIPPED
    assert "write 'output: out.0' (or out.1) in the model's entry" in nested.outcome.reason
    assert (cnn.outcome.status, cnn.model.outputs, cnn.model.options["pad_to"]) == (Status.COMPLETED, None, 24)
    history = {
        record.label: pd.read_csv(outcome.store.folder / record.id / "history.csv") for record in (deep, soft, cnn)
    }
    assert (history["deep"]["loss_auxiliary"] > 0).all()
    assert not any("loss_auxiliary" in history[label] for label in ("soft", "cnn"))
