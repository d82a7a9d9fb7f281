"""Claims about processes that do a run together: the same images a step, each test image once, one writer."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from process_groups import apart, by_several, free_port
from safetensors.torch import load_file
from timm.layers import BatchNormAct2d
from tiny import document
from torch import nn

from segbench.config.load import check
from segbench.data.loading.loader import Shard
from segbench.engine.distributed import ALONE, ProcessGroup, own_device, torchrun_process_group, with_sync_batch_norm
from segbench.engine.evaluation.evaluate import Evaluation, Picture
from segbench.engine.evaluation.gather import Seen, gather_evaluation, reduce_confusion
from segbench.engine.evaluation.predictions import read_archive, write_archive
from segbench.engine.launchers.torchrun import TorchrunLauncher
from segbench.engine.suite.run_suite import run_suite
from segbench.errors import SegbenchError, SuiteError, UsageError
from segbench.metrics.scores import score
from segbench.results.arrays.details import ImageDetails
from segbench.results.arrays.matrices import ImageMatrices, load_matrices

pytestmark = pytest.mark.slow(reason="trains in groups of processes")

GROUPS = {"name": "unet", "norm": "group", "dropout": 0.0}


def by_one(suite, results):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run_suite(check(suite), results=results, device="cpu", in_process=True)
    finally:
        torch.set_num_threads(threads)


def stored(results):
    """Return the records of a suite's runs, and their folders, by label."""
    files = sorted(results.glob("tiny/*/run.json"))
    records = [json.loads(file.read_text()) for file in files]
    return {record["label"]: (record, file.parent) for record, file in zip(records, files, strict=True)}


def test_two_processes_train_as_one_does_on_the_same_images(tmp_path):
    suite = document(
        models=[GROUPS, "cnn"],
        defaults={"width": 0.125},
        train={
            "optimizer": {"name": "sgd", "lr": 0.1},
            "batch_size": 5,
            "drop_last": False,
            "ema_decay": 0.5,
            "validate_every": 1,
            "select": "best",
        },
    )
    by_one(suite, tmp_path / "one")
    assert by_several(2, suite, tmp_path / "two") == [0, 0]
    one, two = stored(tmp_path / "one"), stored(tmp_path / "two")
    assert one.keys() == two.keys() == {"unet", "cnn"}
    for label, (record, folder) in two.items():
        alone, other = one[label]
        assert (alone["processes"], record["processes"]) == (1, 2)
        assert record["data"] == alone["data"]
        weights, expected = load_file(folder / "checkpoint.safetensors"), load_file(other / "checkpoint.safetensors")
        share = apart(weights, expected, suite, run=("unet", "cnn").index(label))
        assert share < 0.01, (label, share)
        matrices = [load_matrices(each / "confusion.npz") for each in (folder, other)]
        assert matrices[0].names == matrices[1].names
        assert score(matrices[0].total).mean_iou == pytest.approx(score(matrices[1].total).mean_iou, abs=1e-4)


def test_processes_stop_early_together_and_by_parameter_groups(tmp_path):
    groups = [{"parameters": "*.bias", "lr_scale": 0.1}]
    suite = document(
        models=["cnn"],
        train={
            "epochs": 3,
            "optimizer": {"name": "sgd", "lr": 0.01, "groups": groups},
            "early_stopping": {"patience": 1, "min_delta": 0.9},
        },
    )
    by_one(suite, tmp_path / "one")
    assert by_several(2, suite, tmp_path / "two") == [0, 0]
    ((alone, _),) = stored(tmp_path / "one").values()
    ((record, _),) = stored(tmp_path / "two").values()
    assert record["early_stop"]["epoch"] == alone["early_stop"]["epoch"] == 2
    assert record["data"] == alone["data"]
    assert record["model"]["parameter_groups"] == alone["model"]["parameter_groups"]


@pytest.mark.parametrize("size", [2, 3])
def test_test_images_are_seen_once_each_and_counted_as_by_one(tmp_path, size):
    suite = document(models=["cnn"], train=None, dataset={"test_images": 7}, evaluate={"batch_size": 2, "samples": 2})
    by_one(suite, tmp_path / "one")
    assert by_several(size, suite, tmp_path / "several") == [0] * size
    ((alone, other),) = stored(tmp_path / "one").values()
    ((record, folder),) = stored(tmp_path / "several").values()
    assert record["data"] == alone["data"]
    assert record["test_loss"] == alone["test_loss"]
    for name in ("confusion.npz", "details.npz", "predictions.zip"):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    assert sorted(path.name for path in (folder / "samples").iterdir()) == sorted(
        path.name for path in (other / "samples").iterdir()
    )


def test_a_run_that_stops_all_processes_alike_stops_no_other_run(tmp_path):
    suite = document(models=["python:misbehaving.raising", "cnn"], defaults={}, train={"epochs": 1})
    suite["models"][1] = {"name": "cnn", "width": 0.0625}
    assert by_several(2, suite, tmp_path) == [0, 0]
    found = {label: record["outcome"] for label, (record, _) in stored(tmp_path).items()}
    assert found["cnn"]["status"] == "completed"
    failed = found["python:misbehaving.raising"]
    assert failed["status"] == "failed"
    assert "the flux capacitor is empty" in failed["reason"]


def test_a_process_that_stops_alone_ends_all_and_stores_nothing_untrue(tmp_path):
    model = {"name": "python:misbehaving.raising_in", "where": 1}
    suite = document(models=[model], defaults={}, train={"epochs": 1})
    assert by_several(2, suite, tmp_path, seconds_to_end=5) == [1, 1]
    assert stored(tmp_path) == {}


@pytest.mark.slow(reason="processes wait for one that has stopped, until their time is over")
def test_a_process_that_stops_while_gradients_are_exchanged_ends_all_and_the_others_are_done_next(tmp_path):
    suite = document(models=["python:misbehaving.raising_backward", "cnn"], defaults={}, train={"epochs": 1})
    suite["models"][1] = {"name": "cnn", "width": 0.0625}
    assert by_several(2, suite, tmp_path, seconds_to_end=20) == [1, 1]
    ((record, _),) = stored(tmp_path).values()
    assert record["outcome"]["status"] == "failed"
    assert "the way back is closed" in record["outcome"]["traceback"]
    assert "while gradients were exchanged: RuntimeError: the way back is closed" in record["outcome"]["reason"]
    assert by_several(2, suite, tmp_path, seconds_to_end=20) == [1, 1]
    assert {label: record["outcome"]["status"] for label, (record, _) in stored(tmp_path).items()} == {
        "python:misbehaving.raising_backward": "failed",
        "cnn": "completed",
    }


def test_uneven_parts_and_accumulated_batches_are_exchanged_in_step(tmp_path):
    suite = document(
        models=[{"name": "unet", "width": 0.0625}],  # with batch norm and dropout
        train={
            "batch_size": 5,
            "micro_batch": 2,
            "accumulate": 2,
            "drop_last": False,
            "activation_checkpointing": True,
        },
    )
    assert by_several(2, suite, tmp_path) == [0, 0]
    ((record, _),) = stored(tmp_path).values()
    assert record["outcome"]["status"] == "completed"
    assert record["data"]["train_digest"]


@pytest.mark.slow(reason="compiles networks, in two processes")
def test_half_precision_and_compiled_networks_are_exchanged_too(tmp_path):
    model, sgd = {"name": "cnn", "width": 0.0625}, {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1}}
    for name, train in {"half": {"precision": "fp16"}, "compiled": {"precision": "bf16", "compile": True}}.items():
        suite = document(models=[model], train={**sgd, **train})
        by_one(suite, tmp_path / name / "one")
        assert by_several(2, suite, tmp_path / name / "two") == [0, 0]
        ((_, alone),), ((record, folder),) = (stored(tmp_path / name / each).values() for each in ("one", "two"))
        assert (record["outcome"]["status"], record["processes"]) == ("completed", 2)
        weights, expected = (load_file(each / "checkpoint.safetensors") for each in (folder, alone))
        share = apart(weights, expected, suite)
        assert share < 0.25, (name, share)  # gradients of one half alone lead elsewhere


def write_pictures(folder, sizes):
    for kind in ("images", "masks"):
        for split in ("train", "test"):
            (folder / kind / split).mkdir(parents=True)
            for number, size in enumerate(sizes):
                picture = np.zeros((*size, 3) if kind == "images" else size, np.uint8)
                picture[:4] = kind == "masks"
                Image.fromarray(picture).save(folder / kind / split / f"{split}{number}.png")


def test_images_of_one_batch_that_differ_in_size_between_processes_are_refused(tmp_path):
    write_pictures(tmp_path / "data", [(32, 32), (48, 32)])
    dataset = {
        "name": "folder",
        "root": str(tmp_path / "data"),
        "classes": ["a", "b"],
        "images": "images/{split}",
        "masks": "masks/{split}",
    }
    suite = document(models=["cnn"], dataset=None, train={"batch_size": 2, "validate_every": None, "epochs": 1})
    suite |= {"dataset": dataset, "transforms": {"train": ["normalize"], "test": ["normalize"]}}
    assert by_several(2, suite, tmp_path / "results") == [1, 1]
    said = {file.read_text() for file in (tmp_path / "results").glob("error-*.txt")}
    assert len(said) == 1, said
    assert "the images of one batch differ in size after transforms.train" in said.pop()
    assert stored(tmp_path / "results") == {}


def test_a_recipe_that_needs_one_process_ends_the_command_before_any_run(tmp_path):
    suite = document(models=["cnn"], train={"micro_batch": "auto"})
    assert by_several(2, suite, tmp_path) == [1, 0]  # the other is dismissed
    assert "train.micro_batch: auto finds what fits" in (tmp_path / "error-0.txt").read_text()
    assert stored(tmp_path) == {}


def test_processes_that_were_killed_go_on_from_their_last_state(tmp_path):
    resume = {"every_minutes": None, "every_steps": 1}
    model = {"name": "unet", "width": 0.0625, "norm": "group"}  # with dropout: each process draws its own
    suite = document(models=[model], resume=resume, train={"validate_every": 1, "select": "best"})
    assert by_several(2, suite, tmp_path / "whole") == [0, 0]
    assert by_several(2, suite, tmp_path / "killed", killed_at=4) == [9, 9]
    assert list(tmp_path.glob("killed/tiny/.*.resume/step-000000004-*"))
    assert by_several(2, suite, tmp_path / "killed") == [0, 0]
    said = (tmp_path / "killed" / "said.txt").read_text()
    assert "resumes from step 4 of" in said
    ((whole, folder),) = stored(tmp_path / "whole").values()
    ((record, again),) = stored(tmp_path / "killed").values()
    assert record["data"] == whole["data"]
    for name in ("confusion.npz", "checkpoint.safetensors"):
        assert (folder / name).read_bytes() == (again / name).read_bytes(), name


def test_what_needs_one_process_is_refused(tmp_path):
    suite = check(document(models=["cnn"], train={"micro_batch": "auto"}))
    with pytest.raises(SuiteError, match=r"train\.micro_batch: auto finds what fits into one process"):
        run_suite(suite, results=tmp_path, device="cpu", in_process=True, launcher=TorchrunLauncher(Two(), "cpu"))
    suite = check(document(models=["cnn"], train={"micro_batch": 2, "sync_batch_norm": True}))
    with pytest.raises(SuiteError, match=r"train\.sync_batch_norm: does not go with micro_batch"):
        run_suite(suite, results=tmp_path, device="cpu", in_process=True, launcher=TorchrunLauncher(Two(), "cpu"))
    suite = check(document(models=["cnn"], train={"batch_size": 1}))
    with pytest.raises(SegbenchError, match=r"a training batch has too few images \(1\) for 2 processes"):
        run_suite(suite, results=tmp_path, device="cpu", in_process=True, launcher=TorchrunLauncher(Two(), "cpu"))


class Two(ProcessGroup):
    """Stands for two processes of which the other one does just what this one does."""

    def __init__(self, others=None):
        super().__init__(0, 2)
        object.__setattr__(self, "others", others)

    def all_gather(self, part):
        return [part, self.others.pop(0) if self.others else part]

    def gather(self, part):
        return self.all_gather(part)

    def all_gather_ints(self, *numbers):
        return self.all_gather(list(numbers))

    def broadcast(self, value):
        return value

    def gather_outcomes(self, outcome):
        return [outcome, outcome]


def test_what_several_found_is_put_in_the_order_of_the_split():
    def found(positions):
        count = len(positions)
        return Evaluation(
            positions=tuple(positions),
            matrices=ImageMatrices(
                tuple(f"image {position}" for position in positions),
                np.array(positions, np.int64)[:, None, None] * np.ones((1, 2, 2), np.int64),
                np.array(positions, np.int64)[:, None] * np.array([[1, 7]]),
            ),
            losses=tuple(None if position == 2 else float(position) for position in positions),
            digests=tuple(f"{position:032x}" for position in positions),
            seconds=1.0 + count,
            detail_seconds=0.5,
            pictures=tuple(Picture(position, "", np.zeros((1, 1), np.uint8)) for position in positions),
        )

    def seen(positions):
        names = tuple("abcde"[position] for position in positions)
        arrays = {"x": np.array(positions)} if positions else {}
        pictures = [f"{position}".encode() for position in positions]
        return Seen(found(positions), ImageDetails(names, arrays), pictures)

    for ours, theirs in (([0, 1, 4], [2, 3]), ([], [0, 1, 2, 3, 4])):
        all_of_it = gather_evaluation(seen(ours), Two([seen(theirs)]))
        whole, evaluation = found([0, 1, 2, 3, 4]), all_of_it.evaluation
        assert evaluation.matrices.names == whole.matrices.names
        assert np.array_equal(evaluation.matrices.matrices, whole.matrices.matrices)
        assert np.array_equal(evaluation.matrices.void_predicted, whole.matrices.void_predicted)
        assert (evaluation.loss, evaluation.digest) == (2.0, whole.digest)
        assert evaluation.seconds == 1.0 + max(len(ours), len(theirs))
        assert [picture.index for picture in evaluation.pictures] == [0, 1, 2, 3, 4]
        assert all_of_it.details.names == tuple("abcde")
        assert all_of_it.details.arrays["x"].tolist() == [0, 1, 2, 3, 4]
        assert all_of_it.predictions == [b"0", b"1", b"2", b"3", b"4"]
        other = found(theirs)
        summary = reduce_confusion(found(ours), Two([(other.positions, other.losses, other.matrices.total)]))
        assert np.array_equal(summary.matrix, whole.matrices.total)
        assert summary.loss == 2.0


def test_a_team_of_one_changes_nothing():
    network = nn.Conv2d(1, 1, 1)
    assert ALONE.parallel(network, torch.device("cpu")) is network
    assert ALONE.all_gather("part") == ["part"]
    assert ALONE.broadcast("word") == "word"
    assert ALONE.leads
    assert ALONE.gather("part") == ["part"]
    assert ALONE.all_gather_ints(1, 2) == [[1, 2]]
    seen = Seen(None, ImageDetails(("a",), {}), None)
    assert gather_evaluation(seen, ALONE) is seen


@given(st.integers(0, 50), st.integers(1, 9))
def test_shares_are_every_image_once_and_as_equal_as_can_be(count, size):
    images = list(range(count))
    shares = [images[Shard(rank, size).of(count)] for rank in range(size)]
    assert [image for share in shares for image in share] == images
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_pictures_of_predictions_are_written_as_they_were_read(tmp_path):
    write_archive(tmp_path / "a.zip", [b"one", b"two"])
    assert read_archive(tmp_path / "a.zip") == [b"one", b"two"]


def test_each_process_has_a_gpu_of_its_own_where_there_are_any(monkeypatch):
    assert own_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    assert own_device("auto") == own_device("cuda") == "cuda:3"
    assert own_device("cpu") == "cpu"
    with (
        pytest.raises(UsageError, match=r"--device cuda:1: torchrun's processes need a GPU each"),
        torchrun_process_group("cuda:1"),
    ):
        pass


def test_a_team_on_processors_needs_no_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name, value in {"RANK": "0", "LOCAL_RANK": "7", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(UsageError, match="more processes than the 1 GPUs of this machine"),
        torchrun_process_group("auto"),
    ):
        pass
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    with torchrun_process_group("cpu") as team:
        assert (team.rank, team.size) == (0, 1)


def test_batch_norm_is_synchronised_on_cuda_only():
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), BatchNormAct2d(2)).eval()
    images = torch.rand(2, 3, 5, 5)
    expected = network(images)
    converted = with_sync_batch_norm(network, torch.device("cuda", 0))
    assert isinstance(converted[1], nn.SyncBatchNorm)
    assert isinstance(converted[2], nn.SyncBatchNorm)
    assert torch.equal(converted.eval()(images), expected)  # activations included
    with pytest.raises(SuiteError, match=r"train\.sync_batch_norm: torch can do so on CUDA only, not on cpu"):
        with_sync_batch_norm(network, torch.device("cpu"))
