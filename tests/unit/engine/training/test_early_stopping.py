"""Early stopping: when it ends a training, and that nothing else changes by it."""

from __future__ import annotations

import csv
import math

import pytest
import torch
from tiny import document
from torch import nn

from segbench.api.leaderboard import leaderboard
from segbench.config.component import LossEntry
from segbench.config.load import check
from segbench.config.plan import plan
from segbench.config.sections.training import EarlyStopping, Resume
from segbench.config.suite import Train
from segbench.config.trials import trials
from segbench.data.loading.loader import Batch
from segbench.engine.device import ComputeConfig
from segbench.engine.suite.run_suite import run_suite
from segbench.engine.training.checkpointer import TrainingCheckpointer
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import build_loss
from segbench.engine.training.model_selection import Patience
from segbench.engine.training.trainer import Trainer
from segbench.errors import SuiteError
from segbench.report.document.sections import selection_rule
from segbench.report.ranking.caveats import caveats
from segbench.report.runs.load import load_results
from segbench.results.training_states import StateFolder


@pytest.mark.parametrize(
    ("scores", "rule", "ends_after"),
    [
        ([0.1, 0.2, 0.3, 0.3, 0.3], {"patience": 2}, 5),
        ([0.1, 0.2, 0.15, 0.25, 0.2, 0.25, 0.1], {"patience": 3}, 7),
        ([0.5, 0.4, 0.6], {"patience": 1}, 2),
        ([0.1, 0.12, 0.14, 0.16], {"patience": 2, "min_delta": 0.05}, 3),
        ([0.1, 0.12, 0.16, 0.2, 0.22], {"patience": 2, "min_delta": 0.05}, None),
        ([0.2, math.nan, math.nan], {"patience": 2}, 3),
        ([0.1, 0.2, 0.3], {"patience": 1}, None),
    ],
)
def test_patience_is_over_after_so_many_validations_without_a_rise(scores, rule, ends_after):
    patience, ended = Patience(EarlyStopping(**rule)), None
    for epoch, score in enumerate(scores, 1):
        patience.note(score, epoch=epoch)
        if patience.over and ended is None:
            ended = epoch
    assert ended == ends_after


class Batches:
    """Stands for a loader: two batches of the same images in every epoch."""

    def epoch(self, number, *, skip=0):
        draw = torch.Generator().manual_seed(number)
        batches = [torch.rand(2, 3, 4, 4, generator=draw) for _ in range(2)]
        labels = torch.zeros(2, 4, 4, dtype=torch.uint8)
        digests = (f"{number:02x}aa", f"{number:02x}bb")
        return iter([Batch(("a", "b"), images, labels, digests, (16, 16)) for images in batches][skip:])

    def __len__(self):
        return 2


class KilledError(Exception):
    """Stands for the end of the process."""


def trainer(folder, scores, *, kill_at=None, **recipe):
    """A trainer whose validations have the given scores, epoch by epoch; KilledError ends it after so many steps."""
    folder.mkdir(exist_ok=True)
    train = Train.model_validate({"epochs": 6, "batch_size": 2, "early_stopping": {"patience": 2}} | recipe)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Conv2d(3, 2, 1)
    checkpointer = TrainingCheckpointer(StateFolder(folder / "states"), Resume(every_steps=1), facts={"identity": "x"})
    made = Trainer(
        network,
        train,
        loader=Batches(),
        loss=build_loss((LossEntry(name="cross_entropy"),), classes=2),
        compute=ComputeConfig(torch.device("cpu")),
        history=History(folder / "history.csv"),
        validate=lambda network: {"validation_mean_iou": scores[made.epoch - 1]},
        checkpointer=checkpointer,
    )
    save = checkpointer.after_step

    def after_step(subject):
        save(subject)
        if kill_at is not None and subject.step >= kill_at:
            raise KilledError

    checkpointer.after_step = after_step
    checkpointer.restore(made, tell=lambda text: None)
    return made


def lines(folder, column):
    with (folder / "history.csv").open() as stream:
        return [line[column] for line in csv.DictReader(stream)]


SCORES = [0.1, 0.3, 0.2, 0.3, 0.9, 0.9]


@pytest.mark.parametrize(("select", "reported"), [("last", 4), ("best", 2)])
def test_a_training_ends_and_reports_what_select_says(tmp_path, select, reported):
    subject = trainer(tmp_path / "run", SCORES, select=select, schedule="cosine")
    trained = subject.fit()
    assert (trained.epochs, trained.planned_epochs, trained.selected_epoch, trained.images) == (4, 6, reported, 16)
    assert trained.stopped_early == "the validation mIoU did not rise in 2 validations after epoch 2 (0.3000)"
    assert lines(tmp_path / "run", "validations_without_rise") == ["0", "0", "1", "2"]
    whole = trainer(tmp_path / "whole", SCORES, early_stopping=None, schedule="cosine", validate_every=1)
    whole.fit()  # the schedule is that of the whole recipe
    assert lines(tmp_path / "run", "learning_rate") == lines(tmp_path / "whole", "learning_rate")[:4]
    assert trained.epoch_digests == tuple(whole.epoch_digests[:4])


def test_patience_that_is_over_at_the_end_of_the_recipe_stops_nothing(tmp_path):
    trained = trainer(tmp_path / "run", SCORES, epochs=4).fit()
    assert (trained.epochs, trained.stopped_early) == (4, None)


@pytest.mark.parametrize("recipe", [{"validate_every": 2}, {"accumulate": "epoch"}, {"epochs": None, "steps": 12}])
def test_patience_counts_validations_whatever_a_step_or_an_epoch_is(tmp_path, recipe):
    scores = [0.3, 0.3, 0.3, 0.2, 0.2, 0.1]
    trained = trainer(tmp_path / "run", scores, early_stopping={"patience": 1}, **recipe).fit()
    assert trained.epochs == (4 if "validate_every" in recipe else 2)


@pytest.mark.parametrize("kill_at", range(1, 9))
def test_a_training_that_was_killed_stops_where_it_would_have(tmp_path, kill_at):
    whole = trainer(tmp_path / "whole", SCORES).fit()
    with pytest.raises(KilledError):
        trainer(tmp_path / "run", SCORES, kill_at=kill_at).fit()
    found = trainer(tmp_path / "run", SCORES).fit()
    for name, weight in whole.network.state_dict().items():
        assert torch.equal(weight, found.network.state_dict()[name])
    for fact in ("epochs", "stopped_early", "digest", "images", "epoch_digests"):
        assert getattr(found, fact) == getattr(whole, fact)


def test_a_training_that_had_stopped_is_not_gone_on_with(tmp_path):
    subject = trainer(tmp_path / "run", SCORES)
    whole = subject.fit()
    subject.checkpointer.save(subject)  # as when it is interrupted in the final evaluation
    again = trainer(tmp_path / "run", SCORES)
    found = again.fit()
    assert again.step == subject.step == 8
    assert found.stopped_early == whole.stopped_early


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"dataset": {"validation_split": None}}, r"train\.early_stopping needs dataset\.validation_split"),
        ({"dataset": {"validation_split": "test"}}, "must not be selected on the split that is reported"),
        ({"train": {"early_stopping": {"patience": 0}}}, "patience"),
        ({"train": {"early_stopping": {"min_delta": -1}}}, "min_delta"),
        ({"train": {"early_stopping": {"patiense": 1}}}, "did you mean 'patience'"),
        ({"tuning": {"grid": {"train.early_stopping.patience": [1, 2]}}}, "the same for all networks"),
    ],
)
def test_what_cannot_stop_early_is_refused(changes, problem):
    with pytest.raises(SuiteError, match=problem):
        check(document(**{"train": {"early_stopping": {}}} | changes))


def test_trials_of_a_tuning_have_their_budget_whole():
    suite = check(document(train={"early_stopping": {}}, tuning={"grid": {"train.optimizer.lr": [0.1, 0.2]}}))
    assert all(trial.recipe.train.early_stopping is None for trial in trials(suite))
    assert all(run.recipe.train.early_stopping for run in plan(suite))


def test_rows_of_different_length_say_so_and_were_trained_on_the_same_data(tmp_path):
    stop = {"patience": 1, "min_delta": 0.9}
    told = []
    suite = document(train={"epochs": 3, "early_stopping": stop}, seeds=[0])
    done = run_suite(check(suite), results=tmp_path, device="cpu", in_process=True, observer=told.append)
    records = list(done.records)
    runs = load_results(tmp_path)
    assert [record.early_stop.epoch for record in records] == [2, 2]
    assert {record.early_stop.epochs for record in records} == {3}
    assert sum("seed 0: stopped early after epoch 2 of 3" in getattr(event, "text", "") for event in told) == 2
    weights = "reported are the weights of epoch 2 (select: last)"
    assert sum(weights in getattr(event, "text", "") for event in told) == 2
    (_, second), lengths = runs["epoch_digests"], runs["early_stop"]
    runs.at[1, "epoch_digests"] = ((*second[0][:1],),)  # as if the second had stopped one epoch before
    runs.at[1, "train_digest"] = second[0][0]
    runs.at[1, "early_stop"] = lengths[1] | {"epoch": 1}
    notes = " ".join(caveats(runs))
    assert "cnn after 2 of 3 epochs, unet after 1 of 3 epochs" in notes or "after 1 of 3 epochs" in notes
    assert "did not rise by more than 0.9 in 1 validation: " in notes
    assert "Reported are the weights of the last of these epochs." in notes
    assert "not all rows were trained on the same data" not in notes
    assert leaderboard(runs)["same_data"].all()
    rule = "".join(map(str, selection_rule(runs["recipe"][0])))
    assert "did not rise by more than 0.9 in 1 validation." in rule
