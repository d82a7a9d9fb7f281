"""The parts of a network's check: building, times, numbers, bit-exact repetition."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segbench.config.suite import Train
from segbench.data.loading.loader import TrainingLoader
from segbench.engine.device import ComputeConfig, deterministic
from segbench.engine.doctor.cases import NetworkCase
from segbench.engine.doctor.noise import noise_loader
from segbench.engine.doctor.numbers import (
    DRAWS,
    beyond_limits,
    computed,
    fill_zeros,
    reference,
    relative_error,
)
from segbench.engine.estimate.model_probe import MOST_STEPS, repeated, step_times, typical
from segbench.engine.evaluation.predictor import Predictor
from segbench.engine.run.network_outputs import outputs_of_run
from segbench.engine.run.parts import evaluation_config, predictor_of, training_config
from segbench.engine.training.epoch_meter import EpochMeter
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import build_loss
from segbench.engine.training.trainer import Trainer
from segbench.models.base import constraint_of
from segbench.models.build import build_network, check_input

COMPARED_IMAGES = 1
"""Number of images for comparing numbers; torch's float64 CPU convolutions use only one core per image."""
COMPARED_SIDE = 96
"""Largest height and width of images for comparing numbers, since float64 is slow on CPUs."""
TIMED_SECONDS = 0.5
"""About how many seconds to time steps, and each kind of forward pass; at least two calls."""
TIMED_SECONDS_ON_CPU = 0.1
"""On the CPU, images are too small for meaningful times."""
SHORT_TRAINING_STEPS = 3

_REFUSES = re.compile(r"(\S+) does not have a deterministic implementation")


@dataclass
class Trial:
    """A running check with its results so far.

    Attributes:
        case: The network with its inputs and recipe.
        device: The device of the check.
        base: The network as it was built, on the CPU; None before that.
        problems: Problems, each with its part of the check.
        notes: Unusual properties that are no problems.
        found: Fields of ``NetworkCheck``.
    """

    case: NetworkCase
    device: torch.device
    base: nn.Module | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)

    def parts(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield the parts of the check; times come first, while the process has used no other memory."""
        yield "building", self.build
        if self.train is not None:
            yield "training", self.time_training
        yield "inference", self.time_inference
        yield "numbers", self.compare_numbers
        if self.train is not None:
            yield "deterministic training", self.compare_bits

    @property
    def train(self) -> Train | None:
        """The training recipe."""
        return self.case.recipe.train

    @property
    def timed_seconds(self) -> float:
        """How many seconds to time on this device."""
        return TIMED_SECONDS_ON_CPU if self.device.type == "cpu" else TIMED_SECONDS

    @property
    def compute(self) -> ComputeConfig:
        """The recipe's device, precision and memory layout."""
        return training_config(self.case.recipe, self.device)

    def build(self) -> None:
        """Build the network, and find the sizes it supports and the outputs it returns."""
        case = self.case
        base = self._built()
        constraint = constraint_of(base)

        def taken(size: tuple[int, int]) -> tuple[int, int]:
            return (constraint.next(size[0]), constraint.next(size[1])) if case.adapts else size

        training, test = taken(case.training_size), taken(case.test_size)
        for size in (training, test):
            check_input(base, *size)
        self._look_at_outputs(base, training)
        self.base = base
        self.found |= {
            "training_size": training,
            "test_size": test,
            "batch_size": self.train.batch_size if self.train else None,
            "evaluation_batch_size": case.recipe.evaluate.batch_size,
            "precision": self.compute.precision,
        }

    def _look_at_outputs(self, base: nn.Module, size: tuple[int, int]) -> None:
        """Check the outputs of an external network; it is a problem if a loss cannot train on them."""
        found = outputs_of_run(base, self.train, channels=self.case.channels, size=size)
        if found is not None:
            wrong = not found.finite or (found.returns_probabilities and self.train is not None)
            told = found.notes(trained=self.train is not None)
            if wrong:
                self.problems += [f"outputs: {text}" for text in told]
            else:
                self.notes += told

    def network(self) -> nn.Module:
        """Return a fresh copy of the built network on the CPU."""
        assert self.base is not None
        try:
            return deepcopy(self.base)
        except Exception:  # external networks may not support copying
            return self._built()

    def _built(self) -> nn.Module:
        case = self.case
        return build_network(
            case.model, classes=case.classes, channels=case.channels, seed=case.seed, init=case.recipe.init
        )

    def time_training(self) -> None:
        """Time the trainer's own steps on one batch."""
        loader = self._loader(1)
        trainer = self._trainer(loader)
        self.compute.reset_peak_memory()
        step = typical(step_times(trainer, next(loader.epoch(1)), seconds=self.timed_seconds))
        self.found |= {
            "training_step_ms": 1e3 * step,
            "training_images_per_second": self.found["batch_size"] / step,
            "training_peak_bytes": self.compute.peak_memory_bytes(),
        }

    def time_inference(self) -> None:
        """Time the evaluation's forward passes, of one image and of a batch."""
        evaluation, compute = self.case.recipe.evaluate, evaluation_config(self.case.recipe, self.device)
        network = compute.place(self.network())
        predictor = predictor_of(network, self.case.recipe, classes=self.case.classes, device=self.device)
        compute.reset_peak_memory()
        for key, count in (("inference_ms", 1), ("evaluation_batch_ms", evaluation.batch_size)):
            images = compute.images(self._images(count, self.found["test_size"], seed=0))
            self.found[key] = 1e3 * _forward_seconds(predictor, images, seconds=self.timed_seconds)
        if self.device.type == "cuda":
            self.found["inference_peak_bytes"] = compute.peak_memory_bytes()

    def compare_numbers(self) -> None:
        """Compare fp32 logits and gradients with the CPU's, and logits in the recipe's precision with fp32.

        The smallest errors of several draws count.
        """
        errors: dict[str, float] = {}
        for draw in range(DRAWS):
            for name, error in self._errors(draw).items():
                errors[name] = min(error, errors.get(name, error))
            exact = self.found["reference_precision"]
            beyond = beyond_limits(errors, precision=self.compute.precision, compared_with=exact)
            if not beyond:
                break
        self.found |= {f"{name}_relative_error": error for name, error in errors.items()}
        self.problems += [f"numbers: {text}" for text in beyond]

    def _errors(self, draw: int) -> dict[str, float]:
        """Return the relative errors on one draw of images and labels."""
        constraint, (height, width) = constraint_of(self.network()), self.found["training_size"]
        size = constraint.next(min(height, COMPARED_SIDE)), constraint.next(min(width, COMPARED_SIDE))
        images = self._images(COMPARED_IMAGES, size, seed=draw)
        generator = torch.Generator().manual_seed(draw)
        labels = torch.randint(self.case.classes, (COMPARED_IMAGES, *size), generator=generator)
        expected, exact = reference(fill_zeros(self.network()), images, labels)
        expected.check_finite(f"{exact} on the CPU")
        self.found["reference_precision"] = exact
        found = computed(fill_zeros(self.network()), images, labels, ComputeConfig(self.device))
        errors = {
            "logits": relative_error((found.logits,), (expected.logits,)),
            "gradients": relative_error(found.gradients, expected.gradients),
        }
        if self.compute.precision != "fp32":
            lower = computed(fill_zeros(self.network()), images, labels, self.compute)
            errors["precision_logits"] = relative_error((lower.logits,), (found.logits,))
        return errors

    def compare_bits(self) -> None:
        """Train twice for a few steps with the same seed and deterministic algorithms, and compare."""
        assert self.train is not None
        try:
            states = [self._trained_state() for _ in range(2)]
        except RuntimeError as error:
            refusing = _REFUSES.search(str(error))
            if refusing is None:
                raise
            self.found["nondeterministic_operator"] = refusing[1]
            if self.train.deterministic:
                self.problems.append(f"deterministic training: {refusing[1]} has no deterministic implementation")
            return
        differing = [name for name, tensor in states[0].items() if not _same_bits(tensor, states[1][name])]
        self.found["same_bits"] = not differing
        if differing:
            text = f"two trainings from one seed differ in {len(differing)} of {len(states[0])} tensors"
            self.problems.append(f"deterministic training: {text}, the first: {differing[0]}")

    def _trained_state(self) -> dict[str, Tensor]:
        loader = self._loader(SHORT_TRAINING_STEPS)
        devices = [self.device.index] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), deterministic(wanted=True):
            torch.manual_seed(0)
            trainer = self._trainer(loader)
            trainer.network.train()
            meter = EpochMeter(1, trainer.loss.names)
            with trainer.compute.matrix_precision():
                batches = loader.epoch(1)
                trainer.train_step(batches, meter)
                meter.check()  # later losses may diverge because the learning rate is not warmed up
                for _ in islice(range(SHORT_TRAINING_STEPS), 1, None):
                    trainer.train_step(batches, meter)
            return {name: tensor.detach().cpu().clone() for name, tensor in trainer.network.state_dict().items()}

    def _trainer(self, loader: TrainingLoader) -> Trainer:
        assert self.train is not None
        classes = self.case.classes
        return Trainer(
            self.network(),
            self.train,
            loader=loader,
            loss=build_loss(self.train.loss, classes=classes, median_frequency=lambda: [1.0] * classes),
            compute=self.compute,
            history=History(Path("never-written.csv")),
        )

    def _loader(self, batches: int) -> TrainingLoader:
        return noise_loader(
            batches,
            self.found["training_size"],
            batch_size=self.found["batch_size"],
            classes=self.case.classes,
            channels=self.case.channels,
            pin_memory=self.device.type == "cuda",
        )

    def _images(self, count: int, size: tuple[int, int], *, seed: int) -> Tensor:
        """Return (count, channels, H, W) float32 images, normally distributed, on the CPU."""
        return torch.randn(count, self.case.channels, *size, generator=torch.Generator().manual_seed(seed))


def _forward_seconds(predictor: Predictor, images: Tensor, *, seconds: float) -> float:
    def once() -> float:
        started = time.perf_counter()
        predictor.scores(images)
        predictor.compute.synchronize()
        return time.perf_counter() - started

    return typical(repeated(once, lambda taken: taken, seconds=seconds, most=MOST_STEPS))


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors are bit-identical: NaN equals itself, 0 and -0 differ."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(*(tensor.contiguous().flatten().view(torch.uint8) for tensor in (one, other)))
