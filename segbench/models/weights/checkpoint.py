"""Loads and saves checkpoints of whole networks."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from segbench.config.files import read_digest
from segbench.errors import StoreError, WeightsError
from segbench.models.weights.foreign_states import SHOWN, Contents, State, first, read_contents, why_no_weights
from segbench.models.weights.state_choice import WRAPPERS, Found, choose
from segbench.models.weights.tensor_matching import Change, is_counter
from segbench.results.files import storing
from segbench.results.wording import in_words, percent

MIN_FIT = 0.5
"""Default fraction of a network that a checkpoint must match under ``strict: false``."""


@dataclass(frozen=True)
class WeightsReport:
    """The outcome of loading a checkpoint.

    Attributes:
        loaded: Names of the loaded tensors.
        missing: Names that are only in the network.
        unexpected: Names that are only in the file.
        misshapen: ``name (file's shape, network's shape)`` of tensors whose shapes differ.
        share: Fraction of the network's values that were loaded: parameters and buffers (such as running statistics),
            without step counters.
        key: The key of the state dict in the file; empty for the top level.
        rivals: Keys of other state dicts that match as well.
        auxiliary: Names of auxiliary heads in the file that the network does not have.
        unused: Names in the file besides the network's, such as buffers of a loss or metric.
        moved: Prefixes of a part that has different names in file and network; None if there is none.
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
        """The names that do not match, by kind."""
        return {"missing": self.missing, "unexpected": self.unexpected, "misshapen": self.misshapen}

    @property
    def complete(self) -> bool:
        """Whether all names and shapes of file and network match."""
        return not any(self.misfits.values())


class Rules(NamedTuple):
    """How a checkpoint must match.

    Attributes:
        strict: Refuse a file that does not match exactly; otherwise matching tensors are loaded.
        key: The dotted key of the state dict, or the prefix of its names; None finds it.
        min_fit: Fraction of the network's values that must match without ``strict``.
    """

    strict: bool = True
    key: str | None = None
    min_fit: float = MIN_FIT


def load_weights(
    network: nn.Module, path: str | Path, *, strict: bool = True, rules: Rules | None = None
) -> WeightsReport:
    """Load a checkpoint of a whole network.

    The best matching state dict is loaded, under any key; names are matched by
    ``segbench.models.weights.tensor_matching``. If the file is refused, the network is not changed.

    Args:
        network: The network; its tensors are overwritten in place.
        path: A file of safetensors or of ``torch.save``; see ``read_contents``.
        strict: Refuse a file that does not match exactly; otherwise matching tensors are loaded.
        rules: Further rules including ``strict``.

    Returns:
        A report of what was loaded and what was not.

    Raises:
        WeightsError: The file cannot be read, does not match (``strict``), or matches too little.
    """
    fit = _best(network, read_contents(path), rules or Rules(strict=strict))
    network.load_state_dict(fit.tensors, strict=False)
    return fit.report


def compare_weights(network: nn.Module, path: str | Path, *, rules: Rules) -> WeightsReport:
    """Return the report of ``load_weights`` from names and shapes only; the network may be on the meta device.

    Raises:
        WeightsError: ``load_weights`` would refuse the file.
    """
    return _best(network, read_contents(path, shapes_only=True), rules).report


def read_state(path: str | Path) -> State:
    """Read the tensors of a checkpoint onto the CPU with their names in the file.

    Of several state dicts, the one under the first of the keys ``WRAPPERS`` is returned, else the largest.

    Raises:
        WeightsError: The file does not exist, cannot be read or holds no tensors.
    """
    contents = read_contents(path)
    contents.check_not_empty()
    order = {key: place for place, key in enumerate(WRAPPERS)}
    key = min(contents.states, key=lambda key: (order.get(key, len(order)), -len(contents.states[key])))
    state = contents.states[key]
    _check_usable(contents, {name: why_no_weights(tensor, floating=tensor.dim() > 0) for name, tensor in state.items()})
    return state


_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def save_weights(network: nn.Module, path: str | Path, *, metadata: Mapping[str, str]) -> None:
    """Atomically write a network's tensors as safetensors.

    Args:
        network: The network.
        path: The file; overwritten if it exists. Its folder is created.
        metadata: Metadata of the file.

    Raises:
        StoreError: The file cannot be written.
    """
    path = Path(path)
    state = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in network.state_dict().items()}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with storing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                save_file(state, partial, metadata=dict(metadata))
            except SafetensorError as error:
                raise _system_error(error, path) from error
            partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path}: cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _system_error(error: SafetensorError, path: Path) -> Exception:
    """Return the operating system's error, such as a full disk, that safetensors tells as text alone; else itself."""
    number = _OS_ERROR.search(str(error))
    return OSError(int(number[1]), os.strerror(int(number[1])), str(path)) if number else error


def file_digest(path: str | Path) -> str:
    """Return the hexadecimal SHA-256 of a file, read in chunks.

    Raises:
        WeightsError: The file cannot be read.
    """
    try:
        return read_digest(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error


def describe(report: WeightsReport) -> str:
    """Describe a report's misfits, naming the first few of each kind."""
    return in_words(report.misfits, shown=SHOWN)


class _Fit(NamedTuple):
    tensors: State
    report: WeightsReport


def _best(network: nn.Module, contents: Contents, rules: Rules) -> _Fit:
    """Return the best matching state dict and its matching tensors.

    Raises:
        WeightsError: It does not match as the rules require.
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
    """Refuse a checkpoint that does not match as the rules require.

    Raises:
        WeightsError: It does not match.
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
    """Return a hint that a checkpoint has other classes, if all mismatching tensors differ in one number."""
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
    """Return the fraction of a network's values in some tensors, without counters."""
    sizes = {name: tensor.numel() for name, tensor in expected.items() if not is_counter(name)}
    total = sum(sizes.values())
    return sum(size for name, size in sizes.items() if name in tensors) / total if total else 1.0
