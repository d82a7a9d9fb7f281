"""Whole-network checkpoints: fitted into a network, and written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from segbench.errors import StoreError, WeightsError
from segbench.models.weights.foreign_states import SHOWN, Contents, State, first, read_contents, why_no_weights
from segbench.models.weights.state_choice import WRAPPERS, Found, choose
from segbench.models.weights.tensor_matching import Change, is_counter
from segbench.results.misfits import in_words
from segbench.results.shares import percent

MIN_FIT = 0.5
"""The share of a network that a checkpoint has to hold under ``strict: false``, unless a suite says it."""


@dataclass(frozen=True)
class WeightsReport:
    """What became of a checkpoint.

    Attributes:
        loaded: Names that were copied into the network.
        missing: Names that the network has and the file has not.
        unexpected: Names that the file has and the network has not.
        misshapen: ``name (file's shape, network's shape)`` of tensors whose shapes differ.
        share: How much of the network was copied, of 1, counted by the values of all its tensors: parameters and
            buffers, such as the running statistics of batch norm, without counters of steps.
        key: The key of the state dict in the file; empty where the names stand at the top.
        rivals: Keys of others that fit as well.
        auxiliary: Names of auxiliary heads in the file that the network, which has none, does without.
        unused: Names in the file beside those of the network, such as buffers of a loss or of a metric.
        moved: What names of a part begin with in the file, and in the network; None where no part is called otherwise.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]
    share: float = 1.0
    key: str = ""
    rivals: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    moved: Change | None = None

    @property
    def misfits(self) -> dict[str, tuple[str, ...]]:
        """The names that do not fit, by kind."""
        return {"missing": self.missing, "unexpected": self.unexpected, "misshapen": self.misshapen}

    @property
    def complete(self) -> bool:
        """Whether file and network agree in every name and shape."""
        return not any(self.misfits.values())


class Rules(NamedTuple):
    """How a checkpoint has to fit.

    Attributes:
        strict: Refuse a file that does not fit exactly; otherwise what fits is loaded.
        key: The dotted key of the state dict, or the beginning of its names; None finds it.
        min_fit: The share of the network's values that has to fit where ``strict`` is off.
    """

    strict: bool = True
    key: str | None = None
    min_fit: float = MIN_FIT


def load_weights(
    network: nn.Module, path: str | Path, *, strict: bool = True, rules: Rules | None = None
) -> WeightsReport:
    """Load a checkpoint of a whole network.

    The state dict that fits best is taken, whatever key it stands under, and names are paired as
    ``segbench.models.weights.tensor_matching`` says. Nothing is changed when the file is refused.

    Args:
        network: Its tensors are overwritten in place.
        path: A file of safetensors or of ``torch.save``; see ``read_contents``.
        strict: Refuse a file that does not fit exactly; otherwise what fits is loaded.
        rules: ``strict`` and more.

    Returns:
        What was loaded and what was not.

    Raises:
        WeightsError: The file cannot be read, does not fit (``strict``) or too little of it does.
    """
    fit = _best(network, read_contents(path), rules or Rules(strict=strict))
    network.load_state_dict(fit.tensors, strict=False)
    return fit.report


def compare_weights(network: nn.Module, path: str | Path, *, rules: Rules) -> WeightsReport:
    """Return what ``load_weights`` would, from names and shapes alone; a network on the meta device will do.

    Raises:
        WeightsError: ``load_weights`` would refuse the file.
    """
    return _best(network, read_contents(path, shapes_only=True), rules).report


def read_state(path: str | Path) -> State:
    """Read the tensors of a checkpoint onto the CPU, as they are named there.

    Of several state dicts, that under the first of the keys ``WRAPPERS``, or else the largest, is taken.

    Raises:
        WeightsError: There is no such file, or it cannot be read, or it holds no tensors; the message names it.
    """
    contents = read_contents(path)
    contents.check_not_empty()
    order = {key: place for place, key in enumerate(WRAPPERS)}
    key = min(contents.states, key=lambda key: (order.get(key, len(order)), -len(contents.states[key])))
    state = contents.states[key]
    _check_usable(contents, {name: why_no_weights(tensor, floating=tensor.dim() > 0) for name, tensor in state.items()})
    return state


def save_weights(network: nn.Module, path: str | Path, *, metadata: Mapping[str, str]) -> None:
    """Write a network's tensors as safetensors, all or nothing.

    Args:
        network: What to write.
        path: Overwritten if it exists; its folder is made.
        metadata: Facts to keep beside the tensors.

    Raises:
        StoreError: The file cannot be written; a full disk is no fault of the network.
    """
    path = Path(path)
    state = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in network.state_dict().items()}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(state, partial, metadata=dict(metadata))
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path}: cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; the file is read in pieces.

    Raises:
        WeightsError: The file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error


def describe(report: WeightsReport) -> str:
    """Return a report's misfits in words, the first few of each kind by name."""
    return in_words(report.misfits, shown=SHOWN)


class _Fit(NamedTuple):
    tensors: State
    report: WeightsReport


def _best(network: nn.Module, contents: Contents, rules: Rules) -> _Fit:
    """Return what fits of the state dict that fits best.

    Raises:
        WeightsError: It does not fit as the rules say.
    """
    expected = {name: tensor for name, tensor in network.state_dict().items() if isinstance(tensor, Tensor)}
    found = choose(expected, contents, rules.key)
    tensors = {name: found.state[key] for name, key in found.pairing.fitting.items()}
    wrong = {
        key: why_no_weights(found.state[key], floating=expected[name].is_floating_point())
        for name, key in found.pairing.fitting.items()
    }
    _check_usable(contents, wrong)
    misshapen = tuple(
        f"{name} ({tuple(found.state[key].shape)} in the file, {tuple(expected[name].shape)} here)"
        for name, key in found.pairing.misshapen.items()
    )
    report = WeightsReport(
        loaded=tuple(tensors),
        missing=found.pairing.missing,
        unexpected=found.pairing.unexpected,
        misshapen=misshapen,
        share=_share(expected, tensors),
        key=found.key,
        rivals=found.rivals,
        auxiliary=found.pairing.auxiliary,
        unused=found.pairing.unused,
        moved=found.pairing.moved,
    )
    _judge(report, contents, rules, classes=_classes_hint(expected, found))
    return _Fit(tensors, report)


def _check_usable(contents: Contents, reasons: Mapping[str, str]) -> None:
    """Refuse tensors that a network's weights would not be after a cast.

    Args:
        contents: What the file holds.
        reasons: Why each tensor is no weights, by its name; empty where it may be.

    Raises:
        WeightsError: Some are none; names them.
    """
    wrong = tuple(f"{name} ({reason})" for name, reason in reasons.items() if reason)
    if wrong:
        raise WeightsError(
            f"{contents.path}: holds tensors that are no weights of this network: {first(wrong)}; save the "
            "state_dict() of a network whose tensors are dense, of floating-point numbers and on the CPU"
        )


def _judge(report: WeightsReport, contents: Contents, rules: Rules, *, classes: str) -> None:
    """Refuse what does not fit as the rules say.

    Raises:
        WeightsError: It does not.
    """
    where = f" (key {report.key!r})" if report.key else ""
    others = tuple(key for key in contents.states if key != report.key)
    keys = f"; other keys of tensors: {first(others)}" if others else ""
    misfit = f"{describe(report)}{classes}{keys}"
    fits = f"{percent(report.share)} of the network"
    if not report.loaded:
        raise WeightsError(f"{contents.path} has no tensor that fits the network{where}: {misfit}")
    if rules.strict and not report.complete:
        raise WeightsError(
            f"{contents.path} does not fit the network{where}: {misfit}; strict: false loads what fits, {fits}"
        )
    if not rules.strict and report.share < rules.min_fit:
        raise WeightsError(
            f"{contents.path} fits {fits}{where}, and {percent(rules.min_fit)} is the least (min_fit): {misfit}"
        )


def _classes_hint(expected: Mapping[str, Tensor], found: Found) -> str:
    """Return in words that a checkpoint has other outputs, where all tensors that do not fit differ in one number."""
    changes = {
        (old, new)
        for name, key in found.pairing.misshapen.items()
        for old, new in zip(found.state[key].shape, expected[name].shape, strict=False)
        if old != new and found.state[key].dim() == expected[name].dim()
    }
    if len(changes) != 1 or found.pairing.missing:
        return ""
    ((old, new),) = changes
    return (
        f"; if these are numbers of classes, {old} in the file and {new} here: with train: null, classes_map says "
        "which output is which class"
    )


def _share(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> float:
    """Return how much of a network's values is among some tensors; counters are no part of either."""
    sizes = {name: tensor.numel() for name, tensor in expected.items() if not is_counter(name)}
    total = sum(sizes.values())
    return sum(size for name, size in sizes.items() if name in tensors) / total if total else 1.0
