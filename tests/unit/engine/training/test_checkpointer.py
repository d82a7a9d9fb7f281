"""Claims about going on: from any step, to the same weights, history and digest, bit for bit."""

from __future__ import annotations

import csv
import os
import resource
import shutil
import subprocess

import numpy as np
import pytest
import torch
from tiny import document
from torch import nn

from segbench.config.component import LossEntry
from segbench.config.load import check
from segbench.config.sections.training import Resume, Train
from segbench.data.base import DatasetInfo, Sample, SegmentationDataset
from segbench.data.loading.loader import TrainingLoader
from segbench.data.loading.pipeline import Pipeline
from segbench.engine.device import ComputeConfig
from segbench.engine.events import Notice
from segbench.engine.run.facts import earlier_places
from segbench.engine.stopping import NEVER, Stop
from segbench.engine.suite.run_suite import run_suite
from segbench.engine.training import checkpointer
from segbench.engine.training.checkpointer import TrainingCheckpointer
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import build_loss
from segbench.engine.training.trainer import Trainer
from segbench.errors import RunInterrupted, StoreError
from segbench.results.training_states import StateFolder


class Noise(SegmentationDataset):
    """Ten images of noise."""

    info = DatasetInfo("noise", ("a", "b"), ((0, 0, 0), (1, 1, 1)))
    names = tuple(f"image{index}" for index in range(10))

    def read(self, index):
        generator = np.random.default_rng(index)
        image = generator.integers(0, 256, (8, 8, 3), np.uint8)
        return Sample(self.names[index], image, generator.integers(0, 2, (8, 8), np.uint8))

    def fingerprint(self):
        return "noise"


class KilledError(Exception):
    """Stands for the end of the process."""


def trainer(folder, *, kill_at=None, resume=None, facts=None, told=None, stop=NEVER, **recipe):
    """A trainer of a small network with dropout and batch norm; KilledError ends it after so many steps."""
    settings = {"epochs": 3, "batch_size": 3, "optimizer": {"name": "adamw", "lr": 0.01}, "schedule": "poly"} | recipe
    train = Train.model_validate(settings)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(6, 2, 1)
        )
    settings, known = resume or Resume(every_steps=1), facts or {"identity": "x"}
    checkpointer = TrainingCheckpointer(StateFolder(folder / "states"), settings, facts=known, stop=stop)
    made = Trainer(
        network,
        train,
        loader=TrainingLoader(Noise(), Pipeline([], training=True), batch_size=3, seed=0, drop_last=False),
        loss=build_loss((LossEntry(name="cross_entropy"),), classes=2, median_frequency=lambda: [1.0, 1.0]),
        compute=ComputeConfig(torch.device("cpu")),
        history=History(folder / "history.csv"),
        validate=lambda network: {"validation_mean_iou": next(network.parameters()).sum().item()},
        checkpointer=checkpointer,
    )
    if kill_at is not None:
        save = checkpointer.after_step

        def after_step(subject):
            save(subject)
            if subject.step >= kill_at:
                raise KilledError

        checkpointer.after_step = after_step
    checkpointer.restore(made, tell=(told if told is not None else []).append)
    return made


def fitted(subject):
    torch.manual_seed(7)
    return subject.fit()


def bits(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def lines(folder):
    """The history without its times."""
    with (folder / "history.csv").open() as stream:
        timed = ("seconds", "images_per_second", "data_wait_share", "peak_memory_bytes")
        return [{key: value for key, value in line.items() if key not in timed} for line in csv.DictReader(stream)]


RECIPES = {
    "plain": {},
    "averaged weights": {"ema_decay": 0.9},
    "accumulated": {"accumulate": 2},
    "whole epochs": {"accumulate": "epoch", "epochs": 6},
    "steps": {"epochs": None, "steps": 7},
    "best": {"select": "best"},
    "precise batch norm": {"batch_norm_statistics": "precise", "validate_every": 1},
    "clipped": {"clip_gradient_norm": 0.1, "optimizer": {"name": "sgd", "lr": 0.1}},
}


@pytest.mark.slow(reason="trains again from every step")
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_a_training_killed_at_any_step_ends_as_if_it_had_not_been(tmp_path, recipe):
    (tmp_path / "whole").mkdir()
    whole = fitted(trainer(tmp_path / "whole", resume=Resume(every_minutes=None), **recipe))
    steps = trainer(tmp_path / "whole", resume=Resume(every_minutes=None), **recipe).total_steps
    for kill_at in range(1, steps + 1):
        folder = tmp_path / f"at{kill_at}"
        folder.mkdir()
        with pytest.raises(KilledError):
            fitted(trainer(folder, kill_at=kill_at, **recipe))
        (folder / "history.csv").unlink(missing_ok=True)  # the run's folder is new
        torch.manual_seed(99)  # whatever the new process has drawn
        resumed = trainer(folder, **recipe)
        assert resumed.step == kill_at
        found = resumed.fit()
        assert same(bits(found.network), bits(whole.network))
        assert (found.digest, found.images, found.selected_epoch) == (whole.digest, whole.images, whole.selected_epoch)
        assert lines(folder) == lines(tmp_path / "whole")


def due_after(steps):
    """A stop for which it is time after so many looks."""

    class Counted(Stop):
        looks = 0

        @property
        def due(self):
            self.looks += 1
            return self.looks >= steps

    return Counted()


@pytest.mark.slow(reason="trains again from every step")
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_a_training_that_is_told_to_stop_saves_its_step_and_ends_as_if_it_had_not_been(tmp_path, recipe):
    (tmp_path / "whole").mkdir()
    whole = fitted(trainer(tmp_path / "whole", resume=Resume(every_minutes=None), **recipe))
    for steps in range(1, whole_steps(tmp_path, recipe) + 1):
        folder = tmp_path / f"at{steps}"
        folder.mkdir()
        with pytest.raises(RunInterrupted, match=f"stopped after step {steps} of"):
            fitted(trainer(folder, resume=Resume(every_minutes=None), stop=due_after(steps), **recipe))
        (folder / "history.csv").unlink(missing_ok=True)
        torch.manual_seed(99)
        resumed = trainer(folder, **recipe)
        assert resumed.step == steps
        found = resumed.fit()
        assert same(bits(found.network), bits(whole.network))
        assert (found.digest, found.images, found.selected_epoch) == (whole.digest, whole.images, whole.selected_epoch)
        assert lines(folder) == lines(tmp_path / "whole")


def whole_steps(tmp_path, recipe):
    return trainer(tmp_path / "whole", resume=Resume(every_minutes=None), **recipe).total_steps


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_training_that_stops_in_a_validation_trains_no_step_again(tmp_path, epoch):
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    recipe = {"validate_every": 1, "select": "best"}
    whole = fitted(trainer(tmp_path / "whole", resume=Resume(every_minutes=None), **recipe))
    subject = trainer(tmp_path / "stopped", resume=Resume(every_minutes=None), **recipe)
    validate = subject.validate

    def stopping(network):
        if subject.epoch == epoch:
            subject.checkpointer.save(subject)
            raise RunInterrupted("stopped")
        return validate(network)

    subject.validate = stopping
    with pytest.raises(RunInterrupted):
        fitted(subject)
    (tmp_path / "stopped" / "history.csv").unlink(missing_ok=True)
    resumed = trainer(tmp_path / "stopped", **recipe)
    assert resumed.step == epoch * resumed.steps_per_epoch
    found = resumed.fit()
    assert same(bits(found.network), bits(whole.network))
    assert (found.digest, found.images, found.selected_epoch) == (whole.digest, whole.images, whole.selected_epoch)
    assert lines(tmp_path / "stopped") == lines(tmp_path / "whole")


def test_a_torn_state_falls_back_to_the_one_before_and_says_so(tmp_path):
    whole = fitted(trainer(tmp_path, resume=Resume(every_minutes=None)))
    with pytest.raises(KilledError):
        fitted(trainer(tmp_path, kill_at=5))
    newest = max((tmp_path / "states").iterdir())
    newest.write_bytes(newest.read_bytes()[:-7])
    told = []
    resumed = trainer(tmp_path, told=told)
    assert resumed.step == 4
    assert told[0] == "the state of step 5 is damaged; trying the one before"
    assert told[1] == "resumes from step 4 of 12"
    assert same(bits(resumed.fit().network), bits(whole.network))


def test_states_of_other_data_or_of_another_recipe_are_not_used(tmp_path):
    with pytest.raises(KilledError):
        fitted(trainer(tmp_path, kill_at=5))
    told = []
    assert trainer(tmp_path, facts={"identity": "y"}, told=told).step == 0
    assert len(told) == 2
    assert "the state of step 5 does not fit, because of another identity" in told[0]
    assert trainer(tmp_path).step == 5  # nothing was lost by the mistake
    other = trainer(tmp_path, facts={"identity": "y"}, kill_at=1)
    with pytest.raises(KilledError):
        fitted(other)
    assert [state.step for state in other.checkpointer.files.files()] == [1]


@pytest.mark.parametrize("step", [-1, 1], ids=["an earlier format", "a later format"])
def test_states_of_another_format_are_not_used_and_not_removed(tmp_path, monkeypatch, step):
    with monkeypatch.context() as other:
        other.setattr(checkpointer, "FORMAT", checkpointer.FORMAT + step)
        with pytest.raises(KilledError):
            fitted(trainer(tmp_path, kill_at=5))
    told = []
    resumed = trainer(tmp_path, told=told)
    assert resumed.step == 0
    assert "the state of step 5 does not fit, because of another format; trying the one before" in told[0]
    assert len(resumed.checkpointer.files.files()) == 2


def test_states_of_re_encoded_data_are_used_and_those_of_other_pixels_are_not(tmp_path):
    def facts(files, **pixels):
        return {"identity": "x", "data": {"train": files}, **pixels}

    with pytest.raises(KilledError):
        fitted(trainer(tmp_path, facts=facts("png", pixel_digests={"train": "p"}), kill_at=2))
    assert trainer(tmp_path, facts=facts("webp", pixel_digests={"train": "p"})).step == 2
    assert trainer(tmp_path, facts=facts("png", pixel_digests={})).step == 2
    assert trainer(tmp_path, facts=facts("png")).step == 2
    for other in (facts("jpg", pixel_digests={"train": "q"}), facts("webp", pixel_digests={}), facts("webp")):
        told = []
        assert trainer(tmp_path, facts=other, told=told).step == 0
        assert "does not fit, because of another data;" in told[0]


def test_states_of_an_earlier_version_are_used_where_the_files_are_the_same(tmp_path):
    before = {"identity": "x", "data": {"train": "png"}}
    with pytest.raises(KilledError):
        fitted(trainer(tmp_path, facts=before, kill_at=2))
    assert trainer(tmp_path, facts={**before, "pixel_digests": {"train": "p"}}).step == 2


def test_a_file_that_is_no_state_is_not_used(tmp_path):
    with StateFolder(tmp_path / "states").writing(3) as file:
        file.write_bytes(b"not what torch writes")
    told = []
    assert trainer(tmp_path, told=told).step == 0
    assert "the state of step 3 cannot be read" in told[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system to fill")
def test_a_disk_that_fills_while_a_state_is_saved_is_told_as_such_and_the_state_before_stays(tmp_path):
    disk = tmp_path / "states"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with pytest.raises(KilledError):
            fitted(trainer(tmp_path, kill_at=2))
        kept = StateFolder(disk).files()
        (disk / "filler").write_bytes(b"x" * (shutil.disk_usage(disk).free - 4096))
        with pytest.raises(StoreError, match="No space left"):
            fitted(trainer(tmp_path))
        assert StateFolder(disk).files() == kept
        (disk / "filler").unlink()
        assert trainer(tmp_path).step == 2
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(os.name == "nt", reason="needs limits of Unix")
def test_a_state_that_fits_but_in_part_is_told_as_a_full_disk_wherever_it_ends(tmp_path):
    """After the error torch ends its archive, and raised 'unexpected pos 99712 vs 99600' in its place."""
    with pytest.raises(KilledError):
        fitted(trainer(tmp_path, kill_at=2))
    kept = StateFolder(tmp_path / "states").files()
    size = kept[0].path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in range(size // 20, size, size // 20):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(StoreError, match="File too large"):
                fitted(trainer(tmp_path))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert StateFolder(tmp_path / "states").files() == kept


def test_time_that_was_spent_before_an_interruption_is_counted(tmp_path):
    with pytest.raises(KilledError):
        fitted(trainer(tmp_path, kill_at=5))
    resumed = trainer(tmp_path)
    assert resumed.checkpointer.seconds_before > 0
    assert trainer(tmp_path / "new").checkpointer.seconds_before == 0


def test_states_are_saved_when_they_are_due(tmp_path):
    saved = []

    class Counting(StateFolder):
        def writing(self, step):
            saved.append(step)
            return super().writing(step)

    def steps_saved(name, **settings):
        saved.clear()
        folder = tmp_path / name
        folder.mkdir()
        subject = trainer(folder, resume=Resume(**settings))
        subject.checkpointer.files = Counting(folder / "states")
        fitted(subject)
        return list(saved)

    assert steps_saved("by steps", every_minutes=None, every_steps=5) == [5, 10]
    assert steps_saved("by minutes", every_minutes=1e-9) == list(range(1, 13))
    assert steps_saved("never", every_minutes=None) == []


def test_a_whole_run_that_was_interrupted_goes_on_from_its_last_state(tmp_path, monkeypatch):
    resume = {"every_minutes": None, "every_steps": 2}
    suite = check(document(models=["segnet_basic"], resume=resume, train={"epochs": 2}))
    told = []

    def run(name):
        return run_suite(suite, results=tmp_path / name, device="cpu", in_process=True, observer=told.append)

    whole = run("whole")
    after_step = TrainingCheckpointer.after_step

    def killed(checkpointer, subject):
        after_step(checkpointer, subject)
        if subject.step == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrainingCheckpointer, "after_step", killed)
        with pytest.raises(KeyboardInterrupt):
            run("killed")
    told.clear()
    again = run("killed")
    notices = [event.text for event in told if isinstance(event, Notice)]
    assert any("resumes from step 4 of 6" in text for text in notices), notices
    (one,), (other,) = whole.records, again.records
    files = [outcome.store.folder / outcome.records[0].id / "confusion.npz" for outcome in (whole, again)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert one.data == other.data
    assert not list(tmp_path.rglob("*.state"))


def test_a_run_that_goes_on_with_other_threads_says_so_and_its_record_names_both(tmp_path, monkeypatch):
    """Under its own number of threads a run would have had other bits."""
    resume, told = {"every_minutes": None, "every_steps": 2}, []

    def run(threads):
        suite = check(document(models=["cnn"], resume=resume, train={"epochs": 2}, threads=threads))
        return run_suite(suite, results=tmp_path, device="cpu", in_process=True, observer=told.append)

    after_step = TrainingCheckpointer.after_step

    def killed(checkpointer, subject):
        after_step(checkpointer, subject)
        if subject.step == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrainingCheckpointer, "after_step", killed)
        with pytest.raises(KeyboardInterrupt):
            run(2)
    (record,) = run(1).records
    assert (record.environment["threads"], record.environment["earlier_threads"]) == (1, [2])
    notices = [event.text for event in told if isinstance(event, Notice)]
    said = "cnn: was started with threads: 2 and is resumed with threads: 1; its scores mix both"
    assert said in notices


def test_what_earlier_pieces_were_done_with_is_told_as_far_as_they_say_it():
    here = {"accelerator": "B", "threads": 1, "cpu_capability": "AVX2"}
    assert earlier_places([here]) == {}
    assert earlier_places([here, here]) == {}
    assert earlier_places([{"accelerator": "A", "runs_at_once": 2}, here]) == {"earlier_accelerators": ["A"]}
    pieces = [{**here, "threads": 4, "cpu_capability": "AVX512"}, {**here, "threads": 2}, {**here, "threads": 4}, here]
    assert earlier_places(pieces) == {"earlier_threads": [4, 2], "earlier_cpu_capabilities": ["AVX512"]}
