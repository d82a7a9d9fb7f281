"""Options shared by commands, and their parsers."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from segbench.cli.terminal.completion import complete_models, complete_suite
from segbench.engine.suite.selection import RunOrder, Selection
from segbench.errors import UsageError

SuiteFile = Annotated[
    Path,
    typer.Argument(
        metavar="SUITE", help="A YAML file, or the name of one of 'segbench suites'.", autocompletion=complete_suite
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a dotted key, such as train.epochs=3; may be repeated."),
]
ModelOptions = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set an option, such as width=0.5; may be repeated."),
]
Results = Annotated[Path, typer.Option("--results", metavar="DIR", help="Folder of all results.")]
StoredResults = Annotated[
    list[Path], typer.Argument(metavar="RESULTS", help="Folders of results: of all suites, of one, or of single runs.")
]
Reports = Annotated[Path, typer.Option("--reports", metavar="DIR", help="Folder of all reports.")]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
Models = Annotated[
    str | None,
    typer.Option(
        "--models", metavar="A,B", help="Only these models, by label or name.", autocompletion=complete_models
    ),
]
Seeds = Annotated[
    str | None, typer.Option("--seeds", metavar="0,1", help="Only these seeds; those the suite lacks are added.")
]
OnlyRuns = Annotated[
    str | None, typer.Option("--only", metavar="RUN,…", help="Only these runs, by id or its beginning.")
]
TimeLimit = Annotated[
    str | None,
    typer.Option(
        "--time-limit", metavar="TIME", help="Stop in good order after so long, such as 20m, 2h or 90s: exit code 3."
    ),
]
NoEstimate = Annotated[
    bool, typer.Option("--no-estimate", help="Begin at once; under a time limit, runs may not end in it.")
]
PerClass = Annotated[
    bool, typer.Option("--per-class", help="Also show the IoU of every class; CSV and JSON always hold it.")
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Show the leaderboard, and write no report.")]
NoCode = Annotated[
    bool, typer.Option("--no-code", help="Refuse suites with parts that are not segbench's (python:, other packages).")
]
NoSpeed = Annotated[bool, typer.Option("--no-speed", help="Leave the suite's speed block out.")]
EventsFile = Annotated[
    Path | None, typer.Option("--events", metavar="FILE", help="Append everything that happens as JSON lines.")
]
TensorBoardFolder = Annotated[
    Path | None, typer.Option("--tensorboard", metavar="DIR", help="Show learning curves in TensorBoard.")
]
MLflowAddress = Annotated[
    str | None, typer.Option("--mlflow", metavar="URI", help="Log runs to MLflow: a server, or sqlite:///FILE.")
]


OrderOption = Annotated[
    RunOrder, typer.Option("--order", metavar="ORDER", help="suite, cheapest (by the estimate) or random.")
]

Precisions = Annotated[str | None, typer.Option("--precision", metavar="fp32,bf16", help="Arithmetics.")]
Casting = Annotated[str | None, typer.Option("--casting", metavar="weights,autocast", help="What bf16 and fp16 cast.")]
Modes = Annotated[
    str | None, typer.Option("--mode", metavar="eager,compile", help="eager, compile, compile:MODE, cuda_graph.")
]
Outputs = Annotated[str | None, typer.Option("--output", metavar="logits,labels", help="logits, classes, labels.")]
Tasks = Annotated[str | None, typer.Option("--task", metavar="inference,training", help="Also loading, with a suite.")]
MemoryLayout = Annotated[
    bool | None, typer.Option("--channels-last/--contiguous", help="Memory layout of images and weights.")
]
Energy = Annotated[
    bool | None, typer.Option("--energy/--no-energy", help="Whether the accelerator's energy is measured.")
]


class LauncherName(StrEnum):
    """Executes the runs."""

    LOCAL = "local"
    RAY = "ray"


InProcess = Annotated[
    bool, typer.Option("--in-process", help="Do all runs in this process, for debugging, and measure no speed.")
]
Jobs = Annotated[
    str | None,
    typer.Option(
        "--jobs",
        metavar="N",
        help="Runs at a time, a GPU each; else auto: as the CPU's cores allow, 1 on GPUs.",
    ),
]
LauncherOption = Annotated[
    LauncherName, typer.Option("--launcher", metavar="NAME", help="local, or ray: a Ray cluster.")
]
Address = Annotated[
    str | None, typer.Option("--address", metavar="HOST:PORT", help="Of the Ray cluster; one is started without.")
]
CpusPerRun = Annotated[
    int | None,
    typer.Option("--cpus-per-run", metavar="N", min=1, help="Cores of a run on Ray, else one a thread."),
]
GpusPerRun = Annotated[
    float | None, typer.Option("--gpus-per-run", metavar="X", min=0, help="GPUs that a run on Ray is given, else 0.")
]

SharedResults = Annotated[
    bool,
    typer.Option(
        "--shared-results", help="All machines of the Ray cluster see the results folder: runs go on from there."
    ),
]

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds_of(text: str | None, *, option: str) -> float | None:
    """Return a time such as ``90``, ``90s``, ``20m``, ``1h30m`` or ``2h`` in seconds; None for None.

    Raises:
        UsageError: The text has another form, or is zero.
    """
    if text is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip().lower())
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text.strip().lower() or seconds <= 0:
        raise UsageError(f"{option} {text!r}: expected a time such as 90s, 20m, 1h30m or 2h")
    return seconds


def names(text: str | None, *, option: str) -> list[str] | None:
    """Return the parts of a comma-separated list; None for None.

    Raises:
        UsageError: The list is empty.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise UsageError(f"{option} {text!r}: names nothing; leave the option out, or give a list such as A,B")
    return parts


def numbers(text: str | None, *, option: str) -> list[int] | None:
    """Return a comma-separated list of whole numbers; None for None.

    Raises:
        UsageError: A part is not a whole number.
    """
    parts = names(text, option=option)
    try:
        return None if parts is None else [int(part) for part in parts]
    except ValueError:
        raise UsageError(f"{option} {text!r}: expected whole numbers separated by commas, such as 0,1") from None


def selection_of(models: str | None, seeds: str | None, only: str | None = None) -> Selection:
    """Return which runs are selected by ``--models``, ``--seeds`` and ``--only``.

    Raises:
        UsageError: One of them is empty, or a seed is no whole number.
    """
    return Selection(names(models, option="--models"), numbers(seeds, option="--seeds"), names(only, option="--only"))


def size(text: str) -> tuple[int, int]:
    """Return height and width of ``HxW``.

    Raises:
        UsageError: The text has another form.
    """
    match = re.fullmatch(r"([1-9]\d{0,5})[xX]([1-9]\d{0,5})", text.strip())
    if match is None:
        raise UsageError(f"--size {text!r}: expected HEIGHTxWIDTH in pixels, such as 360x480")
    return int(match[1]), int(match[2])
