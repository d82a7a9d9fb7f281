"""Saves and loads a trained network as one file, with everything needed to rebuild and apply it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import nn

from segbench.config.component import ModelEntry
from segbench.config.plan import Run
from segbench.data.base import ChannelStatistics, Color, DatasetInfo, ImageFormat
from segbench.data.folds.folds import Folds
from segbench.errors import WeightsError

METADATA_KEY = "segbench"


@dataclass(frozen=True, kw_only=True)
class CheckpointFacts:
    """What a checkpoint says of its training.

    Attributes:
        run: The run that trained it.
        info: Facts about its data set: classes, colours and channels.
        pool_fingerprint: Hash of all images of its cross-validation; None without one, or if not known.
        fold_fingerprint: Hash of the images of its test fold; None likewise.
        statistics: Measured statistics of its training images; None if the recipe measures none.
        fingerprints: Hash of each split of its run by role (train, validation, test); empty if not known.
    """

    run: Run
    info: DatasetInfo
    pool_fingerprint: str | None = None
    fold_fingerprint: str | None = None
    statistics: ChannelStatistics | None = None
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def images(self) -> ImageFormat:
        """Facts about its input images."""
        return replace(self.info.image_format, statistics=self.statistics)


@dataclass(frozen=True, kw_only=True)
class Checkpoint(CheckpointFacts):
    """A trained network.

    Attributes:
        network: The network with its trained weights, on the CPU.
    """

    network: nn.Module


def save_checkpoint(
    file: Path,
    network: nn.Module,
    *,
    run: Run,
    info: DatasetInfo,
    folds: Folds | None = None,
    statistics: ChannelStatistics | None = None,
    fingerprints: Mapping[str, str] | None = None,
) -> None:
    """Write a network's weights with run and classes as metadata, as a safetensors file.

    The metadata includes the ``fingerprints`` of the run's splits by role and, in a cross-validation, those of the
    ``folds``. If images are normalised with measured ``statistics``, these are included too.

    Raises:
        StoreError: The file cannot be written.
    """
    from segbench.models.weights.checkpoint import save_weights

    facts = {
        "run": run.model_dump(mode="json"),
        "dataset": info.name,
        "classes": info.classes,
        "palette": info.palette,
        "channels": info.channels,
        "dtype": info.dtype,
        **({} if statistics is None else {"statistics": statistics._asdict()}),
        **({} if folds is None else _fingerprints(run, folds)),
        **({} if not fingerprints else {"fingerprints": dict(fingerprints)}),
    }
    save_weights(network, file, metadata={METADATA_KEY: json.dumps(facts)})


def _fingerprints(run: Run, folds: Folds) -> dict[str, str]:
    assert run.fold is not None
    return {
        "pool_fingerprint": folds.pool.fingerprint(),
        "fold_fingerprint": folds.test(run.fold).fingerprint(),
    }


def load_checkpoint(file: Path) -> Checkpoint:
    """Build the network of a checkpoint and load its weights.

    Raises:
        WeightsError: The file cannot be read, or was not written by ``segbench run``.
    """
    from segbench.models.build import build_network

    facts = read_facts(file)
    run, info = facts.run, facts.info
    network = build_network(
        _as_stored(run, file, info), classes=len(info.classes), channels=info.channels, seed=run.seed
    )
    return Checkpoint(network=network.eval(), **vars(facts))


def read_facts(file: Path) -> CheckpointFacts:
    """Read what a checkpoint says of its training, without its weights.

    Raises:
        WeightsError: The file cannot be read, or was not written by ``segbench run``.
    """
    facts = _read_metadata(file)
    try:
        run = Run.model_validate(facts["run"])
        palette: tuple[Color, ...] = tuple((r, g, b) for r, g, b in facts["palette"])
        channels, dtype = facts["channels"], facts.get("dtype", "uint8")
        info = DatasetInfo(facts["dataset"], tuple(facts["classes"]), palette, channels=channels, dtype=dtype)
        measured = facts.get("statistics")
        statistics = measured and ChannelStatistics(tuple(measured["mean"]), tuple(measured["std"]))
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise WeightsError(f"{file}: this version cannot read its metadata: {error}") from None
    return CheckpointFacts(
        run=run,
        info=info,
        pool_fingerprint=facts.get("pool_fingerprint"),
        fold_fingerprint=facts.get("fold_fingerprint"),
        statistics=statistics,
        fingerprints=facts.get("fingerprints") or {},
    )


def _as_stored(run: Run, file: Path, info: DatasetInfo) -> ModelEntry:
    """Return the entry of a run's network with its checkpoint's weights instead of its initial ones."""
    from segbench.models.weights.classes_map import for_classes

    newer = {"weights": str(file), "strict": True, "min_fit": None, "weights_key": None}
    return for_classes(run.model.model_copy(update={**newer, "options": _without_pretrained(run)}), info.classes)


def _without_pretrained(run: Run) -> dict[str, object]:
    """Return the model's options without its initial weights; the checkpoint replaces them."""
    options = dict(run.model.options)
    if "pretrained" in options:
        options["pretrained"] = False
    return options


def _read_metadata(file: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as tensors:
            text = (tensors.metadata() or {}).get(METADATA_KEY)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{file}: cannot be read as a checkpoint: {error}") from None
    if text is None:
        raise WeightsError(
            f"{file}: holds weights but not what network they belong to; name it as `weights:` of a model in a suite"
        )
    facts: dict[str, Any] = json.loads(text)
    return facts
