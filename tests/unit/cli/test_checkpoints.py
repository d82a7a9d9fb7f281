"""Checkpoints that do not fit are found by validate and by run, before anything is trained."""

import pytest
import torch

from segbench.config.component import ModelEntry
from segbench.models.create import create

SUITE = """\
name: loaded
dataset: {{name: scenes, size: [32, 32], train_images: 4, test_images: 2}}
transforms: {{train: [normalize], test: [normalize]}}
models:
  - {{name: cnn, width: 0.05}}
  - {{name: cnn, label: loaded, width: 0.05, weights: {file}{more}}}
train: {train}
seeds: [0]
"""
CLASSES = 8


@pytest.fixture
def write(tmp_path):
    """Write a checkpoint and a suite that names it."""

    def write(content, *, more="", train="{steps: 1, batch_size: 2}"):
        file = tmp_path / "w.pth"
        file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
        suite = tmp_path / "loaded.yaml"
        suite.write_text(SUITE.format(file="w.pth", more=more, train=train))
        return suite

    return write


def state(classes):
    return create(ModelEntry(name="cnn", width=0.05), classes=classes, channels=3).state_dict()


FAULTS = [
    (b"version https://git-lfs.github.com/spec/v1\nsize 12\n", "is a Git LFS pointer"),
    (b"<html>no</html>", "is a web page"),
    (state(CLASSES + 1), "classes_map says which output is which class"),
    ({"epoch": 3}, "it holds the keys epoch, none of which is a state_dict"),
    (b"", "is empty (0 bytes)"),
]


@pytest.mark.parametrize(("content", "words"), FAULTS)
def test_validate_refuses_what_does_not_load(write, segbench, content, words):
    answer = segbench("validate", write(content))
    assert answer.code == 2
    assert words in answer.err
    assert "models (loaded)" in answer.err


@pytest.mark.parametrize("suffix", ["", ".pth"])
@pytest.mark.parametrize(
    ("folder", "words"), [(True, "it is a folder; name a file in it"), (False, "there is no file")]
)
def test_validate_refuses_what_is_no_file(write, segbench, tmp_path, suffix, folder, words):
    suite, place = write(state(CLASSES)), tmp_path / f"other{suffix}"
    if folder:
        place.mkdir()
    answer = segbench("validate", suite, "--set", f"models.1.weights={place}")
    assert answer.code == 2
    assert words in answer.err
    assert "models[1].weights" in answer.err


def test_run_refuses_before_the_first_network_is_trained(write, segbench, tmp_path):
    suite = write(state(CLASSES + 1))
    answer = segbench("run", suite, "--results", tmp_path / "results", "--no-report", "--no-estimate", "--in-process")
    assert answer.code == 2
    assert "models (loaded)" in answer.err
    assert "2 tensors have another shape" in answer.err or "1 tensor has another shape" in answer.err
    assert not list(tmp_path.glob("results/loaded/cnn-*"))


def test_validate_accepts_what_loads(write, segbench):
    assert segbench("validate", write({"model": state(CLASSES), "epoch": 1})).code == 0
    mapped = f", classes_map: {[*range(CLASSES - 1), CLASSES]}"
    assert segbench("validate", write(state(CLASSES + 1), more=mapped, train="null")).code == 0


def test_validate_says_where_the_data_is_needed_to_know(write, segbench, monkeypatch, tmp_path):
    suite = write(state(CLASSES))
    monkeypatch.setenv("SEGBENCH_DATA", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    answer = segbench("validate", suite, "--set", "dataset={name: camvid}")
    assert answer.code == 0
    assert "can be read; whether it fits is not known" in answer.err


def test_an_id_that_no_run_has_names_the_option_and_ids(suite, segbench, tmp_path):
    answer = segbench("run", suite, "--only", "unet-seed0", "--results", tmp_path / "results", "--no-estimate")
    assert answer.code == 2
    assert "--only: no run has the id 'unet-seed0', or one that begins so; there are: " in answer.err
    assert "U-Net-seed0-" in answer.err
    assert "--models" not in answer.err
