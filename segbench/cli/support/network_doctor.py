"""Runs ``doctor --networks``: tries the networks and the loader of a suite, and reports problems."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from segbench.cli.support.network_loader import Loading, time_loader
from segbench.cli.support.options import names
from segbench.cli.support.outputs import check_output
from segbench.cli.terminal.network_table import NetworkTable, loader_line, summary_line
from segbench.cli.terminal.output import json_text, tell, write_json
from segbench.config.load import load_suite
from segbench.config.plan import Run, plan
from segbench.config.suite import Suite
from segbench.engine.doctor.record import NetworkCheck
from segbench.engine.processes import call_in_process
from segbench.engine.suite.selection import chosen
from segbench.errors import UsageError
from segbench.results.files import replace_text

if TYPE_CHECKING:
    import torch

    from segbench.engine.doctor.cases import NetworkCase

STANDARD_OUTPUT = "-"

Seconds = Annotated[
    float | None,
    typer.Option("--seconds", metavar="N", min=1, help="With --networks: stop after so long; what is left is named."),
]
JsonOrFile = Annotated[
    str | None,
    typer.Option("--json", metavar="[FILE.json]", help="Write JSON, for programs; with --networks, also into a file."),
]


class JsonCommand(TyperCommand):
    """A command whose ``--json`` may be followed by a file, recognised by its suffix ``.json``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert standard output if no file follows ``--json``, then parse."""
        spelled: list[str] = []
        for argument, following in zip_longest(args, args[1:], fillvalue=""):
            spelled.append(argument)
            if argument == "--json" and following != STANDARD_OUTPUT and not following.endswith(".json"):
                spelled.append(STANDARD_OUTPUT)
        return super().parse_args(ctx, spelled)


@dataclass(frozen=True)
class NetworkOptions:
    """The options of the command.

    Attributes:
        suite: The suite's file; None for the catalogue.
        models: Labels or names of models, separated by commas; None for all.
        overrides: Dotted keys of the suite with values.
        device: auto, cpu, cuda, cuda:N or mps.
        seconds: When to stop; None for never.
        json_to: The file for JSON, ``-`` for standard output, or None.
    """

    suite: Path | None
    models: str | None
    overrides: list[str] | None
    device: str
    seconds: float | None
    json_to: str | None

    @property
    def needs_networks(self) -> str | None:
        """The first given option that requires ``--networks``."""
        given = {
            str(self.suite): self.suite,
            "--models": self.models,
            "--set": self.overrides,
            "--device": None if self.device == "auto" else self.device,
            "--seconds": self.seconds,
            "--json FILE": None if self.json_to == STANDARD_OUTPUT else self.json_to,
        }
        return next((name for name, value in given.items() if value), None)

    @property
    def json_file(self) -> Path | None:
        """The file for JSON."""
        return None if self.json_to in (None, STANDARD_OUTPUT) else Path(str(self.json_to))


@dataclass(frozen=True)
class Findings:
    """The results so far.

    Attributes:
        suite: The suite's name.
        device: The device of the networks.
        machine: The machine and its versions.
        networks: The result of each network.
        loader: The result of the loader; None without a loader, or before it was tried.
        finished: Whether everything was tried.
    """

    suite: str
    device: str
    machine: dict[str, Any]
    networks: tuple[NetworkCheck, ...] = ()
    loader: Loading | None = None
    finished: bool = False

    @property
    def ok(self) -> bool:
        """Whether everything was tried without a problem."""
        loads = self.loader is None or self.loader.problem is None
        return self.finished and loads and all(network.ok for network in self.networks)

    def facts(self) -> dict[str, Any]:
        """Return everything for JSON, with the limits of the verdicts."""
        from segbench.engine.doctor import numbers

        limits = {
            "logits_relative_error": numbers.FP32_LOGITS_LIMIT,
            "gradients_relative_error": numbers.FP32_GRADIENTS_LIMIT,
            "precision_logits_relative_error": numbers.PRECISION_LOGITS_LIMITS,
        }
        networks = [{"verdict": "ok" if one.ok else "problem", **asdict(one)} for one in self.networks]
        return {
            "suite": self.suite,
            "device": self.device,
            "verdict": "ok" if self.ok else "problem" if self.finished else "unfinished",
            "finished": self.finished,
            "networks": networks,
            "loader": asdict(self.loader) if self.loader else None,
            "limits": limits,
            "machine": self.machine,
        }


def check_suite(options: NetworkOptions) -> None:
    """Try the networks of a suite, or of the catalogue; exits with 1 if there are problems.

    Each result is written at once, also to the file, so that a killed command keeps what it found.

    Raises:
        UsageError: The suite, a name or the device is invalid.
    """
    check_output(options.json_file, ".json")
    deadline = None if options.seconds is None else time.monotonic() + options.seconds
    from segbench.engine.device import choose_device
    from segbench.engine.doctor.cases import cases_of, images_of
    from segbench.engine.doctor.checkup import check_networks

    device = choose_device(options.device)
    suite = _suite(options, device)
    runs = _runs(suite, options)
    images = images_of(runs[0])
    cases = cases_of(runs, images, device=device, adapts=options.suite is None)
    findings = Findings(suite.name, str(device), _machine(device))
    write = tell if options.json_to == STANDARD_OUTPUT else typer.echo
    table = NetworkTable([case.model.label for case in cases])

    def keep(found: Findings) -> Findings:
        if options.json_file is not None:
            replace_text(options.json_file, json_text(found.facts()) + "\n")
        return found

    write("\n".join([*textwrap.wrap(_title(suite, findings, cases), 80), table.header]))
    for network in check_networks(cases, deadline=deadline):
        write("\n".join(table.lines(network)))
        findings = keep(replace(findings, networks=(*findings.networks, network)))
    loader = time_loader(suite, images, deadline) if options.suite is not None else None
    if loader is not None:
        write(loader_line(**asdict(loader)))
    findings = keep(replace(findings, loader=loader, finished=True))
    write(summary_line(findings.networks, loads=loader is None or loader.problem is None))
    if options.json_to == STANDARD_OUTPUT:
        write_json(findings.facts())
    if not findings.ok:
        raise typer.Exit(1)


def _suite(options: NetworkOptions, device: torch.device) -> Suite:
    from segbench.engine.doctor.cases import catalogue_suite

    overrides = options.overrides or ()
    if options.suite is None:
        return catalogue_suite(device, overrides=overrides)
    return load_suite(options.suite, overrides=overrides)


def _runs(suite: Suite, options: NetworkOptions) -> Sequence[Run]:
    try:
        return chosen(plan(suite), names(options.models, option="--models"), None)
    except UsageError as error:
        raise UsageError(f"{options.suite or 'the catalogue'}: {error}") from None


def _machine(device: torch.device) -> dict[str, Any]:
    """Describe the machine, in a separate process so that this one opens no device."""
    from segbench.speed.measure.case import fingerprint

    return call_in_process(fingerprint, str(device), None)


def _title(suite: Suite, findings: Findings, cases: Sequence[NetworkCase]) -> str:
    """Return the title line: networks, device, batch and sizes."""
    first = cases[0]
    train, evaluate = first.recipe.train, first.recipe.evaluate
    height, width = first.training_size
    name = findings.machine.get("device_name") or findings.machine.get("processor")
    steps = f"steps of {train.batch_size} images of {height}x{width} in {train.precision}; " if train else ""
    tests = f"inference of 1 and {evaluate.batch_size} of {first.test_size[0]}x{first.test_size[1]}"
    small = "; small, as on every processor" if findings.device == "cpu" else ""
    return f"{suite.name} on {findings.device} ({name}): {steps}{tests}{small}"
