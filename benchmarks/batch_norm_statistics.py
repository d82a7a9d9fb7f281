"""Tells what trained networks lose to the running statistics of batch norm.

    python benchmarks/batch_norm_statistics.py results/SUITE/*/checkpoint.safetensors

Every checkpoint is evaluated as it is, and again with its statistics computed anew over its training images with
dropout off (``train.batch_norm_statistics: precise``). The weights are the same, so that nothing else differs. Printed
as a Markdown table: mean IoU both ways, and the difference with its 95 % interval over the test images (10,000
resamples). One training each: how much it varies between trainings is not known.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from segbench.config.suite import Loader
from segbench.data.loading.loader import TrainingLoader
from segbench.data.loading.pipeline import Pipeline
from segbench.data.open import open_dataset
from segbench.engine.device import ComputeConfig, use_device
from segbench.engine.inference.apply import Ready, ready
from segbench.engine.training.batch_norm import compute_statistics
from segbench.metrics.resampling import RESAMPLES, counts_by_image, resampled
from segbench.metrics.scores import ClassCounts, mean_iou


def counts(loaded: Ready) -> ClassCounts:
    """Return the counts of the test images, (N, C) each."""
    recipe = loaded.checkpoint.run.recipe
    images = loaded.open_split(recipe.dataset, recipe.dataset.test_split)
    found = loaded.evaluate(images, workers=0, progress=lambda done, total: None)
    return counts_by_image(found.matrices.matrices)


def renew(loaded: Ready, device: torch.device) -> None:
    """Compute the statistics of a checkpoint's network anew, as its training would have."""
    run = loaded.checkpoint.run
    train = run.recipe.train
    assert train is not None
    images = open_dataset(run.recipe.dataset, run.recipe.dataset.train_split, loader=Loader(), training=True)
    pipeline = Pipeline(run.recipe.transforms.train, training=True, images=loaded.checkpoint.images)
    compute = ComputeConfig(device, train.precision, channels_last=train.channels_last)
    with TrainingLoader(images, pipeline, batch_size=train.batch_size, seed=run.seed) as loader:
        batches = (batch.images for batch in loader.epoch(0))
        compute_statistics(loaded.checkpoint.network, batches, compute=compute)


def row(file: Path, device: str) -> str:
    """Return a checkpoint's row of the table."""
    loaded = ready(file, device=device)
    parts = list(loaded.checkpoint.network.modules())
    norms = sum(isinstance(part, _BatchNorm) for part in parts)
    drops = sum(isinstance(part, nn.Dropout | nn.Dropout2d) and part.p > 0 for part in parts)
    before = counts(loaded)
    renew(loaded, use_device(device))
    both = [before, counts(loaded)]
    drawn = resampled(both, len(before.hits), RESAMPLES, mean_iou)
    low, high = np.quantile(drawn[:, 1] - drawn[:, 0], [0.025, 0.975])
    running, precise = (float(mean_iou(part.total)) for part in both)
    return (
        f"| {loaded.checkpoint.run.model.label} | {norms} | {drops} | {running:.3f} | {precise:.3f} | "
        f"{precise - running:+.3f} ({low:+.3f} to {high:+.3f}) |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoints", type=Path, nargs="+", help="checkpoint.safetensors of finished runs")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    print("| network | batch norms | dropouts | running | precise | difference |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for file in given.checkpoints:
        print(row(file, given.device), flush=True)
    print(f"\n{RESAMPLES:,} resamples of the test images; torch {torch.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()
