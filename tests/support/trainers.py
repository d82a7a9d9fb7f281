"""Trainers of small networks over the same random batches in every epoch."""

from __future__ import annotations

import torch

from segbench.config.suite import Train
from segbench.data.loading.loader import Batch
from segbench.engine.device import ComputeConfig
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import build_loss
from segbench.engine.training.trainer import Trainer

CLASSES = 3
SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.0}


class Batches:
    """Stands for a loader: the same random batches in every epoch."""

    def __init__(self, sizes=(4, 4, 4)):
        draw = torch.Generator().manual_seed(0)
        self.batches = [
            Batch(
                tuple(f"{index}-{row}" for row in range(size)),
                torch.rand(size, 3, 6, 5, generator=draw),
                torch.randint(0, CLASSES, (size, 6, 5), generator=draw).to(torch.uint8),
                tuple(f"{index}-{row}".encode().hex() for row in range(size)),
                (30,) * size,
            )
            for index, size in enumerate(sizes)
        ]

    def epoch(self, number, *, skip=0):
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


def trainer_of(net, tmp_path, *, loader=None, **recipe):
    train = Train.model_validate({"epochs": 2, "batch_size": 4, "optimizer": SGD} | recipe)
    return Trainer(
        net,
        train,
        loader=loader or Batches(),
        loss=build_loss(train.loss, classes=CLASSES, median_frequency=lambda: [1.0] * CLASSES),
        compute=ComputeConfig(torch.device("cpu"), train.precision),
        history=History(tmp_path / "history.csv"),
    )
