"""Finished and half-finished runs outlast a data set that is encoded anew without loss, and no other change."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from tiny import document
from without_ray import done_here

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.events import Notice, RunStarted
from segbench.engine.launchers.local import Place
from segbench.engine.launchers.ray_worker import RayTask, unpack
from segbench.engine.suite.run_suite import run_suite
from segbench.engine.training.checkpointer import TrainingCheckpointer
from segbench.results.data_checks import read_checks
from segbench.results.store import read_record

DATASET = {"name": "folder", "classes": ["dark", "light"], "validation_split": "val"}
CHANGED = "the data has changed"
KEPT = "the data's files differ but decode to the same pixels: 1 finished run is kept"


@pytest.fixture
def root(tmp_path):
    """A folder data set of PNGs; its labels have palettes."""
    place = tmp_path / "data"
    for split, count in (("train", 6), ("val", 1), ("test", 2)):
        for kind in ("images", "masks"):
            (place / kind / split).mkdir(parents=True)
        for index in range(count):
            pixels = np.random.default_rng((count, index)).integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(place / "images" / split / f"{index}.png")
            label = Image.fromarray((pixels[..., 0] > 127).astype(np.uint8))
            label.putpalette([0, 0, 0, 255, 255, 255])
            label.save(place / "masks" / split / f"{index}.png")
    return place


@pytest.fixture
def suite_of(root):
    """Return a function that makes the tiny suite of this data set, with keys changed."""
    return lambda **changes: check({**document(models=["cnn"], **changes), "dataset": {**DATASET, "root": str(root)}})


@pytest.fixture
def run(suite_of, tmp_path):
    """Return a function that runs the suite and returns its outcome, what was started and what was told."""

    def do(results="results", **changes):
        events = []
        outcome = run_suite(
            suite_of(**changes), results=tmp_path / results, in_process=True, observer=events.append, device="cpu"
        )
        told = [event.text for event in events if isinstance(event, Notice)]
        return outcome, [event.label for event in events if isinstance(event, RunStarted)], told

    return do


def encode(root, suffix, **options):
    """Encode all images anew, in place."""
    for file in sorted((root / "images").rglob("*.*")):
        image = Image.open(file).convert("RGB")
        file.unlink()
        image.save(file.with_suffix(suffix), **options)


def test_lossless_copies_keep_finished_runs(run, root):
    first, _, _ = run()
    for suffix, options in ((".webp", {"lossless": True}), (".bmp", {})):
        encode(root, suffix, **options)
        outcome, started, told = run()
        assert (started, outcome.records) == ([], first.records)
        assert told == [KEPT]
    encode(root, ".png")  # as at first
    assert run()[1:] == ([], [])


def test_labels_of_the_same_indices_keep_finished_runs(run, root):
    run()
    for file in (root / "masks").rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(file))).save(file)
        assert Image.open(file).mode == "L"
    _, started, told = run()
    assert (started, told) == ([], [KEPT])


def test_a_lossy_copy_does_not(run, root):
    run()
    encode(root, ".jpg", quality=100, subsampling=0)
    _, started, told = run()
    assert started == ["cnn"]
    assert CHANGED in told[0]


def test_a_label_with_one_changed_pixel_does_not(run, root):
    run()
    encode(root, ".bmp")
    file = root / "masks" / "test" / "1.png"
    label = np.array(Image.open(file))
    label[3, 4] = 1 - label[3, 4]
    Image.fromarray(label).save(file)
    _, started, told = run()
    assert started == ["cnn"]
    assert CHANGED in told[0]


def test_a_renamed_image_does_not(run, root):
    run()
    for kind in ("images", "masks"):
        (root / kind / "test" / "1.png").rename(root / kind / "test" / "one.png")
    assert run()[1] == ["cnn"]


def test_a_run_without_pixel_digests_is_done_again_and_then_has_them(run, root):
    first, _, _ = run()
    folder = first.store.folder
    file = folder / first.records[0].id / "run.json"
    stored = json.loads(file.read_text())
    pixels = stored["data"].pop("pixel_digests")
    del stored["checksums"]
    assert pixels.keys() == {"train", "test"}
    file.write_text(json.dumps(stored))
    checks = {
        key: {name: value for name, value in found.items() if name != "pixel_digest"}
        for key, found in read_checks(folder).items()
    }
    (folder / "data.json").write_text(json.dumps(checks))
    assert run()[1] == []  # the files are the same: as an earlier version left it
    assert all("pixel_digest" not in found for found in read_checks(folder).values())  # nothing was decoded
    outcome, started, _ = run(seeds=[0, 1])
    assert started == ["cnn"]
    assert outcome.records[1].data.pixel_digests == pixels
    encode(root, ".bmp")
    outcome, started, told = run(seeds=[0, 1])
    assert started == ["cnn"]
    assert CHANGED in told[0]
    assert told[1] == KEPT
    assert [record.data.pixel_digests for record in outcome.records] == [pixels, pixels]


def test_a_saved_state_is_gone_on_with(run, root, monkeypatch):
    settings = {"resume": {"every_minutes": None, "every_steps": 2}, "train": {"epochs": 4}}
    whole, _, _ = run("whole", **settings)
    after_step = TrainingCheckpointer.after_step

    def killed(checkpointer, subject):
        after_step(checkpointer, subject)
        if subject.step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrainingCheckpointer, "after_step", killed)
        with pytest.raises(KeyboardInterrupt):
            run(**settings)
    encode(root, ".webp", lossless=True)
    again, _, told = run(**settings)
    assert any("resumes from step 2 of 4" in text for text in told), told
    (one,), (other,) = whole.records, again.records
    assert one.data.train_digest == other.data.train_digest
    assert one.data.fingerprints != other.data.fingerprints
    files = [outcome.store.folder / one.id / "confusion.npz" for outcome in (whole, again)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_twin_is_taken_over(run, root):
    first, _, _ = run()
    encode(root, ".bmp")
    outcome, _, told = run(tuning={"grid": {"train.optimizer.lr": [0.003]}, "epochs": 1})
    tuned = next(record for record in outcome.records if record.tuning and record.tuning.role == "tuned")
    assert any("are copied" in text for text in told), told
    assert tuned.data == first.records[0].data


def test_a_machine_that_sends_its_results_back_is_told_the_pixel_digests(run, suite_of, tmp_path, monkeypatch):
    first, _, _ = run()
    (planned,) = plan(suite_of())
    order = RayTask(
        planned.model_dump(mode="json"), planned.identity, 1, 1, Place("cpu", 1), None, read_checks(first.store.folder)
    )
    done = done_here(order, monkeypatch, lambda event: None)
    unpack(done.content, tmp_path / "sent")
    assert read_record(tmp_path / "sent" / "run.json").data == first.records[0].data
