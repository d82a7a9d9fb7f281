"""Holds the engine against the least there is to do: a bare training loop, forward passes, torchvision's loader.

    python benchmarks/engine_throughput.py [--rounds 5] [--seconds 4] [--models unet,fcn8s,fc_densenet56] [--batch 4]

Every pair is timed in turn, round by round, on the same tensors or files; printed is the median of the rounds' ratios
with their range. Targets: training within 3 % of the bare loop; evaluation, with resizing, loss and matrices, within
10 % of forward passes (what looking closer costs, at contours, confidence and pictures, is told beside it); loading at
least twice as fast as torchvision's reference pipeline for segmentation, in one process of one thread. Ends with 1 if
one is missed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as reference

from segbench.cli.terminal.output import write_table
from segbench.config.component import LossEntry, ModelEntry, OptimizerEntry, TransformEntry
from segbench.config.load import check_part
from segbench.config.sections.training import Evaluate, Train
from segbench.data.cache.datasets import DiskCache
from segbench.data.datasets.folder import folder as folder_dataset
from segbench.data.loading.loader import Batch, EvaluationBatch, TrainingLoader
from segbench.data.loading.pipeline import Pipeline
from segbench.engine.device import ComputeConfig
from segbench.engine.evaluation.details import Details
from segbench.engine.evaluation.evaluate import evaluate
from segbench.engine.evaluation.predictions import PredictionArchive
from segbench.engine.evaluation.predictor import Predictor
from segbench.engine.training.epoch_meter import EpochMeter
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import WeightedSum, build_loss
from segbench.engine.training.optim.optimizers import create_optimizer
from segbench.engine.training.trainer import Trainer
from segbench.models.build import build_network
from segbench.results.environment import capture

SIZE = (360, 480)
CLASSES = 11
PALETTE = tuple((20 * number, 0, 0) for number in range(CLASSES))
WIDTHS = {"unet": 0.25, "fcn8s": 0.125}
CPU = ComputeConfig(torch.device("cpu"))
BATCH = 4

Timed = Callable[[], int]
"""Does some work and returns how many images that was."""


def main() -> int:
    arguments = _arguments()
    rows, kept = [], True
    extent = {"rounds": arguments.rounds, "seconds": arguments.seconds}
    for model in arguments.models.split(","):
        build, fixed = partial(network, model), Fixed(count=arguments.batch, steps=arguments.steps)
        pairs = (
            ("training", training(build, fixed), 1.03),
            ("evaluation", evaluation(build, fixed), 1.10),
            ("evaluation, looking closer", evaluation(build, fixed, closer=True), None),
        )
        for what, pair, most in pairs:
            row, good = compared(
                f"{model}: {what}", *pair, rounds=arguments.rounds, seconds=arguments.seconds, most=most
            )
            print("; ".join(row), flush=True)  # the next may take minutes
            rows.append(row)
            kept &= good
    with tempfile.TemporaryDirectory() as name:
        pair = loading(Path(name))
        torch.set_num_threads(1)
        row, good = compared("loading", *pair, most=0.5, **extent)
    rows.append(row)
    write_table(["what", "segbench ms", "bare ms", "ratio", "range", "wanted", "kept"], rows, right=["ratio"])
    environment = capture("cpu")
    print(
        f"milliseconds an image at {SIZE[0]}x{SIZE[1]}, batches of {arguments.batch}, {arguments.rounds} rounds in "
        f"turn\n"
        f"{environment['processor']}, {environment['cores']} cores, torch {environment['versions']['torch']}"
    )
    return 0 if kept and good else 1


def compared(
    title: str, ours: Timed, bare: Timed, *, rounds: int, seconds: float, most: float | None
) -> tuple[list[str], bool]:
    """Time both in turn; return a line of the table, and whether the ratio of times is as small as wanted."""
    for timed in (ours, bare):
        timed()
    times: list[tuple[float, float]] = []
    for number in range(rounds):
        order = (ours, bare) if number % 2 else (bare, ours)
        found = {timed: per_image(timed, seconds) for timed in order}
        times.append((found[ours], found[bare]))
    ratios = [first / second for first, second in times]
    ratio = statistics.median(ratios)
    cells = [f"{1000 * statistics.median(column):.1f}" for column in zip(*times, strict=True)]
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    if most is None:
        return [title, *cells, f"{ratio:.3f}", spread, "-", "-"], True
    kept = ratio <= most
    return [title, *cells, f"{ratio:.3f}", spread, f"at most {most:.2f}", "yes" if kept else "NO"], kept


def per_image(timed: Timed, seconds: float) -> float:
    started, images = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        images += timed()
    return (time.perf_counter() - started) / images


class Fixed:
    """Stands for a loader: the same batches, ready in memory."""

    def __init__(
        self, compute: ComputeConfig = CPU, *, size: tuple[int, int] = SIZE, count: int = BATCH, steps: int = 1
    ) -> None:
        self.steps = steps
        draw = torch.Generator().manual_seed(0)
        self.images = compute.images(torch.rand(count, 3, *size, generator=draw))
        labels = torch.randint(0, CLASSES, (count, *size), generator=draw)
        self.labels = labels.to(compute.device, torch.uint8)
        self.positions = range(count * steps)

    def __len__(self) -> int:
        return self.steps

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[Batch]:  # as a training loader
        del epoch, skip
        return iter([self.batch] * self.steps)

    @property
    def batch(self) -> Batch:
        count = len(self.images)
        names = tuple(map(str, range(count)))
        return Batch(names, self.images, self.labels, ("0" * 32,) * count, (self.labels[0].numel(),) * count)

    def __iter__(self) -> Iterator[EvaluationBatch]:  # as an evaluation loader
        count, digests = len(self.images), self.batch.digests
        for start in self.positions[::count]:
            names = tuple(str(start + number) for number in range(count))
            yield EvaluationBatch(names, self.images, tuple(self.labels), digests)


def network(model: str) -> nn.Module:
    entry = check_part(ModelEntry, {"name": model, **({"width": WIDTHS[model]} if model in WIDTHS else {})})
    return build_network(entry, classes=CLASSES, channels=3, seed=0)


def cross_entropy() -> WeightedSum:
    return build_loss((LossEntry(name="cross_entropy"),), classes=CLASSES, median_frequency=lambda: [1.0] * CLASSES)


def training(
    build: Callable[[], nn.Module], fixed: Fixed, compute: ComputeConfig = CPU, *, compiled: bool = False
) -> tuple[Timed, Timed]:
    """Return an epoch of the engine and as many steps of a bare loop, on the same tensors."""
    recipe = Train.model_validate(
        {
            "steps": 10**6,
            "batch_size": len(fixed.images),
            "optimizer": {"name": "adamw", "lr": 1e-4},
            "precision": compute.precision,
            "channels_last": compute.channels_last,
            "compile": compiled,
        }
    )
    trainer = Trainer(
        build(),
        recipe,
        loader=fixed,  # type: ignore[arg-type]
        loss=cross_entropy(),
        compute=compute,
        history=History(Path("never")),
    )

    def epoch() -> int:
        trainer._train_epoch(EpochMeter(1, trainer.loss.names))
        return len(fixed.positions)

    plain = compute.place(build()).train()
    optimizer = create_optimizer(check_part(OptimizerEntry, {"name": "adamw", "lr": 1e-4}), plain)
    forward = torch.compile(plain) if compiled else plain

    def bare() -> int:
        for _ in range(fixed.steps):
            optimizer.zero_grad(set_to_none=True)
            with compute.autocast():
                logits = forward(fixed.images)
            nn.functional.cross_entropy(logits.float(), fixed.labels.long(), ignore_index=255).backward()
            optimizer.step()
        compute.synchronize()
        return len(fixed.positions)

    return epoch, bare


def evaluation(build: Callable[[], nn.Module], fixed: Fixed, *, closer: bool = False) -> tuple[Timed, Timed]:
    """Return one evaluation, loss included, and one forward pass of the same images.

    Looking closer, at contours, confidence and pictures, is done once, of the test split, and told apart there.
    """
    plain, loss = build().eval(), cross_entropy()
    predictor = Predictor(build(), Evaluate(), classes=CLASSES, compute=CPU)

    def whole() -> int:
        with PredictionArchive(BytesIO(), PALETTE) as archive:
            look = Details(CLASSES, archive) if closer else None
            evaluate(predictor, fixed, loss=loss, details=look)  # type: ignore[arg-type]
        return len(fixed.positions)

    def bare() -> int:
        with torch.inference_mode():
            for _ in range(fixed.steps):
                plain(fixed.images)
        return len(fixed.positions)

    return whole, bare


def loading(place: Path) -> tuple[Timed, Timed]:
    """Return an epoch of our loader through the disk cache, and one of torchvision's reference pipeline."""
    write_pictures(place)
    names = [f"class {number}" for number in range(CLASSES)]
    dataset = folder_dataset("train", root=str(place), classes=names, images="images", masks="masks")
    steps = [
        {"name": "random_scale", "minimum": 0.5, "maximum": 2.0},
        {"name": "horizontal_flip"},
        {"name": "random_crop", "size": list(SIZE)},
        {"name": "normalize"},
    ]
    pipeline = Pipeline([check_part(TransformEntry, step) for step in steps], training=True)
    loader = TrainingLoader(DiskCache(dataset, folder=place / "cache"), pipeline, batch_size=BATCH, seed=0)
    files = sorted((place / "images").iterdir())
    epochs = iter(range(1, 10**6))

    def ours() -> int:
        return sum(len(batch.names) for batch in loader.epoch(next(epochs)))

    draw = random.Random(0)

    def theirs() -> int:
        for file in files:
            reference_sample(file, place / "masks" / file.name, draw)
        return len(files)

    return ours, theirs


def write_pictures(place: Path) -> None:
    """Write 24 pictures with masks, smooth as photographs are."""
    draw = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (place / kind).mkdir()
    for number in range(24):
        coarse = draw.integers(0, 256, (SIZE[0] // 8, SIZE[1] // 8, 3), np.uint8)
        picture = Image.fromarray(coarse).resize(SIZE[::-1], Image.Resampling.BICUBIC)
        noisy = np.asarray(picture).astype(np.int16) + draw.integers(-6, 7, (*SIZE, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(place / "images" / f"{number:03d}.png")
        mask = draw.integers(0, CLASSES, (SIZE[0] // 24, SIZE[1] // 24), np.uint8)
        Image.fromarray(mask).resize(SIZE[::-1], Image.Resampling.NEAREST).save(place / "masks" / f"{number:03d}.png")


def reference_sample(image_file: Path, mask_file: Path, draw: random.Random) -> None:
    """Load and augment one image as torchvision's references/segmentation do with PIL."""
    image, mask = Image.open(image_file).convert("RGB"), Image.open(mask_file)
    scale = draw.uniform(0.5, 2.0)
    size = [round(side * scale) for side in SIZE]
    resized = reference.resize(image, size), reference.resize(mask, size, interpolation=InterpolationMode.NEAREST)
    image, mask = resized
    if draw.random() < 0.5:
        image, mask = reference.hflip(image), reference.hflip(mask)
    down, right = max(SIZE[0] - size[0], 0), max(SIZE[1] - size[1], 0)
    if down or right:
        image = reference.pad(image, [0, 0, right, down], fill=0)
        mask = reference.pad(mask, [0, 0, right, down], fill=255)
    top, left = draw.randint(0, image.height - SIZE[0]), draw.randint(0, image.width - SIZE[1])
    image, mask = reference.crop(image, top, left, *SIZE), reference.crop(mask, top, left, *SIZE)
    tensor = reference.convert_image_dtype(reference.pil_to_tensor(image), torch.float)
    reference.normalize(tensor, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    torch.as_tensor(np.array(mask), dtype=torch.int64)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each side in a round")
    parser.add_argument("--models", default="unet,fcn8s,fc_densenet56")
    parser.add_argument("--batch", type=int, default=BATCH, help="images of a step and of a forward pass")
    parser.add_argument("--steps", type=int, default=1, help="of an epoch, and forward passes of an evaluation")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
