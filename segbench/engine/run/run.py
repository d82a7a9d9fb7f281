"""The steps of a run: open the data, build the network, train, evaluate, store the facts."""

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
from segbench.config.suite import Train
from segbench.data.loading.loader import EvaluationLoader, Shard
from segbench.engine.background import Threads, threads_of_run
from segbench.engine.checkpoint import save_checkpoint
from segbench.engine.device import ComputeConfig, deterministic
from segbench.engine.distributed import ALONE, ProcessGroup
from segbench.engine.evaluation.evaluate import Evaluation, evaluate
from segbench.engine.evaluation.gather import reduce_confusion
from segbench.engine.evaluation.predictor import Predictor
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
    report_other_places,
)
from segbench.engine.run.final_evaluation import evaluate_and_store
from segbench.engine.run.network_facts import network_facts, output_facts
from segbench.engine.run.parts import loss_of, network_of, predictor_of, training_config
from segbench.engine.run.record import build_record, part_in_folds, teacher_of
from segbench.engine.run.teacher import read_teacher
from segbench.engine.stopping import Stop
from segbench.engine.training.checkpointer import TrainingCheckpointer
from segbench.engine.training.distillation import Teacher
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import WeightedSum
from segbench.engine.training.trained import Trained
from segbench.engine.training.trainer import Trainer
from segbench.errors import RunInterrupted, TrainingError
from segbench.metrics.scores import score
from segbench.results.environment import capture, package_versions
from segbench.results.record import (
    DataFacts,
    EarlyStop,
    FoldFacts,
    Outcome,
    RunRecord,
    Timings,
)
from segbench.results.run_files import HISTORY_FILE
from segbench.results.training_states import StateFolder


@dataclass
class RunExecution:
    """The execution of a run; collects facts as they become known, so that a failed run's record has them too."""

    run: Run
    folder: Path
    device: torch.device
    observer: Observer
    states: StateFolder
    stop: Stop
    group: ProcessGroup = ALONE
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
    teacher_file: Path | None = None
    teacher_digest: str | None = None
    _save: Callable[[], None] | None = None

    def execute(self) -> None:
        """Open the data, build the network, train it, evaluate it, store the facts."""
        run_data = open_run_data(self.run, self.checks)
        self._note_data(run_data)
        network = self._build(run_data)
        loss = self._loss(run_data)
        train = self.run.recipe.train
        with (
            torch.random.fork_rng(devices=self._cuda_devices()),
            deterministic(wanted=train is not None and train.deterministic),
        ):
            torch.manual_seed(derived_seed(self.run) + self.group.rank)  # dropout differs from process to process
            if train is not None:
                network = self._train(network, loss, run_data)
            self._evaluate(network, loss, run_data)
        if self.group.leads and (train is None or train.keep_weights):
            file = self.folder / "checkpoint.safetensors"
            save_checkpoint(
                file,
                network,
                run=self.run,
                info=run_data.info,
                folds=run_data.folds,
                statistics=run_data.images.statistics,
                fingerprints=self.data.fingerprints if self.data else None,
            )

    def record(self, outcome: Outcome) -> RunRecord:
        """Return the record of the facts so far."""
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
                "teacher": teacher_of(self.run, weights_digest=self.teacher_digest),
                "test_loss": self.test_loss,
                "selected_epoch": self.selected_epoch,
                "early_stop": self.early_stop,
                "micro_batch": self.micro_batch,
                "processes": self.group.size,
                "runs_at_once": max([self.runs_at_once, *(place["runs_at_once"] for place in self.places)]),
            },
        )

    def _build(self, run_data: RunData) -> nn.Module:
        from segbench.models.build import check_input
        from segbench.models.weights.classes_map import for_classes

        info, run = run_data.info, self.run
        model = for_classes(run.model, info.classes)
        network = network_of(run, info)
        height, width = run_data.first_test_size()
        tell = lambda text: self.observer(Notice(f"{run.label}: {text}"))  # noqa: E731
        self.found_of_model |= network_facts(run, model, network, info, tell)
        self.found_of_model["input_size"] = (height, width)
        sizes = sorted(run_data.seen_sizes([run_data.test.read(0).label.shape]))
        for size in sizes:
            check_input(network, *size)
        self.found_of_model["outputs"] = output_facts(run, network, channels=info.channels, size=sizes[0], tell=tell)
        self.found_of_model |= cost_facts(network, info.channels, height, width)
        return network

    def _loss(self, run_data: RunData) -> WeightedSum:
        from segbench.data.validation.check import check_dataset, median_frequency_weights

        return loss_of(
            self.run.recipe,
            classes=len(run_data.info.classes),
            median_frequency=lambda: median_frequency_weights(check_dataset(run_data.train or run_data.test)),
        )

    def _train(self, network: nn.Module, loss: WeightedSum, run_data: RunData) -> nn.Module:
        recipe = self.run.recipe.train
        assert recipe is not None
        teacher = self._teacher(recipe, run_data)
        place = {**place_facts(self.device), "runs_at_once": self.runs_at_once}
        checkpointer = TrainingCheckpointer(
            self.states, self.run.resume, facts=self._lasting_facts(), stop=self.stop, place=place
        )
        with (
            run_data.training_loader(pin_memory=self._pin, shard=self._shard) as loader,
            self._validation_loader(run_data) as validation,
        ):
            trainer = Trainer(
                network,
                recipe,
                loader=loader,
                loss=loss,
                compute=self._compute,
                teacher=teacher,
                history=History(self.folder / HISTORY_FILE, lambda line: self.observer(EpochEnded(self.run.id, line))),
                validate=lambda candidate: self._validate(candidate, loss, run_data, validation),
                progress=lambda done, total, fields: self._tell("training", done, total, "steps", fields),
                checkpointer=checkpointer,
                group=self.group,
            )
            self._save = lambda: checkpointer.save(trainer)
            checkpointer.restore(trainer, tell=lambda text: self.observer(Notice(f"{self.run.label}: {text}")))
            self.seconds_before, self.places = checkpointer.seconds_before, checkpointer.places
            report_other_places(self.places, lambda text: self.observer(Notice(f"{self.run.label}: {text}")))
            with self._compute.matrix_precision():
                trained = trainer.fit()
        self._note_training(trained)
        return trained.network

    def _teacher(self, recipe: Train, run_data: RunData) -> Teacher | None:
        """Read the run's teacher; None without one."""
        if self.run.teacher is None or recipe.distill is None:
            return None
        found = read_teacher(self.run, self.teacher_file, info=run_data.info, group=self.group, scratch=self.folder)
        self.teacher_digest = found.digest
        return Teacher(found.network, recipe.distill, self._compute)

    @property
    def _environment_facts(self) -> dict[str, Any]:
        """Return the compute environment of the run, and that of its earlier parts if it differs."""
        earlier = earlier_places(self.places) if self.places else {}
        return {**compute_facts(self.device), "precision": recipe_precision(self.run), **earlier}

    def _lasting_facts(self) -> dict[str, Any]:
        """Return the facts that must match for a training state to be used."""
        assert self.data is not None
        return {
            "identity": self.run.identity,
            "data": self.data.fingerprints,
            "pixel_digests": self.data.pixel_digests,
            "weights": self.found_of_model["weights_digest"],
            "versions": package_versions(),
            "device": self.device.type,
            "processes": self.group.size,
            **({} if self.teacher_digest is None else {"teacher": self.teacher_digest}),
        }

    def _validation_loader(self, run_data: RunData) -> EvaluationLoader | nullcontext[None]:
        """Return the loader for all validations of a run, which keeps its workers alive."""
        if run_data.validation is None:
            return nullcontext()
        return run_data.evaluation_loader(run_data.validation, pin_memory=self._pin, shard=self._shard)

    def _validate(
        self, network: nn.Module, loss: WeightedSum, run_data: RunData, loader: EvaluationLoader | None
    ) -> Mapping[str, float]:
        assert loader is not None
        progress = lambda done, total: self._stop_if_due()  # noqa: E731
        own = evaluate(self._predictor(network, run_data), loader, loss=loss, progress=progress)
        found = reduce_confusion(own, self.group)
        scores = score(found.matrix)
        return {
            "validation_mean_iou": scores.mean_iou,
            "validation_pixel_accuracy": scores.pixel_accuracy,
            "validation_mean_recall": scores.mean_recall,
            "validation_loss": float("nan") if found.loss is None else found.loss,
        }

    def _evaluate(self, network: nn.Module, loss: WeightedSum, run_data: RunData) -> None:
        self._compute.place(network)
        found = evaluate_and_store(
            self._predictor(network, run_data),
            run_data,
            self.folder,
            loss=loss,
            threads=self._threads,
            group=self.group,
            progress=self._evaluated,
        )
        if found is not None:
            self._note_evaluation(found)

    def _predictor(self, network: nn.Module, run_data: RunData) -> Predictor:
        return predictor_of(network, self.run.recipe, classes=len(run_data.info.classes), device=self.device)

    def _note_data(self, run_data: RunData) -> None:
        identity, statistics = run_data.identity(self.checks), run_data.images.statistics
        self.data = DataFacts(
            dataset=run_data.info.name,
            classes=run_data.info.classes,
            palette=run_data.info.palette,
            train_images=len(run_data.train) if run_data.train is not None else 0,
            test_images=len(run_data.test),
            fingerprints=dict(identity.fingerprints),
            pixel_digests=dict(identity.pixel_digests),
            notes=tuple(str(note) for note in splits_of(run_data).findings(self.checks)),
            channels=run_data.info.channels,
            dtype=run_data.info.dtype,
            statistics=statistics and {"mean": statistics.mean, "std": statistics.std},
        )
        if run_data.folds is not None:
            groups, pool = run_data.folds.groups_in(run_data.test), run_data.folds.pool.fingerprint()
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
        """Note and report that the training was stopped early."""
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
        """Stop in the middle of an evaluation if it is due; several processes finish the evaluation first.

        Raises:
            RunInterrupted: It was time to stop.
        """
        if not self.stop.due or self.group.size > 1:
            return
        if self._save is not None:
            self._save()
        saved = "; the training up to it is saved" if self._save is not None else ""
        raise RunInterrupted("stopped in an evaluation", kept=f"which will be repeated{saved}")

    def _tell(self, stage: Stage, done: int, total: int, unit: str, fields: Mapping[str, float]) -> None:
        self.observer(Progress(self.run.id, stage, done, total, unit, fields))

    @property
    def _compute(self) -> ComputeConfig:
        return training_config(self.run.recipe, self.device)

    @property
    def _threads(self) -> Threads:
        return threads_of_run(self.device, self.group, workers=self.run.loader.workers, cores=self.cores)

    @property
    def _shard(self) -> Shard:
        return Shard(self.group.rank, self.group.size)

    @property
    def _pin(self) -> bool:
        return self.device.type == "cuda"

    def _cuda_devices(self) -> list[int]:
        return [self.device.index] if self.device.type == "cuda" else []
