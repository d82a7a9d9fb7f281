"""One network for one target: what is to be done, and where its network comes from."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_model, save_model
from torch import nn

from segbench.config.plan import Run
from segbench.config.sections.deploy import Deploy, Target
from segbench.deployment.packages import versions_for
from segbench.deployment.pruning.prune import parameters_of, pruned
from segbench.deployment.runtimes.catalog import FOLLOWS_LAYOUT
from segbench.engine.checkpoint import Checkpoint, load_checkpoint
from segbench.engine.run.data import RunData
from segbench.errors import ModelRefusal
from segbench.results.deployments.record import DeployedTo, DeploymentRecord, Pruning
from segbench.results.environment import capture
from segbench.results.record import Status

SHAPE_OF_PRUNING = (64, 64)


@dataclass(frozen=True)
class Task:
    """One network for one target.

    Attributes:
        run: The run that trained it.
        checkpoint: Its weights.
        weights: SHA-256 of that file.
        target: What it is deployed to.
        block: The suite's block.
        fingerprint: Hash of what is asked.
        device: cpu, cuda:N or mps.
        folder: Where files of this network lie while it is deployed.
    """

    run: Run
    checkpoint: Path
    weights: str
    target: Target
    block: Deploy
    fingerprint: str
    device: str
    folder: Path

    @property
    def title(self) -> str:
        """The network and the target, for messages."""
        return f"{self.run.label}, seed {self.run.seed}, {self.target}"

    @property
    def files(self) -> Path:
        """Where the target's own files lie."""
        return self.folder / self.target.key

    @property
    def predictions(self) -> Path:
        """Where PyTorch's predictions lie."""
        return self.folder / "predictions"

    @property
    def versions(self) -> dict[str, str | None]:
        """The versions of the packages that the target needs; None if absent."""
        return versions_for(self.target.runtime, *(["pruning"] if self.target.prune is not None else []))

    @property
    def channels_last(self) -> bool:
        """See ``lays_channels_last``."""
        return lays_channels_last(self.run, self.target.runtime)

    @property
    def deployed_to(self) -> DeployedTo:
        """The target as it is recorded."""
        return DeployedTo(**self.target.model_dump(), device=torch.device(self.device).type)

    def record(self, status: Status, reason: str | None = None) -> DeploymentRecord:
        """Return the record, without what a deployment found."""
        return DeploymentRecord(
            run=self.run.id,
            identity=self.run.identity,
            label=self.run.label,
            seed=self.run.seed,
            weights=self.weights,
            target=self.deployed_to,
            fingerprint=self.fingerprint,
            status=status,
            reason=reason,
            channels_last=self.channels_last,
            environment=capture(self.device, {"runtimes": self.versions}, threads=self.run.threads),
        )


def lays_channels_last(run: Run, runtime: str) -> bool:
    """Return whether a runtime lays images and weights out with channels last: PyTorch, where the suite says so."""
    train = run.recipe.train
    return train is not None and train.channels_last and runtime in FOLLOWS_LAYOUT


def trained_network(task: Task) -> nn.Module:
    """Return the network of a task, pruned and with its later weights where it is; on the CPU, in evaluation mode.

    Raises:
        ModelRefusal: It cannot be pruned.
    """
    checkpoint = load_checkpoint(task.checkpoint)
    if task.target.prune is None:
        return checkpoint.network
    network = _pruned(checkpoint, task.target.prune)
    load_model(network, str(_weights_of(task)))
    return network


def prune_where_wanted(task: Task, checkpoint: Checkpoint, data: RunData) -> Pruning | None:
    """Prune and fine-tune the network of a task, for ``trained_network``, unless another target has done so.

    Raises:
        ModelRefusal: It cannot be pruned, or there is no recipe to train it on.
    """
    if task.target.prune is None:
        return None
    facts = _weights_of(task).with_suffix(".json")
    if facts.is_file():
        return Pruning.model_validate(json.loads(facts.read_text(encoding="utf-8")))
    if task.block.fine_tune and task.run.recipe.train is None:
        raise ModelRefusal("was not trained here, so that it cannot be trained on; deploy.fine_tune: 0 prunes alone")
    started = time.perf_counter()
    assert task.target.prune is not None
    network, epochs = _pruned(checkpoint, task.target.prune), 0
    if task.block.fine_tune:
        from segbench.deployment.pruning.fine_tune import fine_tune  # imports all of training

        device = torch.device(task.device)
        epochs = fine_tune(network, task.run, data, share=task.block.fine_tune, device=device)
    save_model(network, str(_weights_of(task)))
    found = Pruning(
        parameters_before=parameters_of(checkpoint.network),
        parameters=parameters_of(network),
        fine_tuned_epochs=epochs,
        seconds=time.perf_counter() - started,
    )
    facts.write_text(found.model_dump_json(), encoding="utf-8")
    return found


def _pruned(checkpoint: Checkpoint, ratio: float) -> nn.Module:
    from segbench.models.base import constraint_of

    height, width = (constraint_of(checkpoint.network).next(side) for side in SHAPE_OF_PRUNING)
    shape = (1, checkpoint.info.channels, height, width)
    return pruned(checkpoint.network, ratio, shape, classes=len(checkpoint.info.classes))


def _weights_of(task: Task) -> Path:
    return task.folder / f"pruned-{task.target.prune:g}.safetensors"
