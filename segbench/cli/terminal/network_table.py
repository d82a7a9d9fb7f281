"""Formats the results of ``doctor --networks`` in 80 columns, line by line."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from segbench.cli.terminal.output import counted, figure
from segbench.report.text import printable

if TYPE_CHECKING:
    from segbench.engine.doctor.record import NetworkCheck

COLUMNS = 80
_HEADINGS = {"verdict": 7, "train ms": 8, "img/s": 7, "infer ms": 8, "MB": 6, "fp32": 6, "lower": 6, "bits": 6}
"""Every column after the network's name, with its width."""
_LONGEST_NAME = COLUMNS - sum(width + 1 for width in _HEADINGS.values())


class NetworkTable:
    """Formats aligned lines for networks whose names are known in advance."""

    def __init__(self, labels: Sequence[str]) -> None:
        longest = max((len(printable(label)) for label in labels), default=0)
        self.width = min(_LONGEST_NAME, max(longest, len("network")))

    @property
    def header(self) -> str:
        """The headings, underlined."""
        line = self._line("network", list(_HEADINGS))
        return f"{line}\n{'─' * len(line)}"

    def lines(self, network: NetworkCheck) -> list[str]:
        """Return a network's line, followed by lines for its problems, notes and nondeterminism."""
        errors = (network.logits_relative_error, network.precision_logits_relative_error)
        peaks = [peak for peak in (network.training_peak_bytes, network.inference_peak_bytes) if peak is not None]
        cells = [
            "ok" if network.ok else "PROBLEM",
            _time(network.training_step_ms),
            "-" if network.training_images_per_second is None else figure(network.training_images_per_second),
            _time(network.inference_ms),
            f"{max(peaks) / 1e6:,.0f}" if peaks else "-",
            *("-" if error is None else f"{error:.0e}" for error in errors),
            _bits(network),
        ]
        return [self._line(_cut(printable(network.label), self.width), cells), *map(_indented, _remarks(network))]

    def _line(self, name: str, cells: Sequence[str]) -> str:
        padded = [f"{cell:>{width}}" for cell, width in zip(cells, _HEADINGS.values(), strict=True)]
        return " ".join([f"{name:<{self.width}}", *padded])


def loader_line(
    *,
    problem: str | None,
    images_per_second: float | None,
    first_batch_seconds: float | None,
    workers: int | None,
    batch_size: int | None,
) -> str:
    """Return the line about the training loader."""
    if problem is not None:
        return _wrapped(f"loader: PROBLEM: {printable(problem)}")
    assert images_per_second is not None
    assert first_batch_seconds is not None
    who = f"{counted(workers, 'worker')}" if workers else "no worker"
    return _wrapped(
        f"loader: {figure(images_per_second)} img/s in batches of {batch_size}, {who}, "
        f"first batch after {first_batch_seconds:.1f} s"
    )


def summary_line(networks: Sequence[NetworkCheck], *, loads: bool) -> str:
    """Return the number of networks without problems, and the problems of the others."""
    wrong = [network for network in networks if not network.ok]
    total = counted(len(networks), "network")
    end = "" if loads else "; and the loader has a problem"
    if not wrong:
        return f"{total}: all ok{end}"
    named = "; ".join(f"{printable(network.label)}: {printable(_cut(network.problems[0], 60))}" for network in wrong)
    return _wrapped(f"{total}: {len(networks) - len(wrong)} ok, {len(wrong)} with a problem: {named}{end}")


def _remarks(network: NetworkCheck) -> list[str]:
    remarks = [*network.problems, *(f"note: {note}" for note in network.notes)]
    if network.nondeterministic_operator is not None:
        remarks.append(f"no deterministic training: {network.nondeterministic_operator} refuses it")
    return remarks


def _bits(network: NetworkCheck) -> str:
    if network.nondeterministic_operator is not None:
        return "no"
    return "-" if network.same_bits is None else "same" if network.same_bits else "differ"


def _time(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:,.1f}" if milliseconds < 1000 else f"{milliseconds:,.0f}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _indented(text: str) -> str:
    return textwrap.fill(
        printable(text), COLUMNS, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, COLUMNS, subsequent_indent="  ", break_on_hyphens=False)
