"""What a run does, in order: open the data, build the network, train, evaluate, store the facts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from segbench.config.plan import Run
from segbench.data.loading.loader import EvaluationLoader, Shard
from segbench.engine.background import Threads, threads_of_run
from segbench.engine.checkpoint import save_checkpoint
from segbench.engine.device import ComputeConfig, deterministic
from segbench.engine.distributed import ALONE, ProcessGroup
from segbench.engine.evaluation.details import Details
from segbench.engine.evaluation.evaluate import Evaluation, evaluate
from segbench.engine.evaluation.gather import Seen, gather_evaluation, reduce_confusion
from segbench.engine.evaluation.predictions import PredictionArchive, read_archive, write_archive
from segbench.engine.evaluation.predictor import Predictor
from segbench.engine.evaluation.sample_pictures import save_pictures, spread
from segbench.engine.events import EpochEnded, Notice, Observer, Progress, Stage
from segbench.engine.run.data import RunData, open_run_data
from segbench.engine.run.data_findings import splits_of
from segbench.engine.run.facts import (
    compute_facts,
    cost_facts,
    derived_seed,
    earlier_places,
    place_facts,
    recipe_precision,
    tell_of_other_places,
)
from segbench.engine.run.network_facts import network_facts, output_facts
from segbench.engine.run.parts import loss_of, network_of, predictor_of, training_config
from segbench.engine.run.record import build_record, part_in_folds
from segbench.engine.stopping import Stop
from segbench.engine.training.checkpointer import TrainingCheckpointer
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import WeightedSum
from segbench.engine.training.trained import Trained
from segbench.engine.training.trainer import Trainer
from segbench.errors import RunInterrupted, TrainingError
from segbench.metrics.scores import score
from segbench.results.arrays.details import DETAILS_FILE, save_details
from segbench.results.arrays.matrices import save_matrices
from segbench.results.environment import capture, package_versions
from segbench.results.find_runs import CONFUSION_FILE, HISTORY_FILE, PREDICTIONS_FILE
from segbench.results.record import (
    DataFacts,
    EarlyStop,
    FoldFacts,
    Outcome,
    RunRecord,
    Timings,
)
from segbench.results.training_states import StateFolder


@dataclass
class RunExecution:
    """A run under way; what has been found so far is kept, so that a failed run's record has it too."""

    run: Run
    folder: Path
    device: torch.device
    observer: Observer
    states: StateFolder
    stop: Stop
    team: ProcessGroup = ALONE
    checks: Mapping[str, Any] = field(default_factory=dict)
    runs_at_once: int = 1
    cores: int | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.perf_counter)
    found_of_model: dict[str, Any] = field(default_factory=dict)
    data: DataFacts | None = None
    fold: FoldFacts | None = None
    found_of_time: dict[str, float] = field(default_factory=dict)
    test_loss: float | None = None
    selected_epoch: int | None = None
    early_stop: EarlyStop | None = None
    micro_batch: int | None = None
    seconds_before: float = 0.0
    places: list[dict[str, Any]] = field(default_factory=list)
    _save: Callable[[], None] | None = None

    def carry_out(self) -> None:
        """Open the data, build the network, train it, evaluate it, store the facts."""
        materials = open_run_data(self.run, self.checks)
        self._note_data(materials)
        network = self._build(materials)
        loss = self._loss(materials)
        train = self.run.recipe.train
        with (
            torch.random.fork_rng(devices=self._cuda_devices()),
            deterministic(wanted=train is not None and train.deterministic),
        ):
            torch.manual_seed(derived_seed(self.run) + self.team.rank)  # dropout differs from process to process
            if train is not None:
                network = self._train(network, loss, materials)
            self._evaluate(network, loss, materials)
        if self.team.leads and (train is None or train.keep_weights):
            file = self.folder / "checkpoint.safetensors"
            save_checkpoint(
                file,
                network,
                run=self.run,
                info=materials.info,
                folds=materials.folds,
                statistics=materials.images.statistics,
            )

    def record(self, outcome: Outcome) -> RunRecord:
        """Return the record of what was found."""
        return build_record(
            self.run,
            outcome,
            model=self.found_of_model,
            data=self.data,
            timings=Timings(
                started=self.started.isoformat(timespec="seconds"),
                total_seconds=self.seconds_before + time.perf_counter() - self.clock,
                **self.found_of_time,
            ),
            environment=capture(device=str(self.device), extra=self._environment_facts),
            found={
                **({"fold": self.fold} if self.fold else {}),
                "test_loss": self.test_loss,
                "selected_epoch": self.selected_epoch,
                "early_stop": self.early_stop,
                "micro_batch": self.micro_batch,
                "processes": self.team.size,
                "runs_at_once": max([self.runs_at_once, *(place["runs_at_once"] for place in self.places)]),
            },
        )

    def _build(self, materials: RunData) -> nn.Module:
        from segbench.models.build import check_input
        from segbench.models.weights.classes_map import for_classes

        info, run = materials.info, self.run
        model = for_classes(run.model, info.classes)
        network = network_of(run, info)
        height, width = materials.first_test_size()
        tell = lambda text: self.observer(Notice(f"{run.label}: {text}"))  # noqa: E731
        self.found_of_model |= network_facts(run, model, network, info, tell)
        self.found_of_model["input_size"] = (height, width)
        sizes = sorted(materials.seen_sizes([materials.test.read(0).label.shape]))
        for size in sizes:
            check_input(network, *size)
        self.found_of_model["outputs"] = output_facts(run, network, channels=info.channels, size=sizes[0], tell=tell)
        self.found_of_model |= cost_facts(network, info.channels, height, width)
        return network

    def _loss(self, materials: RunData) -> WeightedSum:
        from segbench.data.validation.check import check_dataset, median_frequency_weights

        return loss_of(
            self.run.recipe,
            classes=len(materials.info.classes),
            median_frequency=lambda: median_frequency_weights(check_dataset(materials.train or materials.test)),
        )

    def _train(self, network: nn.Module, loss: WeightedSum, materials: RunData) -> nn.Module:
        recipe = self.run.recipe.train
        assert recipe is not None
        place = {**place_facts(self.device), "runs_at_once": self.runs_at_once}
        checkpointer = TrainingCheckpointer(
            self.states, self.run.resume, facts=self._lasting_facts(), stop=self.stop, place=place
        )
        with (
            materials.training_loader(pin_memory=self._pin, share=self._share) as loader,
            self._validation_loader(materials) as validation,
        ):
            trainer = Trainer(
                network,
                recipe,
                loader=loader,
                loss=loss,
                arithmetic=self._arithmetic,
                history=History(self.folder / HISTORY_FILE, lambda line: self.observer(EpochEnded(self.run.id, line))),
                validate=lambda candidate: self._validate(candidate, loss, materials, validation),
                progress=lambda done, total, fields: self._tell("training", done, total, "steps", fields),
                checkpointer=checkpointer,
                team=self.team,
            )
            self._save = lambda: checkpointer.save(trainer)
            checkpointer.restore(trainer, tell=lambda text: self.observer(Notice(f"{self.run.label}: {text}")))
            self.seconds_before, self.places = checkpointer.seconds_before, checkpointer.places
            tell_of_other_places(self.places, lambda text: self.observer(Notice(f"{self.run.label}: {text}")))
            with self._arithmetic.matrix_precision():
                trained = trainer.fit()
        self._note_training(trained)
        return trained.network

    @property
    def _environment_facts(self) -> dict[str, Any]:
        """Return what the run computes with, and what its earlier pieces computed with where that was not the same."""
        earlier = earlier_places(self.places) if self.places else {}
        return {**compute_facts(self.device), "precision": recipe_precision(self.run), **earlier}

    def _lasting_facts(self) -> dict[str, Any]:
        """Return what has to be as it was for a saved state to be used."""
        assert self.data is not None
        return {
            "identity": self.run.identity,
            "data": self.data.fingerprints,
            "pixel_digests": self.data.pixel_digests,
            "weights": self.found_of_model["weights_digest"],
            "versions": package_versions(),
            "device": self.device.type,
            "processes": self.team.size,
        }

    def _validation_loader(self, materials: RunData) -> EvaluationLoader | nullcontext[None]:
        """Return the loader of all validations of a run, so that its workers stay."""
        if materials.validation is None:
            return nullcontext()
        return materials.evaluation_loader(materials.validation, pin_memory=self._pin, share=self._share)

    def _validate(
        self, network: nn.Module, loss: WeightedSum, materials: RunData, loader: EvaluationLoader | None
    ) -> Mapping[str, float]:
        assert loader is not None
        progress = lambda done, total: self._stop_if_due()  # noqa: E731
        own = evaluate(self._predictor(network, materials), loader, loss=loss, progress=progress)
        found = reduce_confusion(own, self.team)
        scores = score(found.matrix)
        return {
            "validation_mean_iou": scores.mean_iou,
            "validation_pixel_accuracy": scores.pixel_accuracy,
            "validation_mean_recall": scores.mean_recall,
            "validation_loss": float("nan") if found.loss is None else found.loss,
        }

    def _evaluate(self, network: nn.Module, loss: WeightedSum, materials: RunData) -> None:
        self._arithmetic.place(network)
        file = self.folder / PREDICTIONS_FILE
        with (
            materials.evaluation_loader(materials.test, pin_memory=self._pin, share=self._share) as loader,
            self._archive(file, materials) as archive,
            Details(len(materials.info.classes), archive, threads=self._threads) as details,
        ):
            own = evaluate(
                self._predictor(network, materials),
                loader,
                loss=loss,
                keep=spread(self.run.recipe.evaluate.samples, len(materials.test)),
                look=details,
                progress=self._evaluated,
            )
        predictions = None if archive is None or self.team.size == 1 else read_archive(file)
        found = gather_evaluation(Seen(own, details.collected(), predictions), self.team)
        if found is None:
            return
        if found.predictions is not None:
            write_archive(file, found.predictions)
        save_matrices(self.folder / CONFUSION_FILE, found.evaluation.matrices)
        save_details(self.folder / DETAILS_FILE, found.details)
        save_pictures(self.folder / "samples", found.evaluation.pictures, materials.test)
        self._note_evaluation(found.evaluation)

    def _archive(self, file: Path, materials: RunData) -> PredictionArchive | nullcontext[None]:
        """Return where predictions are kept: nowhere in a suite that wants no pictures."""
        if not self.run.recipe.evaluate.samples:
            return nullcontext()
        return PredictionArchive(file, materials.info.palette)

    def _predictor(self, network: nn.Module, materials: RunData) -> Predictor:
        return predictor_of(network, self.run.recipe, classes=len(materials.info.classes), device=self.device)

    def _note_data(self, materials: RunData) -> None:
        identity, statistics = materials.identity(self.checks), materials.images.statistics
        self.data = DataFacts(
            dataset=materials.info.name,
            classes=materials.info.classes,
            palette=materials.info.palette,
            train_images=len(materials.train) if materials.train is not None else 0,
            test_images=len(materials.test),
            fingerprints=dict(identity.fingerprints),
            pixel_digests=dict(identity.pixel_digests),
            notes=tuple(str(note) for note in splits_of(materials).findings(self.checks)),
            channels=materials.info.channels,
            dtype=materials.info.dtype,
            statistics=statistics and {"mean": statistics.mean, "std": statistics.std},
        )
        if materials.folds is not None:
            groups, pool = materials.folds.groups_in(materials.test), materials.folds.pool.fingerprint()
            self.fold = part_in_folds(self.run, groups=groups, pool_fingerprint=pool)

    def _note_training(self, trained: Trained) -> None:
        assert self.data is not None
        recipe = self.run.recipe.train
        by_epoch = trained.epoch_digests if recipe is not None and recipe.early_stopping else None
        self.data = self.data.model_copy(update={"train_digest": trained.digest, "epoch_digests": by_epoch})
        self.selected_epoch, self.micro_batch = trained.selected_epoch, trained.micro_batch
        if trained.stopped_early is not None:
            self._note_early_stop(trained, trained.stopped_early)
        self.found_of_time |= {
            "training_seconds": trained.seconds,
            "training_images_per_second": trained.images_per_second,
        }

    def _note_early_stop(self, trained: Trained, reason: str) -> None:
        """Note, and tell, that the training ended before the end of its recipe."""
        self.early_stop = EarlyStop(epoch=trained.epochs, epochs=trained.planned_epochs, reason=reason)
        length = f"epoch {trained.epochs} of {trained.planned_epochs}"
        assert self.run.recipe.train is not None
        reported = (
            f"reported are the weights of epoch {trained.selected_epoch} (select: {self.run.recipe.train.select})"
        )
        whose = f"{self.run.title}, seed {self.run.seed}"
        self.observer(Notice(f"{whose}: stopped early after {length}: {reason}; {reported}"))

    def _note_evaluation(self, found: Evaluation) -> None:
        assert self.data is not None
        self.data = self.data.model_copy(update={"test_digest": found.digest})
        self.test_loss = found.loss
        if found.loss is not None and not math.isfinite(found.loss):
            raise TrainingError(f"the loss on the test split is {found.loss}: the network's scores are not numbers")
        self.found_of_time |= {
            "evaluation_seconds": found.seconds,
            "evaluation_images_per_second": found.images_per_second,
        }

    def _evaluated(self, done: int, total: int) -> None:
        self._tell("evaluation", done, total, "images", {})
        if done < total:
            self._stop_if_due()

    def _stop_if_due(self) -> None:
        """Save where the training is and stop, in the middle of an evaluation; several processes end it first.

        Raises:
            RunInterrupted: It was time.
        """
        if not self.stop.due or self.team.size > 1:
            return
        if self._save is not None:
            self._save()
        saved = "; the training up to it is saved" if self._save is not None else ""
        raise RunInterrupted("stopped in an evaluation", kept=f"which is begun again{saved}")

    def _tell(self, stage: Stage, done: int, total: int, unit: str, fields: Mapping[str, float]) -> None:
        self.observer(Progress(self.run.id, stage, done, total, unit, fields))

    @property
    def _arithmetic(self) -> ComputeConfig:
        return training_config(self.run.recipe, self.device)

    @property
    def _threads(self) -> Threads:
        return threads_of_run(self.device, self.team, workers=self.run.loader.workers, cores=self.cores)

    @property
    def _share(self) -> Shard:
        return Shard(self.team.rank, self.team.size)

    @property
    def _pin(self) -> bool:
        return self.device.type == "cuda"

    def _cuda_devices(self) -> list[int]:
        return [self.device.index] if self.device.type == "cuda" else []
